//! Why consensus refuses or fails.

use super::log::LogError;
use super::wire::WireError;

/// Why a linearizable read cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadIndexError {
    /// The leader changed while the read waited.
    #[error("leader changed")]
    LeaderChanged,
    /// The queue of waiting reads is full.
    #[error("too many requests")]
    Overloaded,
    /// The member is stopping.
    #[error("stopped")]
    Stopped,
}

/// Why a change of the configuration was not proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Only a leader proposes changes.
    #[error("not leader")]
    NotLeader,
    /// Another change is not applied yet, or leadership is about to move. Worth trying again soon.
    #[error("another change is under way")]
    Busy,
    /// The member is stopping, or has too many requests.
    #[error("stopped")]
    Stopped,
}

/// Why a command was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The queue of proposals is full, or too much is committed but not yet applied.
    #[error("too many requests")]
    Overloaded,
    /// The command is longer than what one message to a follower can carry.
    #[error("command is too large")]
    TooLarge,
    /// The member is stopping.
    #[error("stopped")]
    Stopped,
}

/// Why the node cannot start, or why it stopped. All are fatal for the member.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The settings contradict each other.
    #[error("raft settings: {0}")]
    Settings(String),
    /// The protocol core refused to start.
    #[error("raft: {0}")]
    Protocol(#[from] raft::Error),
    /// A thread could not be started.
    #[error("cannot start a raft thread: {0}")]
    Thread(std::io::Error),
    /// The state machine could not take over a snapshot.
    #[error("cannot install snapshot: {0}")]
    Install(String),
    /// The leader of the current term knows entries that this member acknowledged and no longer has:
    /// synced writes were lost. Voting on would put acknowledged writes of the cluster at risk.
    #[error(
        "the leader has entries up to {claimed} acknowledged by this member, whose log ends at {last}"
    )]
    LogLost {
        /// What the leader believes this member has.
        claimed: u64,
        /// What it has.
        last: u64,
    },
    /// The log thread ended while the raft thread still needed it.
    #[error("the log thread is gone")]
    LogThreadGone,
}

/// Why a message from a peer was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The bytes are no valid message.
    #[error("invalid raft message: {0}")]
    Invalid(#[from] WireError),
    /// The message is not from the peer that sent it, or not for this member.
    #[error("raft message from {from:x} to {to:x} does not belong here")]
    Misdirected {
        /// The sender that the message names.
        from: u64,
        /// The receiver that the message names.
        to: u64,
    },
    /// A snapshot and the message about it contradict each other.
    #[error("snapshot does not match its message")]
    SnapshotMismatch,
    /// The inbox is full. The message is dropped, which consensus tolerates.
    #[error("raft inbox is full")]
    Overloaded,
    /// The member is stopping.
    #[error("stopped")]
    Stopped,
}

/// Why leadership cannot be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// This member does not lead.
    #[error("not the leader")]
    NotLeader,
    /// The target is not a voter.
    #[error("target is not a voting member")]
    NotVoter,
    /// The member is stopping.
    #[error("stopped")]
    Stopped,
}
