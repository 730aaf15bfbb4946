//! How checks of health went.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::base::metrics::{Count, Gauge};

type Label = (&'static str, &'static str);

/// The last result of each check, and how often each was made.
#[derive(Debug, Clone, Default)]
pub struct HealthMetrics {
    last: Family<[Label; 2], Gauge>,
    made: Family<[Label; 3], Count>,
}

impl HealthMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let last = "Result of the last check";
        registry.register("kubernetes_healthcheck", last, self.last.clone());
        let made = "Checks made, by result";
        registry.register("kubernetes_healthchecks_total", made, self.made.clone());
    }

    /// Notes the result of a check made for a page: `livez`, `readyz` or `healthz`.
    pub fn note(&self, page: &'static str, check: &'static str, well: bool) {
        let (name, kind) = (("name", check), ("type", page));
        self.last.get_or_create(&[name, kind]).set(i64::from(well));
        let status = ("status", if well { "success" } else { "error" });
        self.made.get_or_create(&[name, status, kind]).inc();
    }
}
