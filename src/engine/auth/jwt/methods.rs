//! The algorithms that tokens may be signed with, by their names in RFC 7518 and RFC 8037.

use ring::{hmac, signature};

use super::JwtError;

/// An algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method(&'static Entry);

/// What a method needs of `ring`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// One secret for both.
    Hmac(&'static hmac::Algorithm),
    /// RSA, by either padding.
    Rsa {
        sign: &'static dyn signature::RsaEncoding,
        verify: &'static signature::RsaParameters,
    },
    /// A curve of its own for each hash.
    Ecdsa {
        sign: &'static signature::EcdsaSigningAlgorithm,
        verify: &'static signature::EcdsaVerificationAlgorithm,
        curve: &'static [u8],
    },
    /// Ed25519.
    Ed25519,
}

#[derive(Debug)]
struct Entry {
    name: &'static str,
    kind: Kind,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Entry {}

/// The DER of the object identifiers of prime256v1 and secp384r1.
const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x06, 5, 0x2b, 0x81, 0x04, 0, 0x22];

const fn entry(name: &'static str, kind: Kind) -> Entry {
    Entry { name, kind }
}

/// Those of etcd but ES512, whose curve `ring` does not have.
static METHODS: [Entry; 12] = [
    entry(
        "RS256",
        rsa(
            &signature::RSA_PKCS1_SHA256,
            &signature::RSA_PKCS1_2048_8192_SHA256,
        ),
    ),
    entry(
        "RS384",
        rsa(
            &signature::RSA_PKCS1_SHA384,
            &signature::RSA_PKCS1_2048_8192_SHA384,
        ),
    ),
    entry(
        "RS512",
        rsa(
            &signature::RSA_PKCS1_SHA512,
            &signature::RSA_PKCS1_2048_8192_SHA512,
        ),
    ),
    entry(
        "PS256",
        rsa(
            &signature::RSA_PSS_SHA256,
            &signature::RSA_PSS_2048_8192_SHA256,
        ),
    ),
    entry(
        "PS384",
        rsa(
            &signature::RSA_PSS_SHA384,
            &signature::RSA_PSS_2048_8192_SHA384,
        ),
    ),
    entry(
        "PS512",
        rsa(
            &signature::RSA_PSS_SHA512,
            &signature::RSA_PSS_2048_8192_SHA512,
        ),
    ),
    entry(
        "ES256",
        Kind::Ecdsa {
            sign: &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            verify: &signature::ECDSA_P256_SHA256_FIXED,
            curve: P256,
        },
    ),
    entry(
        "ES384",
        Kind::Ecdsa {
            sign: &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            verify: &signature::ECDSA_P384_SHA384_FIXED,
            curve: P384,
        },
    ),
    entry("EdDSA", Kind::Ed25519),
    entry("HS256", Kind::Hmac(&hmac::HMAC_SHA256)),
    entry("HS384", Kind::Hmac(&hmac::HMAC_SHA384)),
    entry("HS512", Kind::Hmac(&hmac::HMAC_SHA512)),
];

const fn rsa(
    sign: &'static dyn signature::RsaEncoding,
    verify: &'static signature::RsaParameters,
) -> Kind {
    Kind::Rsa { sign, verify }
}

/// All names, for messages.
pub(super) fn names() -> String {
    METHODS.each_ref().map(|entry| entry.name).join(", ")
}

impl Method {
    /// The method of a name.
    ///
    /// # Errors
    /// [`JwtError::Method`].
    pub(super) fn of(name: &str) -> Result<Self, JwtError> {
        let known = METHODS.iter().find(|entry| entry.name == name);
        known
            .map(Self)
            .ok_or_else(|| JwtError::Method(name.to_owned()))
    }

    pub(super) const fn name(self) -> &'static str {
        self.0.name
    }

    pub(super) const fn kind(self) -> Kind {
        self.0.kind
    }
}
