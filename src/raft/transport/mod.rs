//! The network between members, on the peer port.
//!
//! A pair of members has four streams: each dials two to the other, one for what is small and urgent, one
//! for what carries log entries (`handshake::Lane` says why). A connection begins as HTTP/1.1, so that the
//! port also answers `/version` and `/members`, names both sides in headers and then carries checksummed
//! frames of our own (`docs/decisions/0004-peer-protocol.md`). A snapshot takes a connection of its own.
//!
//! Invariants:
//! - [`Transport::send`] never waits: queues are bounded in frames and bytes, what does not fit is
//!   dropped and reported as unreachable (I8).
//! - Within a stream messages arrive whole, in order and at most once; a connection that breaks loses what
//!   was under way, and that is reported.
//! - A peer of another cluster, a removed member or a wrong address is refused before a single frame (I10).
//! - A slow, dead or hostile peer costs only its own streams.
//!
//! Called by the raft thread (`send`), by the engine (`call`) and by the server (`serve`, `attach`).

mod call;
mod context;
mod dial;
mod error;
mod frame;
mod framed;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handshake;
mod inbound;
mod lane;
mod members;
mod outbox;
mod peer;
mod server;
mod snapshot;
mod stats;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

pub use error::CallError;
pub use frame::MAX_MESSAGE;
pub use stats::PeerStats;

use self::context::{Context, Identity, Timing};
use self::frame::Frame;
use self::handshake::Lane;
use self::members::Members;
use self::outbox::Push;
use self::peer::Peer;
use super::{Snapshot, Transport};
use crate::base::ids::{ClusterId, MemberId};
use crate::base::log_gate::LogGate;
use crate::base::metrics::Metrics;
use crate::base::shutdown::Lifecycle;
use crate::base::wire::{Field, FieldReader};
use crate::tls::{Acceptor, Connector};

/// The longest request or answer of a call, in bytes: twice etcd's default request limit with room to
/// spare, and small enough that calls cannot hold up heartbeats on their stream.
pub const MAX_CALL: usize = 4 << 20;

/// The largest snapshot that is accepted unless configured otherwise, in bytes.
pub const DEFAULT_MAX_SNAPSHOT: u64 = 256 << 30;

/// What a member says of itself and knows of the others.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// The cluster; peers of any other are refused.
    pub cluster_id: ClusterId,
    /// This member.
    pub member_id: MemberId,
    /// The URLs at which other members reach this one, told to those that do not know it yet.
    pub advertised_urls: Vec<String>,
    /// The members with their peer URLs. This member may be among them.
    pub peers: Vec<(MemberId, Vec<String>)>,
    /// Members that were removed; they are told so when they call.
    pub removed: Vec<MemberId>,
    /// Where incoming snapshots are collected. Nothing else may live there: what an earlier run received
    /// but did not move away is deleted at start.
    pub incoming_dir: PathBuf,
    /// Consensus' heartbeat interval; all patience of the transport follows from it.
    pub heartbeat: Duration,
    /// The largest snapshot that is accepted, in bytes.
    pub max_snapshot_bytes: u64,
    /// Secures connections to members with `https` URLs; without it they cannot be reached.
    pub calls: Option<Arc<Connector>>,
}

/// Takes what arrives. Called from many tasks at once and, for [`Inbox::unreachable`], from within
/// [`Transport::send`]: no method may wait or call back into the transport's `send`.
pub trait Inbox: Send + Sync {
    /// A raft message; to be dropped if there is no room for it.
    fn receive(&self, from: MemberId, message: Bytes);

    /// A complete, verified snapshot and the raft message that announces it. Returns whether it was taken
    /// over, directory included; if not, the transport deletes the directory and the sender is told.
    /// Called from a blocking thread. Who takes the directory over moves it away or deletes it: as long as
    /// it lies there, the same snapshot counts as received.
    fn receive_snapshot(&self, from: MemberId, message: Bytes, snapshot: Snapshot) -> bool;

    /// Messages to a member were lost.
    fn unreachable(&self, to: MemberId);

    /// A snapshot is on the member's disk, or could not be delivered.
    fn snapshot_sent(&self, to: MemberId, delivered: bool);

    /// A member says that this one has been removed from the cluster.
    fn removed(&self, by: MemberId);
}

/// An answer in the making: the reply's body, or a text that becomes [`CallError::Failed`].
pub type CallAnswer = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>>;

/// Answers the calls of other members.
pub trait CallHandler: Send + Sync {
    /// Begins to answer. The future is dropped when the caller's time is up.
    fn handle(&self, from: MemberId, kind: u16, request: Bytes) -> CallAnswer;
}

/// The JSON that the peer port answers for a path, if there is any: `/version`, `/members`.
pub type Pages = Box<dyn Fn(&str) -> Option<Bytes> + Send + Sync>;

/// The members of one cluster, as reachable from this one.
pub struct PeerNetwork {
    ctx: Arc<Context>,
    members: Members,
    incoming: Arc<snapshot::Incoming>,
    /// One for each reason, by [`handshake::RefusalKind`]'s number.
    refusals: [LogGate; handshake::REFUSAL_KINDS],
}

impl PeerNetwork {
    /// Starts dialling the other members. Nothing is accepted before [`Self::serve`] and
    /// [`Self::attach`]. All tasks end with `life`.
    ///
    /// # Errors
    /// When the directory for incoming snapshots cannot be made or cleared.
    pub fn start(
        config: PeerConfig,
        runtime: Handle,
        metrics: &Arc<Metrics>,
        life: &Lifecycle,
    ) -> std::io::Result<Arc<Self>> {
        let syncs = metrics.disk.received_sync.clone();
        let incoming =
            snapshot::Incoming::open(config.incoming_dir, config.max_snapshot_bytes, syncs)?;
        let ctx = Arc::new(Context {
            identity: Identity {
                cluster: config.cluster_id,
                member: config.member_id,
                urls: config.advertised_urls,
            },
            timing: Timing::from_heartbeat(config.heartbeat),
            metrics: Arc::clone(metrics),
            life: life.clone(),
            runtime,
            calls: config.calls,
            inbox: Default::default(),
            handler: Default::default(),
            pages: Default::default(),
        });
        let network = Arc::new(Self {
            members: Members::new(ctx.clone()),
            incoming: Arc::new(incoming),
            ctx,
            refusals: Default::default(),
        });
        network.members.update(&config.peers, &config.removed);
        Ok(network)
    }

    /// Names who takes what arrives; from then on peers are let in. Only the first call counts.
    pub fn attach(&self, inbox: Arc<dyn Inbox>) {
        let _ = self.ctx.inbox.set(inbox);
    }

    /// Names who answers other members' calls. Only the first call counts.
    pub fn set_handler(&self, handler: Arc<dyn CallHandler>) {
        let _ = self.ctx.handler.set(handler);
    }

    /// Names who answers `/version`, `/members` and the like. Only the first call counts.
    pub fn set_pages(&self, pages: Pages) {
        let _ = self.ctx.pages.set(pages);
    }

    /// Accepts connections on the peer port until the member stops, with `tls` if there is one.
    pub async fn serve(self: &Arc<Self>, listener: TcpListener, tls: Option<Arc<Acceptor>>) {
        tokio::select! {
            () = server::serve(self, listener, tls) => {}
            () = self.ctx.life.stopped() => {}
        }
    }

    /// Makes `peers` the membership and `removed` all those that may not come back. Streams to members
    /// that `peers` does not name end; new URLs are used from the next connection on. A member that is in
    /// neither list and calls is taken for one that this member has not learnt of yet.
    pub fn update_peers(&self, peers: &[(MemberId, Vec<String>)], removed: &[MemberId]) {
        self.members.update(peers, removed);
    }

    /// Asks another member and waits for its answer.
    ///
    /// # Errors
    /// [`CallError`]; its variants say whether the other member may have acted.
    pub async fn call(
        &self,
        to: MemberId,
        kind: u16,
        request: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let peer = self.members.get(to).ok_or(CallError::UnknownMember)?;
        if request.len() > MAX_CALL {
            return Err(CallError::TooLarge);
        }
        let mut ticket = peer.calls.begin()?;
        let frame = Frame::Call {
            id: ticket.id,
            kind,
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            body: request,
        };
        match peer.outbox(Lane::Control).push(frame) {
            Push::Queued => {}
            Push::Full => return Err(CallError::Overloaded),
            Push::Closed => return Err(CallError::Unreachable),
        }
        tokio::select! {
            answer = &mut ticket.answer => answer.unwrap_or(Err(CallError::Lost)),
            () = tokio::time::sleep(timeout) => Err(CallError::TimedOut),
            () = self.ctx.life.stopped() => Err(CallError::Lost),
        }
    }

    /// What is known of each peer, in the order of their ids.
    pub fn stats(&self) -> Vec<PeerStats> {
        let peers = self.members.all();
        let mut stats: Vec<_> = peers.iter().map(|p| p.counters.snapshot(p.id)).collect();
        stats.sort_by_key(|peer| peer.id);
        stats
    }

    /// Queues one message; false if it was dropped.
    fn queue(peer: &Peer, message: Bytes) -> bool {
        if message.len() > MAX_MESSAGE {
            tracing::error!(peer = %peer.id, bytes = message.len(), "message is too large to send");
            return false;
        }
        let outbox = peer.outbox(lane_of(&message));
        outbox.push(Frame::Message(message)) == Push::Queued
    }
}

impl Transport for PeerNetwork {
    fn send(&self, to: MemberId, messages: Vec<Bytes>) {
        let mut dropped = messages.len();
        if let Some(peer) = self.members.get(to) {
            let queued = messages.into_iter().map(|m| Self::queue(&peer, m));
            dropped -= queued.filter(|queued| *queued).count();
            peer.counters.metrics.sent_failures.add(dropped as u64);
        }
        if dropped > 0 {
            self.ctx.unreachable(to);
        }
    }

    fn send_snapshot(&self, to: MemberId, message: Bytes, snapshot: Arc<Snapshot>) {
        let ctx = self.ctx.clone();
        let peer = self.members.get(to);
        self.ctx.spawn("peer snapshot out", async move {
            let delivered = match peer {
                Some(peer) => snapshot::send(&ctx, &peer, message, &snapshot).await,
                None => Some(false),
            };
            if let (Some(inbox), Some(delivered)) = (ctx.inbox.get(), delivered) {
                inbox.snapshot_sent(to, delivered);
            }
        });
    }
}

/// Which stream a raft message takes, by the first field of its protobuf encoding, the message type.
/// Anything else takes the control stream: the choice is one of speed and not of correctness, because
/// consensus puts up with messages in any order.
fn lane_of(message: &[u8]) -> Lane {
    /// `MsgPropose` and `MsgAppend` of raft's message types: the two that carry log entries.
    const WITH_ENTRIES: [u64; 2] = [2, 3];
    match FieldReader::new(message).next_field() {
        Ok(Some(Field::Varint(1, kind))) if WITH_ENTRIES.contains(&kind) => Lane::Bulk,
        _ => Lane::Control,
    }
}

#[cfg(test)]
mod lane_tests {
    use ::raft::eraftpb::{Message, MessageType};
    use prost011::Message as _;

    use super::*;

    #[test]
    fn messages_with_entries_take_the_bulk_stream() {
        let lane = |kind: MessageType| {
            let mut message = Message {
                to: 2,
                from: 1,
                term: 9,
                ..Message::default()
            };
            message.set_msg_type(kind);
            lane_of(&message.encode_to_vec())
        };
        for kind in [MessageType::MsgAppend, MessageType::MsgPropose] {
            assert_eq!(lane(kind), Lane::Bulk, "{kind:?}");
        }
        for kind in [
            MessageType::MsgHup,
            MessageType::MsgAppendResponse,
            MessageType::MsgRequestVote,
            MessageType::MsgHeartbeat,
            MessageType::MsgHeartbeatResponse,
            MessageType::MsgTimeoutNow,
            MessageType::MsgReadIndex,
            MessageType::MsgRequestPreVote,
        ] {
            assert_eq!(lane(kind), Lane::Control, "{kind:?}");
        }
        assert_eq!(lane_of(b""), Lane::Control);
        assert_eq!(lane_of(&[0xff; 20]), Lane::Control);
    }
}
