//! From the state of the protocol to things to do.

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{Ready, StateRole};

use super::Core;
use super::appends::push_joined;
use super::backlog::{MAX_BYTES, MAX_ENTRIES};
use super::output::Output;
use super::settings::{MAX_COMMITTED, MAX_UNCOMMITTED};
use crate::base::ids::MemberId;
use crate::raft::error::{RaftError, ReadIndexError};
use crate::raft::log::{Hard, Position};
use crate::raft::types::{Committed, Configuration, Role, Status};
use crate::raft::{configuration, frame, wire};

impl Core {
    /// Says what is to be done now; `None` if nothing is.
    ///
    /// # Errors
    /// [`RaftError::Log`] if old entries could not be read back. The member must stop.
    pub(crate) fn ready(&mut self) -> Result<Option<Output>, RaftError> {
        self.pack_proposals();
        self.announce_commit();
        self.start_read();
        let mut output = Output {
            batches: std::mem::take(&mut self.loose),
            ..Output::default()
        };
        self.hand_over_deferred(&mut output)?;
        if self.installing.is_none() && self.raw.has_ready() {
            self.take_ready(&mut output);
        }
        self.settle();
        self.take_outbox(&mut output);
        let refused = std::mem::take(&mut self.refused_reads).into_iter();
        let refusals = refused.map(|ticket| (ticket, Err(ReadIndexError::LeaderChanged)));
        output.reads.extend(refusals);
        output.make_snapshot = self.wanted_snapshot();
        output.status = self.changed_status();
        output.discarded = std::mem::take(&mut self.discarded);
        if let Some(fault) = self.raw.store().take_fault() {
            return Err(fault.into());
        }
        Ok((!output.is_empty()).then_some(output))
    }

    /// Turns waiting commands into as few entries as possible: a round, if one may begin.
    fn pack_proposals(&mut self) {
        if !self.proposals.may_begin() {
            return;
        }
        let mut began = false;
        while !self.proposals.is_empty() && self.can_propose() {
            let commands = self.proposals.take_entry();
            let data = frame::encode(&commands);
            if !self.has_room(data.len()) || self.raw.propose(Vec::new(), data).is_err() {
                self.proposals.put_back(commands);
                break;
            }
            began = true;
        }
        if began {
            let raft = &self.raw.raft;
            let log = &raft.raft_log;
            // A follower does not know the index of what it forwarded: it goes by the leader's rounds.
            let leads = raft.state == StateRole::Leader;
            let end = if leads {
                log.last_index()
            } else {
                log.committed + 1
            };
            self.announced = (raft.term, log.committed);
            self.proposals.begin(end);
        }
    }

    /// Tells the followers at once what is committed, since their clients wait for it; unless it went with
    /// the round that began now.
    fn announce_commit(&mut self) {
        let raft = &mut self.raw.raft;
        let known = (raft.term, raft.raft_log.committed);
        if raft.state == StateRole::Leader
            && raft.commit_to_current_term()
            && known > self.announced
        {
            self.announced = known;
            raft.bcast_append();
        }
    }

    /// Whether raft-rs would take that many bytes; it drops what is too much.
    fn has_room(&self, bytes: usize) -> bool {
        let raft = &self.raw.raft;
        let uncommitted = raft.uncommitted_size();
        raft.state != StateRole::Leader
            || uncommitted == 0
            || uncommitted + bytes <= MAX_UNCOMMITTED
    }

    fn start_read(&mut self) {
        let raft = &self.raw.raft;
        let leader = raft.leader_id;
        // A leader is silent until it has committed in its term; asking earlier costs a retry.
        if leader == 0 || (leader == raft.id && !self.committed_in_term) {
            return;
        }
        if let Some(context) = self.reads.start(leader) {
            self.raw.read_index(context.to_vec());
        }
    }

    fn take_ready(&mut self, output: &mut Output) {
        let mut ready = self.raw.ready();
        let number = ready.number();
        self.last_ready = number;
        self.outbox.extend(ready.take_messages());
        self.install(&ready, output);
        self.write(&mut ready, output);
        let after = ready.take_persisted_messages();
        self.hold(after);
        let committed = ready.take_committed_entries();
        for state in ready.take_read_states() {
            if let Some(tickets) = self.reads.answered(&state.request_ctx) {
                let done = tickets.into_iter().map(|ticket| (ticket, Ok(state.index)));
                output.reads.extend(done);
            }
        }
        self.raw.advance_append_async(ready);
        if self.writing.is_empty() {
            self.raw.on_persist_ready(number);
        }
        self.hand_over(committed, output);
    }

    /// Replaces log and state by the snapshot that raft-rs accepted.
    fn install(&mut self, ready: &Ready, output: &mut Output) {
        if ready.snapshot().is_empty() {
            return;
        }
        let meta = ready.snapshot().get_metadata();
        let snapshot = self
            .incoming
            .take()
            .expect("a snapshot is only stepped together with its files");
        let base = Position {
            index: meta.index,
            term: meta.term,
        };
        let hard = self.hard();
        let number = ready.number();
        let batch = self.raw.mut_store().log.reset(number, base, hard);
        output.batches.push(batch);
        let changed_at = snapshot.state.configuration.changed_at;
        let configuration = Configuration::from_raft(meta.get_conf_state());
        self.configuration = configuration.changed_by(changed_at).into();
        self.backlog.clear();
        self.handed = meta.index;
        self.emitted = meta.index;
        self.installing = Some((number, meta.index));
        output.install = Some(snapshot);
    }

    fn write(&mut self, ready: &mut Ready, output: &mut Output) {
        let number = ready.number();
        let installs = output.install.is_some();
        if ready.must_sync() {
            let hard = self.hard();
            let entries = ready.take_entries();
            if !entries.is_empty() || hard != self.log().hard() {
                let batch = self.raw.mut_store().log.append(number, entries, hard);
                output.batches.push(batch);
            }
            self.writing.push_back(number);
            output.number = Some(number);
        }
        debug_assert!(
            !installs || output.number.is_some(),
            "a snapshot must be synced"
        );
    }

    fn hard(&self) -> Hard {
        let state = self.raw.raft.hard_state();
        Hard {
            term: state.term,
            vote: state.vote,
            commit: state.commit,
        }
    }

    /// Keeps messages back until what they say is durable here. Some say nothing that must be: answering a
    /// heartbeat promises no entry and no vote, so it does not wait for the disk.
    fn hold(&mut self, messages: Vec<Message>) {
        let (urgent, bound): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_free);
        self.outbox.extend(urgent);
        match self.writing.back() {
            Some(&number) if !bound.is_empty() => self.held.push_back((number, bound)),
            _ => self.outbox.extend(bound),
        }
    }

    /// Gives committed entries to the state machine. When it has enough to do, they are left in the log
    /// and fetched later, so that a slow state machine costs no memory.
    fn hand_over(&mut self, entries: Vec<Entry>, output: &mut Output) {
        if let Some(last) = entries.last() {
            self.emitted = last.index;
        }
        for entry in entries {
            if entry.index != self.handed + 1 || self.backlog.is_full() {
                return;
            }
            self.hand_over_one(entry, output);
        }
    }

    fn hand_over_deferred(&mut self, output: &mut Output) -> Result<(), RaftError> {
        if self.handed >= self.emitted || self.backlog.is_full() {
            return Ok(());
        }
        let log = &self.raw.store().log;
        let entries = log.entries(self.handed + 1, self.emitted + 1, MAX_COMMITTED)?;
        for entry in entries {
            self.hand_over_one(entry, output);
        }
        Ok(())
    }

    fn hand_over_one(&mut self, entry: Entry, output: &mut Output) {
        self.handed = entry.index;
        self.backlog.push(entry.index, entry.data.len());
        let (index, term) = (entry.index, entry.term);
        let mut committed = Committed {
            index,
            term,
            commands: Vec::new(),
            configuration: None,
            attachment: None,
        };
        if entry.entry_type == EntryType::EntryNormal as i32 {
            committed.commands = unpack(entry);
        } else {
            self.change_configuration(&entry, &mut committed);
        }
        output.committed.push(committed);
    }

    /// Carries out a committed membership change. One that is impossible, or was decided on another
    /// membership than the present one, changes nothing, on any member; raft-rs allows the next one as soon
    /// as this entry is applied.
    fn change_configuration(&mut self, entry: &Entry, committed: &mut Committed) {
        let Some(change) = wire::decode_change(entry) else {
            return;
        };
        let index = entry.index;
        if let Some((base, attachment)) = configuration::decided_on(&change) {
            committed.attachment = Some(attachment);
            let present = self.configuration.changed_at;
            if base != present {
                tracing::warn!(index, base, present, "membership changed in between");
                return;
            }
        }
        match self.raw.apply_conf_change(&change) {
            Ok(state) => {
                let configuration = Configuration::from_raft(&state).changed_by(index);
                self.configuration = configuration.clone().into();
                self.abdicate_without_vote();
                committed.configuration = Some(configuration);
            }
            Err(error) => tracing::warn!(index, %error, "membership change is impossible"),
        }
    }

    /// A message about a snapshot that has been replaced meanwhile has no files to go with. The peer would
    /// wait for it forever, so raft is told that it failed.
    fn take_outbox(&mut self, output: &mut Output) {
        let current = self.raw.store().snapshot.clone();
        let index = current.as_ref().map(|snapshot| snapshot.state.index);
        for message in std::mem::take(&mut self.outbox) {
            if message.get_msg_type() == MessageType::MsgSnapshot {
                if Some(message.get_snapshot().get_metadata().index) != index {
                    self.snapshot_sent(MemberId(message.to), false);
                    continue;
                }
                output.snapshot.clone_from(&current);
            }
            push_joined(message, &mut output.messages);
        }
    }

    fn changed_status(&mut self) -> Option<Status> {
        let now = self.current_status();
        let key = |status: &Status| (status.leader, status.role, status.term);
        let changed = key(&now) != key(&self.status);
        self.status = now;
        changed.then(|| self.status.clone())
    }

    pub(super) fn current_status(&self) -> Status {
        let raft = &self.raw.raft;
        let learner = self.configuration.is_learner(MemberId(raft.id));
        Status {
            id: MemberId(raft.id),
            leader: MemberId(raft.leader_id),
            role: match raft.state {
                StateRole::Leader => Role::Leader,
                StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
                StateRole::Follower if learner => Role::Learner,
                StateRole::Follower => Role::Follower,
            },
            term: raft.term,
            commit: raft.raft_log.committed,
        }
    }
}

const _: () = assert!(MAX_COMMITTED < MAX_BYTES as u64 && MAX_ENTRIES > 0);

/// Whether a message promises nothing that must be durable first.
fn is_free(message: &Message) -> bool {
    match message.get_msg_type() {
        MessageType::MsgHeartbeatResponse
        | MessageType::MsgPropose
        | MessageType::MsgReadIndex
        | MessageType::MsgRequestPreVote => true,
        MessageType::MsgAppendResponse => message.reject,
        _ => false,
    }
}

/// The commands of an entry. Entries are checked before they enter a log, so a bad one is a fault that
/// every member has alike; it is passed over by all of them.
pub(super) fn unpack(entry: Entry) -> Vec<Bytes> {
    let index = entry.index;
    frame::decode(&entry.data.into()).unwrap_or_else(|error| {
        tracing::error!(index, %error, "log entry holds no commands");
        Vec::new()
    })
}
