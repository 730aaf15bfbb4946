//! Certificates, keys and revocation lists as they lie on disk: PEM, and DER for the lists.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::error::{FileError, explained_certificate};
use super::names::Serial;

/// Bytes of a file at most. Lists of revoked certificates are the longest: this holds half a million.
const MAX_FILE: u64 = 32 << 20;

/// A file and the flag that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFile {
    /// The flag, without dashes.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// A certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those between it and the authority.
    pub cert: TlsFile,
    /// Its private key.
    pub key: TlsFile,
}

impl TlsFile {
    /// An error about this file.
    pub(super) fn refused(&self, reason: impl Into<String>) -> FileError {
        FileError {
            flag: self.flag,
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// Every certificate inside; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let pem = self.read()?;
        let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        match found {
            Ok(found) if found.is_empty() => Err(self.refused("no certificate inside")),
            Ok(found) => Ok(found),
            Err(error) => Err(self.refused(format!("not PEM: {error}"))),
        }
    }

    /// The certificates inside, as authorities.
    pub(super) fn authorities(&self) -> Result<Arc<RootCertStore>, FileError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots
                .add(certificate)
                .map_err(|error| self.refused(format!("not an authority: {error}")))?;
        }
        Ok(Arc::new(roots))
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, FileError> {
        use rustls::pki_types::pem::Error;
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|error| match error {
            Error::NoItemsFound => self.refused("no private key inside that is not encrypted"),
            error => self.refused(format!("not PEM: {error}")),
        })
    }

    /// The serial numbers on the list. Whether the list is signed, current and of the right authority is not
    /// asked, as etcd does not: the file is as trusted as that of the authorities.
    pub(super) fn revoked(&self) -> Result<HashSet<Serial>, FileError> {
        let bytes = self.read()?;
        let mut lists = CertificateRevocationListDer::pem_slice_iter(&bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.refused(format!("not PEM: {error}")))?;
        if lists.is_empty() {
            lists.push(bytes.into());
        }
        let mut revoked = HashSet::new();
        for list in &lists {
            let malformed = |why| self.refused(format!("not a certificate revocation list: {why}"));
            revoked.extend(serials(list).map_err(malformed)?);
        }
        Ok(revoked)
    }

    fn read(&self) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        let count = File::open(&self.path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(|error| self.refused(error.to_string()))?;
        if count as u64 > MAX_FILE {
            return Err(self.refused(format!("longer than {MAX_FILE} bytes")));
        }
        Ok(bytes)
    }
}

/// The serial numbers on a list in DER.
///
/// # Errors
/// What is wrong with it.
pub(super) fn serials(der: &[u8]) -> Result<impl Iterator<Item = Serial>, String> {
    let (rest, list) =
        CertificateRevocationList::from_der(der).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("there is more behind its end".to_owned());
    }
    let revoked = list.tbs_cert_list.revoked_certificates;
    Ok(revoked
        .into_iter()
        .map(|entry| Serial::new(entry.raw_serial())))
}

impl CertificateFiles {
    /// The certificate and the key, which belong together.
    pub(super) fn certified_key(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Arc<CertifiedKey>, FileError> {
        use rustls::{Error, InconsistentKeys};
        let chain = self.cert.certificates()?;
        let key = self.key.private_key()?;
        match CertifiedKey::from_der(chain, key, provider) {
            Ok(key) => Ok(Arc::new(key)),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                let cert = self.cert.path.display();
                Err(self
                    .key
                    .refused(format!("not the key of the certificate in {cert}")))
            }
            Err(Error::InvalidCertificate(reason)) => {
                Err(self.cert.refused(explained_certificate(&reason)))
            }
            Err(error) => Err(self.key.refused(error.to_string())),
        }
    }

    /// Both files.
    pub(super) fn files(&self) -> [TlsFile; 2] {
        [self.cert.clone(), self.key.clone()]
    }
}
