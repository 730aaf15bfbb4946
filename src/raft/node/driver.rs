//! The raft thread: drains the inboxes, lets the core decide, does what it says, parks.
//!
//! Inboxes are emptied before the core is asked what to do, so that what arrives together is handled
//! together: one entry for many commands, one message for many entries, one sync for all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use raft::eraftpb::{Message, MessageType};

use super::config::NodeConfig;
use super::handle::{Ends, Shared};
use super::inbox::{Control, Reader};
use super::log_thread::LogThread;
use super::snapshots::Discarded;
use crate::base::clock;
use crate::base::ids::MemberId;
use crate::base::metrics::RaftMetrics;
use crate::base::shutdown::Lifecycle;
use crate::raft::core::{Core, Output, ReadOutcome, Ticket};
use crate::raft::error::RaftError;
use crate::raft::types::{Role, Snapshot, StateMachine, Status, Transport};
use crate::raft::wire;

/// Items taken from one inbox before the core acts, so that a flood in one starves nothing else.
const MAX_DRAIN: usize = 1024;

/// What the raft thread owns.
pub(super) struct Driver {
    core: Core,
    ends: Ends,
    log: LogThread,
    machine: Box<dyn StateMachine>,
    transport: Arc<dyn Transport>,
    life: Lifecycle,
    tick: Duration,
    next_tick: Instant,
    election_ticks: usize,
    persisted: u64,
    readers: HashMap<Ticket, Vec<Reader>>,
    next_ticket: Ticket,
    discarded: Discarded,
    metrics: RaftMetrics,
    /// Ticks left to hand leadership over, once a stop was asked for.
    farewell: Option<usize>,
}

impl Driver {
    pub(super) fn new(
        core: Core,
        config: &NodeConfig,
        ends: Ends,
        log: LogThread,
        machine: Box<dyn StateMachine>,
        transport: Arc<dyn Transport>,
        life: &Lifecycle,
    ) -> Self {
        // Members that start together should not tick together.
        let phase = f64::from(config.seed as u32) / f64::from(u32::MAX);
        Self {
            core,
            ends,
            log,
            machine,
            transport,
            life: life.clone(),
            tick: config.tick,
            next_tick: clock::now() + config.tick.mul_f64(phase),
            election_ticks: config.election_ticks,
            persisted: 0,
            readers: HashMap::new(),
            next_ticket: 0,
            discarded: Discarded::default(),
            metrics: config.metrics.clone(),
            farewell: None,
        }
    }

    /// Runs until the member stops. A failure stops the member.
    pub(super) fn run(mut self) {
        if let Err(error) = self.serve() {
            self.life.fail("raft", &error);
        }
        self.shared().closed.store(true, Ordering::SeqCst);
        // Who is dropped while it waits learns that the member has stopped.
        while self.shared().inboxes.reads.pop().is_some() {}
        while self.shared().inboxes.controls.pop().is_some() {}
        self.readers.clear();
        self.log.finish();
    }

    fn shared(&self) -> &Shared {
        &self.ends.shared
    }

    fn serve(&mut self) -> Result<(), RaftError> {
        while !self.is_done() {
            let more = self.drain()?;
            self.tick_if_due();
            self.act()?;
            self.publish();
            if !more && !self.missed_progress() && !self.missed_proposals() {
                self.ends.parker.park_deadline(self.next_tick);
            }
        }
        if self.life.failure().is_none() {
            self.settle_log()?;
        }
        Ok(())
    }

    /// Takes in what waits. Gives whether something is left that could be taken in.
    fn drain(&mut self) -> Result<bool, RaftError> {
        let shared = Arc::clone(&self.ends.shared);
        self.hear_of_progress();
        for _ in 0..MAX_DRAIN {
            let Some(control) = shared.inboxes.controls.pop() else {
                break;
            };
            self.control(control);
        }
        self.drain_reads(&shared);
        if self.core.drops_proposals() {
            while shared.inboxes.proposals.pop().is_some() {}
        }
        let mut more = false;
        // While the disk cannot keep up, what peers send waits here, and then with them.
        if self.log.has_room() {
            for _ in 0..MAX_DRAIN {
                let Some(incoming) = shared.inboxes.messages.pop() else {
                    break;
                };
                self.core.step(incoming.message, incoming.snapshot)?;
            }
            more = !shared.inboxes.messages.is_empty();
        }
        if self.log.has_room() && self.core.accepts_proposals() {
            for _ in 0..MAX_DRAIN {
                let Some(command) = shared.inboxes.proposals.pop() else {
                    break;
                };
                self.core.propose(command);
            }
            more |= !shared.inboxes.proposals.is_empty();
        }
        Ok(more && self.log.has_room())
    }

    fn hear_of_progress(&mut self) {
        let persisted = self.log.persisted();
        if persisted > self.persisted {
            self.persisted = persisted;
            self.core.persisted(persisted);
        }
        let applied = self.shared().applied.load(Ordering::SeqCst);
        self.core.applied(applied);
        let flushed = self.shared().flushed.load(Ordering::SeqCst);
        self.core.flushed(flushed);
        let made = self.shared().made.lock().take();
        if let Some(made) = made {
            self.core.snapshot_made(made);
        }
        let sent = std::mem::take(&mut *self.shared().sent.lock());
        for (to, ok) in sent {
            self.core.snapshot_sent(to, ok);
        }
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Unreachable(peer) => self.core.unreachable(peer),
            Control::Transfer(to) => self.core.transfer_leader(to),
            Control::Change(change, proposed) => {
                // Who does not wait for the answer any more will see what is committed.
                let _ = proposed.send(self.core.propose_change(&change));
            }
        }
    }

    /// Readers that come together are one ticket, and so are those that come while there is nobody to ask.
    fn drain_reads(&mut self, shared: &Shared) {
        let mut readers = Vec::new();
        while let Some(reader) = shared.inboxes.reads.pop() {
            readers.push(reader);
        }
        if readers.is_empty() {
            return;
        }
        let ticket = self.core.waiting_read().unwrap_or_else(|| {
            self.next_ticket += 1;
            self.core.read(self.next_ticket);
            self.next_ticket
        });
        self.readers.entry(ticket).or_default().extend(readers);
    }

    /// Lets one tick pass if it is time. Ticks that were missed while the process did not run do not
    /// come in a burst: they would depose a leader whose heartbeats wait in the inbox.
    fn tick_if_due(&mut self) {
        let now = clock::now();
        if now < self.next_tick {
            return;
        }
        let late = now - self.next_tick > self.tick;
        self.next_tick += self.tick;
        if self.next_tick <= now {
            self.next_tick = now + self.tick;
        }
        self.core.tick();
        self.readers.retain(|_, readers| {
            readers.retain(|reader| !reader.is_closed());
            !readers.is_empty()
        });
        self.discarded.remove_unused(&self.life);
        let progress = self.core.progress();
        if late {
            // Only a leader sees progress: its own and that of those who waited for a heartbeat.
            let followers = progress.len().saturating_sub(1);
            self.metrics.late_heartbeats.add(followers as u64);
        }
        self.shared().progress.store(Arc::new(progress));
        self.tick_farewell();
    }

    fn act(&mut self) -> Result<(), RaftError> {
        while self.log.has_room()
            && let Some(output) = self.core.ready()?
        {
            self.carry_out(output)?;
        }
        Ok(())
    }

    /// Does what the core says, in the order that [`Output`] prescribes.
    fn carry_out(&mut self, output: Output) -> Result<(), RaftError> {
        self.send(output.messages, output.snapshot.as_ref());
        if let Some(snapshot) = output.install {
            // Before the log is reset: a crash in between leaves a state that is ahead of its log, which
            // start-up mends. The other way round there would be no state for the log.
            self.machine.install(snapshot).map_err(RaftError::Install)?;
        }
        if !output.batches.is_empty() || output.number.is_some() {
            self.log.submit(output.batches, output.number)?;
        }
        if self.core.is_installing()
            && let Some(number) = output.number
        {
            self.wait_for_log(number)?;
        }
        if !output.committed.is_empty() {
            self.machine.apply(output.committed);
        }
        self.answer(output.reads);
        if let Some(index) = output.make_snapshot {
            self.machine.make_snapshot(index);
        }
        if let Some(status) = output.status {
            self.change_status(status);
        }
        self.discarded.extend(output.discarded);
        Ok(())
    }

    fn send(&self, messages: Vec<Message>, snapshot: Option<&Arc<Snapshot>>) {
        let mut by_peer: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for message in messages {
            let bytes = wire::encode(&message);
            if message.get_msg_type() != MessageType::MsgSnapshot {
                by_peer.entry(message.to).or_default().push(bytes);
            } else if let Some(snapshot) = snapshot {
                let to = MemberId(message.to);
                self.transport
                    .send_snapshot(to, bytes, Arc::clone(snapshot));
            }
        }
        for (to, messages) in by_peer {
            self.transport.send(MemberId(to), messages);
        }
    }

    /// Waits until the job with this number is durable. Only used around a snapshot, when there is
    /// nothing else to do.
    fn wait_for_log(&mut self, number: u64) -> Result<(), RaftError> {
        while self.log.persisted() < number {
            if self.log.is_gone() {
                return Err(RaftError::LogThreadGone);
            }
            self.ends.parker.park_deadline(clock::now() + self.tick);
        }
        self.hear_of_progress();
        // The bell may have rung for something else meanwhile.
        self.ends.bell().ring();
        Ok(())
    }

    fn answer(&mut self, reads: Vec<ReadOutcome>) {
        for (ticket, outcome) in reads {
            for reader in self.readers.remove(&ticket).unwrap_or_default() {
                // A reader that has gone away needs no answer.
                let _ = reader.send(outcome);
            }
        }
    }

    fn change_status(&mut self, status: Status) {
        self.machine.status_changed(&status);
        self.shared().status.send_replace(Arc::new(status));
    }

    fn publish(&self) {
        let shared = self.shared();
        let committed = self.core.committed();
        shared.commit.store(committed, Ordering::Release);
        let overloaded = self.core.is_overloaded();
        shared.overloaded.store(overloaded, Ordering::Relaxed);
        let awaits = overloaded || self.core.awaits_applied();
        shared.awaits_applied.store(awaits, Ordering::SeqCst);
        let configuration = self.core.configuration();
        if !Arc::ptr_eq(&shared.configuration.load(), &configuration) {
            shared.configuration.store(configuration);
        }
    }

    /// Says whether commands can be taken in, and gives whether some came before it was said: their
    /// proposers may not have rung.
    fn missed_proposals(&self) -> bool {
        let shared = self.shared();
        let wants = self.log.has_room() && self.core.accepts_proposals();
        shared.wants_proposals.store(wants, Ordering::Relaxed);
        // Pairs with the fence in `NodeHandle::propose`: either the proposer sees what was said, or its
        // command is seen here.
        fence(Ordering::SeqCst);
        wants && !shared.inboxes.proposals.is_empty()
    }

    /// Whether the state machine reported progress after it was looked at and before it could know that
    /// it is waited for.
    fn missed_progress(&self) -> bool {
        let shared = self.shared();
        shared.awaits_applied.load(Ordering::SeqCst)
            && shared.applied.load(Ordering::SeqCst) > self.core.last_applied()
    }

    fn is_done(&mut self) -> bool {
        if self.life.is_stopping() || self.log.is_gone() {
            return true;
        }
        if !self.shared().stopping.load(Ordering::SeqCst) {
            return false;
        }
        if self.farewell.is_none() {
            self.farewell = Some(self.begin_farewell());
        }
        self.farewell == Some(0) || self.core.status().role != Role::Leader
    }

    /// Starts to hand leadership over. Gives the ticks that this may take.
    fn begin_farewell(&mut self) -> usize {
        let Some(successor) = self.core.successor() else {
            return 0;
        };
        tracing::info!(%successor, "handing leadership over before the stop");
        self.core.transfer_leader(successor);
        self.election_ticks
    }

    fn tick_farewell(&mut self) {
        if let Some(left) = &mut self.farewell {
            *left = left.saturating_sub(1);
        }
    }

    /// Lets the log catch up with the protocol before the end.
    fn settle_log(&mut self) -> Result<(), RaftError> {
        while let Some(last) = self.core.last_batch() {
            self.wait_for_log(last)?;
            self.act()?;
        }
        Ok(())
    }
}
