//! The accepting side: a listener's certificate, and who may call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::error::{FileError, HandshakeError};
use super::files::{CertificateFiles, TlsFile};
use super::handshakes::Handshakes;
use super::possession::Possession;
use super::protocol::Protocol;
use super::reload::Reloading;
use super::rules::{Checks, Rules};
use super::wire::Wire;
use crate::base::clock;
use crate::base::log_gate::LogGate;

/// How a listener is secured.
#[derive(Debug, Clone)]
pub struct AcceptSettings {
    /// What is listened for, for the log: `client`, `peer`.
    pub callers: &'static str,
    /// The listener's certificate.
    pub own: CertificateFiles,
    /// Who issues callers' certificates. With it every caller must have one, as etcd has it; without it none is
    /// asked for.
    pub authority: Option<TlsFile>,
    /// Without an authority: whether callers are asked for a certificate all the same, which whoever reads
    /// [`Accepted::chain`] verifies. That they have its key is certain; nothing else is.
    pub asked: bool,
    /// What is demanded of callers' certificates.
    pub rules: Rules,
    /// Whether to tell the common name of a caller's certificate.
    pub certify: bool,
    /// What is spoken.
    pub protocol: Protocol,
    /// Application protocols, best first.
    pub alpn: &'static [&'static str],
    /// Handshakes at a time; the oldest gives way to further ones.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub patience: Duration,
}

/// Secures accepted connections.
#[derive(Debug)]
pub struct Acceptor {
    settings: AcceptSettings,
    loaded: Reloading<Loaded>,
    handshakes: Handshakes,
    complaints: LogGate,
}

/// A connection that has passed.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub wire: Wire,
    /// The common name of the caller's certificate, if it is to be told and there is one.
    pub common_name: Option<Arc<str>>,
    /// The certificates that the caller has shown, its own first; empty if it has shown none.
    pub chain: Arc<[CertificateDer<'static>]>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    checks: Checks,
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// For the first that cannot be used.
    pub fn new(settings: AcceptSettings) -> Result<Self, FileError> {
        let mut files = Vec::from(settings.own.files());
        files.extend(settings.authority.clone());
        files.extend(settings.rules.crl.clone());
        let read = settings.clone();
        Ok(Self {
            loaded: Reloading::read(files, move || load(&read))?,
            handshakes: Handshakes::new(settings.handshakes),
            complaints: LogGate::default(),
            settings,
        })
    }

    /// Makes a connection a secure one. If it does not come to that the log says why, and the connection is
    /// closed: for the most part that is a scan, or a client that speaks plain text.
    pub async fn accept(&self, stream: TcpStream, caller: SocketAddr) -> Option<Accepted> {
        let place = self.handshakes.begin();
        let limit = self.settings.patience;
        let accepted = tokio::select! {
            ended = tokio::time::timeout(limit, self.shake_hands(stream, caller)) => {
                ended.unwrap_or(Err(HandshakeError::TimedOut(limit)))
            }
            () = place.lost() => Err(HandshakeError::GaveWay),
        };
        accepted.map_err(|error| self.note(caller, &error)).ok()
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        caller: SocketAddr,
    ) -> Result<Accepted, HandshakeError> {
        let loaded = self.loaded.current();
        let acceptor = TlsAcceptor::from(Arc::clone(&loaded.config));
        let stream = acceptor.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let chain = shown
            .unwrap_or_default()
            .iter()
            .map(|one| one.clone().into_owned());
        let chain = chain.collect();
        let names = loaded.checks.check(shown, Some(caller.ip())).await?;
        let common_name =
            names.filter(|names| self.settings.certify && !names.common_name.is_empty());
        Ok(Accepted {
            chain,
            common_name: common_name.map(|names| names.common_name.into()),
            wire: Wire::Tls(Box::new(stream.into())),
        })
    }

    /// What concerns certificates is for an operator to see, though not every time; the rest is noise that
    /// anybody can make.
    fn note(&self, caller: SocketAddr, error: &HandshakeError) {
        let callers = self.settings.callers;
        if !error.is_about_certificate() {
            tracing::debug!(%caller, %error, "rejected a {callers} connection");
        } else if let Some(hidden) = self.complaints.pass("certificate", clock::now()) {
            tracing::warn!(%caller, %error, hidden, "rejected a {callers} connection");
        }
    }
}

fn load(settings: &AcceptSettings) -> Result<Loaded, FileError> {
    let provider = settings.protocol.provider();
    let own = settings.own.certified_key(&provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&settings.protocol.versions())
        .map_err(|error| settings.own.cert.refused(error.to_string()))?;
    let builder = match &settings.authority {
        None if settings.asked => {
            builder.with_client_cert_verifier(Arc::new(Possession::new(provider)))
        }
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let roots = authority.authorities()?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| authority.refused(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = settings
        .alpn
        .iter()
        .map(|p| p.as_bytes().to_vec())
        .collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded {
        config: Arc::new(config),
        checks: Checks::read(&settings.rules, settings.certify)?,
    })
}
