//! Inner parts in the shape that `benches/raft.rs` measures. Not part of the API.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::{Entry, Message};

use super::core::{Core, Settings};
use super::error::RaftError;
use super::log::{Disk, FileDisk, Hard, Log, LogError, LogOptions, Writer};
use super::start;
use super::types::{AppliedState, Configuration};
use super::wire;

const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 64 << 20,
    cache_bytes: 64 << 20,
};

/// A log that is appended to.
pub struct LogBench {
    log: Log,
    writer: Writer,
    next: u64,
}

impl LogBench {
    /// Opens a log in `dir`.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(dir: &Path, fsync: bool) -> Result<Self, LogError> {
        let disk = FileDisk::open(dir, fsync).map_err(LogError::Open)?;
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let log = Log::open(Arc::clone(&disk), OPTIONS)?;
        Ok(Self {
            next: log.last().index + 1,
            log,
            writer: Writer::new(disk),
        })
    }

    /// Appends `count` entries of `len` bytes, each a batch of its own, with one sync for all, as the log
    /// thread does under load. Keeps only the newest segments.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn append(&mut self, count: u64, len: usize) -> Result<(), LogError> {
        let mut batches = Vec::with_capacity(count as usize + 1);
        let hard = Hard {
            term: 1,
            vote: 1,
            commit: self.next - 1,
        };
        for index in self.next..self.next + count {
            let entry = Entry {
                index,
                term: 1,
                data: vec![7; len],
                ..Entry::default()
            };
            batches.push(self.log.append(index, vec![entry], hard));
        }
        self.next += count;
        batches.extend(self.log.cut(self.next - count - 1));
        self.writer.run(batches)?;
        self.log.persisted(self.next - 1);
        Ok(())
    }
}

/// Three cores in one thread. Nothing is written: what is measured is the protocol.
pub struct Trio {
    cores: Vec<Core>,
    wire: Vec<Message>,
    committed: u64,
}

impl Trio {
    /// Three members, one of which leads.
    ///
    /// # Errors
    /// [`RaftError`].
    pub fn new(dir: &Path) -> Result<Self, RaftError> {
        let mut cores = Vec::new();
        for id in 1..=3 {
            let disk = FileDisk::open(&dir.join(id.to_string()), false).map_err(LogError::Open)?;
            cores.push(start::prepare(
                Arc::new(disk),
                OPTIONS,
                settings(id),
                &new_cluster(),
            )?);
        }
        let mut trio = Self {
            cores,
            wire: Vec::new(),
            committed: 0,
        };
        while trio.leader().is_none() {
            for at in 0..3 {
                if let Some(core) = trio.cores.get_mut(at) {
                    core.tick();
                }
                trio.settle()?;
            }
        }
        Ok(trio)
    }

    fn leader(&self) -> Option<usize> {
        let leads = |core: &Core| core.status().leader == core.status().id;
        self.cores.iter().position(leads)
    }

    /// Commits and applies `count` commands of `len` bytes everywhere. With `together` they are handed in
    /// at once; without, each waits for the one before.
    ///
    /// # Errors
    /// [`RaftError`].
    pub fn commit(&mut self, count: u64, len: usize, together: bool) -> Result<(), RaftError> {
        let goal = self.committed + 3 * count;
        let command = Bytes::from(vec![7; len]);
        for _ in 0..count {
            let leader = self.leader().and_then(|at| self.cores.get_mut(at));
            if let Some(leader) = leader {
                leader.propose(command.clone());
            }
            if !together {
                self.settle()?;
            }
        }
        while self.committed < goal {
            self.settle()?;
            // Followers hear of the last commit with the next heartbeat at the latest.
            for core in &mut self.cores {
                if core.status().leader == core.status().id {
                    core.tick();
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), RaftError> {
        loop {
            let mut acted = false;
            for core in &mut self.cores {
                while let Some(output) = core.ready()? {
                    acted = true;
                    self.wire.extend(output.messages);
                    if let Some(number) = output.number {
                        core.persisted(number);
                    }
                    if let Some(last) = output.committed.last() {
                        core.applied(last.index);
                        core.flushed(last.index);
                    }
                    let commands = output
                        .committed
                        .iter()
                        .map(|entry| entry.commands.len() as u64);
                    self.committed += commands.sum::<u64>();
                }
            }
            for message in std::mem::take(&mut self.wire) {
                let encoded = wire::encode(&message);
                let at = message.to as usize - 1;
                if let (Ok(message), Some(core)) = (wire::decode(&encoded), self.cores.get_mut(at))
                {
                    core.step(message, None)?;
                }
            }
            if !acted {
                return Ok(());
            }
        }
    }
}

fn settings(id: u64) -> Settings {
    Settings {
        id,
        election_ticks: 10,
        seed: 1,
        boot_epoch: 1,
        catchup_entries: 100,
        catchup_bytes: 1 << 20,
        max_log_bytes: 1 << 30,
    }
}

fn new_cluster() -> AppliedState {
    AppliedState {
        configuration: Configuration {
            voters: vec![1, 2, 3],
            ..Configuration::default()
        },
        ..AppliedState::default()
    }
}
