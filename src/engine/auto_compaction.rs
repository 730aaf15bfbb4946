//! Compaction without being asked, by etcd's two modes. Only the leader acts.
//!
//! Periodic keeps what happened within a period: the revision is sampled ten times per period (or hour,
//! if that is shorter), and the store is compacted to the sample that is a period old. By revision keeps a
//! number of revisions, looked at every five minutes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::error::EngineError;
use super::types::AutoCompaction;
use super::{Command, Engine};
use crate::base::clock;
use crate::base::ids::Revision;

/// The longest time between two periodic compactions.
const HOUR: Duration = Duration::from_secs(3600);
/// Samples taken in the time between two periodic compactions.
const SAMPLES: u32 = 10;
/// How often compaction by revision looks.
const REVISION_INTERVAL: Duration = Duration::from_secs(300);

/// Revisions by when they were current, oldest first: at most a period's worth.
#[derive(Debug, Default)]
struct History {
    samples: VecDeque<(Instant, Revision)>,
}

impl History {
    fn sample(&mut self, now: Instant, revision: Revision) {
        self.samples.push_back((now, revision));
    }

    /// The newest sample that is at least `period` old; it and older ones are forgotten.
    fn take_older_than(&mut self, period: Duration, now: Instant) -> Option<Revision> {
        let mut found = None;
        while let Some((taken, revision)) = self.samples.front() {
            if now.duration_since(*taken) < period {
                break;
            }
            found = Some(*revision);
            self.samples.pop_front();
        }
        found
    }

    fn forget(&mut self) {
        self.samples.clear();
    }
}

impl Engine {
    /// Compacts for as long as the member runs.
    pub(super) async fn auto_compact(self, mode: AutoCompaction) {
        match mode {
            AutoCompaction::Off => {}
            AutoCompaction::Periodic(period) => self.compact_periodically(period).await,
            AutoCompaction::Revisions(keep) => self.compact_by_revision(keep).await,
        }
    }

    async fn compact_periodically(&self, period: Duration) {
        let between = period.min(HOUR);
        let mut history = History::default();
        let mut next = clock::now() + between;
        loop {
            tokio::time::sleep(between / SAMPLES).await;
            if self.led_term().is_none() {
                // Another leader has its own samples. Begin anew if this member leads again.
                history.forget();
                continue;
            }
            let now = clock::now();
            history.sample(now, self.header().revision);
            if now >= next
                && let Some(revision) = history.take_older_than(period, now)
            {
                self.compact_quietly(revision).await;
                next = now + between;
            }
        }
    }

    async fn compact_by_revision(&self, keep: i64) {
        loop {
            tokio::time::sleep(REVISION_INTERVAL).await;
            let revision = Revision(self.header().revision.get() - keep);
            if self.led_term().is_some() && revision > Revision::ZERO {
                self.compact_quietly(revision).await;
            }
        }
    }

    async fn compact_quietly(&self, revision: Revision) {
        let command = Command::Compact {
            revision: revision.get(),
        };
        match self.propose(command).await {
            Ok(_) => tracing::info!(%revision, "compacted automatically"),
            // Nothing changed since, or somebody compacted further.
            Err(EngineError::Compacted) => {}
            Err(error) => tracing::warn!(%revision, %error, "automatic compaction failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_used_once_it_is_a_period_old() {
        let start = clock::now();
        let minute = Duration::from_secs(60);
        let mut history = History::default();
        for n in 0..5 {
            history.sample(start + minute * n, Revision(i64::from(n) * 100));
        }
        assert_eq!(
            history.take_older_than(minute * 5, start + minute * 4),
            None
        );
        let taken = history.take_older_than(minute * 2, start + minute * 4);
        assert_eq!(taken, Some(Revision(200)));
        let next = history.take_older_than(minute * 2, start + minute * 5);
        assert_eq!(next, Some(Revision(300)));
    }
}
