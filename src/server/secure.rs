//! From the configuration to what secures the listeners and the calls to other members.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::error::StartError;
use super::limits;
use crate::config::{
    KeyPair, ListenConfig, MemberConfig, NamedFile, OwnCertificate, PortTls, TlsProtocol,
    TlsVersion, Url,
};
use crate::tls::{
    AcceptSettings, Acceptor, Authority, CertificateFiles, ConnectSettings, Connector, FileError,
    Protocol, Rules, SelfSigned, TlsFile, Version,
};

/// How long a handshake may take: some round trips to the other end of the world, with losses.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes of clients at a time, at some tens of kilobytes each; a crowd that reconnects is served in turns.
const CLIENT_HANDSHAKES: usize = 4_096;

/// Handshakes of members at a time.
const PEER_HANDSHAKES: usize = 128;

/// Where etcd keeps the certificates that it makes, below its data directory.
const SELF_SIGNED: &str = "fixtures";

/// What a member secures its connections with. What is missing is plain.
#[derive(Debug, Default)]
pub(super) struct Secured {
    /// Clients' connections.
    pub(super) clients: Option<Arc<Acceptor>>,
    /// Connections for metrics and health.
    pub(super) metrics: Option<Arc<Acceptor>>,
    /// Other members' connections.
    pub(super) peers: Option<Arc<Acceptor>>,
    /// Connections to other members.
    pub(super) calls: Option<Arc<Connector>>,
}

impl Secured {
    /// Reads all files, and makes the certificates that are to be made, in `data_dir`.
    ///
    /// # Errors
    /// [`StartError::Tls`] for the first file that cannot be used.
    pub(super) fn read(config: &MemberConfig, data_dir: &Path) -> Result<Self, StartError> {
        let protocol = protocol(&config.tls.protocol);
        let mut secured = Self::default();
        if let Some(port) = &config.tls.client {
            let dir = data_dir.join(SELF_SIGNED).join("client");
            let urls = [&config.listen.client, &config.cluster.advertise_client_urls];
            let own = own(port, || hosts(urls), &dir)?;
            let settings = |own| AcceptSettings {
                callers: "client",
                alpn: &["h2", "http/1.1"],
                handshakes: CLIENT_HANDSHAKES.min(limits::client_connections() / 2),
                ..accepting(port, own, &protocol)
            };
            secured.clients = acceptor(own.clone().map(settings))?;
            secured.metrics = acceptor(own.map(settings))?;
        }
        if let Some(port) = &config.tls.peer {
            let dir = data_dir.join(SELF_SIGNED).join("peer");
            let urls = [&config.listen.peer, &config.cluster.advertise_peer_urls];
            let own = own(port, || hosts(urls), &dir)?;
            secured.calls = connector(port, own.clone(), &protocol)?;
            secured.peers = acceptor(own.map(|own| AcceptSettings {
                callers: "peer",
                alpn: &["http/1.1"],
                handshakes: PEER_HANDSHAKES,
                ..accepting(port, own, &protocol)
            }))?;
        }
        Ok(secured)
    }
}

fn acceptor(settings: Option<AcceptSettings>) -> Result<Option<Arc<Acceptor>>, FileError> {
    settings
        .map(Acceptor::new)
        .transpose()
        .map(|a| a.map(Arc::new))
}

fn accepting(port: &PortTls, own: CertificateFiles, protocol: &Protocol) -> AcceptSettings {
    AcceptSettings {
        callers: "",
        own,
        authority: port.authority.as_ref().map(file),
        asked: false,
        rules: rules(port),
        certify: port.certify,
        protocol: protocol.clone(),
        alpn: &[],
        handshakes: 0,
        patience: HANDSHAKE,
    }
}

/// None if there is nothing by which to tell other members from impostors, and no leave to do without.
fn connector(
    port: &PortTls,
    own: Option<CertificateFiles>,
    protocol: &Protocol,
) -> Result<Option<Arc<Connector>>, FileError> {
    let authority = match (&port.authority, &port.own) {
        (Some(authority), _) => Authority::File(file(authority)),
        (None, Some(OwnCertificate::SelfSigned { .. })) => Authority::Anyone,
        (None, _) => return Ok(None),
    };
    let connector = Connector::new(ConnectSettings {
        own: port.calling.as_ref().map(files).or(own),
        authority,
        rules: Rules {
            from_named_address: false,
            ..rules(port)
        },
        protocol: protocol.clone(),
        alpn: &["http/1.1"],
    });
    connector.map(|connector| Some(Arc::new(connector)))
}

/// The files of the port's own certificate, made if need be.
fn own(
    port: &PortTls,
    hosts: impl FnOnce() -> Vec<String>,
    dir: &Path,
) -> Result<Option<CertificateFiles>, FileError> {
    match &port.own {
        None => Ok(None),
        Some(OwnCertificate::Files(pair)) => Ok(Some(files(pair))),
        Some(OwnCertificate::SelfSigned { flag, years }) => {
            let certificate = SelfSigned {
                flag,
                dir: std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
                hosts: hosts(),
                years: *years,
            };
            certificate.files().map(Some)
        }
    }
}

/// Whom a certificate for these URLs is for; on this machine it is always reached under these names.
fn hosts(urls: [&Vec<Url>; 2]) -> Vec<String> {
    let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let named = urls.into_iter().flatten().map(|url| url.host().to_owned());
    let mut hosts: Vec<_> = named.filter(|host| !host.is_empty()).chain(local).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

fn rules(port: &PortTls) -> Rules {
    Rules {
        crl: port.crl.as_ref().map(file),
        common_names: port.common_names.clone(),
        hostnames: port.hostnames.clone(),
        from_named_address: port.from_named_address,
    }
}

fn file(named: &NamedFile) -> TlsFile {
    TlsFile {
        flag: named.flag,
        path: named.path.clone(),
    }
}

fn files(pair: &KeyPair) -> CertificateFiles {
    CertificateFiles {
        cert: file(&pair.cert),
        key: file(&pair.key),
    }
}

fn protocol(config: &TlsProtocol) -> Protocol {
    let version = |version| match version {
        TlsVersion::Tls12 => Version::Tls12,
        TlsVersion::Tls13 => Version::Tls13,
    };
    Protocol {
        min: version(config.min),
        max: version(config.max),
        suites: config.suites.clone(),
    }
}

/// Says once, loudly, where everybody on the way can read along.
pub(super) fn warn_of_plain_text(listen: &ListenConfig) {
    let all = [&listen.client, &listen.peer, &listen.metrics];
    let open: Vec<_> = all
        .into_iter()
        .flatten()
        .filter(|url| !url.is_https() && !is_local(url.host()))
        .map(Url::as_str)
        .collect();
    if !open.is_empty() {
        let urls = open.join(",");
        tracing::warn!(
            %urls,
            "LISTENING IN PLAIN TEXT beyond this machine: whoever is on the way reads and changes what is \
             said; use https URLs with --cert-file and --peer-cert-file"
        );
    }
}

fn is_local(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::testing::member;

    #[test]
    fn every_suite_that_the_flag_takes_is_there() {
        let suites = config::served_suites();
        assert_eq!(suites.len(), 11);
        for suite in suites {
            assert!(Protocol::has_suite(suite), "{suite}");
            member(&[&format!("--cipher-suites={suite}")]);
        }
    }

    #[test]
    fn plain_members_need_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let secured = Secured::read(&member(&[]), dir.path()).unwrap();
        assert!(secured.clients.is_none() && secured.peers.is_none() && secured.calls.is_none());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn certificates_are_made_for_the_names_of_the_member() {
        let dir = tempfile::tempdir().unwrap();
        let config = member(&[
            "--listen-client-urls=https://0.0.0.0:2379",
            "--advertise-client-urls=https://m1.example:2379",
            "--auto-tls",
            "--listen-peer-urls=https://127.0.0.1:2380",
            "--initial-advertise-peer-urls=https://127.0.0.1:2380",
            "--initial-cluster=default=https://127.0.0.1:2380",
            "--peer-auto-tls",
        ]);
        let urls = [&config.listen.client, &config.cluster.advertise_client_urls];
        assert_eq!(
            hosts(urls),
            ["0.0.0.0", "127.0.0.1", "::1", "localhost", "m1.example"]
        );
        let secured = Secured::read(&config, dir.path()).unwrap();
        assert!(secured.clients.is_some() && secured.peers.is_some() && secured.calls.is_some());
        for file in [
            "client/cert.pem",
            "client/key.pem",
            "peer/cert.pem",
            "peer/key.pem",
        ] {
            assert!(dir.path().join("fixtures").join(file).is_file(), "{file}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_one_line_with_flag_and_path() {
        let dir = tempfile::tempdir().unwrap();
        let config = member(&[
            "--listen-client-urls=https://127.0.0.1:2379",
            "--advertise-client-urls=https://127.0.0.1:2379",
            "--cert-file=/no/such.crt",
            "--key-file=/no/such.key",
        ]);
        let said = Secured::read(&config, dir.path()).unwrap_err().to_string();
        assert_eq!(
            said,
            "cannot use --cert-file=/no/such.crt: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn loopback_is_local() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "0.0.0.0", "::", "10.0.0.1"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
