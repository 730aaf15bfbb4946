//! Metrics by peer. Their labels are member ids, whose number is bounded by the membership.

use std::fmt::Debug;
use std::hash::Hash;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Histogram;
use super::types::{Count, Label};
use crate::base::ids::MemberId;

/// `To` or `From`.
type End = [Label<String>; 1];
/// `Local` and `Remote`.
type Pair = [Label<String>; 2];
type ByPeer<M> = Family<End, M, fn() -> M>;
type ByPair<M> = Family<Pair, M, fn() -> M>;

/// Traffic with one peer.
#[derive(Debug, Clone)]
pub struct PeerMetrics {
    /// Bytes written to its streams.
    pub sent_bytes: Count,
    /// Bytes of frames read from its streams.
    pub received_bytes: Count,
    /// Messages dropped: queue full, no connection, or connection lost while they were under way.
    pub sent_failures: Count,
    /// Incoming streams that ended with an error.
    pub received_failures: Count,
    /// Round trips of pings, in seconds.
    pub round_trips: Histogram,
    /// 1 while every outgoing stream is up.
    pub active: Gauge,
    /// How often that ended.
    pub disconnects: Count,
    /// Snapshots sent to it.
    pub snapshots_sent: TransferMetrics,
    /// Snapshots received from it.
    pub snapshots_received: TransferMetrics,
}

/// Snapshot transfers in one direction.
#[derive(Debug, Clone)]
pub struct TransferMetrics {
    /// Transfers that arrived.
    pub successes: Count,
    /// Transfers that did not.
    pub failures: Count,
    /// Transfers under way.
    pub in_flight: Gauge,
    /// How long those that arrived took, in seconds.
    pub durations: Histogram,
}

/// The families that peers have series in.
#[derive(Debug)]
pub(super) struct PeerFamilies {
    sent_bytes: ByPeer<Count>,
    received_bytes: ByPeer<Count>,
    sent_failures: ByPeer<Count>,
    received_failures: ByPeer<Count>,
    round_trips: ByPeer<Histogram>,
    known: ByPair<Gauge>,
    active: ByPair<Gauge>,
    disconnects: ByPair<Count>,
    snapshots_sent: TransferFamilies,
    snapshots_received: TransferFamilies,
}

/// Snapshot transfers in one direction.
#[derive(Debug)]
struct TransferFamilies {
    successes: ByPeer<Count>,
    failures: ByPeer<Count>,
    in_flight: ByPeer<Gauge>,
    durations: ByPeer<Histogram>,
}

/// etcd's buckets for round trips: 0.1 ms to 3 s.
fn round_trips() -> Histogram {
    Histogram::doubling(0.0001, 16)
}

/// etcd's buckets for snapshot transfers: 0.1 s to 51 s.
fn transfers() -> Histogram {
    Histogram::doubling(0.1, 10)
}

impl PeerFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut in_network = InNetwork(registry);
        Self {
            sent_bytes: in_network.count("peer_sent_bytes_total", "Bytes sent to peers"),
            received_bytes: in_network
                .count("peer_received_bytes_total", "Bytes received from peers"),
            sent_failures: in_network.count(
                "peer_sent_failures_total",
                "Messages to peers that were lost",
            ),
            received_failures: in_network.count(
                "peer_received_failures_total",
                "Streams from peers that failed",
            ),
            round_trips: in_network.add(
                "peer_round_trip_time_seconds",
                "Round trips of pings",
                round_trips,
            ),
            known: in_network.gauge("known_peers", "Peers that are dialled"),
            active: in_network.gauge("active_peers", "Peers whose streams are up"),
            disconnects: in_network.count("disconnected_peers_total", "Losses of a peer's streams"),
            snapshots_sent: TransferFamilies::register(&mut in_network, "send"),
            snapshots_received: TransferFamilies::register(&mut in_network, "receive"),
        }
    }

    /// The series of one peer, which is known from now on.
    pub(super) fn known(&self, local: MemberId, remote: MemberId) -> PeerMetrics {
        let (to, from, pair) = labels(local, remote);
        self.known.get_or_create(&pair).set(1);
        PeerMetrics {
            sent_bytes: self.sent_bytes.get_or_create_owned(&to),
            received_bytes: self.received_bytes.get_or_create_owned(&from),
            sent_failures: self.sent_failures.get_or_create_owned(&to),
            received_failures: self.received_failures.get_or_create_owned(&from),
            round_trips: self.round_trips.get_or_create_owned(&to),
            active: self.active.get_or_create_owned(&pair),
            disconnects: self.disconnects.get_or_create_owned(&pair),
            snapshots_sent: self.snapshots_sent.known(&to),
            snapshots_received: self.snapshots_received.known(&from),
        }
    }

    /// Takes a peer's series off the page.
    pub(super) fn forget(&self, local: MemberId, remote: MemberId) {
        let (to, from, pair) = labels(local, remote);
        self.sent_bytes.remove(&to);
        self.received_bytes.remove(&from);
        self.sent_failures.remove(&to);
        self.received_failures.remove(&from);
        self.round_trips.remove(&to);
        self.known.remove(&pair);
        self.active.remove(&pair);
        self.disconnects.remove(&pair);
        self.snapshots_sent.forget(&to);
        self.snapshots_received.forget(&from);
    }
}

impl TransferFamilies {
    fn register(in_network: &mut InNetwork<'_>, direction: &str) -> Self {
        let name = |what| format!("snapshot_{direction}_{what}");
        Self {
            successes: in_network.count(&name("success"), "Snapshots that arrived"),
            failures: in_network.count(&name("failures"), "Snapshots that did not arrive"),
            in_flight: in_network.gauge(&name("inflights_total"), "Snapshots under way"),
            durations: in_network.add(
                &name("total_duration_seconds"),
                "Time of a snapshot's transfer",
                transfers,
            ),
        }
    }

    fn known(&self, peer: &End) -> TransferMetrics {
        TransferMetrics {
            successes: self.successes.get_or_create_owned(peer),
            failures: self.failures.get_or_create_owned(peer),
            in_flight: self.in_flight.get_or_create_owned(peer),
            durations: self.durations.get_or_create_owned(peer),
        }
    }

    fn forget(&self, peer: &End) {
        self.successes.remove(peer);
        self.failures.remove(peer);
        self.in_flight.remove(peer);
        self.durations.remove(peer);
    }
}

/// The labels that families ask for: `To`, `From`, or both ends.
fn labels(local: MemberId, remote: MemberId) -> (End, End, Pair) {
    let (local, remote) = (local.to_string(), remote.to_string());
    (
        [("To", remote.clone())],
        [("From", remote.clone())],
        [("Local", local), ("Remote", remote)],
    )
}

/// Registers families whose names begin alike.
struct InNetwork<'a>(&'a mut Registry);

impl InNetwork<'_> {
    fn count<S: Labels>(&mut self, name: &str, help: &str) -> Family<S, Count, fn() -> Count> {
        self.add(name, help, Count::default)
    }

    fn gauge<S: Labels>(&mut self, name: &str, help: &str) -> Family<S, Gauge, fn() -> Gauge> {
        self.add(name, help, Gauge::default)
    }

    fn add<S: Labels, M>(
        &mut self,
        name: &str,
        help: &str,
        make: fn() -> M,
    ) -> Family<S, M, fn() -> M>
    where
        Family<S, M, fn() -> M>: prometheus_client::registry::Metric + Clone,
    {
        let family = Family::new_with_constructor(make);
        self.0
            .register(format!("etcd_network_{name}"), help, family.clone());
        family
    }
}

/// What a set of labels can do.
trait Labels: EncodeLabelSet + Clone + Eq + Hash + Debug + Send + Sync + 'static {}

impl<const N: usize> Labels for [Label<String>; N] {}
