//! What is demanded of a certificate once its chain is verified: etcd's rules.

use std::collections::HashSet;
use std::net::IpAddr;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use super::address;
use super::error::{FileError, HandshakeError, Refusal};
use super::files::TlsFile;
use super::names::{Names, Serial};

/// What is demanded of the certificates of the other side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The list of revoked certificates.
    pub crl: Option<TlsFile>,
    /// If there are any, the common name must be one of them.
    pub common_names: Vec<String>,
    /// If there are any, the certificate must be valid for one of them.
    pub hostnames: Vec<String>,
    /// Whether a certificate that names addresses or hosts may be used by callers only from there.
    pub from_named_address: bool,
}

/// The rules with the list of revoked certificates as it was read.
#[derive(Debug)]
pub(super) struct Checks {
    rules: Rules,
    revoked: HashSet<Serial>,
    /// Whether names matter at all; otherwise they are not even read.
    wanted: bool,
}

impl Checks {
    /// Reads what the rules refer to. `certify` is whether the caller asks for the names.
    ///
    /// # Errors
    /// When the list cannot be used.
    pub(super) fn read(rules: &Rules, certify: bool) -> Result<Self, FileError> {
        Ok(Self {
            rules: rules.clone(),
            wanted: certify || *rules != Rules::default(),
            revoked: rules
                .crl
                .as_ref()
                .map_or_else(|| Ok(HashSet::new()), TlsFile::revoked)?,
        })
    }

    /// Holds the certificates of the other side, its own first, against the rules. `caller` is its address if
    /// it has called. Returns what its own certificate says; nothing if it has shown none, or nobody asks.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`] with the rule that is broken.
    pub(super) async fn check(
        &self,
        shown: Option<&[CertificateDer<'_>]>,
        caller: Option<IpAddr>,
    ) -> Result<Option<Names>, HandshakeError> {
        let shown = shown.filter(|_| self.wanted);
        let Some((own, others)) = shown.and_then(<[_]>::split_first) else {
            return Ok(None);
        };
        let names = read(own)?;
        self.check_revocation(&names)?;
        if !self.revoked.is_empty() {
            for certificate in others {
                self.check_revocation(&read(certificate)?)?;
            }
        }
        self.check_names(own, &names)?;
        if let Some(caller) = caller.filter(|_| self.rules.from_named_address) {
            address::check(caller, &names).await?;
        }
        Ok(Some(names))
    }

    fn check_revocation(&self, names: &Names) -> Result<(), Refusal> {
        if self.revoked.contains(&names.serial) {
            return Err(Refusal::Revoked(names.serial.to_string()));
        }
        Ok(())
    }

    fn check_names(&self, own: &CertificateDer<'_>, names: &Names) -> Result<(), Refusal> {
        let Rules {
            common_names,
            hostnames,
            ..
        } = &self.rules;
        if !common_names.is_empty() && !common_names.contains(&names.common_name) {
            return Err(Refusal::CommonName(names.common_name.clone()));
        }
        if !hostnames.is_empty() && !is_for_one_of(own, hostnames) {
            return Err(Refusal::Hostname(names.common_name.clone()));
        }
        Ok(())
    }
}

fn read(certificate: &CertificateDer<'_>) -> Result<Names, Refusal> {
    Names::read(certificate).map_err(Refusal::Unreadable)
}

fn is_for_one_of(certificate: &CertificateDer<'_>, hosts: &[String]) -> bool {
    let Ok(certificate) = ParsedCertificate::try_from(certificate) else {
        return false;
    };
    let mut hosts = hosts
        .iter()
        .filter_map(|host| ServerName::try_from(host.as_str()).ok());
    hosts.any(|host| verify_server_name(&certificate, &host).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{Authority, Issued};

    async fn refusal(rules: Rules, shown: &Issued, caller: Option<&str>) -> Option<String> {
        let checks = Checks::read(&rules, true).unwrap();
        let chain = [CertificateDer::from(shown.der.clone())];
        let caller = caller.map(|address| address.parse().unwrap());
        let checked = checks.check(Some(&chain), caller).await;
        checked.err().map(|error| error.to_string())
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[tokio::test]
    async fn names_must_be_among_those_allowed() {
        let issued = Authority::new("ca").issue("m1", &["m1.example", "*.wild.example"]);
        let common = |names: &[&str]| Rules {
            common_names: owned(names),
            ..Rules::default()
        };
        assert_eq!(refusal(common(&["m0", "m1"]), &issued, None).await, None);
        let said = refusal(common(&["m2"]), &issued, None).await.unwrap();
        assert!(said.contains("\"m1\" is not among the allowed"), "{said}");
        let hosts = |names: &[&str]| Rules {
            hostnames: owned(names),
            ..Rules::default()
        };
        for host in ["m1.example", "x.wild.example"] {
            assert_eq!(refusal(hosts(&["other", host]), &issued, None).await, None);
        }
        assert!(
            refusal(hosts(&["m2.example"]), &issued, None)
                .await
                .is_some()
        );
    }

    #[tokio::test]
    async fn revoked_certificates_are_refused_wherever_they_stand() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("ca");
        let (good, bad) = (authority.issue("good", &[]), authority.issue("bad", &[]));
        let rules = Rules {
            crl: Some(TlsFile {
                flag: "client-crl-file",
                path: authority.revoke(&dir.path().join("crl.pem"), &[&bad]),
            }),
            ..Rules::default()
        };
        assert_eq!(refusal(rules.clone(), &good, None).await, None);
        let said = refusal(rules.clone(), &bad, None).await.unwrap();
        assert!(said.ends_with("is revoked"), "{said}");
        let checks = Checks::read(&rules, true).unwrap();
        let chain = [&good, &bad].map(|issued| CertificateDer::from(issued.der.clone()));
        assert!(checks.check(Some(&chain), None).await.is_err());
        assert!(checks.check(None, None).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn callers_come_from_where_their_certificate_says() {
        let authority = Authority::new("ca");
        let rules = Rules {
            from_named_address: true,
            ..Rules::default()
        };
        for (names, from, accepted) in [
            (&[][..], "10.0.0.9", true),
            (&["10.0.0.9"][..], "10.0.0.9", true),
            (&["10.0.0.9"][..], "::ffff:10.0.0.9", true),
            (&["10.0.0.9"][..], "10.0.0.8", false),
            (&["localhost"][..], "127.0.0.1", true),
            (&["10.0.0.9", "localhost"][..], "127.0.0.1", true),
            (&["localhost"][..], "192.0.2.1", false),
        ] {
            let issued = authority.issue("m1", names);
            let refused = refusal(rules.clone(), &issued, Some(from)).await;
            assert_eq!(refused.is_none(), accepted, "{names:?} {from}: {refused:?}");
            assert_eq!(refusal(rules.clone(), &issued, None).await, None);
        }
    }
}
