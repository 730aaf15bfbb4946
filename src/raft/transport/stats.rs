//! What is known of each peer: the series of etcd's `etcd_network_*` metrics (etcd-api.md 5.4), and whether it
//! is in touch.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;

use crate::base::ids::MemberId;
use crate::base::metrics::PeerMetrics;

/// A peer as the outside sees it.
#[derive(Debug, Clone)]
pub struct PeerStats {
    /// The peer.
    pub id: MemberId,
    /// Streams that are up now, in both directions: 4 when all is well.
    pub active_streams: u64,
    /// Since when both outgoing streams are up.
    pub connected_since: Option<Instant>,
    /// When the peer was last heard, on any stream.
    pub last_heard: Option<Instant>,
    /// What is counted.
    pub metrics: PeerMetrics,
}

/// Live counters of one peer.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) metrics: PeerMetrics,
    pub(super) active_streams: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    outgoing: u8,
    connected_since: Option<Instant>,
    last_heard: Option<Instant>,
}

/// Counts a stream as active for as long as it lives.
#[derive(Debug)]
pub(super) struct Active<'a>(&'a AtomicU64);

impl<'a> Active<'a> {
    pub(super) fn new(counters: &'a Counters) -> Self {
        counters.active_streams.fetch_add(1, Relaxed);
        Self(&counters.active_streams)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Counters {
    pub(super) fn new(metrics: PeerMetrics) -> Self {
        Self {
            metrics,
            active_streams: AtomicU64::new(0),
            seen: Mutex::default(),
        }
    }

    pub(super) fn heard(&self, now: Instant) {
        self.seen.lock().last_heard = Some(now);
    }

    pub(super) fn received(&self, now: Instant, bytes: u64) {
        self.metrics.received_bytes.add(bytes);
        self.heard(now);
    }

    /// One more outgoing stream is up; `of` is how many there are.
    pub(super) fn connected(&self, now: Instant, of: usize) {
        let mut seen = self.seen.lock();
        seen.outgoing += 1;
        if usize::from(seen.outgoing) == of {
            seen.connected_since = Some(now);
            self.metrics.active.set(1);
        }
    }

    /// An outgoing stream that was up is no more.
    pub(super) fn disconnected(&self) {
        let mut seen = self.seen.lock();
        seen.outgoing = seen.outgoing.saturating_sub(1);
        if seen.connected_since.take().is_some() {
            self.metrics.active.set(0);
            self.metrics.disconnects.inc();
        }
    }

    /// When the peer was last heard.
    pub(super) fn last_heard(&self) -> Option<Instant> {
        self.seen.lock().last_heard
    }

    pub(super) fn snapshot(&self, id: MemberId) -> PeerStats {
        let seen = self.seen.lock();
        PeerStats {
            id,
            active_streams: self.active_streams.load(Relaxed),
            connected_since: seen.connected_since,
            last_heard: seen.last_heard,
            metrics: self.metrics.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;
    use crate::base::metrics::Metrics;

    #[test]
    fn connected_means_every_outgoing_stream() {
        let metrics = Metrics::new().peer(MemberId(1), MemberId(2));
        let counters = Counters::new(metrics.clone());
        let since = || counters.snapshot(MemberId(2)).connected_since;
        let counted = || (metrics.active.get(), metrics.disconnects.get());
        let now = clock::now();
        counters.connected(now, 2);
        assert_eq!((since(), counted()), (None, (0, 0)));
        counters.connected(now, 2);
        assert_eq!((since(), counted()), (Some(now), (1, 0)));
        counters.disconnected();
        counters.disconnected();
        assert_eq!((since(), counted()), (None, (0, 1)));
    }
}
