//! The thread that writes and syncs the log.
//!
//! It takes all that waits, writes it, and syncs once: when idle a batch is synced at once, and under
//! load the batches that arrive during a sync share the next one. A failure stops the member.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::config::NodeConfig;
use super::inbox::Bell;
use crate::base::clock;
use crate::base::handover::{Receiver, Sender, bounded};
use crate::base::metrics::RaftMetrics;
use crate::base::shutdown::Lifecycle;
use crate::raft::error::RaftError;
use crate::raft::log::{Batch, Disk, LogError, Writer};

/// Jobs that may wait to be written. More would only add to the wait of each.
const MAX_JOBS: usize = 256;
/// Bytes that may wait to be written.
const MAX_BYTES: usize = 64 << 20;

/// What is to be written together.
struct Job {
    batches: Vec<Batch>,
    number: Option<u64>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Progress {
    persisted: AtomicU64,
    bytes: AtomicUsize,
}

/// The raft thread's end.
pub(super) struct LogThread {
    jobs: Option<Sender<Job>>,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread. It rings the bell whenever something has become durable.
///
/// # Errors
/// [`RaftError::Thread`].
pub(super) fn start(
    disk: Arc<dyn Disk>,
    config: &NodeConfig,
    bell: Bell,
    life: &Lifecycle,
) -> Result<LogThread, RaftError> {
    let (sender, jobs) = bounded(MAX_JOBS);
    let progress = Arc::new(Progress::default());
    let mut worker = Worker {
        jobs,
        writer: Writer::new(disk),
        progress: Arc::clone(&progress),
        metrics: config.metrics.clone(),
    };
    let owner = life.clone();
    let run = move || {
        let outcome = worker.run(&bell);
        if let Err(error) = outcome {
            owner.fail("raft log", &error);
        }
        bell.ring();
    };
    let thread = life.thread("raft-log", run).map_err(RaftError::Thread)?;
    Ok(LogThread {
        jobs: Some(sender),
        progress,
        thread: Some(thread),
    })
}

impl LogThread {
    /// Gives the thread something to write. `number` is reported by [`Self::persisted`] when it is
    /// durable. Must only be called while there is room.
    ///
    /// # Errors
    /// [`RaftError::LogThreadGone`].
    pub(super) fn submit(&self, batches: Vec<Batch>, number: Option<u64>) -> Result<(), RaftError> {
        let bytes = batches.iter().map(Batch::bytes).sum();
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        let job = Job {
            batches,
            number,
            bytes,
        };
        self.jobs
            .as_ref()
            .and_then(|jobs| jobs.send(job).ok())
            .ok_or(RaftError::LogThreadGone)
    }

    /// Whether more may be submitted now.
    pub(super) fn has_room(&self) -> bool {
        self.progress.bytes.load(Ordering::Relaxed) < MAX_BYTES
            && self.jobs.as_ref().is_some_and(|jobs| jobs.len() < MAX_JOBS)
    }

    /// The number of the last job that is durable.
    pub(super) fn persisted(&self) -> u64 {
        self.progress.persisted.load(Ordering::Acquire)
    }

    /// Whether the thread has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Lets the thread write what it was given, and waits for its end.
    pub(super) fn finish(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, has been reported to the lifecycle.
            let _ = thread.join();
        }
    }
}

struct Worker {
    jobs: Receiver<Job>,
    writer: Writer,
    progress: Arc<Progress>,
    metrics: RaftMetrics,
}

impl Worker {
    fn run(&mut self, bell: &Bell) -> Result<(), LogError> {
        while let Ok(first) = self.jobs.recv() {
            let mut number = first.number;
            let mut bytes = first.bytes;
            let mut batches = first.batches;
            while let Some(next) = self.jobs.try_recv() {
                number = next.number.or(number);
                bytes += next.bytes;
                batches.extend(next.batches);
                if bytes > MAX_BYTES {
                    break;
                }
            }
            self.write(batches, bytes)?;
            self.progress.bytes.fetch_sub(bytes, Ordering::Relaxed);
            if let Some(number) = number {
                self.progress.persisted.store(number, Ordering::Release);
            }
            bell.ring();
        }
        Ok(())
    }

    /// Counts the time of the whole group if it was synced: the writes only fill the page cache, what takes
    /// long is the sync.
    fn write(&mut self, batches: Vec<Batch>, bytes: usize) -> Result<(), LogError> {
        let synced = batches.iter().any(|batch| batch.sync);
        let begin = clock::now();
        self.writer.run(batches)?;
        if synced {
            self.metrics.log_sync.since(begin);
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.log_bytes.inc_by(bytes);
        Ok(())
    }
}
