//! The types that cross the border between consensus and the layers around it.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::ids::MemberId;

/// One committed log entry as the state machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Log index; consecutive from one entry to the next.
    pub index: u64,
    /// The term in which it was proposed.
    pub term: u64,
    /// The commands that one entry carries, in order. Empty for a new leader's first entry and for
    /// membership changes: the state machine still moves its applied index over it.
    pub commands: Vec<Bytes>,
    /// The configuration after this entry, if the entry changed it.
    pub configuration: Option<Configuration>,
    /// What the proposer attached to a membership change, whether or not the change took place. It did if
    /// there is a new configuration; if not, the membership was another than the proposer had looked at.
    pub attachment: Option<Bytes>,
}

/// Who votes and who only learns. Mirrors raft's `ConfState`, joint phase included.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Configuration {
    /// Members that vote.
    pub voters: Vec<u64>,
    /// Members that receive the log but do not vote.
    pub learners: Vec<u64>,
    /// Voters of the outgoing half of a joint configuration.
    pub voters_outgoing: Vec<u64>,
    /// Members that become learners when the joint phase ends.
    pub learners_next: Vec<u64>,
    /// Whether the joint phase ends by itself.
    pub auto_leave: bool,
    /// Index of the entry that last changed the membership; 0 if none did. Changes name it, so that of two
    /// that were decided on the same membership only one takes place.
    pub changed_at: u64,
}

/// Where the state machine stands on disk when the node starts, or in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppliedState {
    /// The last applied log index; 0 for a new member.
    pub index: u64,
    /// The term of that entry.
    pub term: u64,
    /// The configuration as of that entry.
    pub configuration: Configuration,
}

/// A consistent copy of the state machine in a directory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What the files contain.
    pub state: AppliedState,
    /// Where the files lie. Hard links: cheap to make, immutable.
    pub dir: PathBuf,
}

/// What the consensus layer drives. All calls come from the raft thread, in log order.
pub trait StateMachine: Send {
    /// Takes over committed entries. Queues them; the state machine reports progress with
    /// [`NodeHandle::applied`](super::NodeHandle::applied).
    fn apply(&mut self, entries: Vec<Committed>);

    /// Replaces the whole state by a received snapshot. Returns once the new state is the one that a
    /// restart would find. The directory belongs to the state machine from then on.
    ///
    /// # Errors
    /// A text for the log; the member stops.
    fn install(&mut self, snapshot: Snapshot) -> Result<(), String>;

    /// Asks for a snapshot of the state at or after `index`, to be handed to
    /// [`NodeHandle::snapshot_made`](super::NodeHandle::snapshot_made). Called again only after that.
    fn make_snapshot(&mut self, index: u64);

    /// Tells that role, term or leader changed.
    fn status_changed(&mut self, status: &Status);
}

/// How messages reach other members. Sending never blocks and never fails: a message that cannot be
/// queued is dropped, which consensus tolerates, and the transport reports the peer as unreachable.
pub trait Transport: Send + Sync {
    /// Queues encoded raft messages, in order, for one member.
    fn send(&self, to: MemberId, messages: Vec<Bytes>);

    /// Streams a snapshot's files and then its raft message. The outcome is reported with
    /// [`NodeHandle::snapshot_sent`](super::NodeHandle::snapshot_sent). While a snapshot is on its way to the
    /// member another does not set out; the outcome of the first is then that of both.
    fn send_snapshot(&self, to: MemberId, message: Bytes, snapshot: Arc<Snapshot>);
}

/// What part a member plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Follows a leader, or waits for one.
    #[default]
    Follower,
    /// Stands for election (the pre-vote included).
    Candidate,
    /// Leads.
    Leader,
    /// Receives the log without a vote.
    Learner,
}

/// What the outside may know of the protocol's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// This member.
    pub id: MemberId,
    /// The leader as this member knows it; [`MemberId::NONE`] if none.
    pub leader: MemberId,
    /// The part this member plays.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// The highest index known to be committed.
    pub commit: u64,
}
