//! A directory of certificates and keys.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{Issuer, KeyPair};

use crate::base::fs::sync_dir;

use super::issue::{self, Leaf};
use super::kubeconfig::kubeconfig;
use super::{Pair, PkiError, content};

/// For whoever may read the directory.
const PUBLIC: u32 = 0o644;
/// For the owner.
const PRIVATE: u32 = 0o600;

pub(super) struct Directory(PathBuf);

/// An authority that can issue.
pub(super) struct Authority {
    pub(super) pair: Pair,
    pub(super) pem: String,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

/// Held while files are made.
pub(super) struct Lock(#[expect(dead_code, reason = "released when it is closed")] File);

impl Lock {
    pub(super) fn take(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join(".lock");
        let mut options = OpenOptions::new();
        let options = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE);
        let file = options.open(&path).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        file.map(Self)
            .map_err(|error| PkiError::File { path, error })
    }
}

impl Directory {
    /// Makes the directory if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, PkiError> {
        let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
        made.map_err(|error| PkiError::File {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self(path.to_owned()))
    }

    fn pair(&self, name: &str) -> Pair {
        Pair {
            certificate: self.0.join(format!("{name}.crt")),
            key: self.0.join(format!("{name}.key")),
        }
    }

    /// The authority of a name, made if there is neither certificate nor key.
    pub(super) fn authority(
        &self,
        name: &str,
        common_name: &str,
        now: Duration,
    ) -> Result<Authority, PkiError> {
        let pair = self.pair(name);
        let (pem, key) = match (read(&pair.certificate)?, read(&pair.key)?) {
            (Some(pem), Some(key)) => (pem, key),
            (None, None) => {
                let made = issue::authority(common_name, now);
                let (pem, key) = made.map_err(|error| content(&pair.certificate, error))?;
                self.write(&pair.key, &key, PRIVATE)?;
                self.write(&pair.certificate, &pem, PUBLIC)?;
                (pem, key)
            }
            // A key without its certificate is what an interrupted start leaves, and nothing was issued with it.
            (None, Some(_)) => {
                fs::remove_file(&pair.key).map_err(|error| at(&pair.key, error))?;
                return self.authority(name, common_name, now);
            }
            (Some(_), None) => {
                return Err(content(
                    &pair.key,
                    "the authority has a certificate but no key here",
                ));
            }
        };
        if issue::ends_soon(&pem, now) {
            let path = pair.certificate.display();
            tracing::warn!(%path, "the certificate authority ends soon; it is not renewed by itself");
        }
        let issuer = KeyPair::from_pem(&key).and_then(|key| Issuer::from_ca_cert_pem(&pem, key));
        let issuer = issuer.map_err(|error| content(&pair.certificate, error))?;
        Ok(Authority { pair, pem, issuer })
    }

    /// A certificate of an authority, made if there is none that will do.
    pub(super) fn leaf(
        &self,
        name: &str,
        leaf: &Leaf<'_>,
        by: &Authority,
        now: Duration,
    ) -> Result<Pair, PkiError> {
        let pair = self.pair(name);
        if let (Some(pem), Some(key)) = (read(&pair.certificate)?, read(&pair.key)?)
            && leaf.will_do(&pem, &key, by.pem.as_bytes(), now)
        {
            return Ok(pair);
        }
        let made = leaf.issue(&by.issuer, now);
        let (pem, key) = made.map_err(|error| content(&pair.certificate, error))?;
        // The key first: a certificate without its key would be taken for one of another key.
        self.write(&pair.key, &key, PRIVATE)?;
        self.write(&pair.certificate, &pem, PUBLIC)?;
        let path = pair.certificate.display();
        tracing::info!(%path, "made a certificate");
        Ok(pair)
    }

    /// The key that signs the tokens of service accounts, with its public half beside it.
    pub(super) fn service_account_key(&self) -> Result<PathBuf, PkiError> {
        let (path, public) = (self.0.join("sa.key"), self.0.join("sa.pub"));
        let key = match read(&path)? {
            Some(key) => key,
            None => {
                let key = KeyPair::generate().map_err(|error| content(&path, error))?;
                let key = key.serialize_pem();
                self.write(&path, &key, PRIVATE)?;
                key
            }
        };
        if read(&public)?.is_none() {
            let key = KeyPair::from_pem(&key).map_err(|error| content(&path, error))?;
            self.write(&public, &key.public_key_pem(), PUBLIC)?;
        }
        Ok(path)
    }

    /// A kubeconfig for a client, written if it is not what it should be.
    pub(super) fn kubeconfig(
        &self,
        name: &str,
        user: &str,
        server: &str,
        ca: &Authority,
        pair: &Pair,
    ) -> Result<PathBuf, PkiError> {
        let path = self.0.join(format!("{name}.conf"));
        let of = |path| Ok::<_, PkiError>(read(path)?.unwrap_or_default());
        let (certificate, key) = (of(&pair.certificate)?, of(&pair.key)?);
        let wanted = kubeconfig(server, &ca.pem, user, &certificate, &key);
        if read(&path)?.as_ref() != Some(&wanted) {
            self.write(&path, &wanted, PRIVATE)?;
        }
        Ok(path)
    }

    /// Writes a file whole or not at all.
    fn write(&self, path: &Path, content: &str, mode: u32) -> Result<(), PkiError> {
        replace(path, content.as_bytes(), mode)
            .and_then(|()| sync_dir(&self.0))
            .map_err(|error| at(path, error))
    }
}

fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let _of_an_earlier_attempt = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(mode).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, error)),
    }
}

fn at(path: &Path, error: io::Error) -> PkiError {
    PkiError::File {
        path: path.to_owned(),
        error,
    }
}
