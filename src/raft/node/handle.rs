//! The handle: how everyone else talks to the raft thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use arc_swap::ArcSwap;
use bytes::Bytes;
use crossbeam::sync::Parker;
use parking_lot::Mutex;
use raft::eraftpb::MessageType;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::inbox::{Bell, Control, Inboxes, Incoming};
use crate::base::ids::MemberId;
use crate::base::shutdown::Lifecycle;
use crate::raft::configuration::ProposedChange;
use crate::raft::core::{Core, PeerProgress};
use crate::raft::error::{ChangeError, ProposeError, ReadIndexError, ReceiveError, TransferError};
use crate::raft::types::{Configuration, Role, Snapshot, Status};
use crate::raft::{frame, wire};

/// What handles and raft thread share.
pub(super) struct Shared {
    pub(super) inboxes: Inboxes,
    bell: Bell,
    pub(super) applied: AtomicU64,
    pub(super) flushed: AtomicU64,
    pub(super) made: Mutex<Option<Result<Snapshot, String>>>,
    /// Outcomes of sending snapshots, at most one for each peer: none must be lost.
    pub(super) sent: Mutex<BTreeMap<MemberId, bool>>,
    /// Whether the raft thread waits for the state machine and must hear of its progress at once.
    pub(super) awaits_applied: AtomicBool,
    /// Whether commands can be taken in now, so that the raft thread must hear of them at once.
    pub(super) wants_proposals: AtomicBool,
    /// Whether commands are refused because too much is not applied yet.
    pub(super) overloaded: AtomicBool,
    /// Whether a graceful stop was asked for. New work is refused from then on.
    pub(super) stopping: AtomicBool,
    /// Set when the raft thread looks into its inboxes for the last time.
    pub(super) closed: AtomicBool,
    pub(super) commit: AtomicU64,
    pub(super) status: watch::Sender<Arc<Status>>,
    pub(super) configuration: ArcSwap<Configuration>,
    pub(super) progress: ArcSwap<Vec<PeerProgress>>,
    done: CancellationToken,
    life: Lifecycle,
}

/// A running node. Cheap to clone; every clone is the same node.
#[derive(Clone)]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NodeHandle").field(&self.status()).finish()
    }
}

/// The raft thread's ends of what it shares with the handles.
pub(super) struct Ends {
    pub(super) shared: Arc<Shared>,
    pub(super) parker: Parker,
    /// Tells those who wait for the stop when the thread is gone, however it ends.
    _done: tokio_util::sync::DropGuard,
}

impl Ends {
    /// What wakes the raft thread.
    pub(super) fn bell(&self) -> Bell {
        self.shared.bell.clone()
    }
}

/// A handle for a node that starts from `core`, and the thread's ends.
pub(super) fn pair(core: &Core, life: &Lifecycle) -> (NodeHandle, Ends) {
    let parker = Parker::new();
    let done = CancellationToken::new();
    let shared = Arc::new(Shared {
        inboxes: Inboxes::new(),
        bell: Bell(parker.unparker().clone()),
        applied: AtomicU64::new(0),
        flushed: AtomicU64::new(0),
        made: Mutex::new(None),
        sent: Mutex::default(),
        awaits_applied: AtomicBool::new(false),
        wants_proposals: AtomicBool::new(true),
        overloaded: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        commit: AtomicU64::new(core.committed()),
        status: watch::Sender::new(Arc::new(core.status().clone())),
        configuration: ArcSwap::new(core.configuration()),
        progress: ArcSwap::default(),
        done: done.clone(),
        life: life.clone(),
    });
    let ends = Ends {
        shared: Arc::clone(&shared),
        parker,
        _done: done.drop_guard(),
    };
    (NodeHandle { shared }, ends)
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
            || self.closed.load(Ordering::SeqCst)
            || self.life.is_stopping()
    }
}

impl NodeHandle {
    /// Proposes a command, here or at the leader. Never waits. That it is accepted does not mean that it
    /// will be committed: a leader may change or a message get lost, so the caller needs a timeout. And a
    /// command that timed out may still be committed.
    ///
    /// # Errors
    /// [`ProposeError`]; the command was not proposed and never will be.
    pub fn propose(&self, command: Bytes) -> Result<(), ProposeError> {
        let shared = &self.shared;
        if shared.is_stopped() {
            return Err(ProposeError::Stopped);
        }
        if command.len() + frame::overhead(1) > wire::MAX_PROPOSAL {
            return Err(ProposeError::TooLarge);
        }
        if shared.overloaded.load(Ordering::Relaxed) {
            return Err(ProposeError::Overloaded);
        }
        let bytes = command.len();
        let pushed = shared.inboxes.proposals.push(command, bytes);
        pushed.map_err(|_| ProposeError::Overloaded)?;
        // While rounds are under way the raft thread sleeps on: it looks here when one is over. The fence
        // pairs with the one in `Driver::missed_proposals`.
        fence(Ordering::SeqCst);
        if shared.wants_proposals.load(Ordering::Relaxed) {
            shared.bell.ring();
        }
        Ok(())
    }

    /// Gives the index that must be applied here before a read that begins now is linearizable
    /// (invariant I2). Waits as long as there is no leader with a quorum; the caller applies a timeout.
    ///
    /// # Errors
    /// [`ReadIndexError`].
    pub async fn read_index(&self) -> Result<u64, ReadIndexError> {
        let (reader, answer) = oneshot::channel();
        if self.shared.is_stopped() {
            return Err(ReadIndexError::Stopped);
        }
        let pushed = self.shared.inboxes.reads.push(reader, 0);
        pushed.map_err(|_| ReadIndexError::Overloaded)?;
        // The raft thread closes, then empties the inbox a last time: what is not seen closed is answered.
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(ReadIndexError::Stopped);
        }
        self.shared.bell.ring();
        answer.await.unwrap_or(Err(ReadIndexError::Stopped))
    }

    /// Tells that the state machine has applied everything up to `index`.
    pub fn applied(&self, index: u64) {
        self.shared.applied.fetch_max(index, Ordering::SeqCst);
        if self.shared.awaits_applied.load(Ordering::SeqCst) {
            self.shared.bell.ring();
        }
    }

    /// Tells that the state machine would find everything up to `index` after a restart. The log below
    /// it can be cut.
    pub fn flushed(&self, index: u64) {
        // Nobody is in a hurry: the next tick will see it.
        self.shared.flushed.fetch_max(index, Ordering::SeqCst);
    }

    /// Takes in an encoded message of a peer.
    ///
    /// # Errors
    /// [`ReceiveError`]; nothing has changed then.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the transport has no use for the bytes after"
    )]
    pub fn receive(&self, from: MemberId, message: Bytes) -> Result<(), ReceiveError> {
        self.take_in(from, &message, None)
    }

    /// Takes in a snapshot of a peer: the message and the files it is about. The directory belongs to
    /// the node from then on; it is removed if the snapshot is not needed.
    ///
    /// # Errors
    /// [`ReceiveError`]; nothing has changed then, and the directory is still the caller's.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the transport has no use for the bytes after"
    )]
    pub fn receive_snapshot(
        &self,
        from: MemberId,
        message: Bytes,
        snapshot: Snapshot,
    ) -> Result<(), ReceiveError> {
        self.take_in(from, &message, Some(snapshot))
    }

    fn take_in(
        &self,
        from: MemberId,
        bytes: &Bytes,
        snapshot: Option<Snapshot>,
    ) -> Result<(), ReceiveError> {
        if self.shared.is_stopped() {
            return Err(ReceiveError::Stopped);
        }
        let message = wire::decode(bytes)?;
        let me = self.shared.status.borrow().id;
        // A follower that is taken for the leader passes requests on under their sender's name.
        let kind = message.get_msg_type();
        let relayed = matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex);
        if message.to != me.0 || (message.from != from.0 && !relayed) {
            return Err(ReceiveError::Misdirected {
                from: message.from,
                to: message.to,
            });
        }
        if !wire::is_about(&message, snapshot.as_ref()) {
            return Err(ReceiveError::SnapshotMismatch);
        }
        let incoming = Incoming { message, snapshot };
        let messages = &self.shared.inboxes.messages;
        let pushed = messages.push(from, incoming, bytes.len());
        pushed.map_err(|_| ReceiveError::Overloaded)?;
        self.shared.bell.ring();
        Ok(())
    }

    /// Hands over the snapshot that [`StateMachine::make_snapshot`](crate::raft::StateMachine) asked for,
    /// or says why there is none. The directory belongs to the node from then on.
    pub fn snapshot_made(&self, made: Result<Snapshot, String>) {
        *self.shared.made.lock() = Some(made);
        self.shared.bell.ring();
    }

    /// Tells how sending a snapshot ended. Must be called after each
    /// [`Transport::send_snapshot`](crate::raft::Transport), since the peer is sent nothing else before; one
    /// call answers all that came before it for the same peer.
    pub fn snapshot_sent(&self, to: MemberId, ok: bool) {
        self.shared.sent.lock().insert(to, ok);
        self.shared.bell.ring();
    }

    /// Tells that a peer cannot be reached.
    pub fn unreachable(&self, to: MemberId) {
        // A hint; the transport will give it again.
        let _ = self.control(Control::Unreachable(to));
    }

    /// What is known of the protocol now.
    pub fn status(&self) -> Arc<Status> {
        let status = Arc::clone(&self.shared.status.borrow());
        let commit = self.shared.commit.load(Ordering::Acquire);
        if status.commit == commit {
            return status;
        }
        Arc::new(Status {
            commit,
            ..(*status).clone()
        })
    }

    /// The leader as far as this member knows.
    pub fn leader(&self) -> MemberId {
        self.shared.status.borrow().leader
    }

    /// Follows role, term and leader. The commit index is that of the last such change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Status>> {
        self.shared.status.subscribe()
    }

    /// Starts to hand leadership to another voter. Whether it succeeds shows in [`Self::subscribe`]; it
    /// is given up after an election timeout.
    ///
    /// # Errors
    /// [`TransferError`].
    pub fn transfer_leader(&self, to: MemberId) -> Result<(), TransferError> {
        if self.shared.is_stopped() {
            return Err(TransferError::Stopped);
        }
        if self.shared.status.borrow().role != Role::Leader {
            return Err(TransferError::NotLeader);
        }
        if !self.shared.configuration.load().voters.contains(&to.0) {
            return Err(TransferError::NotVoter);
        }
        self.control(Control::Transfer(to))
            .map_err(|()| TransferError::Stopped)
    }

    /// Proposes a change of the configuration, if this member leads. Like a command it can get lost after
    /// that; what is committed shows in [`Committed::configuration`](crate::raft::Committed).
    ///
    /// # Errors
    /// [`ChangeError`]; the change was not proposed and never will be.
    pub async fn propose_change(&self, change: ProposedChange) -> Result<(), ChangeError> {
        if self.shared.is_stopped() {
            return Err(ChangeError::Stopped);
        }
        let (proposed, answer) = oneshot::channel();
        self.control(Control::Change(change, proposed))
            .map_err(|()| ChangeError::Stopped)?;
        // As for reads: what is not seen closed is answered.
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(ChangeError::Stopped);
        }
        answer.await.unwrap_or(Err(ChangeError::Stopped))
    }

    /// The configuration in force.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.shared.configuration.load_full()
    }

    /// How far each member has come, as of the last tick; empty unless this member leads.
    pub fn progress(&self) -> Arc<Vec<PeerProgress>> {
        self.shared.progress.load_full()
    }

    /// Stops the node: no new work is taken, leadership moves to another member if one is ready to take
    /// it (for at most an election timeout), and what was written is synced. Completes when the threads
    /// no longer touch the log.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.bell.ring();
        self.shared.done.cancelled().await;
    }

    fn control(&self, control: Control) -> Result<(), ()> {
        let pushed = self.shared.inboxes.controls.push(control, 0);
        self.shared.bell.ring();
        pushed.map_err(|_| ())
    }
}
