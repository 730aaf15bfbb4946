//! Histograms, most with buckets that double, as etcd's own do. Counting takes no lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::base::clock;

/// How often values were at most so large. Clones count together.
///
/// A page that is written while values come in may have a value in its bucket and not yet in the sum.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// Upper bounds, inclusive, and how many values fell between one and the one before.
    below: Vec<(f64, AtomicU64)>,
    above: AtomicU64,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    /// `count` buckets, the first up to `first`, each twice as wide as the one before.
    pub(crate) fn doubling(first: f64, count: u32) -> Self {
        let bounds: Vec<f64> = (0..count).map(|n| first * f64::from(1_u32 << n)).collect();
        Self::up_to(&bounds)
    }

    /// Buckets up to these bounds, which rise.
    pub(crate) fn up_to(bounds: &[f64]) -> Self {
        Self(Arc::new(Buckets {
            below: bounds
                .iter()
                .map(|bound| (*bound, AtomicU64::new(0)))
                .collect(),
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0_f64.to_bits()),
        }))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        self.observe_times(value, 1);
    }

    fn observe_times(&self, value: f64, times: u32) {
        let bucket = self.0.below.iter().find(|(bound, _)| value <= *bound);
        let count = bucket.map_or(&self.0.above, |(_, count)| count);
        count.fetch_add(times.into(), Relaxed);
        let more = value * f64::from(times);
        let add = |bits| Some((f64::from_bits(bits) + more).to_bits());
        // Never refuses.
        let _ = self.0.sum.fetch_update(Relaxed, Relaxed, add);
    }

    /// Counts a duration, in seconds.
    pub fn took(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// Counts a duration, in seconds, as often as it was taken.
    pub fn took_each(&self, time: Duration, times: u32) {
        self.observe_times(time.as_secs_f64(), times);
    }

    /// Counts the time from `began` to now, in seconds.
    pub fn since(&self, began: Instant) {
        self.took(clock::now().saturating_duration_since(began));
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        let below = self.0.below.iter().map(|(_, count)| count.load(Relaxed));
        below.sum::<u64>() + self.0.above.load(Relaxed)
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let below = self.0.below.iter();
        let mut buckets: Vec<(f64, u64)> = below
            .map(|(bound, count)| (*bound, count.load(Relaxed)))
            .collect();
        buckets.push((f64::INFINITY, self.0.above.load(Relaxed)));
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = f64::from_bits(self.0.sum.load(Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_doubling_buckets() {
        let histogram = Histogram::doubling(0.001, 3);
        for millis in [1, 2, 3, 4, 5] {
            histogram.took(Duration::from_millis(millis));
        }
        let below = histogram.0.below.iter();
        let counts: Vec<u64> = below.map(|(_, count)| count.load(Relaxed)).collect();
        assert_eq!((counts.as_slice(), histogram.count()), (&[1, 1, 2][..], 5));
        let sum = f64::from_bits(histogram.0.sum.load(Relaxed));
        assert!((sum - 0.015).abs() < 1e-9);
    }
}
