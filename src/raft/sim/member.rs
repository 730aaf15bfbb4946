//! One member: a disk, a state machine, and while it runs a core with a writer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::machine::Machine;
use super::world::Faults;
use crate::raft::core::{Core, Settings, Ticket};
use crate::raft::log::{Batch, FaultyDisk, LogOptions, Writer};
use crate::raft::start;
use crate::raft::types::{Committed, Configuration};

/// Small, so that segments come and go.
const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 2048,
    cache_bytes: 1024,
};

/// A member of the simulated cluster.
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) disk: FaultyDisk,
    pub(super) machine: Machine,
    /// Counts starts; events of an earlier life are void.
    pub(super) life: u64,
    pub(super) running: Option<Running>,
    /// Until when the process is stopped by a signal.
    pub(super) paused_until: u64,
    /// How long the disk takes at most, in milliseconds.
    pub(super) disk_delay: u64,
}

/// What a crash takes away.
pub(super) struct Running {
    pub(super) core: Core,
    pub(super) writer: Writer,
    pub(super) jobs: VecDeque<(Vec<Batch>, Option<u64>)>,
    pub(super) writing: bool,
    pub(super) queue: VecDeque<Committed>,
    pub(super) applying: bool,
    /// What every acknowledged write and observed read had reached when the read began.
    pub(super) reads: BTreeMap<Ticket, u64>,
}

impl Member {
    pub(super) fn new(id: u64, configuration: Configuration) -> Self {
        Self {
            id,
            disk: FaultyDisk::new(),
            machine: Machine::new(configuration),
            life: 0,
            running: None,
            paused_until: 0,
            disk_delay: 3,
        }
    }

    /// Starts the process on what the disk holds.
    pub(super) fn start(&mut self, seed: u64, faults: Faults) -> Result<(), String> {
        self.life += 1;
        let disk = Arc::new(self.disk.clone());
        let settings = Settings {
            id: self.id,
            election_ticks: 10,
            seed,
            boot_epoch: self.life,
            catchup_entries: 5,
            catchup_bytes: 2 * 1024,
            max_log_bytes: 16 * 1024,
        };
        let restored = &self.machine.flushed.applied;
        let mut core = start::prepare(disk.clone(), OPTIONS, settings, restored)
            .map_err(|error| format!("member {} does not start: {error}", self.id))?;
        if faults.reused_contexts {
            core.reuse_read_contexts();
        }
        self.machine.crash();
        self.running = Some(Running {
            core,
            writer: Writer::new(disk),
            jobs: VecDeque::new(),
            writing: false,
            queue: VecDeque::new(),
            applying: false,
            reads: BTreeMap::new(),
        });
        Ok(())
    }

    /// Stops the process. `started` operations of what it was writing still happen. With a power failure
    /// the disk forgets what was not synced.
    pub(super) fn crash(&mut self, started: u32, power: Option<u64>) {
        if let Some(mut running) = self.running.take() {
            self.disk.fail_after(started, std::io::ErrorKind::Other);
            let batches = running.jobs.drain(..).flat_map(|job| job.0).collect();
            // Its failure is the crash.
            let _ = running.writer.run(batches);
        }
        self.disk.fail_after(u32::MAX, std::io::ErrorKind::Other);
        if let Some(seed) = power {
            self.disk.power_failure(seed);
        }
    }

    /// What a failure report says of this member.
    pub(super) fn describe(&self) -> String {
        let applied = &self.machine.now.applied;
        match &self.running {
            Some(running) => {
                let (core, log) = (&running.core, running.core.log());
                let status = core.status();
                format!(
                    "{status:?} {log:?} {:?} {:?} {applied:?}",
                    core.configuration(),
                    core.progress()
                )
            }
            None => format!("{} is down {applied:?}", self.id),
        }
    }

    /// The core, while the member runs.
    pub(super) fn core(&mut self) -> Option<&mut Core> {
        self.running.as_mut().map(|running| &mut running.core)
    }
}
