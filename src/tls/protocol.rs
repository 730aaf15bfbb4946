//! Versions and cipher suites, by the names that etcd's flags have for them.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{CipherSuite, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// The oldest version.
    pub min: Version,
    /// The newest version.
    pub max: Version,
    /// The suites of TLS 1.2, by their IANA names, which are also Go's; all if there are none. As in Go, those
    /// of TLS 1.3 are not chosen.
    pub suites: Vec<String>,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            min: Version::Tls12,
            max: Version::Tls13,
            suites: Vec::new(),
        }
    }
}

/// The names in Go of two suites that have longer ones in the registry.
const SHORT_NAMES: [(&str, &str); 2] = [
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
];

impl Protocol {
    /// Whether this member has a suite of that name.
    pub fn has_suite(name: &str) -> bool {
        let tls13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
        let mut all = ring::ALL_CIPHER_SUITES.iter();
        all.any(|suite| {
            is_named(suite.suite(), name) || (tls13(suite) && tls13_name(suite) == name)
        })
    }

    /// The versions, newest last.
    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let all = [
            (Version::Tls12, &rustls::version::TLS12),
            (Version::Tls13, &rustls::version::TLS13),
        ];
        let spoken = all
            .into_iter()
            .filter(|(version, _)| (self.min..=self.max).contains(version));
        spoken.map(|(_, version)| version).collect()
    }

    /// The cryptography, with the suites that are allowed.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = ring::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| {
                suite.version().version == ProtocolVersion::TLSv1_3
                    || self.suites.iter().any(|name| is_named(suite.suite(), name))
            });
        }
        Arc::new(provider)
    }
}

fn is_named(suite: CipherSuite, name: &str) -> bool {
    let long = SHORT_NAMES.iter().find(|(short, _)| *short == name);
    suite.as_str() == Some(long.map_or(name, |(_, long)| long))
}

/// `TLS_...`, where the library says `TLS13_...`.
fn tls13_name(suite: &SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suites(names: &[&str]) -> Vec<String> {
        let protocol = Protocol {
            suites: names.iter().map(|&name| name.to_owned()).collect(),
            ..Protocol::default()
        };
        let provider = protocol.provider();
        let suites = provider
            .cipher_suites
            .iter()
            .filter(|s| s.tls13().is_none());
        suites
            .map(|s| s.suite().as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn suites_have_etcds_names() {
        for name in [
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ] {
            assert!(Protocol::has_suite(name), "{name}");
            assert_eq!(suites(&[name]), [name]);
        }
        let short = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";
        assert!(Protocol::has_suite(short));
        assert_eq!(suites(&[short]), [format!("{short}_SHA256")]);
        for name in [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
        ] {
            assert!(Protocol::has_suite(name), "{name}");
            assert!(suites(&[name]).is_empty(), "it is not one of TLS 1.2");
        }
        for name in ["TLS_RSA_WITH_AES_128_CBC_SHA", "", "tls_aes_128_gcm_sha256"] {
            assert!(!Protocol::has_suite(name), "{name}");
        }
        assert_eq!(suites(&[]).len(), 6);
    }

    #[test]
    fn versions_are_those_between() {
        let count = |min, max| {
            let protocol = Protocol {
                min,
                max,
                suites: Vec::new(),
            };
            protocol.versions().len()
        };
        assert_eq!(count(Version::Tls12, Version::Tls13), 2);
        assert_eq!(count(Version::Tls13, Version::Tls13), 1);
        assert_eq!(count(Version::Tls12, Version::Tls12), 1);
    }
}
