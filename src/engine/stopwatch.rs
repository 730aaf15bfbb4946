//! How long commands take to evaluate, by what they do.
//!
//! The time of commands of one kind that follow each other is taken together and counted in equal shares:
//! reading the clock around each of them would cost more than part of what it measures.

use std::time::Instant;

use super::command::Command;
use crate::base::clock;
use crate::base::metrics::OperationDurations;

/// Counts the commands of the apply thread.
#[derive(Debug)]
pub(super) struct Stopwatch {
    durations: OperationDurations,
    stretch: Option<Stretch>,
}

/// Commands of one kind that followed each other.
#[derive(Debug)]
struct Stretch {
    operation: usize,
    began: Instant,
    failed: u32,
    succeeded: u32,
}

impl Stopwatch {
    /// Counts by the places of [`Command::OPERATIONS`].
    pub(super) const fn new(durations: OperationDurations) -> Self {
        Self {
            durations,
            stretch: None,
        }
    }

    /// A command begins.
    pub(super) fn begin(&mut self, command: &Command) {
        let operation = command.operation();
        if self.stretch.as_ref().map(|stretch| stretch.operation) != Some(operation) {
            let began = self.stop();
            self.stretch = Some(Stretch {
                operation,
                began,
                failed: 0,
                succeeded: 0,
            });
        }
    }

    /// The command that began has ended.
    pub(super) fn end(&mut self, success: bool) {
        if let Some(stretch) = &mut self.stretch {
            stretch.succeeded += u32::from(success);
            stretch.failed += u32::from(!success);
        }
    }

    /// No command follows for now. Gives the time.
    pub(super) fn stop(&mut self) -> Instant {
        let now = clock::now();
        if let Some(stretch) = self.stretch.take() {
            let commands = stretch.failed + stretch.succeeded;
            let share = now.saturating_duration_since(stretch.began) / commands.max(1);
            for (success, times) in [(false, stretch.failed), (true, stretch.succeeded)] {
                if times > 0
                    && let Some(durations) = self.durations.of(stretch.operation, success)
                {
                    durations.took_each(share, times);
                }
            }
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::LeaseId;
    use crate::base::metrics::Metrics;

    #[test]
    fn every_command_is_counted_under_its_own_name_and_outcome() {
        let metrics = Metrics::default();
        let mut watch = Stopwatch::new(metrics.server.applies(&Command::OPERATIONS));
        let (grant, revoke) = (
            Command::LeaseGrant {
                id: LeaseId(1),
                ttl: 5,
            },
            Command::LeaseRevoke { id: LeaseId(1) },
        );
        for (command, success) in [
            (&grant, true),
            (&grant, false),
            (&grant, true),
            (&revoke, true),
            (&grant, true),
        ] {
            watch.begin(command);
            watch.end(success);
        }
        watch.stop();
        watch.stop();
        let text = metrics.encode().unwrap();
        let count = |operation: &str, success: bool| {
            let name = format!(
                "etcd_server_apply_duration_seconds_count{{version=\"v3\",op=\"{operation}\",success=\"{success}\"}} "
            );
            let line = text.lines().find_map(|line| line.strip_prefix(&name));
            line.map(|number| number.parse::<u64>().unwrap())
        };
        assert_eq!(count("LeaseGrant", true), Some(3));
        assert_eq!(count("LeaseGrant", false), Some(1));
        assert_eq!(count("LeaseRevoke", true), Some(1));
        assert_eq!(count("LeaseRevoke", false), None);
    }
}
