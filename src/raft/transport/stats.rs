//! What is counted for each peer, in the terms of etcd's `etcd_network_*` metrics (etcd-api.md 5.4).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::base::ids::MemberId;

/// A peer as the outside sees it. Counters grow from the start of the process.
#[derive(Debug, Clone, Default)]
pub struct PeerStats {
    /// The peer.
    pub id: MemberId,
    /// Bytes written to its streams.
    pub sent_bytes: u64,
    /// Bytes of frames read from its streams.
    pub received_bytes: u64,
    /// Messages dropped: queue full, no connection, or connection lost while they were under way.
    pub sent_failures: u64,
    /// Incoming streams that ended with an error.
    pub received_failures: u64,
    /// How often an outgoing stream was lost after it had been made.
    pub disconnects: u64,
    /// Streams that are up now, in both directions: 4 when all is well.
    pub active_streams: u64,
    /// Since when both outgoing streams are up.
    pub connected_since: Option<Instant>,
    /// When the peer was last heard, on any stream.
    pub last_heard: Option<Instant>,
    /// The last round trip of a ping.
    pub last_round_trip: Option<Duration>,
    /// All round trips.
    pub round_trips: HistogramSnapshot,
    /// Snapshots sent, and how long they took.
    pub snapshots_sent: TransferStats,
    /// Snapshots received, and how long they took.
    pub snapshots_received: TransferStats,
}

/// Snapshot transfers in one direction.
#[derive(Debug, Clone, Default)]
pub struct TransferStats {
    /// Transfers that arrived.
    pub successes: u64,
    /// Transfers that did not.
    pub failures: u64,
    /// Transfers under way.
    pub in_flight: u64,
    /// How long those that arrived took.
    pub durations: HistogramSnapshot,
}

/// Counts by duration in buckets that double.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// The upper bound of each bucket and how many durations fell into it (not cumulative).
    pub buckets: Vec<(Duration, u64)>,
    /// Durations above the last bucket.
    pub above: u64,
    /// All durations together.
    pub sum: Duration,
}

/// Live counters of one peer.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) sent_bytes: AtomicU64,
    pub(super) received_bytes: AtomicU64,
    pub(super) sent_failures: AtomicU64,
    pub(super) received_failures: AtomicU64,
    pub(super) disconnects: AtomicU64,
    pub(super) active_streams: AtomicU64,
    pub(super) snapshots_sent: TransferCounters,
    pub(super) snapshots_received: TransferCounters,
    round_trips: Histogram,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    outgoing: u8,
    connected_since: Option<Instant>,
    last_heard: Option<Instant>,
    last_round_trip: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct TransferCounters {
    successes: AtomicU64,
    failures: AtomicU64,
    in_flight: AtomicU64,
    durations: Histogram,
}

/// Decrements a gauge when the stream or transfer that it counts is over, however it ends.
#[derive(Debug)]
pub(super) struct Gauge<'a>(&'a AtomicU64);

impl<'a> Gauge<'a> {
    pub(super) fn raise(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            sent_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            sent_failures: AtomicU64::new(0),
            received_failures: AtomicU64::new(0),
            disconnects: AtomicU64::new(0),
            active_streams: AtomicU64::new(0),
            snapshots_sent: TransferCounters::new(),
            snapshots_received: TransferCounters::new(),
            // etcd's buckets: 0.1 ms, then doubling sixteen times.
            round_trips: Histogram::new(Duration::from_micros(100), 16),
            seen: Mutex::default(),
        }
    }

    pub(super) fn heard(&self, now: Instant) {
        self.seen.lock().last_heard = Some(now);
    }

    pub(super) fn received(&self, now: Instant, bytes: u64) {
        self.received_bytes.fetch_add(bytes, Relaxed);
        self.heard(now);
    }

    pub(super) fn round_trip(&self, took: Duration) {
        self.round_trips.observe(took);
        self.seen.lock().last_round_trip = Some(took);
    }

    /// One more outgoing stream is up; `of` is how many there are.
    pub(super) fn connected(&self, now: Instant, of: usize) {
        let mut seen = self.seen.lock();
        seen.outgoing += 1;
        if usize::from(seen.outgoing) == of {
            seen.connected_since = Some(now);
        }
    }

    /// An outgoing stream that was up is no more.
    pub(super) fn disconnected(&self) {
        self.disconnects.fetch_add(1, Relaxed);
        let mut seen = self.seen.lock();
        seen.outgoing = seen.outgoing.saturating_sub(1);
        seen.connected_since = None;
    }

    /// When the peer was last heard.
    pub(super) fn last_heard(&self) -> Option<Instant> {
        self.seen.lock().last_heard
    }

    pub(super) fn snapshot(&self, id: MemberId) -> PeerStats {
        let seen = self.seen.lock();
        PeerStats {
            id,
            sent_bytes: self.sent_bytes.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            sent_failures: self.sent_failures.load(Relaxed),
            received_failures: self.received_failures.load(Relaxed),
            disconnects: self.disconnects.load(Relaxed),
            active_streams: self.active_streams.load(Relaxed),
            connected_since: seen.connected_since,
            last_heard: seen.last_heard,
            last_round_trip: seen.last_round_trip,
            round_trips: self.round_trips.snapshot(),
            snapshots_sent: self.snapshots_sent.snapshot(),
            snapshots_received: self.snapshots_received.snapshot(),
        }
    }
}

impl TransferCounters {
    fn new() -> Self {
        Self {
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            // etcd's buckets: 0.1 s, then doubling ten times.
            durations: Histogram::new(Duration::from_millis(100), 10),
        }
    }

    pub(super) fn begin(&self) -> Gauge<'_> {
        Gauge::raise(&self.in_flight)
    }

    pub(super) fn succeeded(&self, took: Duration) {
        self.successes.fetch_add(1, Relaxed);
        self.durations.observe(took);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    fn snapshot(&self) -> TransferStats {
        TransferStats {
            successes: self.successes.load(Relaxed),
            failures: self.failures.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            durations: self.durations.snapshot(),
        }
    }
}

#[derive(Debug)]
struct Histogram {
    buckets: Vec<(Duration, AtomicU64)>,
    above: AtomicU64,
    sum_nanos: AtomicU64,
}

impl Histogram {
    fn new(first: Duration, count: u32) -> Self {
        Self {
            buckets: (0..count)
                .map(|n| (first * 2_u32.pow(n), AtomicU64::new(0)))
                .collect(),
            above: AtomicU64::new(0),
            sum_nanos: AtomicU64::new(0),
        }
    }

    fn observe(&self, value: Duration) {
        let bucket = self.buckets.iter().find(|(bound, _)| value <= *bound);
        bucket
            .map_or(&self.above, |(_, count)| count)
            .fetch_add(1, Relaxed);
        self.sum_nanos
            .fetch_add(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot {
            buckets: self
                .buckets
                .iter()
                .map(|(bound, count)| (*bound, count.load(Relaxed)))
                .collect(),
            above: self.above.load(Relaxed),
            sum: Duration::from_nanos(self.sum_nanos.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    #[test]
    fn durations_fall_into_doubling_buckets() {
        let histogram = Histogram::new(Duration::from_millis(1), 3);
        for millis in [1, 2, 3, 4, 5] {
            histogram.observe(Duration::from_millis(millis));
        }
        let seen = histogram.snapshot();
        let counts: Vec<u64> = seen.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 1, 2]);
        assert_eq!((seen.above, seen.sum), (1, Duration::from_millis(15)));
    }

    #[test]
    fn connected_means_every_outgoing_stream() {
        let counters = Counters::new();
        let since = || counters.snapshot(MemberId(1)).connected_since;
        let now = clock::now();
        counters.connected(now, 2);
        assert_eq!(since(), None);
        counters.connected(now, 2);
        assert_eq!(since(), Some(now));
        counters.disconnected();
        assert_eq!(since(), None);
    }
}
