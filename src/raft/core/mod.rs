//! The protocol as a step function: inputs change it, [`Core::ready`] says what is to be done.
//!
//! No threads, no clock, no sending; the only thing read here is the log, and that only to look up old
//! entries. The thread in `node` and the simulation in tests drive the same code. Whoever drives it
//! keeps one rule: what [`Output`] asks for is done in the order that its fields have, before the next
//! input, and a batch is reported with [`Core::persisted`] only when it is durable.

mod appends;
mod backlog;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod guard;
mod output;
mod progress;
mod proposals;
mod reads;
mod ready;
mod retention;
mod settings;
mod store;
#[cfg(test)]
mod test;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{INVALID_ID, RawNode, SnapshotStatus, StateRole};

use super::configuration::{self, ProposedChange};
use super::error::{ChangeError, RaftError, ReadIndexError};
use super::log::{Batch, Log};
use super::logger;
use super::types::{AppliedState, Configuration, Snapshot, Status};
use crate::base::ids::MemberId;
use backlog::Backlog;
use guard::Verdict;
pub(crate) use output::Output;
pub use progress::PeerProgress;
use proposals::Proposals;
pub(crate) use reads::Ticket;
use reads::{Reads, SeenReads};
pub(crate) use settings::{MAX_UNDER_WAY, Settings};
use store::Store;

/// Ticks after which a read is asked for again: half a second at the default tick, as in etcd.
const READ_RETRY_TICKS: usize = 5;
/// Ticks that proposals wait for a leader. By then their callers have given up.
const LEADERLESS_TICKS: usize = 70;

/// The protocol state of one member.
pub(crate) struct Core {
    raw: RawNode<Store>,
    settings: Settings,
    configuration: Arc<Configuration>,
    /// Commands that are not in the log of any leader yet.
    proposals: Proposals,
    leaderless_ticks: usize,
    reads: Reads,
    seen_reads: SeenReads,
    refused_reads: Vec<Ticket>,
    /// Messages that may be sent at once.
    outbox: Vec<Message>,
    /// Messages that wait for a batch to be durable, by its number.
    held: VecDeque<(u64, Vec<Message>)>,
    /// Numbers of the batches that are being written.
    writing: VecDeque<u64>,
    /// Batches nobody waits for.
    loose: Vec<Batch>,
    last_ready: u64,
    backlog: Backlog,
    /// The term and commit index that the followers have been told by this leader.
    announced: (u64, u64),
    /// The last index handed to the state machine, and the last that raft-rs gave us for it.
    handed: u64,
    emitted: u64,
    applied: u64,
    flushed: u64,
    /// A snapshot that a peer sent, until raft-rs decided on it.
    incoming: Option<Snapshot>,
    /// Number of the batch that completes an installation, and the snapshot's index.
    installing: Option<(u64, u64)>,
    retention: retention::Retention,
    elections: u64,
    committed_in_term: bool,
    status: Status,
    /// Directories of snapshots that nobody needs any more.
    discarded: Vec<Arc<Snapshot>>,
}

impl Core {
    /// Starts from a log and a state machine that agree (see `raft::start`).
    ///
    /// # Errors
    /// [`RaftError::Protocol`] if the settings or the configuration are impossible.
    pub(crate) fn new(
        settings: Settings,
        log: Log,
        restored: &AppliedState,
    ) -> Result<Self, RaftError> {
        let conf_state = restored.configuration.to_raft();
        if !restored.configuration.is_empty() && !configuration::is_valid(&conf_state) {
            return Err(RaftError::Settings("impossible configuration".into()));
        }
        let config = settings.to_raft(restored.index);
        let mut raw = RawNode::new(&config, Store::new(log, restored), &logger::logger())?;
        // A commit index of its own message would double the messages: see `Core::announce_commit`.
        raw.skip_bcast_commit(true);
        let mut core = Self {
            reads: Reads::new(settings.id, settings.boot_epoch, READ_RETRY_TICKS),
            settings,
            raw,
            configuration: Arc::new(restored.configuration.clone()),
            proposals: Proposals::default(),
            leaderless_ticks: 0,
            seen_reads: SeenReads::default(),
            refused_reads: Vec::new(),
            outbox: Vec::new(),
            held: VecDeque::new(),
            writing: VecDeque::new(),
            loose: Vec::new(),
            last_ready: 0,
            backlog: Backlog::default(),
            announced: (0, 0),
            handed: restored.index,
            emitted: restored.index,
            applied: restored.index,
            flushed: restored.index,
            incoming: None,
            installing: None,
            retention: retention::Retention::default(),
            elections: 0,
            committed_in_term: false,
            status: Status::default(),
            discarded: Vec::new(),
        };
        core.settle();
        core.status = core.current_status();
        Ok(core)
    }

    /// Lets one heartbeat interval pass.
    pub(crate) fn tick(&mut self) {
        self.reads.tick();
        self.tick_proposals();
        self.note_commit();
        self.tick_snapshot();
        // raft-rs asserts that the log is written completely when a member wins an election, and an only
        // voter wins at once. The tick is not lost: the writer will be done by the next one.
        if self.raw.raft.state == StateRole::Leader || !self.has_unsaved_entries() {
            let acted = self.raw.tick();
            if acted && self.raw.raft.state != StateRole::Leader {
                self.elections += 1;
            }
        }
        self.settle();
        self.cut_log();
    }

    /// Steps down if this member leads and has lost its vote, and lets the best successor stand at once.
    ///
    /// raft-rs would let it lead on: refusing every proposal, kept in office by its own heartbeats, until
    /// the next acknowledgement makes it look for its own progress, which is gone, and end the process.
    pub(super) fn abdicate_without_vote(&mut self) {
        let votes = self.configuration.is_voter(MemberId(self.settings.id));
        if votes || self.raw.raft.state != StateRole::Leader {
            return;
        }
        // The others have to hear that the removal is committed, or they go on counting on this member.
        self.raw.raft.bcast_append();
        let successor = self.successor();
        tracing::info!(?successor, "stepping down after losing the vote");
        if let Some(successor) = successor {
            self.raw.raft.send_timeout_now(successor.0);
        }
        let term = self.raw.raft.term;
        self.raw.raft.become_follower(term, INVALID_ID);
    }

    /// Stands for election now if this member is the only voter: there is nobody to wait for.
    pub(crate) fn campaign_if_alone(&mut self) {
        let alone = self.configuration.voters == [self.settings.id]
            && self.configuration.voters_outgoing.is_empty();
        if alone && !self.has_unsaved_entries() {
            // Cannot fail: standing for election is ignored at worst.
            let _ = self.raw.campaign();
            self.settle();
        }
    }

    /// Takes in a command. It goes into the log with others when there is a leader to take it.
    pub(crate) fn propose(&mut self, command: Bytes) {
        self.proposals.push(command);
    }

    /// Whether commands find their way into a log now; while not, they should wait outside.
    pub(crate) fn accepts_proposals(&self) -> bool {
        self.proposals.may_begin() && self.proposals.has_room() && self.can_propose()
    }

    /// Whether there has been no leader for so long that nobody waits for what was proposed meanwhile.
    pub(crate) const fn drops_proposals(&self) -> bool {
        self.leaderless_ticks > LEADERLESS_TICKS
    }

    /// Whether so much is committed but not applied that new commands must be refused.
    pub(crate) fn is_overloaded(&self) -> bool {
        let committed = self.raw.raft.raft_log.committed;
        committed.saturating_sub(self.applied) > backlog::MAX_ENTRIES || self.backlog.is_full()
    }

    /// Appends a change of the configuration to the leader's log. It may still be lost with the leadership.
    ///
    /// # Errors
    /// [`ChangeError`]; the change was not proposed and never will be.
    pub(crate) fn propose_change(&mut self, change: &ProposedChange) -> Result<(), ChangeError> {
        if self.raw.raft.state != StateRole::Leader {
            return Err(ChangeError::NotLeader);
        }
        // raft-rs would turn it into an entry that says nothing.
        let joint = !self.configuration.voters_outgoing.is_empty();
        if joint || self.raw.raft.has_pending_conf() {
            return Err(ChangeError::Busy);
        }
        let proposed = self.raw.propose_conf_change(Vec::new(), change.to_raft());
        self.settle();
        proposed.map_err(|_| ChangeError::Busy)
    }

    /// Takes in waiters for a linearizable read.
    pub(crate) fn read(&mut self, ticket: Ticket) {
        self.reads.add(ticket);
    }

    /// The ticket that readers who come now can share, because its read has not been asked for yet.
    pub(crate) fn waiting_read(&self) -> Option<Ticket> {
        self.reads.waiting()
    }

    /// Takes in a message from a peer that `wire` has checked, with the files if it is about a snapshot.
    ///
    /// # Errors
    /// [`RaftError::LogLost`] if the message proves that this member lost entries it acknowledged.
    pub(crate) fn step(
        &mut self,
        mut message: Message,
        snapshot: Option<Snapshot>,
    ) -> Result<(), RaftError> {
        match self.guard(&mut message)? {
            Verdict::Pass => self.step_checked(message, snapshot),
            Verdict::Drop(reason) => {
                tracing::debug!(from = message.from, kind = ?message.get_msg_type(), reason, "dropped");
            }
        }
        Ok(())
    }

    fn step_checked(&mut self, mut message: Message, snapshot: Option<Snapshot>) {
        let is_snapshot = message.get_msg_type() == MessageType::MsgSnapshot;
        if is_snapshot && snapshot.is_none() {
            return;
        }
        if message.get_msg_type() == MessageType::MsgPropose && self.take_forwarded(&mut message) {
            return;
        }
        if let Err(error) = self.raw.step(message) {
            // A proposal for which there is no leader, or an answer of a member that has left.
            tracing::debug!(%error, "raft ignored a message");
        }
        if let Some(snapshot) = snapshot {
            let wanted = self.raw.snap().map(|snap| snap.get_metadata().index);
            let refused = if wanted == Some(snapshot.state.index) {
                self.incoming.replace(snapshot)
            } else {
                Some(snapshot)
            };
            // The same files may have been announced twice.
            let refused = refused.filter(|old| {
                self.incoming
                    .as_ref()
                    .is_none_or(|kept| kept.dir != old.dir)
            });
            self.discarded.extend(refused.map(Arc::new));
        }
        self.settle();
    }

    /// Puts the commands that a follower forwarded among this leader's own. Gives whether it did: membership
    /// changes and what is to be passed on are the protocol's.
    fn take_forwarded(&mut self, message: &mut Message) -> bool {
        let normal = |entry: &Entry| entry.entry_type == EntryType::EntryNormal as i32;
        if self.raw.raft.state != StateRole::Leader || !message.entries.iter().all(normal) {
            return false;
        }
        for entry in std::mem::take(&mut message.entries) {
            self.proposals.push_forwarded(ready::unpack(entry));
        }
        true
    }

    /// Hears that the batch with this number, and all before it, are durable.
    pub(crate) fn persisted(&mut self, number: u64) {
        while self.writing.front().is_some_and(|&first| first <= number) {
            self.writing.pop_front();
        }
        self.raw.mut_store().log.persisted(number);
        let done = self
            .writing
            .front()
            .map_or(self.last_ready, |&next| next - 1);
        self.raw.on_persist_ready(done);
        while self.held.front().is_some_and(|&(after, _)| after <= number) {
            if let Some((_, messages)) = self.held.pop_front() {
                self.outbox.extend(messages);
            }
        }
        if let Some((_, index)) = self.installing.take_if(|(last, _)| *last <= number) {
            self.applied_to(index);
            self.flushed = index;
        }
        self.settle();
    }

    /// Hears that the state machine has applied everything up to `index`.
    pub(crate) fn applied(&mut self, index: u64) {
        // A report may come late, after a snapshot has moved the state on.
        if index > self.applied && index <= self.handed {
            self.applied_to(index);
            self.settle();
        }
    }

    fn applied_to(&mut self, index: u64) {
        self.applied = index;
        self.backlog.applied(index);
        let log = &self.raw.raft.raft_log;
        let reachable = index.min(log.committed).min(log.persisted);
        if reachable > log.applied {
            self.raw.advance_apply_to(reachable);
        }
    }

    /// Hears that the state machine would find everything up to `index` after a restart.
    pub(crate) fn flushed(&mut self, index: u64) {
        if index > self.flushed && index <= self.applied {
            self.flushed = index;
            self.cut_log();
        }
    }

    /// Hears how sending a snapshot ended. Without this the peer would be sent nothing ever again.
    pub(crate) fn snapshot_sent(&mut self, to: MemberId, ok: bool) {
        let status = if ok {
            SnapshotStatus::Finish
        } else {
            SnapshotStatus::Failure
        };
        self.raw.report_snapshot(to.0, status);
        self.settle();
    }

    /// Hears that a peer cannot be reached.
    pub(crate) fn unreachable(&mut self, to: MemberId) {
        self.raw.report_unreachable(to.0);
        self.settle();
    }

    /// Starts to hand leadership over; abandoned after an election timeout. Does nothing if this member has
    /// lost it since it was asked to: raft-rs would pass the request on to the new leader, who was not asked.
    pub(crate) fn transfer_leader(&mut self, to: MemberId) {
        if self.raw.raft.state == StateRole::Leader {
            self.raw.transfer_leader(to.0);
            self.settle();
        }
    }

    /// The voter that is best prepared to lead in this leader's place, if there is one.
    pub(crate) fn successor(&self) -> Option<MemberId> {
        if self.raw.raft.state != StateRole::Leader {
            return None;
        }
        let peers = self.raw.raft.prs();
        peers
            .iter()
            .filter(|(id, peer)| **id != self.settings.id && peer.recent_active)
            .filter(|(id, _)| self.configuration.voters.contains(id))
            .max_by_key(|(id, peer)| (peer.matched, **id))
            .map(|(id, _)| MemberId(*id))
    }

    /// What the outside may know now.
    pub(crate) const fn status(&self) -> &Status {
        &self.status
    }

    /// The configuration as of the last entry handed to the state machine.
    pub(crate) fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(&self.configuration)
    }

    /// The highest index known to be committed.
    pub(crate) fn committed(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    /// The number of the last batch that is being written, if any is.
    pub(crate) fn last_batch(&self) -> Option<u64> {
        self.writing.back().copied()
    }

    /// Whether a snapshot is being installed: the next input must be that its batch is durable.
    pub(crate) const fn is_installing(&self) -> bool {
        self.installing.is_some()
    }

    /// Whether entries wait in the log until the state machine has applied others.
    pub(crate) const fn awaits_applied(&self) -> bool {
        self.handed < self.emitted
    }

    /// How far the state machine is known to be.
    pub(crate) const fn last_applied(&self) -> u64 {
        self.applied
    }

    /// The log.
    pub(crate) fn log(&self) -> &Log {
        &self.raw.store().log
    }

    /// Whether entries exist that are not known to be durable.
    fn has_unsaved_entries(&self) -> bool {
        let log = &self.raw.raft.raft_log;
        log.persisted < log.last_index()
    }

    /// Whether a leader is known, and takes proposals as far as this member can tell.
    fn can_propose(&self) -> bool {
        let raft = &self.raw.raft;
        raft.leader_id != INVALID_ID && raft.lead_transferee.is_none()
    }

    fn tick_proposals(&mut self) {
        self.leaderless_ticks = match self.can_propose() {
            true => 0,
            false => self.leaderless_ticks + 1,
        };
        if self.raw.raft.state != StateRole::Leader {
            self.proposals.forget_rounds();
        }
        if self.drops_proposals() {
            self.proposals.clear();
        }
    }

    /// Lets the commit index reach the disk now and then although nothing else is written.
    fn note_commit(&mut self) {
        if self.writing.is_empty() {
            let log = &self.raw.raft.raft_log;
            let commit = log.committed.min(log.persisted);
            let batch = self.raw.mut_store().log.note_commit(commit);
            self.loose.extend(batch);
        }
    }

    /// Looks after what may have changed with any input.
    fn settle(&mut self) {
        let raft = &mut self.raw.raft;
        let timeout = self.settings.election_timeout(raft.term, self.elections);
        if raft.randomized_election_timeout() != timeout {
            raft.set_randomized_election_timeout(timeout);
        }
        self.proposals.observe(raft.term, raft.raft_log.committed);
        let committed_in_term = raft.commit_to_current_term();
        if committed_in_term && !self.committed_in_term {
            // The leader had no answer before it committed in its term, and said nothing. Now it has.
            self.reads.retry();
        }
        self.committed_in_term = committed_in_term;
        if let Some(refused) = self.reads.leader_is(self.raw.raft.leader_id) {
            self.refused_reads.extend(refused);
        }
    }
}

#[cfg(test)]
impl Core {
    /// Breaks the rule that a read's context is never used twice, here and as a leader.
    pub(crate) fn reuse_read_contexts(&mut self) {
        self.reads.reuse_contexts();
        self.accept_repeated_requests();
    }

    /// Breaks the rule that a leader answers a read request once.
    pub(crate) fn accept_repeated_requests(&mut self) {
        self.seen_reads.forget_everything();
    }
}

/// What became of a read.
pub(crate) type ReadOutcome = (Ticket, Result<u64, ReadIndexError>);
