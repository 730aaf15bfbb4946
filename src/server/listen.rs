//! Listening sockets for the URLs of the configuration.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use super::error::StartError;
use crate::config::{ListenConfig, Url};

/// Connections that the system completes before they are accepted. The system caps it at
/// `net.core.somaxconn`; a burst of reconnecting clients should not be turned away.
const BACKLOG: u32 = 4_096;

/// A socket that is listened on.
#[derive(Debug)]
pub(super) struct Socket {
    /// The socket.
    pub(super) listener: TcpListener,
    /// Whether TLS is spoken there.
    pub(super) https: bool,
}

/// Every socket a member listens on, bound and not yet served.
#[derive(Debug)]
pub(super) struct Listeners {
    /// For clients.
    pub(super) client: Vec<Socket>,
    /// For other members.
    pub(super) peer: Vec<Socket>,
    /// For metrics and health.
    pub(super) metrics: Vec<Socket>,
}

impl Listeners {
    /// Binds all of them, so that a port in use is found before anything else happens.
    ///
    /// # Errors
    /// [`StartError::Listen`] for the first that cannot be bound.
    pub(super) fn bind(config: &ListenConfig) -> Result<Self, StartError> {
        let all = |flag, urls: &[Url]| {
            urls.iter()
                .map(|url| {
                    let bound = bind(url, config.reuse_port);
                    let listener = bound.map_err(|source| StartError::Listen {
                        flag,
                        url: url.as_str().to_owned(),
                        source,
                    })?;
                    Ok(Socket {
                        listener,
                        https: url.is_https(),
                    })
                })
                .collect::<Result<Vec<_>, StartError>>()
        };
        Ok(Self {
            peer: all("listen-peer-urls", &config.peer)?,
            client: all("listen-client-urls", &config.client)?,
            metrics: all("listen-metrics-urls", &config.metrics)?,
        })
    }

    /// Where clients are listened for.
    pub(super) fn client_addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.client.iter().map(|s| s.listener.local_addr());
        addresses.filter_map(Result::ok).collect()
    }
}

/// Binds one URL's address. No host is every address, IPv6 and IPv4, where the machine has IPv6.
///
/// # Errors
/// What the system says.
pub(super) fn bind(url: &Url, reuse_port: bool) -> io::Result<TcpListener> {
    if url.host().is_empty() {
        return bind_ip(Ipv6Addr::UNSPECIFIED.into(), url.port(), reuse_port).or_else(|error| {
            match error.raw_os_error() {
                Some(libc::EAFNOSUPPORT) => {
                    bind_ip(Ipv4Addr::UNSPECIFIED.into(), url.port(), reuse_port)
                }
                _ => Err(error),
            }
        });
    }
    let ip = match url.host() {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        host => host
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not an IP address"))?,
    };
    bind_ip(ip, url.port(), reuse_port)
}

/// Binds an address.
///
/// # Errors
/// What the system says.
pub(super) fn bind_address(address: SocketAddr) -> io::Result<TcpListener> {
    bind_ip(address.ip(), address.port(), false)
}

fn bind_ip(ip: IpAddr, port: u16, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = match ip {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of an earlier run that linger in TIME_WAIT must not keep a restart from its port.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(SocketAddr::new(ip, port))?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::member;

    #[tokio::test]
    async fn localhost_and_no_host_and_addresses_are_bound() {
        let config = member(&[
            "--listen-client-urls=http://localhost:0,http://:0",
            "--advertise-client-urls=http://localhost:1",
            "--listen-peer-urls=http://127.0.0.1:0",
        ]);
        let bound = Listeners::bind(&config.listen).unwrap();
        let addresses: Vec<_> = bound
            .client
            .iter()
            .map(|s| s.listener.local_addr().unwrap().ip())
            .collect();
        assert!(addresses[0].is_unspecified());
        assert!(addresses[1].is_loopback());
        assert_eq!((bound.peer.len(), bound.metrics.len()), (1, 0));
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_its_flag() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", taken.local_addr().unwrap());
        let config = member(&[
            "--listen-peer-urls=http://127.0.0.1:0",
            &format!("--listen-metrics-urls={url}"),
            "--listen-client-urls=http://127.0.0.1:0",
            "--advertise-client-urls=http://127.0.0.1:1",
        ]);
        let said = Listeners::bind(&config.listen).unwrap_err().to_string();
        assert!(
            said.starts_with(&format!(
                "cannot listen on {url} (--listen-metrics-urls): Address already in use"
            )),
            "{said}"
        );
    }
}
