//! The calling side: to whom this member speaks, and as whom.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::{FileError, HandshakeError};
use super::files::{CertificateFiles, TlsFile};
use super::protocol::Protocol;
use super::reload::Reloading;
use super::rules::{Checks, Rules};
use super::wire::Wire;

/// Whose servers are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Those with a certificate of one of the authorities in the file.
    File(TlsFile),
    /// All: what is said is hidden from others, but not from whoever answers.
    Anyone,
}

/// How connections are secured that this side opens.
#[derive(Debug, Clone)]
pub struct ConnectSettings {
    /// What to show when the other side asks for it.
    pub own: Option<CertificateFiles>,
    /// Whom to believe.
    pub authority: Authority,
    /// What is demanded of the other side's certificate.
    pub rules: Rules,
    /// What is spoken.
    pub protocol: Protocol,
    /// Application protocols, best first.
    pub alpn: &'static [&'static str],
}

/// Secures connections that this side opens.
#[derive(Debug)]
pub struct Connector {
    loaded: Reloading<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ClientConfig>,
    checks: Checks,
}

impl Connector {
    /// Reads the files.
    ///
    /// # Errors
    /// For the first that cannot be used.
    pub fn new(settings: ConnectSettings) -> Result<Self, FileError> {
        let mut files: Vec<_> = settings
            .own
            .iter()
            .flat_map(CertificateFiles::files)
            .collect();
        if let Authority::File(file) = &settings.authority {
            files.push(file.clone());
        }
        files.extend(settings.rules.crl.clone());
        Ok(Self {
            loaded: Reloading::read(files, move || load(&settings))?,
        })
    }

    /// Makes a connection to `host`, a DNS name or an address, a secure one. Takes as long as the other side
    /// does.
    ///
    /// # Errors
    /// [`HandshakeError`]. With TLS 1.3 the other side may refuse this one's certificate only afterwards:
    /// then the first use of the connection fails.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> Result<Wire, HandshakeError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| HandshakeError::BadHost(host.to_owned()))?;
        let loaded = self.loaded.current();
        let connector = TlsConnector::from(Arc::clone(&loaded.config));
        let stream = connector.connect(name, stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        loaded.checks.check(shown, None).await?;
        Ok(Wire::Tls(Box::new(stream.into())))
    }
}

fn load(settings: &ConnectSettings) -> Result<Loaded, FileError> {
    let provider = settings.protocol.provider();
    let verifier: Arc<dyn ServerCertVerifier> = match &settings.authority {
        Authority::Anyone => Arc::new(AnyServer(Arc::clone(&provider))),
        Authority::File(file) => {
            let roots = file.authorities()?;
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| file.refused(error.to_string()))?
        }
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&settings.protocol.versions())
        .expect("there are suites of TLS 1.3, and those of TLS 1.2 are checked with the flags")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &settings.own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = own.certified_key(&provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
        }
    };
    config.alpn_protocols = settings
        .alpn
        .iter()
        .map(|p| p.as_bytes().to_vec())
        .collect();
    config.resumption = Resumption::disabled();
    Ok(Loaded {
        config: Arc::new(config),
        checks: Checks::read(&settings.rules, false)?,
    })
}

/// Believes every certificate, as etcd's members with self-made ones do; the signature must still be its own.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
