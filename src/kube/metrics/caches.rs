//! What the views are asked and told, by the place where objects are stored: kube-apiserver's watch cache.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;

use super::families::{CountBy, GaugeBy, HistogramBy, family};
use super::labels::{Label, text};
use crate::base::metrics::{Count, Gauge, Histogram};
use crate::kube::schema::Resources;
use crate::kube::store::ROOT;
use crate::kube::views::World;

/// Bounds for how long a reader waits for a version, in seconds.
const WAITS: [f64; 13] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0,
];

/// Counts by place: `pods`, `services/endpoints`, `example.com/widgets`.
#[derive(Debug)]
pub struct Places {
    families: Families,
    known: ArcSwap<HashMap<Box<str>, Arc<PlaceSeries>>>,
}

#[derive(Debug)]
struct Families {
    received: CountBy<2>,
    dispatched: CountBy<2>,
    terminated: CountBy<2>,
    initial: CountBy<2>,
    versions: GaugeBy<2>,
    waits: HistogramBy<2>,
    consistent: CountBy<4>,
    lists: CountBy<3>,
    fetched: CountBy<3>,
    returned: CountBy<2>,
    store_lists: CountBy<2>,
    store_fetched: CountBy<2>,
    store_evaluated: CountBy<2>,
    store_returned: CountBy<2>,
    objects: GaugeBy<2>,
    objects_by_name: GaugeBy<1>,
    sizes: GaugeBy<2>,
}

/// What is counted of the objects of one place.
#[derive(Debug, Clone)]
pub struct PlaceSeries {
    group: Box<str>,
    resource: Box<str>,
    /// Changes that have come from the store.
    pub received: Count,
    /// Changes that watchers were handed.
    pub dispatched: Count,
    /// Watchers that did not keep up.
    pub terminated: Count,
    /// Objects of the states that watches began with.
    pub initial: Count,
    /// Time for which readers have waited for a version.
    pub waits: Histogram,
    /// Reads of the latest state that the views have answered.
    pub consistent: Count,
    /// The same, where this member could not know what is latest.
    pub inconsistent: Count,
    lists: Count,
    fetched: Count,
    returned: Count,
    store_lists: Count,
    store_fetched: Count,
    store_evaluated: Count,
    store_returned: Count,
}

impl Families {
    fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            received: family(
                r,
                "apiserver_watch_cache_events_received_total",
                "Changes that have come from the store",
                Count::default,
            ),
            dispatched: family(
                r,
                "apiserver_watch_cache_events_dispatched_total",
                "Changes that watchers were told of, once for all of them",
                Count::default,
            ),
            terminated: family(
                r,
                "apiserver_terminated_watchers_total",
                "Watchers that were ended because they did not keep up",
                Count::default,
            ),
            initial: family(
                r,
                "apiserver_init_events_total",
                "Objects of the states that watches began with",
                Count::default,
            ),
            versions: family(
                r,
                "apiserver_watch_cache_resource_version",
                "Revision that lists are answered at",
                Gauge::default,
            ),
            waits: family(
                r,
                "apiserver_watch_cache_read_wait_seconds",
                "Time for which readers waited for a version",
                || Histogram::up_to(&WAITS),
            ),
            consistent: family(
                r,
                "apiserver_watch_cache_consistent_read_total",
                "Reads of the latest state",
                Count::default,
            ),
            lists: family(
                r,
                "apiserver_cache_list_total",
                "Lists answered from memory",
                Count::default,
            ),
            fetched: family(
                r,
                "apiserver_cache_list_fetched_objects_total",
                "Objects read for lists from memory",
                Count::default,
            ),
            returned: family(
                r,
                "apiserver_cache_list_returned_objects_total",
                "Objects of lists from memory",
                Count::default,
            ),
            store_lists: family(
                r,
                "apiserver_storage_list_total",
                "Lists answered from the store's history",
                Count::default,
            ),
            store_fetched: family(
                r,
                "apiserver_storage_list_fetched_objects_total",
                "Objects read for lists from the store",
                Count::default,
            ),
            store_evaluated: family(
                r,
                "apiserver_storage_list_evaluated_objects_total",
                "Objects held against selections in lists from the store",
                Count::default,
            ),
            store_returned: family(
                r,
                "apiserver_storage_list_returned_objects_total",
                "Objects of lists from the store",
                Count::default,
            ),
            objects: family(
                r,
                "apiserver_resource_objects",
                "Objects that are stored",
                Gauge::default,
            ),
            objects_by_name: family(
                r,
                "apiserver_storage_objects",
                "The same by the resource's whole name",
                Gauge::default,
            ),
            sizes: family(
                r,
                "apiserver_resource_size_estimate_bytes",
                "Bytes of the objects that are stored",
                Gauge::default,
            ),
        }
    }

    fn of(&self, group: &str, resource: &str) -> PlaceSeries {
        let labels = || [("group", text(group)), ("resource", text(resource))];
        let index = |index: &'static str| -> [Label; 3] {
            let [group, resource] = labels();
            [group, ("index", index.into()), resource]
        };
        let read = |success: &'static str| -> [Label; 4] {
            let [group, resource] = labels();
            [
                ("fallback", "false".into()),
                group,
                resource,
                ("success", success.into()),
            ]
        };
        PlaceSeries {
            group: group.into(),
            resource: resource.into(),
            received: self.received.get_or_create_owned(&labels()),
            dispatched: self.dispatched.get_or_create_owned(&labels()),
            terminated: self.terminated.get_or_create_owned(&labels()),
            initial: self.initial.get_or_create_owned(&labels()),
            waits: self.waits.get_or_create_owned(&labels()),
            consistent: self.consistent.get_or_create_owned(&read("true")),
            inconsistent: self.consistent.get_or_create_owned(&read("false")),
            lists: self.lists.get_or_create_owned(&index("")),
            fetched: self.fetched.get_or_create_owned(&index("")),
            returned: self.returned.get_or_create_owned(&labels()),
            store_lists: self.store_lists.get_or_create_owned(&labels()),
            store_fetched: self.store_fetched.get_or_create_owned(&labels()),
            store_evaluated: self.store_evaluated.get_or_create_owned(&labels()),
            store_returned: self.store_returned.get_or_create_owned(&labels()),
        }
    }
}

impl Places {
    /// Knows the places of the release's own resources from the beginning.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Families::register(registry);
        let mut known = HashMap::new();
        for group in Resources::built_in().groups() {
            for resource in &group.resources {
                if let Some(place) = &resource.key {
                    let series = || Arc::new(families.of(&group.group, &resource.plural));
                    known.entry(place.clone()).or_insert_with(series);
                }
            }
        }
        Self {
            families,
            known: ArcSwap::from_pointee(known),
        }
    }

    /// What is counted of a place below `/registry/`, made at the first call.
    pub fn of(&self, place: &str, group: &str, resource: &str) -> Arc<PlaceSeries> {
        if let Some(series) = self.known.load().get(place) {
            return Arc::clone(series);
        }
        // Whoever else makes it at the same time counts into the same handles.
        let series = Arc::new(self.families.of(group, resource));
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(place.into(), Arc::clone(&series));
            known
        });
        series
    }

    /// What is counted of the place that a key is in; none for what no resource is stored under.
    pub fn of_key(&self, key: &[u8]) -> Option<Arc<PlaceSeries>> {
        let known = self.known.load();
        place_of(key, |place| known.get(place).cloned())
    }

    /// Shows how many objects there are, how large they are, and at which revision.
    pub fn show(&self, world: &World) {
        let known = self.known.load_full();
        let mut counts: HashMap<&str, (i64, i64)> =
            known.keys().map(|place| (&**place, (0, 0))).collect();
        for stored in world.range(ROOT.as_bytes(), b"") {
            let place = place_of(&stored.key, |place| {
                let (place, _) = known.get_key_value(place)?;
                Some(&**place)
            });
            if let Some((objects, bytes)) = place.and_then(|place| counts.get_mut(place)) {
                *objects += 1;
                *bytes += i64::try_from(stored.value.len()).unwrap_or_default();
            }
        }
        for (place, (objects, bytes)) in counts {
            let Some(series) = known.get(place) else {
                continue;
            };
            let (group, resource) = (&*series.group, &*series.resource);
            let labels = [("group", text(group)), ("resource", text(resource))];
            self.families.objects.get_or_create(&labels).set(objects);
            self.families.sizes.get_or_create(&labels).set(bytes);
            self.families
                .versions
                .get_or_create(&labels)
                .set(world.revision);
            let name = match group {
                "" => resource.to_owned(),
                group => format!("{resource}.{group}"),
            };
            let labels = [("resource", name.into())];
            self.families
                .objects_by_name
                .get_or_create(&labels)
                .set(objects);
        }
    }
}

/// The place of a key: the first part behind the root, or the first two, whichever `is_known`.
fn place_of<T>(key: &[u8], is_known: impl Fn(&str) -> Option<T>) -> Option<T> {
    let key = std::str::from_utf8(key).ok()?.strip_prefix(ROOT)?;
    let (first, rest) = key.split_once('/')?;
    is_known(first).or_else(|| {
        let (second, _) = rest.split_once('/')?;
        is_known(key.get(..first.len() + 1 + second.len())?)
    })
}

impl PlaceSeries {
    /// Counts a list from memory: objects read for it and objects in it.
    pub fn listed(&self, fetched: usize, returned: usize) {
        self.lists.inc();
        self.fetched.add(fetched as u64);
        self.returned.add(returned as u64);
    }

    /// Counts a list from the store's history, as [`Self::listed`].
    pub fn listed_from_store(&self, fetched: usize, evaluated: usize, returned: usize) {
        self.store_lists.inc();
        self.store_fetched.add(fetched as u64);
        self.store_evaluated.add(evaluated as u64);
        self.store_returned.add(returned as u64);
    }

    /// Counts a wait for a version.
    pub fn waited(&self, began: Instant) {
        self.waits.since(began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_the_places_of_resources() {
        let mut registry = Registry::default();
        let places = Places::register(&mut registry);
        let of = |key: &str| {
            let series = places.of_key(key.as_bytes());
            series.map(|series| format!("{} {}", series.group, series.resource))
        };
        for (key, said) in [
            ("/registry/pods/a/x", Some(" pods")),
            ("/registry/deployments/a/x", Some("apps deployments")),
            ("/registry/services/specs/a/x", Some(" services")),
            ("/registry/services/endpoints/a/x", Some(" endpoints")),
            ("/registry/masterleases/10.0.0.1", None),
            ("/registry/example.com/widgets/a/x", None),
            ("/registry/pods", None),
            ("/other/pods/a/x", None),
        ] {
            assert_eq!(of(key).as_deref(), said, "{key}");
        }
        places
            .of("example.com/widgets", "example.com", "widgets")
            .received
            .inc();
        assert_eq!(
            of("/registry/example.com/widgets/a/x").as_deref(),
            Some("example.com widgets")
        );
    }
}
