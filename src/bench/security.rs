//! Options for TLS, with etcdctl's names.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::BenchError;
use crate::tls::{
    Authority, CertificateFiles, ConnectSettings, Connector, FileError, Protocol, Rules, TlsFile,
};

/// How `https://` endpoints are spoken to.
#[derive(Debug, Clone, Args)]
pub(super) struct TlsOptions {
    /// Authorities of the servers' certificates, for https:// endpoints.
    #[arg(long, global = true)]
    cacert: Option<PathBuf>,
    /// Certificate to show.
    #[arg(long, global = true, requires = "key")]
    cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, global = true, requires = "cert")]
    key: Option<PathBuf>,
    /// Believe every certificate.
    #[arg(long, global = true, conflicts_with = "cacert")]
    insecure_skip_tls_verify: bool,
}

impl TlsOptions {
    /// What secures connections; nothing if there is nothing to verify servers by.
    ///
    /// # Errors
    /// For a file that cannot be used.
    pub(super) fn connector(&self) -> Result<Option<Arc<Connector>>, BenchError> {
        let file = |flag, path: &PathBuf| TlsFile {
            flag,
            path: path.clone(),
        };
        let authority = match &self.cacert {
            Some(path) => Authority::File(file("cacert", path)),
            None if self.insecure_skip_tls_verify => Authority::Anyone,
            None => return Ok(None),
        };
        let own = self.cert.as_ref().zip(self.key.as_ref());
        let connector = Connector::new(ConnectSettings {
            own: own.map(|(cert, key)| CertificateFiles {
                cert: file("cert", cert),
                key: file("key", key),
            }),
            authority,
            rules: Rules::default(),
            protocol: Protocol::default(),
            alpn: &["h2"],
        });
        let unusable = |error: FileError| BenchError::Options(error.to_string());
        connector.map(|c| Some(Arc::new(c))).map_err(unusable)
    }
}
