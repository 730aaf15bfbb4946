//! Connections to kubelets, pods and services.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;

use super::location::Host;
use crate::tls::{
    Authority, CertificateFiles, ConnectSettings, Connector, Protocol, Rules, TlsFile, Version,
    Wire,
};

/// Time for a connection to be made, and for its handshake: those of Go's transport.
const CONNECT: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How kubelets are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubeletSettings {
    /// `--kubelet-client-certificate` and `--kubelet-client-key`.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// `--kubelet-certificate-authority`; without it any certificate is taken.
    pub authority: Option<PathBuf>,
    /// `--kubelet-preferred-address-types`, the best first.
    pub preferred: Vec<String>,
}

/// As whom a host is called, and what it has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// A kubelet.
    Kubelet,
    /// A kubelet whose certificate the client does not want looked at.
    UnseenKubelet,
    /// Whatever runs in a pod: it is shown nothing, and nothing is demanded of it.
    Anyone,
}

/// Makes connections.
#[derive(Debug)]
pub struct Dialer {
    kubelet: Connector,
    unseen: Connector,
    anyone: Connector,
}

impl Dialer {
    /// Reads the files.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub fn new(settings: &KubeletSettings) -> Result<Self, String> {
        let file = |flag, path: &PathBuf| TlsFile {
            flag,
            path: path.clone(),
        };
        let own = settings
            .certificate
            .as_ref()
            .map(|(cert, key)| CertificateFiles {
                cert: file("kubelet-client-certificate", cert),
                key: file("kubelet-client-key", key),
            });
        let authority = match &settings.authority {
            Some(path) => Authority::File(file("kubelet-certificate-authority", path)),
            None => Authority::Anyone,
        };
        let connector = |own: Option<CertificateFiles>, authority| {
            Connector::new(ConnectSettings {
                own,
                authority,
                rules: Rules::default(),
                protocol: Protocol {
                    min: Version::Tls12,
                    max: Version::Tls13,
                    suites: Vec::new(),
                },
                alpn: &["http/1.1"],
            })
            .map_err(|error| error.to_string())
        };
        Ok(Self {
            kubelet: connector(own.clone(), authority)?,
            unseen: connector(own, Authority::Anyone)?,
            anyone: connector(None, Authority::Anyone)?,
        })
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// Why there is none, as Go says it.
    pub async fn connect(&self, host: &Host, trust: Trust) -> Result<Wire, String> {
        let stream = tcp(host).await?;
        if !host.secure {
            return Ok(Wire::Plain(stream));
        }
        let connector = match trust {
            Trust::Kubelet => &self.kubelet,
            Trust::UnseenKubelet => &self.unseen,
            Trust::Anyone => &self.anyone,
        };
        match tokio::time::timeout(HANDSHAKE, connector.connect(&host.name, stream)).await {
            Ok(secured) => secured.map_err(|error| format!("tls: {error}")),
            Err(_) => Err("net/http: TLS handshake timeout".into()),
        }
    }
}

/// Tries a host's addresses in turn; the first failure is the one that is told.
async fn tcp(host: &Host) -> Result<TcpStream, String> {
    let name = &host.name;
    let found = tokio::net::lookup_host((name.as_str(), host.port)).await;
    let none = || format!("dial tcp: lookup {name}: no such host");
    let mut why = None;
    for address in found.map_err(|_| none())? {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // What is typed is to arrive at once; a socket that refuses is about to fail anyway.
                let _refused = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => why = why.or(Some(refused(address, &error))),
            Err(_) => why = why.or(Some(format!("dial tcp {address}: i/o timeout"))),
        }
    }
    Err(why.unwrap_or_else(none))
}

fn refused(address: SocketAddr, error: &std::io::Error) -> String {
    let said = error.to_string();
    let said = said.split(" (os error").next().unwrap_or_default();
    format!("dial tcp {address}: connect: {}", said.to_ascii_lowercase())
}

/// Whether a proxy may be sent to all addresses of a host, as a node's.
///
/// # Errors
/// What the refusal says.
pub async fn check_proxied(name: &str) -> Result<(), String> {
    let found = tokio::net::lookup_host((name, 0)).await;
    let found = found.map_err(|_| format!("lookup {name}: no such host"))?;
    let mut any = false;
    for address in found {
        any = true;
        if !super::location::is_global_unicast(address.ip()) {
            return Err("address not allowed".into());
        }
    }
    if any {
        Ok(())
    } else {
        Err("no addresses for hostname".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failures_are_told_in_gos_words() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let dialer = Dialer::new(&KubeletSettings::default()).unwrap();
        let host = |name: &str| Host {
            secure: true,
            name: name.to_owned(),
            port,
        };
        let said = dialer.connect(&host("127.0.0.1"), Trust::Kubelet).await;
        let wanted = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
        assert_eq!(said.err(), Some(wanted));
        let said = dialer
            .connect(&host("no.such.host.invalid"), Trust::Anyone)
            .await;
        let wanted = "dial tcp: lookup no.such.host.invalid: no such host";
        assert_eq!(said.err().as_deref(), Some(wanted));
    }

    #[tokio::test]
    async fn proxies_are_not_sent_to_this_machine() {
        for name in ["127.0.0.1", "localhost", "169.254.169.254", "::1"] {
            let said = check_proxied(name).await;
            assert_eq!(said, Err("address not allowed".into()), "{name}");
        }
        assert_eq!(check_proxied("192.0.2.1").await, Ok(()));
    }
}
