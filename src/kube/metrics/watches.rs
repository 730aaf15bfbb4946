//! What watchers are sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;

use super::families::{CountBy, HistogramBy, family};
use super::labels::text;
use super::naming::Scope;
use crate::base::metrics::{Count, Histogram};

/// Bounds for how long the state takes that a watch begins with, in seconds.
const LISTS: [f64; 17] = [
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// Counts what watchers are sent, by resource.
#[derive(Debug)]
pub struct Watches {
    events: CountBy<3>,
    sizes: HistogramBy<3>,
    lists: HistogramBy<4>,
    known: ArcSwap<HashMap<Box<str>, Arc<WatchSeries>>>,
}

/// What the watchers of one resource are sent.
#[derive(Debug, Clone)]
pub struct WatchSeries {
    group: Box<str>,
    version: Box<str>,
    resource: Box<str>,
    events: Count,
    sizes: Histogram,
    lists: HistogramBy<4>,
}

impl Watches {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            events: family(
                registry,
                "apiserver_watch_events_total",
                "Events sent to watchers",
                Count::default,
            ),
            // 1 KiB to 128 KiB.
            sizes: family(
                registry,
                "apiserver_watch_events_sizes",
                "Bytes of events",
                || Histogram::doubling(1024.0, 8),
            ),
            lists: family(
                registry,
                "apiserver_watch_list_duration_seconds",
                "Time until a watcher has the state that it begins with",
                || Histogram::up_to(&LISTS),
            ),
            known: ArcSwap::default(),
        }
    }

    /// What is counted of a resource; it is there from then on.
    pub fn of(&self, group: &str, version: &str, resource: &str) -> Arc<WatchSeries> {
        let name = format!("{group}/{version}/{resource}");
        if let Some(series) = self.known.load().get(&*name) {
            return Arc::clone(series);
        }
        let labels = [
            ("group", text(group)),
            ("resource", text(resource)),
            ("version", text(version)),
        ];
        // Whoever else makes it at the same time counts into the same handles.
        let series = Arc::new(WatchSeries {
            group: group.into(),
            version: version.into(),
            resource: resource.into(),
            events: self.events.get_or_create_owned(&labels),
            sizes: self.sizes.get_or_create_owned(&labels),
            lists: self.lists.clone(),
        });
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(name.clone().into(), Arc::clone(&series));
            known
        });
        series
    }
}

impl WatchSeries {
    /// Counts an event of so many bytes.
    pub fn sent(&self, bytes: usize) {
        self.events.inc();
        self.sizes.observe(bytes as f64);
    }

    /// Counts that a watcher has the state that it began with.
    pub fn listed(&self, scope: Scope, began: Instant) {
        let labels = [
            ("group", text(&self.group)),
            ("resource", text(&self.resource)),
            ("scope", scope.as_str().into()),
            ("version", text(&self.version)),
        ];
        self.lists.get_or_create(&labels).since(began);
    }
}
