//! Keys of tokens, in PEM as `openssl` and kubeadm make them: RSA, P-256 and P-384.
//!
//! What `engine::auth` has for etcd's tokens reads a key for one algorithm that is named beside it; here the key
//! says which algorithm it is for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// DER of the algorithm identifiers, each a sequence.
const RSA: &[u8] = &[
    0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0,
];
const P256: &[u8] = &[
    0x30, 19, 0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    3, 1, 7,
];
const P384: &[u8] = &[
    0x30, 16, 0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 5, 0x2b, 0x81, 0x04, 0, 0x22,
];

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Rs256,
    Es256,
    Es384,
}

/// Checks signatures.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// What `kid` of a token says: a digest of the key.
    pub id: String,
    method: Method,
    /// RSA: modulus and exponent in DER; else the point, uncompressed.
    raw: Vec<u8>,
}

/// Signs.
pub struct SigningKey {
    pub public: PublicKey,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    fn identifier(self) -> &'static [u8] {
        match self {
            Self::Rs256 => RSA,
            Self::Es256 => P256,
            Self::Es384 => P384,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
        }
    }
}

impl PublicKey {
    fn new(method: Method, raw: Vec<u8>) -> Self {
        // A bit string begins with the number of bits of its last byte that do not count.
        let bits = der(0x03, &[&[0], raw.as_slice()].concat());
        let info = der(0x30, &[method.identifier(), &bits].concat());
        Self {
            id: URL_SAFE_NO_PAD.encode(Sha256::digest(info)),
            method,
            raw,
        }
    }

    /// Every key of a file: public ones, those in certificates, and the public halves of private ones.
    ///
    /// # Errors
    /// When one of them cannot be used, or there is none.
    pub fn read_all(pem: &[u8]) -> Result<Vec<Self>, String> {
        let mut keys = Vec::new();
        for info in SubjectPublicKeyInfoDer::pem_slice_iter(pem) {
            keys.push(Self::of_info(&info.map_err(|error| error.to_string())?)?);
        }
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            let parsed = x509_parser::parse_x509_certificate(&certificate);
            let (_, certificate) = parsed.map_err(|error| error.to_string())?;
            keys.push(Self::of_info(certificate.public_key().raw)?);
        }
        for key in PrivateKeyDer::pem_slice_iter(pem) {
            keys.push(SigningKey::of(&key.map_err(|error| error.to_string())?)?.public);
        }
        if keys.is_empty() {
            return Err("data does not contain any valid RSA or ECDSA public keys".to_owned());
        }
        Ok(keys)
    }

    fn of_info(info: &[u8]) -> Result<Self, String> {
        let (_, info) = SubjectPublicKeyInfo::from_der(info).map_err(|error| error.to_string())?;
        let algorithm = info.algorithm.algorithm.to_id_string();
        let curve = info.algorithm.parameters.as_ref();
        let curve = curve
            .and_then(|named| named.as_oid().ok())
            .map(|oid| oid.to_id_string());
        let method = match (&*algorithm, curve.as_deref()) {
            ("1.2.840.113549.1.1.1", _) => Method::Rs256,
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => Method::Es256,
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => Method::Es384,
            _ => return Err("a key is neither RSA nor of the curves P-256 and P-384".to_owned()),
        };
        Ok(Self::new(method, info.subject_public_key.data.to_vec()))
    }

    /// The algorithm of its signatures, as tokens and key sets name it.
    pub fn algorithm(&self) -> &'static str {
        self.method.name()
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(self.method.verification(), &self.raw);
        key.verify(message, signature).is_ok()
    }

    /// The key as a JSON Web Key (RFC 7517).
    pub fn jwk(&self) -> Option<Value> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let algorithm = self.algorithm();
        if self.method == Method::Rs256 {
            let (modulus, exponent) = rsa_numbers(&self.raw)?;
            return Some(json!({
                "use": "sig", "kty": "RSA", "kid": self.id, "alg": algorithm,
                "n": text(modulus), "e": text(exponent),
            }));
        }
        let (_uncompressed, point) = self.raw.split_first()?;
        let (x, y) = point.split_at_checked(point.len() / 2)?;
        let curve = if self.method == Method::Es256 {
            "P-256"
        } else {
            "P-384"
        };
        Some(json!({
            "use": "sig", "kty": "EC", "kid": self.id, "crv": curve, "alg": algorithm,
            "x": text(x), "y": text(y),
        }))
    }
}

impl SigningKey {
    /// Reads the first private key of a file.
    ///
    /// # Errors
    /// When there is none that can be used.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
        Self::of(&key)
    }

    fn of(key: &PrivateKeyDer<'_>) -> Result<Self, String> {
        let pkcs8 = match key {
            PrivateKeyDer::Pkcs1(key) => {
                let key = RsaKeyPair::from_der(key.secret_pkcs1_der());
                return key.map(Self::rsa).map_err(|error| error.to_string());
            }
            PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der().to_vec(),
            PrivateKeyDer::Sec1(key) => {
                let key = key.secret_sec1_der();
                let p256 = pkcs8_of_sec1(P256, key);
                return Self::ecdsa(Method::Es256, &p256)
                    .or_else(|_| Self::ecdsa(Method::Es384, &pkcs8_of_sec1(P384, key)));
            }
            _ => return Err("a private key of an unknown form".to_owned()),
        };
        if let Ok(key) = RsaKeyPair::from_pkcs8(&pkcs8) {
            return Ok(Self::rsa(key));
        }
        Self::ecdsa(Method::Es256, &pkcs8).or_else(|_| Self::ecdsa(Method::Es384, &pkcs8))
    }

    fn rsa(key: RsaKeyPair) -> Self {
        Self {
            public: PublicKey::new(Method::Rs256, key.public_key().as_ref().to_vec()),
            pair: Pair::Rsa(key),
        }
    }

    fn ecdsa(method: Method, pkcs8: &[u8]) -> Result<Self, String> {
        let algorithm: &'static EcdsaSigningAlgorithm = match method {
            Method::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
        };
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &SystemRandom::new());
        let key = key.map_err(|error| format!("neither RSA nor ECDSA: {error}"))?;
        Ok(Self {
            public: PublicKey::new(method, key.public_key().as_ref().to_vec()),
            pair: Pair::Ecdsa(key),
        })
    }

    /// A signature; None if the system has no randomness to give.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
            Pair::Ecdsa(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.public.id)
            .finish_non_exhaustive()
    }
}

/// Modulus and exponent of `RSAPublicKey` (RFC 8017), without leading zeros.
fn rsa_numbers(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inside, _) = content(0x30, key)?;
    let (modulus, rest) = content(0x02, inside)?;
    let (exponent, _) = content(0x02, rest)?;
    Some((without_zeros(modulus), without_zeros(exponent)))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The content of a DER value, and what follows it.
fn content(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_tag, rest) = der.split_first().filter(|(first, _)| **first == tag)?;
    let (short, rest) = rest.split_first()?;
    if *short < 0x80 {
        return rest.split_at_checked(usize::from(*short));
    }
    let (long, rest) = rest.split_at_checked(usize::from(*short & 0x7f))?;
    let length = long.iter().try_fold(0_usize, |sum, byte| {
        sum.checked_mul(256)?.checked_add(usize::from(*byte))
    });
    rest.split_at_checked(length?)
}

/// One DER value with its tag and length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let mut value = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => value.push(short),
        _ => {
            let long = without_zeros(&length);
            value.push(0x80 | long.len() as u8);
            value.extend_from_slice(long);
        }
    }
    value.extend_from_slice(content);
    value
}

/// Wraps a key of `openssl ecparam -genkey` (RFC 5915) as `openssl pkcs8` does (RFC 5958): `ring` reads no other.
fn pkcs8_of_sec1(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    const VERSION: &[u8] = &[0x02, 1, 0];
    der(0x30, &[VERSION, algorithm, &der(0x04, key)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! made {
        ($name:literal) => {
            include_bytes!(concat!("../../../engine/auth/jwt/testdata/", $name))
        };
    }

    #[test]
    fn every_form_of_a_key_signs_what_its_public_half_confirms() {
        for (private, public, algorithm) in [
            (
                &made!("rsa.pkcs1.pem")[..],
                &made!("rsa.pub.pem")[..],
                "RS256",
            ),
            (made!("rsa.pkcs8.pem"), made!("rsa.cert.pem"), "RS256"),
            (made!("p256.sec1.pem"), made!("p256.pub.pem"), "ES256"),
            (made!("p256.pkcs8.pem"), made!("p256.pkcs8.pem"), "ES256"),
            (made!("p384.sec1.pem"), made!("p384.pub.pem"), "ES384"),
        ] {
            let signer = SigningKey::read(private).unwrap();
            let signature = signer.sign(b"message").unwrap();
            let [key] = &PublicKey::read_all(public).unwrap()[..] else {
                panic!("one key");
            };
            assert_eq!((key.algorithm(), &key.id), (algorithm, &signer.public.id));
            assert!(key.verify(b"message", &signature));
            assert!(!key.verify(b"massage", &signature));
        }
        for unusable in [
            &b"nonsense"[..],
            made!("ed25519.pkcs8.pem"),
            made!("ed25519.pub.pem"),
        ] {
            assert!(SigningKey::read(unusable).is_err() && PublicKey::read_all(unusable).is_err());
        }
    }

    /// The key set that kube-apiserver 1.36 serves for a key, and the id in its tokens.
    #[test]
    fn ids_and_key_sets_are_those_of_the_release() {
        let pem = include_bytes!("testdata/sa.pub");
        let keys = PublicKey::read_all(pem).unwrap();
        let expected = include_str!("testdata/jwk.json");
        assert_eq!(keys[0].jwk().unwrap().to_string(), expected.trim_end());
    }

    #[test]
    fn curves_have_points() {
        let key = SigningKey::read(made!("p384.sec1.pem")).unwrap().public;
        let jwk = key.jwk().unwrap();
        assert_eq!((&jwk["crv"], &jwk["kty"]), (&json!("P-384"), &json!("EC")));
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        assert_eq!(
            [&[4][..], &coordinate("x"), &coordinate("y")].concat(),
            key.raw
        );
    }
}
