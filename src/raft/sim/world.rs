//! The cluster and everything around it, advanced event by event.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use raft::eraftpb::{Message, MessageType};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::invariants::{
    Durability, ElectionSafety, LeaderCompleteness, ReadIndex, SameOrder, check_log_matching,
};
use super::machine::{State, command_id};
use super::member::{Member, Running};
use super::network::Network;
use crate::raft::core::{Output, ReadOutcome};
use crate::raft::types::{AppliedState, Committed, Configuration, Role, Snapshot, Status};
use crate::raft::wire;

/// Heartbeat interval in milliseconds.
const TICK: u64 = 100;
/// How long trouble lasts, and how long the cluster then has to come to rest.
const TROUBLE: u64 = 20_000;
const WRITES_END: u64 = TROUBLE + 8_000;
const END: u64 = TROUBLE + 14_000;
/// Members that may ever be part of the cluster; the first three are so from the start.
const MEMBERS: u64 = 5;
const FIRST_VOTERS: [u64; 3] = [1, 2, 3];

/// Faults built in on purpose, to see that they are noticed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Syncs do nothing.
    pub(super) lying_disks: bool,
    /// Members believe that a write is durable as soon as it is given to the writer.
    pub(super) early_acknowledgements: bool,
    /// Members use the same context for all their reads, and leaders accept that.
    pub(super) reused_contexts: bool,
}

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) acknowledged: u64,
    pub(super) reads: u64,
    pub(super) elections: u64,
    pub(super) crashes: u64,
    pub(super) snapshots: u64,
    pub(super) changes: u64,
    pub(super) events: u64,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.reads += other.reads;
        self.elections += other.elections;
        self.crashes += other.crashes;
        self.snapshots += other.snapshots;
        self.changes += other.changes;
        self.events += other.events;
    }
}

/// Something that happens at a time. Events of a member name its life and are void in the next.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Tick {
        member: u64,
        life: u64,
    },
    Deliver {
        to: u64,
        message: Bytes,
        state: Option<State>,
    },
    DiskDone {
        member: u64,
        life: u64,
    },
    Apply {
        member: u64,
        life: u64,
    },
    SnapshotMade {
        member: u64,
        life: u64,
    },
    SnapshotSent {
        member: u64,
        life: u64,
        to: u64,
        ok: bool,
    },
    Restart {
        member: u64,
    },
    Client,
    Chaos,
    Calm,
}

/// The simulated world.
pub(super) struct World {
    pub(super) rng: StdRng,
    seed: u64,
    pub(super) faults: Faults,
    pub(super) now: u64,
    sequence: u64,
    events: BTreeMap<(u64, u64), Event>,
    pub(super) members: BTreeMap<u64, Member>,
    pub(super) network: Network,
    /// Snapshots by directory.
    snapshots: BTreeMap<PathBuf, State>,
    pub(super) calm: bool,
    next_command: u64,
    next_ticket: u64,
    /// Commands whose clients still wait, with the member and life they asked.
    waiting: BTreeMap<u64, (u64, u64)>,
    elections: ElectionSafety,
    completeness: LeaderCompleteness,
    durability: Durability,
    order: SameOrder,
    reads: ReadIndex,
    pub(super) report: Report,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let configuration = |id| Configuration {
            voters: if FIRST_VOTERS.contains(&id) {
                FIRST_VOTERS.to_vec()
            } else {
                Vec::new()
            },
            ..Configuration::default()
        };
        let members = (1..=MEMBERS).map(|id| (id, Member::new(id, configuration(id))));
        Self {
            rng: StdRng::seed_from_u64(seed),
            seed,
            faults,
            now: 0,
            sequence: 0,
            events: BTreeMap::new(),
            members: members.collect(),
            network: Network::default(),
            snapshots: BTreeMap::new(),
            calm: false,
            next_command: 0,
            next_ticket: 0,
            waiting: BTreeMap::new(),
            elections: ElectionSafety::default(),
            completeness: LeaderCompleteness::default(),
            durability: Durability::default(),
            order: SameOrder::default(),
            reads: ReadIndex::default(),
            report: Report::default(),
        }
    }

    /// Lets everything happen. Gives what happened, or the first promise that was broken.
    pub(super) fn run(mut self) -> Result<Report, String> {
        if self.faults.lying_disks {
            self.members
                .values()
                .for_each(|member| member.disk.lie_about_syncs());
        }
        for id in 1..=MEMBERS {
            self.start(id)?;
        }
        self.after(1, Event::Client);
        self.after(1000, Event::Chaos);
        self.after(TROUBLE, Event::Calm);
        while let Some(((time, _), event)) = self.events.pop_first() {
            if time > END {
                break;
            }
            self.now = time;
            self.report.events += 1;
            self.happen(event)
                .map_err(|violation| format!("at {time} ms: {violation}"))?;
        }
        self.check_rest()?;
        self.report.acknowledged = self.durability.count() as u64;
        self.report.reads = self.reads.count();
        self.report.elections = self.elections.count() as u64;
        Ok(self.report)
    }

    pub(super) fn after(&mut self, delay: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + delay, self.sequence), event);
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        if let Some(until) = self.paused(&event) {
            self.after(until - self.now, event);
            return Ok(());
        }
        match event {
            Event::Tick { member, life } if self.lives(member, life) => self.tick(member),
            Event::Deliver { to, message, state } => self.deliver(to, &message, state),
            Event::DiskDone { member, life } if self.lives(member, life) => self.disk_done(member),
            Event::Apply { member, life } if self.lives(member, life) => self.apply(member),
            Event::SnapshotMade { member, life } if self.lives(member, life) => {
                self.snapshot_made(member)
            }
            Event::SnapshotSent {
                member,
                life,
                to,
                ok,
            } if self.lives(member, life) => self.with(member, |running| {
                running
                    .core
                    .snapshot_sent(crate::base::ids::MemberId(to), ok);
                Ok(())
            }),
            Event::Restart { member } => self.start(member),
            Event::Client => self.client(),
            Event::Chaos => self.chaos(),
            Event::Calm => self.calm_down(),
            _ => Ok(()),
        }
    }

    /// Until when the member that this event concerns is stopped by a signal, if it is.
    fn paused(&self, event: &Event) -> Option<u64> {
        let id = match event {
            Event::Tick { member, .. }
            | Event::DiskDone { member, .. }
            | Event::Apply { member, .. }
            | Event::SnapshotMade { member, .. }
            | Event::SnapshotSent { member, .. } => member,
            Event::Deliver { to, .. } => to,
            _ => return None,
        };
        let until = self.members[id].paused_until;
        (until > self.now).then_some(until)
    }

    fn lives(&self, id: u64, life: u64) -> bool {
        let member = &self.members[&id];
        member.running.is_some() && member.life == life
    }

    pub(super) fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).unwrap()
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.members.keys().copied().collect()
    }

    /// Starts a member that is down.
    pub(super) fn start(&mut self, id: u64) -> Result<(), String> {
        if self.members[&id].running.is_some() {
            return Ok(());
        }
        let (seed, faults) = (self.seed, self.faults);
        let member = self.member(id);
        member.start(seed, faults)?;
        let life = member.life;
        let flushed = member.machine.flushed.clone();
        self.durability.check(id, &flushed)?;
        let phase = self.rng.random_range(0..TICK);
        self.after(phase, Event::Tick { member: id, life });
        self.act(id)
    }

    /// Stops a member at once.
    pub(super) fn crash(&mut self, id: u64) {
        if self.members[&id].running.is_none() {
            return;
        }
        self.report.crashes += 1;
        let started = self.rng.random_range(0..8);
        let power = self.rng.random_bool(0.7).then(|| self.rng.random());
        self.member(id).crash(started, power);
        let delay = self.rng.random_range(10..4000);
        self.after(delay, Event::Restart { member: id });
    }

    /// Gives a running member an input and does what follows from it.
    pub(super) fn with(
        &mut self,
        id: u64,
        input: impl FnOnce(&mut Running) -> Result<(), String>,
    ) -> Result<(), String> {
        if let Some(running) = &mut self.member(id).running {
            input(running)?;
        }
        self.act(id)
    }

    fn tick(&mut self, id: u64) -> Result<(), String> {
        let life = self.members[&id].life;
        self.after(TICK, Event::Tick { member: id, life });
        self.with(id, |running| {
            running.core.tick();
            Ok(())
        })
    }

    fn deliver(&mut self, to: u64, bytes: &Bytes, state: Option<State>) -> Result<(), String> {
        if self.members[&to].running.is_none() {
            return Ok(());
        }
        let message = wire::decode(bytes).map_err(|error| format!("a member sent: {error}"))?;
        // The receiver stores the files before it hands the message in.
        let snapshot = state.map(|state| {
            let dir = PathBuf::from(format!("received-{to}-{}", self.report.events));
            let snapshot = Snapshot {
                state: state.applied.clone(),
                dir: dir.clone(),
            };
            self.snapshots.insert(dir, state);
            snapshot
        });
        if !wire::is_about(&message, snapshot.as_ref()) {
            return Err("a snapshot does not match its message".into());
        }
        self.with(to, |running| {
            running
                .core
                .step(message, snapshot)
                .map_err(|error| error.to_string())
        })
    }

    /// Carries out what the core asks for until it asks for nothing more.
    fn act(&mut self, id: u64) -> Result<(), String> {
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
        self.write(id, (output.batches, output.number), installs)?;
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
        job: (Vec<crate::raft::log::Batch>, Option<u64>),
        at_once: bool,
    ) -> Result<(), String> {
        let (life, delay) = (self.members[&id].life, self.members[&id].disk_delay);
        let running = self.member(id).running.as_mut().unwrap();
        if job.0.is_empty() && job.1.is_none() {
            return Ok(());
        }
        let number = job.1;
        running.jobs.push_back(job);
        if at_once {
            return self.flush_jobs(id);
        }
        if !running.writing {
            running.writing = true;
            let delay = self.rng.random_range(0..=delay);
            self.after(delay, Event::DiskDone { member: id, life });
        }
        if let (true, Some(number)) = (self.faults.early_acknowledgements, number) {
            self.member(id).core().unwrap().persisted(number);
        }
        Ok(())
    }

    fn disk_done(&mut self, id: u64) -> Result<(), String> {
        if let Some(running) = &mut self.member(id).running {
            running.writing = false;
        }
        self.flush_jobs(id)?;
        self.act(id)
    }

    fn flush_jobs(&mut self, id: u64) -> Result<(), String> {
        let running = self.member(id).running.as_mut().unwrap();
        let number = running.jobs.iter().filter_map(|job| job.1).next_back();
        let batches = running.jobs.drain(..).flat_map(|job| job.0).collect();
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
            self.completeness.committed(entry.index, entry.term, term);
            self.report.changes += u64::from(entry.configuration.is_some());
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

    fn apply(&mut self, id: u64) -> Result<(), String> {
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

    /// Lets the state machine of a member save its state.
    pub(super) fn flush(&mut self, id: u64) -> Result<(), String> {
        if self.members[&id].running.is_none() {
            return Ok(());
        }
        let flushed = self.member(id).machine.flush();
        self.with(id, |running| {
            running.core.flushed(flushed);
            Ok(())
        })
    }

    fn snapshot_made(&mut self, id: u64) -> Result<(), String> {
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

    fn status_changed(&mut self, id: u64, status: &Status) -> Result<(), String> {
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

    /// A client writes or reads somewhere.
    fn client(&mut self) -> Result<(), String> {
        if self.now > WRITES_END {
            return Ok(());
        }
        let delay = self.rng.random_range(1..60);
        self.after(delay, Event::Client);
        let id = self.rng.random_range(1..=MEMBERS);
        let life = self.members[&id].life;
        if self.members[&id].paused_until > self.now {
            return Ok(());
        }
        let floor = self.reads.begins();
        if self.rng.random_bool(0.4) {
            self.next_ticket += 1;
            let ticket = self.next_ticket;
            return self.with(id, |running| {
                running.reads.insert(ticket, floor);
                running.core.read(ticket);
                Ok(())
            });
        }
        let count = self.rng.random_range(1..4);
        let mut commands = Vec::new();
        for _ in 0..count {
            self.next_command += 1;
            let mut command = self.next_command.to_le_bytes().to_vec();
            command.resize(self.rng.random_range(8..200), 7);
            commands.push(command);
            self.waiting.insert(self.next_command, (id, life));
        }
        self.with(id, |running| {
            if running.core.accepts_proposals() && !running.core.is_overloaded() {
                commands
                    .into_iter()
                    .for_each(|command| running.core.propose(command.into()));
            }
            Ok(())
        })
    }

    /// Compares the logs of all members that run.
    pub(super) fn check_logs(&self) -> Result<(), String> {
        let running = self
            .members
            .values()
            .filter_map(|member| member.running.as_ref());
        let logs: Vec<_> = running.map(|running| running.core.log()).collect();
        for (at, a) in logs.iter().enumerate() {
            for b in logs.iter().skip(at + 1) {
                check_log_matching(a, b)?;
            }
        }
        Ok(())
    }

    /// After the trouble: everyone who belongs to the cluster must be in the same state, which has all
    /// that was ever acknowledged, and the cluster must have worked to the end.
    fn check_rest(&self) -> Result<(), String> {
        self.check_logs()?;
        let newest = self
            .members
            .values()
            .max_by_key(|member| member.machine.now.applied.index);
        let state = &newest.unwrap().machine.now;
        let AppliedState { configuration, .. } = &state.applied;
        if !configuration.voters_outgoing.is_empty() {
            let states: Vec<_> = self.members.values().map(Member::describe).collect();
            return Err(format!(
                "at rest: the joint configuration was never left: {states:#?}"
            ));
        }
        for id in configuration.voters.iter().chain(&configuration.learners) {
            let member = &self.members[id];
            self.durability.check(*id, &member.machine.now)?;
            if member.machine.now != *state {
                let have = member.machine.now.applied.index;
                let want = state.applied.index;
                return Err(format!("at rest: member {id} has applied {have} of {want}"));
            }
        }
        if self.durability.newest() + 100 < self.next_command {
            let states: Vec<_> = self.members.values().map(Member::describe).collect();
            return Err(format!("at rest: nothing is written any more: {states:#?}"));
        }
        let unanswered = self
            .members
            .values()
            .filter_map(|member| member.running.as_ref());
        let unanswered = unanswered
            .filter(|running| configuration.voters.contains(&running.core.status().id.0))
            .find(|running| !running.reads.is_empty());
        match unanswered {
            Some(running) => Err(format!("at rest: reads {:?} have no answer", running.reads)),
            None => Ok(()),
        }
    }
}
