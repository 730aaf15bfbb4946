//! Certificates for servers and clients, and connections that use them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::reaper;

#[allow(dead_code, reason = "shared with the unit tests")]
#[path = "../../../src/tls/testing.rs"]
mod testing;

use testing::{Authority, Issued};

/// An authority with a directory for what it issues.
pub struct Pki {
    dir: PathBuf,
    pub(crate) authority: Authority,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Pki {
    /// A new authority, with certificates for servers on this machine (`server`) and for the harness's clients
    /// (`client`).
    pub fn new() -> Arc<Self> {
        let dir = reaper::root().join(format!("pki-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&dir).unwrap();
        let authority = Authority::new("test authority");
        authority.write(&dir.join("ca.crt"));
        let pki = Self { dir, authority };
        pki.issue("server", "server", &["127.0.0.1", "localhost"]);
        pki.issue("client", "client", &[]);
        Arc::new(pki)
    }

    /// Issues a certificate and writes it to `FILE.crt` and `FILE.key`, over what was there.
    pub(crate) fn issue(&self, file: &str, common_name: &str, hosts: &[&str]) -> Issued {
        let issued = self.authority.issue(common_name, hosts);
        issued.write(&self.dir, file);
        issued
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file of the directory, as a flag takes it.
    pub fn path(&self, file: &str) -> String {
        self.dir.join(file).to_str().unwrap().to_owned()
    }

    /// A client that believes this authority and shows `FILE.crt`.
    pub fn client(&self, file: &str) -> ClientTls {
        let read = |name: String| std::fs::read_to_string(self.dir.join(name)).unwrap();
        ClientTls {
            authority: self.authority.pem(),
            identity: Some((read(format!("{file}.crt")), read(format!("{file}.key")))),
            flags: vec![
                format!("--cacert={}", self.path("ca.crt")),
                format!("--cert={}", self.path(&format!("{file}.crt"))),
                format!("--key={}", self.path(&format!("{file}.key"))),
            ],
        }
    }

    /// A client that believes this authority and shows nothing.
    pub fn anonymous(&self) -> ClientTls {
        ClientTls {
            authority: self.authority.pem(),
            identity: None,
            flags: vec![format!("--cacert={}", self.path("ca.crt"))],
        }
    }
}

/// What a client believes and shows, as PEM.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    pub authority: String,
    pub identity: Option<(String, String)>,
    /// The same as flags of etcdctl.
    pub flags: Vec<String>,
}

impl ClientTls {
    /// For tonic.
    pub fn endpoint(&self, address: &str) -> Endpoint {
        let mut config =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.authority));
        if let Some((certificate, key)) = &self.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        endpoint.tls_config(config).unwrap()
    }

    /// For what tonic does not do. `alpn` is what the client offers.
    pub fn config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authority.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let builder =
            ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
                let chain = chain.collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = alpn
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        config
    }

    /// Shakes hands as an HTTP/1.1 client.
    pub async fn connect(&self, address: &str) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.config(rustls::ALL_VERSIONS, &["http/1.1"]), address).await
    }
}

/// Shakes hands with a server on this machine.
pub async fn connect(config: ClientConfig, address: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}
