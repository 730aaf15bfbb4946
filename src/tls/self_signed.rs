//! Certificates that a member makes for itself: `--auto-tls`, `--peer-auto-tls`.
//!
//! They hide what is said from those who listen in. They prove nothing, unless an operator hands the
//! certificate to the clients as the authority to believe.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;

use super::error::FileError;
use super::files::{CertificateFiles, TlsFile};
use super::names::Names;
use crate::base::{clock, fs::sync_dir};

/// etcd's names of the files.
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";

const DAY: Duration = Duration::from_secs(24 * 3_600);
const YEAR: Duration = DAY.saturating_mul(365);

/// A certificate is made anew at a start when it has no more time left than this.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);

/// How much earlier than now a certificate is valid, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// A certificate to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfSigned {
    /// The flag that asks for it.
    pub flag: &'static str,
    /// Where it is kept.
    pub dir: PathBuf,
    /// Addresses and DNS names that it is for.
    pub hosts: Vec<String>,
    /// How long it is valid.
    pub years: u32,
}

impl SelfSigned {
    /// The certificate of an earlier start, or a new one if there is none that will do.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn files(&self) -> Result<CertificateFiles, FileError> {
        let file = |name| TlsFile {
            flag: self.flag,
            path: self.dir.join(name),
        };
        let files = CertificateFiles {
            cert: file(CERTIFICATE),
            key: file(KEY),
        };
        if !self.will_do(&files) {
            let (certificate, key) = self.make().map_err(|e| files.cert.refused(e.to_string()))?;
            self.write(&certificate, &key)
                .map_err(|e| files.cert.refused(format!("cannot be written: {e}")))?;
            let path = files.cert.path.display();
            tracing::warn!(flag = self.flag, %path, "made a self-signed certificate");
        }
        Ok(files)
    }

    /// Whether what is there can be used, is valid for a while, and is for the same hosts.
    fn will_do(&self, files: &CertificateFiles) -> bool {
        let Ok(key) = files.certified_key(&ring::default_provider()) else {
            return false;
        };
        let names = key.end_entity_cert().map(|cert| Names::read(cert));
        let Ok(Ok(names)) = names else { return false };
        let ends = Duration::from_secs(u64::try_from(names.not_after).unwrap_or_default());
        let mut is_for = names.alternatives();
        let mut wanted = self.hosts.clone();
        is_for.sort_unstable();
        wanted.sort_unstable();
        is_for == wanted && ends > clock::unix_time() + RENEW_BEFORE
    }

    /// A certificate and its key as PEM. It is no authority: clients that believe it believe no other for it.
    fn make(&self) -> Result<(String, String), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(self.hosts.clone())?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "holdfast");
        let now = rcgen::date_time_ymd(1970, 1, 1) + clock::unix_time();
        params.not_before = now - BACKDATED;
        params.not_after = now + YEAR * self.years;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
    }

    /// The key first: a certificate without its key would be taken for one of another key.
    fn write(&self, certificate: &str, key: &str) -> io::Result<()> {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&self.dir)?;
        replace(&self.dir.join(KEY), key.as_bytes())?;
        replace(&self.dir.join(CERTIFICATE), certificate.as_bytes())?;
        sync_dir(&self.dir)
    }
}

/// Writes a private file whole or not at all.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let _of_an_earlier_attempt = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(dir: &Path, hosts: &[&str]) -> SelfSigned {
        SelfSigned {
            flag: "auto-tls",
            dir: dir.join("fixtures/client"),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            years: 1,
        }
    }

    #[test]
    fn a_certificate_is_kept_until_it_will_not_do() {
        let dir = tempfile::tempdir().unwrap();
        let one = wanted(dir.path(), &["127.0.0.1", "localhost"]);
        let read = |wanted: &SelfSigned| fs::read(wanted.files().unwrap().cert.path).unwrap();
        let first = read(&one);
        assert_eq!(read(&one), first);
        let key = dir.path().join("fixtures/client/key.pem");
        let mode = std::os::unix::fs::PermissionsExt::mode(&key.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);

        let other_hosts = read(&wanted(dir.path(), &["10.0.0.1"]));
        assert_ne!(other_hosts, first);
        fs::write(&key, "").unwrap();
        let repaired = read(&wanted(dir.path(), &["10.0.0.1"]));
        assert_ne!(repaired, other_hosts);
        // Without time left it would be made anew at every start.
        let brief = SelfSigned { years: 0, ..one };
        assert_ne!(read(&brief), read(&brief));
    }
}
