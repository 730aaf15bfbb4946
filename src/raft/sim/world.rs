//! The cluster and everything around it, advanced event by event.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::invariants::{
    Durability, ElectionSafety, LeaderCompleteness, Membership, ReadIndex, SameOrder,
    check_log_matching,
};
use super::machine::State;
use super::member::{Member, Running};
use super::network::Network;
use crate::raft::types::{Configuration, Snapshot};
use crate::raft::wire;

/// Heartbeat interval in milliseconds.
const TICK: u64 = 100;
/// How long trouble lasts, and how long the cluster then has to come to rest.
const TROUBLE: u64 = 20_000;
pub(super) const WRITES_END: u64 = TROUBLE + 15_000;
const END: u64 = TROUBLE + 20_000;
/// Members that may ever be part of the cluster; the first three are so from the start.
pub(super) const MEMBERS: u64 = 5;
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
    /// Changes that came too late, and learners that became voters.
    pub(super) void_changes: u64,
    pub(super) promotions: u64,
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
        self.void_changes += other.void_changes;
        self.promotions += other.promotions;
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
    pub(super) snapshots: BTreeMap<PathBuf, State>,
    pub(super) calm: bool,
    pub(super) next_command: u64,
    pub(super) next_ticket: u64,
    /// Commands whose clients still wait, with the member and life they asked.
    pub(super) waiting: BTreeMap<u64, (u64, u64)>,
    pub(super) elections: ElectionSafety,
    pub(super) completeness: LeaderCompleteness,
    pub(super) durability: Durability,
    pub(super) order: SameOrder,
    pub(super) membership: Membership,
    pub(super) reads: ReadIndex,
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
            membership: Membership::default(),
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
        self.report.promotions = self.membership.promotions();
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
        self.membership.restored(id, &flushed.applied)?;
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
        if let Some(running) = &mut self.member(to).running {
            let stepped = running.core.step(message, snapshot);
            stepped.map_err(|error| error.to_string())?;
        }
        // The thread takes in all that waits before it acts: then this is seen with what comes next.
        if self.rng.random_bool(0.3) {
            return Ok(());
        }
        self.act(to)
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
}
