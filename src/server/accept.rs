//! Accepts connections, as many as the member can carry and no more, and secures those that are to be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::connection::{self, Caller, Respond, Serving};
use super::listen::Socket;
use crate::base::shutdown::Lifecycle;
use crate::etcd::CertifiedName;
use crate::kube::ClientCertificate;
use crate::tls::{Acceptor, Wire};

/// Wait after an error that says the system is short of something, such as file descriptors. Accepting
/// again at once would only burn the CPU that could free some.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Silence after which the system probes whether the other side of a connection still exists, and the
/// distance between probes. A client that vanished without a word holds its streams no longer than that.
const PROBE_AFTER: Duration = Duration::from_secs(30);

/// Sockets that lead to the same pages.
pub(super) struct Entrance<R> {
    pub(super) sockets: Vec<Socket>,
    /// Answers over plain text.
    pub(super) respond: R,
    /// Answers over TLS.
    pub(super) respond_secured: R,
    /// Secures the connections of `https` sockets.
    pub(super) tls: Option<Arc<Acceptor>>,
    /// Connections at a time.
    pub(super) room: usize,
    /// Cancelled when it opens; connections that come earlier wait in the system's queue.
    pub(super) open: CancellationToken,
}

impl<R: Respond> Entrance<R> {
    /// Accepts on every socket once it opens, until the member begins to stop.
    pub(super) fn serve(self, life: &Lifecycle, serving: &Arc<Serving>) {
        let room = Arc::new(Semaphore::new(self.room));
        for Socket { listener, https } in self.sockets {
            let tls = self.tls.clone().filter(|_| https);
            let respond = match &tls {
                Some(_) => self.respond_secured.clone(),
                None => self.respond.clone(),
            };
            let (open, serving, room) = (self.open.clone(), serving.clone(), room.clone());
            life.task("accept", async move {
                tokio::select! {
                    () = open.cancelled() => accept(listener, tls, respond, room, serving).await,
                    () = serving.closing() => {}
                }
            });
        }
    }
}

/// For an entrance that is open from the start.
pub(super) fn at_once() -> CancellationToken {
    let open = CancellationToken::new();
    open.cancel();
    open
}

/// Accepts on one socket until the member begins to stop. `room` bounds the connections under way; when
/// it is used up, further ones wait in the system's queue.
async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    respond: impl Respond,
    room: Arc<Semaphore>,
    serving: Arc<Serving>,
) {
    loop {
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = serving.closing() => return,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serving.closing() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                tune(&stream);
                let (tls, respond, of) = (tls.clone(), respond.clone(), serving.clone());
                serving.track(async move {
                    let caller = tokio::select! {
                        caller = secure(stream, address, tls) => caller,
                        () = of.closing() => None,
                    };
                    if let Some(caller) = caller {
                        connection::serve(caller, respond, of, permit).await;
                    }
                });
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

/// Turns what was accepted into what is served; nothing if the caller does not get that far.
async fn secure(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<Acceptor>>,
) -> Option<Caller> {
    let Some(tls) = tls else {
        return Some(Caller {
            wire: Wire::Plain(stream),
            certified: None,
            address: address.ip(),
            certificate: ClientCertificate::default(),
        });
    };
    let accepted = tls.accept(stream, address).await?;
    Some(Caller {
        wire: accepted.wire,
        certified: accepted.common_name.map(CertifiedName),
        address: address.ip(),
        certificate: ClientCertificate::new(accepted.chain),
    })
}

/// Sends small answers at once, and notices peers that are gone. A socket that refuses is about to fail
/// anyway, which its reader will see.
fn tune(stream: &TcpStream) {
    let probes = TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_AFTER);
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| SockRef::from(stream).set_tcp_keepalive(&probes));
    if let Err(error) = tuned {
        tracing::debug!(%error, "cannot set socket options");
    }
}

/// Whether an error of `accept` is about the connection that it would have given.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
