//! How long requests take, from being asked for to their answer, by etcd's names for their types.

use super::Engine;
use super::command::Command;
use super::slow::ReadTimes;
use crate::base::metrics::{RequestDurations, ServerMetrics};

/// Types of requests that only read.
const READS: [&str; 2] = ["Range", "ReadonlyTxn"];

/// A request that only reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadKind {
    /// Of a range.
    Range,
    /// Of several.
    Txn,
}

/// Counts requests.
#[derive(Debug)]
pub(super) struct RequestTimes {
    reads: RequestDurations,
    commands: RequestDurations,
}

impl RequestTimes {
    pub(super) fn new(metrics: &ServerMetrics) -> Self {
        Self {
            reads: metrics.request_durations(&READS),
            commands: metrics.request_durations(&Command::OPERATIONS),
        }
    }

    /// Counts a command by its place in [`Command::OPERATIONS`].
    pub(super) fn command(&self, operation: usize, success: bool, took: std::time::Duration) {
        if let Some(durations) = self.commands.of(operation, success) {
            durations.took(took);
        }
    }
}

impl Engine {
    /// Counts a read.
    pub fn read_took(&self, kind: ReadKind, success: bool, times: &ReadTimes) {
        if let Some(durations) = self.inner.requests.reads.of(kind as usize, success) {
            durations.took(times.ended.saturating_duration_since(times.began));
        }
    }
}
