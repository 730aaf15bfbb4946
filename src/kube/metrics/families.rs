//! Families of series, registered under their name.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Metric, Registry};

use super::labels::Label;
use crate::base::metrics::{Count, Gauge, Histogram};

pub(super) type CountBy<const N: usize> = Family<[Label; N], Count, fn() -> Count>;
pub(super) type GaugeBy<const N: usize> = Family<[Label; N], Gauge, fn() -> Gauge>;
pub(super) type HistogramBy<const N: usize> = Family<[Label; N], Histogram, fn() -> Histogram>;

/// A family of `N` labels; `make` makes a series at zero.
pub(super) fn family<M, const N: usize>(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    make: fn() -> M,
) -> Family<[Label; N], M, fn() -> M>
where
    Family<[Label; N], M, fn() -> M>: Metric + Clone,
{
    let family = Family::new_with_constructor(make);
    registry.register(name, help, family.clone());
    family
}
