//! One other member: its queues, its calls, its counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::call::Calls;
use super::handshake::Lane;
use super::outbox::{Limit, Outbox};
use super::stats::Counters;
use crate::base::ids::MemberId;
use crate::base::log_gate::LogGate;
use crate::base::metrics::PeerMetrics;
use crate::raft::core::MAX_UNDER_WAY;

/// The control queue: heartbeats, votes and responses are tens of bytes, calls a few kilobytes.
const CONTROL_LIMIT: Limit = Limit {
    frames: 4096,
    bytes: 16 << 20,
};

/// The bulk queue: half a second of a gigabit link. A follower further behind than that is better told
/// apart (unreachable, then probed) than buffered for. Takes at least three messages of the largest size.
const BULK_LIMIT: Limit = Limit {
    frames: 4096,
    bytes: 64 << 20,
};

// What consensus has under way to one member fits, with as much room again for forwarded proposals.
const _: () = assert!(MAX_UNDER_WAY <= BULK_LIMIT.bytes / 2);

/// Room for calls that a peer has running here, in [`CALL_UNIT`]s: at most 1,024 calls and 64 MiB.
const CALL_ROOM: usize = 1024;

/// What the smallest call takes of [`CALL_ROOM`], in bytes.
pub(super) const CALL_UNIT: usize = 64 * 1024;

pub(super) struct Peer {
    pub(super) id: MemberId,
    urls: RwLock<Vec<String>>,
    /// Which URL to dial first: the last that worked.
    preferred_url: AtomicUsize,
    /// The peer introduced itself and the configuration here does not name it yet.
    provisional: AtomicBool,
    control: Outbox,
    bulk: Outbox,
    pub(super) calls: Calls,
    pub(super) counters: Counters,
    /// Rung when the peer opens a stream: it is there, so dialling it is worth a try now.
    pub(super) came: Notify,
    /// Ends everything that has to do with this peer.
    pub(super) stop: CancellationToken,
    /// Held by the one snapshot on its way to the peer.
    pub(super) snapshot_turn: Arc<Semaphore>,
    /// Taken by the peer's calls that run here.
    pub(super) call_room: Arc<Semaphore>,
    /// Why there is no connection to the peer.
    pub(super) complaints: LogGate,
    /// Why connections from the peer ended.
    pub(super) endings: LogGate,
    control_inbound: Turn,
    bulk_inbound: Turn,
}

impl Peer {
    pub(super) fn new(
        id: MemberId,
        urls: Vec<String>,
        provisional: bool,
        metrics: PeerMetrics,
    ) -> Self {
        Self {
            id,
            urls: RwLock::new(urls),
            preferred_url: AtomicUsize::new(0),
            provisional: AtomicBool::new(provisional),
            control: Outbox::new(CONTROL_LIMIT),
            bulk: Outbox::new(BULK_LIMIT),
            calls: Calls::default(),
            counters: Counters::new(metrics),
            came: Notify::new(),
            stop: CancellationToken::new(),
            snapshot_turn: Arc::new(Semaphore::new(1)),
            call_room: Arc::new(Semaphore::new(CALL_ROOM)),
            complaints: LogGate::default(),
            endings: LogGate::default(),
            control_inbound: Turn::default(),
            bulk_inbound: Turn::default(),
        }
    }

    pub(super) const fn outbox(&self, lane: Lane) -> &Outbox {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
        }
    }

    pub(super) const fn inbound(&self, lane: Lane) -> &Turn {
        match lane {
            Lane::Control => &self.control_inbound,
            Lane::Bulk => &self.bulk_inbound,
        }
    }

    /// The URLs in the order in which to try them, each with its number.
    pub(super) fn urls_to_try(&self) -> Vec<(usize, String)> {
        let urls = self.urls.read();
        let first = self.preferred_url.load(Relaxed) % urls.len().max(1);
        let numbered = urls.iter().cloned().enumerate();
        let mut order: Vec<_> = numbered.collect();
        order.rotate_left(first);
        order
    }

    pub(super) fn prefer_url(&self, number: usize) {
        self.preferred_url.store(number, Relaxed);
    }

    /// The configuration names the peer, with these URLs.
    pub(super) fn confirm(&self, urls: &[String]) {
        self.provisional.store(false, Relaxed);
        let mut current = self.urls.write();
        if *current != urls {
            *current = urls.to_vec();
        }
    }

    pub(super) fn is_provisional(&self) -> bool {
        self.provisional.load(Relaxed)
    }

    /// Ends the peer's streams and fails its calls.
    pub(super) fn retire(&self) {
        self.stop.cancel();
        for lane in Lane::ALL {
            self.outbox(lane).close();
        }
        self.calls.fail_all();
    }
}

/// Lets one incoming stream at a time run, the newest: the peer knows better than this side which of its
/// connections is alive. The older one has handed over its last message before the newer begins.
#[derive(Debug, Default)]
pub(super) struct Turn {
    current: Mutex<CancellationToken>,
    running: Arc<tokio::sync::Mutex<()>>,
}

impl Turn {
    /// Ends the stream that runs and waits until it has; the token tells when the next one comes.
    pub(super) async fn take(&self) -> (CancellationToken, tokio::sync::OwnedMutexGuard<()>) {
        let token = CancellationToken::new();
        let older = std::mem::replace(&mut *self.current.lock(), token.clone());
        older.cancel();
        (token, self.running.clone().lock_owned().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::metrics::Metrics;

    #[test]
    fn the_url_that_worked_is_tried_first() {
        let urls = ["a", "b", "c"].map(str::to_owned).to_vec();
        let metrics = Metrics::new().peer(MemberId(2), MemberId(1));
        let peer = Peer::new(MemberId(1), urls, false, metrics);
        let order = |peer: &Peer| {
            let urls = peer.urls_to_try();
            urls.into_iter().map(|(_, url)| url).collect::<String>()
        };
        assert_eq!(order(&peer), "abc");
        peer.prefer_url(2);
        assert_eq!(order(&peer), "cab");
        peer.confirm(&["d".into()]);
        assert_eq!(order(&peer), "d");
        peer.confirm(&[]);
        assert_eq!(order(&peer), "");
    }

    #[tokio::test]
    async fn the_newest_stream_waits_until_the_older_has_ended() {
        let turn = Turn::default();
        let (first, guard) = turn.take().await;
        let mut second = Box::pin(turn.take());
        assert!(futures::poll!(&mut second).is_pending());
        assert!(first.is_cancelled());
        drop(guard);
        assert!(!second.await.0.is_cancelled());
    }
}
