//! The counter that etcd's names need, and the counters of a gRPC method.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};

/// A label with a fixed name.
pub(super) type Label<V = &'static str> = (&'static str, V);
pub(super) type MethodLabels = [Label; 3];
pub(super) type CodeLabels = [Label; 4];

/// Status codes by number, spelled as etcd's metrics spell them.
pub(super) const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The number of the code that stands for everything without one of its own.
const UNKNOWN: usize = 2;

/// A counter that is written under exactly the name it is registered with.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// Counts one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes over a total that is counted elsewhere; a smaller one than before is ignored.
    pub fn raise(&self, total: u64) {
        self.0.fetch_max(total, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Holds a gauge one higher for as long as it lives, however that ends.
#[derive(Debug)]
pub struct Raised<'a>(&'a Gauge);

impl<'a> Raised<'a> {
    /// Raises the gauge.
    pub fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl TypedMetric for Count {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Count {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        // The registry appends `_total` to what is encoded as a counter; a gauge's sample is the same
        // line without it.
        encoder.encode_gauge(&self.get())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// The counters of one gRPC method.
#[derive(Debug)]
pub struct MethodMetrics {
    /// Calls begun.
    pub started: Count,
    /// Messages received.
    pub received: Count,
    /// Messages sent.
    pub sent: Count,
    pub(super) handled: [Count; CODES.len()],
}

impl MethodMetrics {
    /// Counts a call that ended with the gRPC status code `code`; numbers without a name count as
    /// `Unknown`.
    pub fn ended(&self, code: usize) {
        let known = self.handled.get(code).or_else(|| self.handled.get(UNKNOWN));
        if let Some(count) = known {
            count.inc();
        }
    }
}
