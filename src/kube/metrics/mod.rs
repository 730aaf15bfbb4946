//! What the Kubernetes API reports of itself, under kube-apiserver's metric names and labels, so that boards, alerts
//! and scale tests made for it keep working. `docs/kubernetes-metrics.md` lists them.
//!
//! Handles are shared atomics. What is counted for each request is looked up by resource once ([`Requests`],
//! [`Places`]) and is no map of labels after that. Numbers that others know anyway (objects by resource, requests
//! under way) are set by whoever answers a scrape, right before [`KubeMetrics::encode`].

mod caches;
mod families;
mod gate;
mod health;
mod labels;
mod naming;
mod requests;
mod watches;

pub use caches::{PlaceSeries, Places};
pub use gate::GateMetrics;
pub use health::HealthMetrics;
pub use naming::{DryRun, Scope, Verb};
pub use requests::{Measured, Requests, ResourceSeries, Running};
pub use watches::{WatchSeries, Watches};

use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use serde_json::Value;

use self::labels::Text;
use super::version;
use crate::base::metrics::{Gauge, process_collector};

/// Features that the release has gates for and that are on here, with their stage.
const FEATURES: [(&str, &str); 6] = [
    ("APIResponseCompression", "BETA"),
    ("APIServerIdentity", "BETA"),
    ("ConsistentListFromCache", ""),
    ("StorageVersionHash", "BETA"),
    ("StreamingCollectionEncodingToJSON", ""),
    ("WatchList", "BETA"),
];

/// All metrics of one member's Kubernetes API.
#[derive(Debug)]
pub struct KubeMetrics {
    registry: Registry,
    /// Checks of health, a page of their own besides.
    slis: Registry,
    /// By resource, verb and code.
    pub requests: Requests,
    /// Streams of events.
    pub watches: Watches,
    /// Lists and changes by where objects are stored.
    pub places: Places,
    /// Who is let in.
    pub gate: GateMetrics,
    pub health: HealthMetrics,
    in_flight: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl KubeMetrics {
    /// Every metric at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(process_collector());
        let mut slis = Registry::default();
        let health = HealthMetrics::default();
        health.register(&mut registry);
        health.register(&mut slis);
        let in_flight = Family::default();
        registry.register(
            "apiserver_current_inflight_requests",
            "Most requests under way at once in the last second, by kind",
            in_flight.clone(),
        );
        identify(&mut registry);
        Self {
            requests: Requests::register(&mut registry),
            watches: Watches::register(&mut registry),
            places: Places::register(&mut registry),
            gate: GateMetrics::register(&mut registry),
            health,
            in_flight,
            registry,
            slis,
        }
    }

    /// Shows the most requests that were under way: those that read, those that change.
    pub fn show_in_flight(&self, (reading, changing): (usize, usize)) {
        for (kind, count) in [("readOnly", reading), ("mutating", changing)] {
            let gauge = self.in_flight.get_or_create(&[("request_kind", kind)]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Everything as Prometheus text.
    ///
    /// # Errors
    /// Only if a collector fails to write into a string.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        encode(&self.registry)
    }

    /// The checks of health alone: `/metrics/slis`.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_slis(&self) -> Result<String, std::fmt::Error> {
        encode(&self.slis)
    }
}

impl Default for KubeMetrics {
    fn default() -> Self {
        Self::new()
    }
}

fn encode(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    text::encode_registry(&mut text, registry)?;
    Ok(text)
}

/// Which release is served, and which of its features.
fn identify(registry: &mut Registry) {
    let info = version::info();
    let text = |field: &str| -> Text {
        let text = info.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned().into()
    };
    let builds: Family<[(&'static str, Text); 9], Gauge> = Family::default();
    builds
        .get_or_create(&[
            ("build_date", text("buildDate")),
            ("compiler", text("compiler")),
            ("git_commit", text("gitCommit")),
            ("git_tree_state", text("gitTreeState")),
            ("git_version", text("gitVersion")),
            ("go_version", text("goVersion")),
            ("major", text("major")),
            ("minor", text("minor")),
            ("platform", text("platform")),
        ])
        .set(1);
    registry.register(
        "kubernetes_build_info",
        "The release that is served",
        builds,
    );
    let features: Family<[(&'static str, &'static str); 2], Gauge> = Family::default();
    for (name, stage) in FEATURES {
        features
            .get_or_create(&[("name", name), ("stage", stage)])
            .set(1);
    }
    registry.register(
        "kubernetes_feature_enabled",
        "Whether a feature is on, by name and stage",
        features,
    );
}
