//! What every task of the transport needs: who this member is, how patient it is, whom it reports to.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::error::ConnectionError;
use super::handshake::{Channel, Hello};
use super::{CallHandler, Inbox, Pages};
use crate::base::ids::{ClusterId, MemberId};
use crate::base::metrics::Metrics;
use crate::base::shutdown::Lifecycle;
use crate::tls::Connector;

/// This member, as it introduces itself.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) cluster: ClusterId,
    pub(super) member: MemberId,
    pub(super) urls: Vec<String>,
}

impl Identity {
    pub(super) fn hello(&self, to: MemberId, channel: Channel) -> Hello {
        Hello {
            cluster: self.cluster,
            from: self.member,
            to,
            channel,
            urls: self.urls.clone(),
        }
    }
}

/// How long things may take. All follow from the heartbeat interval, because that is what the operator
/// sets by the network's round trip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// A connection over which nothing is heard for this long is dead. Well above an election timeout:
    /// consensus notices a silent member by itself, this only frees the connection for a new one.
    pub(super) idle: Duration,
    /// How often to make the other side say something. The same everywhere and a fraction of the shortest
    /// `idle`, because the other side's patience may differ.
    pub(super) ping: Duration,
    /// From the first packet to the end of the handshake, for each URL.
    pub(super) dial: Duration,
    /// The first pause before dialling again; doubles up to `retry_max`.
    pub(super) retry_min: Duration,
    /// The longest pause after a failure that may pass by itself: about an election timeout, so that a
    /// member that comes back is in touch before it stands for election.
    pub(super) retry_max: Duration,
    /// The pause after a refusal that only a changed configuration can heal.
    pub(super) retry_refused: Duration,
    /// How long a snapshot transfer may go without moving a byte while both sides are alive. Longer than
    /// a healthy disk takes to checksum or sync one file.
    pub(super) stall: Duration,
}

impl Timing {
    pub(super) fn from_heartbeat(heartbeat: Duration) -> Self {
        let idle = (heartbeat * 30).clamp(Duration::from_secs(2), Duration::from_secs(10));
        Self {
            idle,
            ping: Duration::from_millis(500),
            dial: (heartbeat * 10).clamp(Duration::from_secs(1), Duration::from_secs(5)),
            retry_min: heartbeat / 2,
            retry_max: heartbeat * 10,
            retry_refused: Duration::from_secs(5),
            stall: Duration::from_secs(120),
        }
    }
}

/// Shared by all tasks of one member's transport.
pub(super) struct Context {
    pub(super) identity: Identity,
    pub(super) timing: Timing,
    pub(super) metrics: Arc<Metrics>,
    pub(super) life: Lifecycle,
    pub(super) runtime: Handle,
    /// Secures connections to `https` URLs.
    pub(super) calls: Option<Arc<Connector>>,
    pub(super) inbox: OnceLock<Arc<dyn Inbox>>,
    pub(super) handler: OnceLock<Arc<dyn CallHandler>>,
    pub(super) pages: OnceLock<Pages>,
}

impl Context {
    /// Starts a task from any thread; it ends with the member.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        body: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let _entered = self.runtime.enter();
        self.life.task(name, body)
    }

    /// Waits for a frame, and gives up on a silent peer.
    pub(super) async fn within_idle<T>(
        &self,
        frame: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        tokio::time::timeout(self.timing.idle, frame)
            .await
            .unwrap_or(Err(ConnectionError::Silent(self.timing.idle)))
    }

    /// Hands over a message. Before [`super::PeerNetwork::attach`] no stream is accepted, so there always
    /// is somebody to hand it to.
    pub(super) fn receive(&self, from: MemberId, message: Bytes) {
        if let Some(inbox) = self.inbox.get() {
            inbox.receive(from, message);
        }
    }

    /// Reports that messages to a member were lost.
    pub(super) fn unreachable(&self, to: MemberId) {
        if let Some(inbox) = self.inbox.get() {
            inbox.unreachable(to);
        }
    }
}
