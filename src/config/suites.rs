//! The names of `--cipher-suites`.

use super::error::ConfigError;
use super::tls::TlsVersion;

/// The suites of TLS 1.2 that are served.
const TLS12: [&str; 8] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// The suites of TLS 1.3: always served, and not chosen by the flag, as in Go.
const TLS13: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// What else Go knows.
const WEAK: [&str; 16] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/// Every name that is accepted.
#[cfg(test)]
pub(crate) fn served() -> Vec<&'static str> {
    TLS12.into_iter().chain(TLS13).collect()
}

/// Refuses names that cannot be honoured, and lists that leave nothing to speak.
///
/// # Errors
/// [`ConfigError::CipherSuite`] for the first such name.
pub(super) fn judge(names: &[String], max: TlsVersion) -> Result<(), ConfigError> {
    let refused = |name: &str, reason| {
        Err(ConfigError::CipherSuite {
            name: name.to_owned(),
            reason,
        })
    };
    for name in names.iter().map(String::as_str) {
        if WEAK.contains(&name) {
            return refused(
                name,
                "suites without forward secrecy or authenticated encryption are not served",
            );
        }
        if !TLS12.contains(&name) && !TLS13.contains(&name) {
            return refused(name, "no TLS cipher suite has this name");
        }
    }
    match names {
        [.., last]
            if max == TlsVersion::Tls12
                && names.iter().all(|name| TLS13.contains(&name.as_str())) =>
        {
            refused(
                last,
                "there is none of TLS 1.2, and --tls-max-version allows no later one",
            )
        }
        _ => Ok(()),
    }
}
