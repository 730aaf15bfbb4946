//! Keys as operators have them (PEM, in the forms that Go's tools read) to keys as `ring` takes them.

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::JwtError;
use super::methods::{Kind, Method};

/// Signs.
pub(super) enum Signer {
    Hmac(hmac::Key),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Checks signatures.
pub(super) enum Verifier {
    Hmac(hmac::Key),
    Public(UnparsedPublicKey<Vec<u8>>),
}

impl Signer {
    /// The signature; `None` if the system has no randomness to give.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let rng = SystemRandom::new();
        match self {
            Self::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &rng, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ecdsa(key) => Some(key.sign(&rng, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
        }
    }

    /// The public key, in the form that `ring` takes; none for a secret.
    fn public_key(&self) -> Option<&[u8]> {
        match self {
            Self::Hmac(_) => None,
            Self::Rsa(key, _) => Some(key.public_key().as_ref()),
            Self::Ecdsa(key) => Some(key.public_key().as_ref()),
            Self::Ed25519(key) => Some(key.public_key().as_ref()),
        }
    }
}

impl Verifier {
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Public(key) => key.verify(message, signature).is_ok(),
        }
    }
}

type Keys = (Option<Signer>, Verifier);

/// Reads the keys of a method: the private one signs and checks, the public one alone only checks.
///
/// # Errors
/// [`JwtError`].
pub(super) fn read(
    method: Method,
    public: Option<&[u8]>,
    private: Option<&[u8]>,
) -> Result<Keys, JwtError> {
    let private = private.filter(|key| !key.is_empty());
    let public = public.filter(|key| !key.is_empty());
    if let Kind::Hmac(algorithm) = method.kind() {
        let secret = private.ok_or(JwtError::MissingKey)?;
        let key = hmac::Key::new(*algorithm, secret);
        return Ok((Some(Signer::Hmac(key.clone())), Verifier::Hmac(key)));
    }
    let signer = private
        .map(|pem| private_key(method.kind(), pem))
        .transpose()?;
    let given = public
        .map(|pem| public_key(method.kind(), pem))
        .transpose()?;
    let own = signer.as_ref().and_then(Signer::public_key);
    if let (Some(own), Some(given)) = (own, &given)
        && own != given
    {
        return Err(JwtError::KeyMismatch);
    }
    let public = own.map(<[u8]>::to_vec).or(given);
    let public = public.ok_or(JwtError::MissingKey)?;
    let verifier = UnparsedPublicKey::new(verification(method.kind()), public);
    Ok((signer, Verifier::Public(verifier)))
}

fn verification(kind: Kind) -> &'static dyn VerificationAlgorithm {
    match kind {
        Kind::Rsa { verify, .. } => verify,
        Kind::Ecdsa { verify, .. } => verify,
        Kind::Ed25519 | Kind::Hmac(_) => &ED25519,
    }
}

fn private_key(kind: Kind, pem: &[u8]) -> Result<Signer, JwtError> {
    let refused = |reason: String| JwtError::Key {
        which: "private",
        reason,
    };
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| refused(error.to_string()))?;
    let rejected = |error: ring::error::KeyRejected| refused(error.to_string());
    let other = || refused("it is of another kind than the sign-method".into());
    match (kind, key) {
        (Kind::Rsa { sign, .. }, PrivateKeyDer::Pkcs1(key)) => {
            let key = RsaKeyPair::from_der(key.secret_pkcs1_der()).map_err(rejected)?;
            Ok(Signer::Rsa(key, sign))
        }
        (Kind::Rsa { sign, .. }, PrivateKeyDer::Pkcs8(key)) => {
            let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(rejected)?;
            Ok(Signer::Rsa(key, sign))
        }
        (Kind::Ecdsa { sign, curve, .. }, PrivateKeyDer::Sec1(key)) => {
            let key = pkcs8_of_sec1(curve, key.secret_sec1_der());
            ecdsa_key(sign, &key).map_err(rejected)
        }
        (Kind::Ecdsa { sign, .. }, PrivateKeyDer::Pkcs8(key)) => {
            ecdsa_key(sign, key.secret_pkcs8_der()).map_err(rejected)
        }
        (Kind::Ed25519, PrivateKeyDer::Pkcs8(key)) => {
            let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der());
            key.map(Signer::Ed25519).map_err(rejected)
        }
        _ => Err(other()),
    }
}

fn ecdsa_key(
    algorithm: &'static EcdsaSigningAlgorithm,
    pkcs8: &[u8],
) -> Result<Signer, ring::error::KeyRejected> {
    let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &SystemRandom::new());
    key.map(Signer::Ecdsa)
}

/// Wraps a key of `openssl ecparam -genkey` (RFC 5915) as `openssl pkcs8` does (RFC 5958): `ring` reads no other.
fn pkcs8_of_sec1(curve: &[u8], key: &[u8]) -> Vec<u8> {
    const VERSION: &[u8] = &[0x02, 1, 0];
    const EC_PUBLIC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    let algorithm = der(0x30, &[EC_PUBLIC_KEY, curve].concat());
    der(0x30, &[VERSION, &algorithm, &der(0x04, key)].concat())
}

/// One DER value with its tag and length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length
        .iter()
        .position(|&byte| byte != 0)
        .unwrap_or(length.len());
    let length = length.get(significant..).unwrap_or_default();
    let mut value = vec![tag];
    match content.len() {
        // One byte, zero for nothing.
        0..=0x7f => value.push(length.first().copied().unwrap_or(0)),
        _ => {
            value.push(0x80 | length.len() as u8);
            value.extend_from_slice(length);
        }
    }
    value.extend_from_slice(content);
    value
}

/// A public key in the form that `ring` takes, out of a `PUBLIC KEY` or a certificate.
fn public_key(kind: Kind, pem: &[u8]) -> Result<Vec<u8>, JwtError> {
    let refused = |reason: String| JwtError::Key {
        which: "public",
        reason,
    };
    let damaged = |error: &dyn std::fmt::Display| refused(error.to_string());
    let info = match SubjectPublicKeyInfoDer::from_pem_slice(pem) {
        Ok(info) => info.to_vec(),
        Err(error) => {
            let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| damaged(&error))?;
            let parsed = x509_parser::parse_x509_certificate(&certificate);
            let (_, certificate) = parsed.map_err(|error| damaged(&error))?;
            certificate.public_key().raw.to_vec()
        }
    };
    let (_, info) = SubjectPublicKeyInfo::from_der(&info).map_err(|error| damaged(&error))?;
    let algorithm = info.algorithm.algorithm.to_id_string();
    let parameters = info.algorithm.parameters.as_ref();
    let fits = match kind {
        Kind::Rsa { .. } => algorithm == "1.2.840.113549.1.1.1",
        Kind::Ecdsa { curve, .. } => {
            let named = parameters.and_then(|named| named.as_oid().ok());
            // Behind tag and length.
            let bytes = curve.get(2..);
            algorithm == "1.2.840.10045.2.1"
                && named.is_some_and(|oid| Some(oid.as_bytes()) == bytes)
        }
        Kind::Ed25519 => algorithm == "1.3.101.112",
        Kind::Hmac(_) => false,
    };
    if !fits {
        return Err(refused("it is of another kind than the sign-method".into()));
    }
    let key = info.subject_public_key.data.to_vec();
    Ok(key)
}
