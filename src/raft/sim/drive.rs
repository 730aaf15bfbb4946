//! What the threads around the core do in production, one event at a time: send, write, hand over, answer.

use std::path::PathBuf;

use raft::eraftpb::{Message, MessageType};
use rand::RngExt;

use super::machine::command_id;
use super::world::{Event, World};
use crate::raft::core::{Output, ReadOutcome};
use crate::raft::log::Batch;
use crate::raft::types::{Committed, Role, Snapshot, Status};
use crate::raft::wire;

impl World {
    /// Carries out what the core asks for until it asks for nothing more.
    pub(super) fn act(&mut self, id: u64) -> Result<(), String> {
        loop {
            let Some(core) = self.member(id).core() else {
                return Ok(());
            };
            let output = core.ready().map_err(|error| error.to_string())?;
            match output {
                Some(output) => self.carry_out(id, output)?,
                None => return Ok(()),
            }
        }
    }

    /// The order of this is the contract of [`Output`]. The process may end between any two steps.
    fn carry_out(&mut self, id: u64, output: Output) -> Result<(), String> {
        for message in output.messages {
            self.send(id, &message, output.snapshot.as_deref());
        }
        if self.dies_now(id) {
            return Ok(());
        }
        let installs = output.install.is_some();
        if let Some(snapshot) = output.install {
            self.install(id, &snapshot)?;
            if self.dies_now(id) {
                return Ok(());
            }
        }
        if !output.batches.is_empty() || output.number.is_some() {
            self.write(id, (output.batches, output.number), installs)?;
        }
        if self.dies_now(id) {
            return Ok(());
        }
        self.hand_over(id, output.committed)?;
        for outcome in output.reads {
            self.read_done(id, outcome)?;
        }
        if output.make_snapshot.is_some() {
            let life = self.members[&id].life;
            let delay = self.rng.random_range(1..400);
            self.after(delay, Event::SnapshotMade { member: id, life });
        }
        for discarded in output.discarded {
            self.snapshots.remove(&discarded.dir);
        }
        match output.status {
            Some(status) => self.status_changed(id, &status),
            None => Ok(()),
        }
    }

    fn dies_now(&mut self, id: u64) -> bool {
        let dies = !self.calm && self.rng.random_bool(0.0003);
        if dies {
            self.crash(id);
        }
        dies
    }

    fn send(&mut self, from: u64, message: &Message, snapshot: Option<&Snapshot>) {
        let to = message.to;
        let bytes = wire::encode(message);
        let is_snapshot = message.get_msg_type() == MessageType::MsgSnapshot;
        let state = is_snapshot.then(|| {
            self.report.snapshots += 1;
            self.snapshots[&snapshot.unwrap().dir].clone()
        });
        let delays = if self.members.contains_key(&to) {
            self.network.delays(from, to, &mut self.rng)
        } else {
            Vec::new()
        };
        if is_snapshot {
            let life = self.members[&from].life;
            let ok = !delays.is_empty();
            let delay = delays.first().copied().unwrap_or(500) + 5;
            let event = Event::SnapshotSent {
                member: from,
                life,
                to,
                ok,
            };
            self.after(delay, event);
        }
        for delay in delays {
            let event = Event::Deliver {
                to,
                message: bytes.clone(),
                state: state.clone(),
            };
            self.after(delay, event);
        }
    }

    fn install(&mut self, id: u64, snapshot: &Snapshot) -> Result<(), String> {
        let state = self
            .snapshots
            .remove(&snapshot.dir)
            .ok_or("snapshot files are gone")?;
        self.durability.check(id, &state)?;
        self.membership.restored(id, &state.applied)?;
        let member = self.member(id);
        member.machine.install(state);
        if let Some(running) = &mut member.running {
            running.queue.clear();
        }
        Ok(())
    }

    fn write(
        &mut self,
        id: u64,
        job: (Vec<Batch>, Option<u64>),
        at_once: bool,
    ) -> Result<(), String> {
        let number = job.1;
        let running = self.member(id).running.as_mut().unwrap();
        running.jobs.push_back(job);
        let waiting = running.jobs.len();
        if at_once {
            return self.finish_jobs(id, waiting);
        }
        self.start_writing(id);
        if let (true, Some(number)) = (self.faults.early_acknowledgements, number) {
            self.member(id).core().unwrap().persisted(number);
        }
        Ok(())
    }

    /// The disk is done with some of what waited, in order.
    pub(super) fn disk_done(&mut self, id: u64) -> Result<(), String> {
        let running = self.member(id).running.as_mut().unwrap();
        running.writing = false;
        let waiting = running.jobs.len();
        let done = self.rng.random_range(waiting.min(1)..=waiting);
        self.finish_jobs(id, done)?;
        self.start_writing(id);
        self.act(id)
    }

    fn start_writing(&mut self, id: u64) {
        let (life, slowest) = (self.members[&id].life, self.members[&id].disk_delay);
        let running = self.member(id).running.as_mut().unwrap();
        if !running.writing && !running.jobs.is_empty() {
            running.writing = true;
            let delay = self.rng.random_range(0..=slowest);
            self.after(delay, Event::DiskDone { member: id, life });
        }
    }

    /// Writes and syncs the first `count` jobs.
    fn finish_jobs(&mut self, id: u64, count: usize) -> Result<(), String> {
        let running = self.member(id).running.as_mut().unwrap();
        let mut number = None;
        let mut batches = Vec::new();
        for job in running.jobs.drain(..count) {
            number = job.1.or(number);
            batches.extend(job.0);
        }
        running
            .writer
            .run(batches)
            .map_err(|error| error.to_string())?;
        if let Some(number) = number {
            running.core.persisted(number);
        }
        Ok(())
    }

    fn hand_over(&mut self, id: u64, entries: Vec<Committed>) -> Result<(), String> {
        if entries.is_empty() {
            return Ok(());
        }
        let term = self.member(id).core().unwrap().status().term;
        for entry in &entries {
            self.order.hands_over(id, entry)?;
            self.membership.hands_over(entry)?;
            self.completeness.committed(entry.index, entry.term, term);
            let took_place = entry.configuration.is_some();
            self.report.changes += u64::from(took_place);
            self.report.void_changes += u64::from(entry.attachment.is_some() && !took_place);
        }
        let life = self.members[&id].life;
        let delay = self.rng.random_range(0..20);
        let running = self.member(id).running.as_mut().unwrap();
        running.queue.extend(entries);
        if !running.applying {
            running.applying = true;
            self.after(delay, Event::Apply { member: id, life });
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, id: u64) -> Result<(), String> {
        let member = self.member(id);
        let life = member.life;
        let running = member.running.as_mut().unwrap();
        running.applying = false;
        let mut done = Vec::new();
        for entry in running.queue.drain(..) {
            let ids = entry
                .commands
                .iter()
                .map(|command| (command_id(command), entry.index));
            done.extend(ids);
            member.machine.apply(entry)?;
        }
        let applied = member.machine.now.applied.index;
        for (command, index) in done {
            // The client that asked this member hears of it now.
            if self.waiting.get(&command) == Some(&(id, life)) {
                self.waiting.remove(&command);
                self.durability.acknowledged(command, index);
                self.reads.shown(index);
            }
        }
        self.with(id, |running| {
            running.core.applied(applied);
            Ok(())
        })
    }

    pub(super) fn snapshot_made(&mut self, id: u64) -> Result<(), String> {
        let fails = !self.calm && self.rng.random_bool(0.1);
        let state = self.members[&id].machine.now.clone();
        let dir = PathBuf::from(format!("made-{id}-{}", self.report.events));
        let made = if fails {
            Err("no room".to_owned())
        } else {
            self.snapshots.insert(dir.clone(), state.clone());
            Ok(Snapshot {
                state: state.applied,
                dir,
            })
        };
        self.with(id, |running| {
            running.core.snapshot_made(made);
            Ok(())
        })
    }

    pub(super) fn status_changed(&mut self, id: u64, status: &Status) -> Result<(), String> {
        if status.role != Role::Leader {
            return Ok(());
        }
        self.elections.leads(id, status.term)?;
        let core = self.members[&id]
            .running
            .as_ref()
            .map(|running| &running.core);
        core.map_or(Ok(()), |core| {
            self.completeness.leads(status.term, core.log())
        })
    }

    fn read_done(&mut self, id: u64, (ticket, outcome): ReadOutcome) -> Result<(), String> {
        let member = self.member(id);
        let applied = member.machine.now.applied.index;
        let running = member.running.as_mut().unwrap();
        let floor = running
            .reads
            .remove(&ticket)
            .ok_or("a read was answered twice")?;
        let Ok(index) = outcome else {
            return Ok(());
        };
        self.reads.served(id, floor, index)?;
        if applied >= index {
            // The reader is shown everything that is applied here.
            self.reads.shown(applied);
        }
        Ok(())
    }
}
