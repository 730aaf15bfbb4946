//! What the protocol must not see, given the state of this member.
//!
//! raft-rs trusts its peers. Some messages that a confused or outdated peer can send make it end the
//! process, believe what is not so, or run into known defects of the released version. Each is dropped
//! here; consensus tolerates lost messages. [`super::super::wire`] has checked the rest.

use raft::StateRole;
use raft::eraftpb::{Message, MessageType};

use super::Core;
use crate::raft::error::RaftError;

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Give it to the protocol.
    Pass,
    /// Forget it, for this reason.
    Drop(&'static str),
}

impl Core {
    /// Judges a message, and mends it where that is enough.
    ///
    /// # Errors
    /// [`RaftError::LogLost`] if the message proves that this member lost entries.
    pub(super) fn guard(&mut self, message: &mut Message) -> Result<Verdict, RaftError> {
        match message.get_msg_type() {
            MessageType::MsgHeartbeat => self.guard_heartbeat(message),
            MessageType::MsgAppendResponse => Ok(self.guard_append_response(message)),
            MessageType::MsgReadIndex => Ok(self.guard_read(message)),
            MessageType::MsgPropose if self.is_overloaded() => {
                Ok(Verdict::Drop("too much is not applied yet"))
            }
            MessageType::MsgRequestPreVoteResponse | MessageType::MsgRequestVoteResponse => {
                self.learn_commit(message);
                Ok(Verdict::Pass)
            }
            MessageType::MsgTimeoutNow if self.has_unsaved_entries() => {
                // As for elections by timeout, see `Core::tick`.
                Ok(Verdict::Drop("log is not written yet"))
            }
            _ => Ok(Verdict::Pass),
        }
    }

    /// Believes the commit index in a rejection of an older term, which raft-rs ignores: what is committed
    /// stays so. Else a voter that was not told that the old leader was removed can stay in need of that
    /// member's vote for ever, and that member, whose log is longer, cannot stand itself.
    fn learn_commit(&mut self, message: &Message) {
        let raft = &mut self.raw.raft;
        let old = message.reject && message.term < raft.term && raft.state != StateRole::Leader;
        if old && message.commit_term > 0 {
            raft.raft_log
                .maybe_commit(message.commit, message.commit_term);
        }
    }

    /// The commit index in a heartbeat never exceeds what the leader knows this member to have.
    fn guard_heartbeat(&self, message: &Message) -> Result<Verdict, RaftError> {
        let raft = &self.raw.raft;
        let last = raft.raft_log.last_index();
        if message.commit <= last || message.term < raft.term {
            return Ok(Verdict::Pass);
        }
        if message.term == raft.term && raft.leader_id == message.from {
            return Err(RaftError::LogLost {
                claimed: message.commit,
                last,
            });
        }
        Ok(Verdict::Drop("heartbeat commits entries beyond the log"))
    }

    fn guard_append_response(&self, message: &mut Message) -> Verdict {
        let raft = &self.raw.raft;
        if message.index > raft.raft_log.last_index() {
            return Verdict::Drop("acknowledges entries beyond the log");
        }
        let matched = raft.prs().get(message.from).map_or(0, |peer| peer.matched);
        if !message.reject || message.term < raft.term {
            return Verdict::Pass;
        }
        // A rejection of what the peer has acknowledged is an old one. Released raft-rs follows it below
        // the match index, where the log may be cut already, and falls back to a needless snapshot
        // (raft-rs issue 555).
        if message.index <= matched {
            return Verdict::Drop("rejects entries it has acknowledged");
        }
        if message.reject_hint < matched {
            message.reject_hint = matched;
            message.log_term = 0;
        }
        Verdict::Pass
    }

    fn guard_read(&mut self, message: &Message) -> Verdict {
        if self.raw.raft.prs().get(message.from).is_none() {
            return Verdict::Drop("read request of a stranger");
        }
        let context = message.entries.first().map(|entry| entry.data.as_slice());
        if self
            .seen_reads
            .is_new(message.from, context.unwrap_or_default())
        {
            Verdict::Pass
        } else {
            Verdict::Drop("read request seen before")
        }
    }
}
