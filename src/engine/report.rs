//! What the engine knows of itself, set into the gauges before a scrape is answered.

use super::Engine;
use crate::base::metrics::Gauge;
use crate::raft::Role;

impl Engine {
    /// Brings the gauges up to date. Counters and histograms are fed where things happen.
    pub fn report(&self) {
        self.report_server();
        self.report_store();
        self.report_watch();
    }

    fn report_server(&self) {
        let metrics = &self.inner.metrics.server;
        let status = self.inner.node.status();
        metrics.has_leader.set(i64::from(self.has_leader()));
        metrics
            .is_leader
            .set(i64::from(status.role == Role::Leader));
        metrics.is_learner.set(i64::from(self.is_learner()));
        set(&metrics.proposals_committed, status.commit);
        set(&metrics.proposals_applied, self.inner.applied.get());
        set(&metrics.proposals_pending, self.inner.waiters.len() as u64);
    }

    fn report_store(&self) {
        let metrics = &self.inner.metrics.mvcc;
        let view = self.inner.views.load();
        set(&metrics.db_size, view.store.disk_size());
        set(&metrics.db_size_in_use, view.store.live_size());
        metrics.compacted_records.add(view.store.take_removed());
        set(&metrics.keys, view.store.key_count_estimate());
        metrics.current_revision.set(view.state.revision.get());
        metrics.compact_revision.set(view.state.compact_revision());
        set(&self.inner.metrics.auth.revision, view.auth.revision());
    }

    fn report_watch(&self) {
        let metrics = &self.inner.metrics.watch;
        let stats = self.inner.hub.stats();
        set(&metrics.streams, stats.streams as u64);
        set(&metrics.watchers, stats.watchers as u64);
        set(&metrics.slow_watchers, stats.behind as u64);
        set(&metrics.pending_events, stats.pending_responses as u64);
        metrics.events.raise(stats.delivered_events);
        let own = &self.inner.metrics.holdfast;
        let count = |watchers| i64::try_from(watchers).unwrap_or(i64::MAX);
        own.set_watchers(count(stats.synced), count(stats.behind));
        set(&own.waiting_bytes, stats.pending_bytes as u64);
        set(&own.ring_changes, stats.ring.changes);
        set(&own.ring_bytes, stats.ring.bytes as u64);
        set(&own.ring_lag, stats.ring.lag);
        own.ring_laps.raise(stats.ring.laps);
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
