//! Requests by resource, verb, scope and code.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;

use super::families::{CountBy, GaugeBy, HistogramBy, family};
use super::labels::{Label, Text, text};
use super::naming::{DRY_RUNS, DryRun, SCOPES, Scope, VERBS, Verb};
use crate::base::clock;
use crate::base::metrics::{Count, Gauge, Histogram};

/// The release's bounds for how long requests take, in seconds.
const DURATIONS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];
/// The same for what a level of service is held against.
const SLI_DURATIONS: [f64; 21] = [
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0,
    30.0, 45.0, 60.0,
];
/// Bounds for the bytes of answers: 1 kB to 1 GB.
const SIZES: [f64; 7] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Codes with a series at hand; others are looked up.
const CODES: [u16; 18] = [
    200, 201, 101, 202, 304, 400, 403, 404, 405, 406, 409, 410, 415, 422, 429, 500, 503, 504,
];

#[derive(Debug)]
struct Families {
    total: CountBy<9>,
    durations: HistogramBy<8>,
    sli_durations: HistogramBy<7>,
    response_sizes: HistogramBy<7>,
    body_sizes: HistogramBy<3>,
    running: GaugeBy<7>,
    terminated: CountBy<8>,
    deprecated: GaugeBy<5>,
}

/// Counts requests. What is counted of a resource is found by its name, once for each request.
#[derive(Debug)]
pub struct Requests {
    families: Arc<Families>,
    known: ArcSwap<HashMap<Box<str>, Vec<Arc<ResourceSeries>>>>,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let durations = || Histogram::up_to(&DURATIONS);
        let sli_durations = || Histogram::up_to(&SLI_DURATIONS);
        let sizes = || Histogram::up_to(&SIZES);
        let bodies = || {
            // 50 kB, and 100 kB more each time, up to the largest that is taken.
            let bounds: Vec<f64> = (0..31)
                .map(|n| 50_000.0 + 100_000.0 * f64::from(n))
                .collect();
            Histogram::up_to(&bounds)
        };
        let families = Families {
            total: family(
                registry,
                "apiserver_request_total",
                "Requests, by what was asked and the code of the answer",
                Count::default,
            ),
            durations: family(
                registry,
                "apiserver_request_duration_seconds",
                "Time from a request's begin to its end",
                durations,
            ),
            sli_durations: family(
                registry,
                "apiserver_request_sli_duration_seconds",
                "The same without what the server does not answer for",
                sli_durations,
            ),
            response_sizes: family(
                registry,
                "apiserver_response_sizes",
                "Bytes of answers to requests that read",
                sizes,
            ),
            body_sizes: family(
                registry,
                "apiserver_request_body_size_bytes",
                "Bytes of bodies whose size is told",
                bodies,
            ),
            running: family(
                registry,
                "apiserver_longrunning_requests",
                "Requests under way that are meant to go on",
                Gauge::default,
            ),
            terminated: family(
                registry,
                "apiserver_request_terminations_total",
                "Requests that were ended in self-defence",
                Count::default,
            ),
            deprecated: family(
                registry,
                "apiserver_requested_deprecated_apis",
                "Deprecated APIs that were asked for",
                Gauge::default,
            ),
        };
        Self {
            families: Arc::new(families),
            known: ArcSwap::default(),
        }
    }

    /// What is counted of a resource, or of a part of one. It is there from then on: only for what is served.
    pub fn of(
        &self,
        group: &str,
        version: &str,
        resource: &str,
        subresource: &str,
    ) -> Arc<ResourceSeries> {
        let is = |series: &&Arc<ResourceSeries>| series.is(group, version, subresource);
        let known = self.known.load();
        let found = known
            .get(resource)
            .and_then(|all| all.iter().find(is).cloned());
        found.unwrap_or_else(|| self.add(group, version, resource, subresource))
    }

    /// Of two that add the same at once, both end with the one that stays.
    fn add(
        &self,
        group: &str,
        version: &str,
        resource: &str,
        subresource: &str,
    ) -> Arc<ResourceSeries> {
        let made = Arc::new(ResourceSeries {
            group: group.into(),
            version: version.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            families: Arc::clone(&self.families),
            cells: std::array::from_fn(|_| OnceLock::new()),
        });
        let mut kept = Arc::clone(&made);
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            let all = known.entry(resource.into()).or_default();
            match all
                .iter()
                .find(|series| series.is(group, version, subresource))
            {
                Some(other) => kept = Arc::clone(other),
                None => {
                    kept = Arc::clone(&made);
                    all.push(Arc::clone(&made));
                }
            }
            known
        });
        kept
    }
}

/// What is counted of one resource or subresource, or of a path.
#[derive(Debug)]
pub struct ResourceSeries {
    group: Box<str>,
    version: Box<str>,
    resource: Box<str>,
    subresource: Box<str>,
    families: Arc<Families>,
    cells: [OnceLock<Arc<Cell>>; VERBS * SCOPES],
}

/// Series of one verb and scope, each made when it is first counted.
#[derive(Debug)]
struct Cell {
    /// group, resource, scope, subresource, verb, version
    labels: [Text; 6],
    families: Arc<Families>,
    totals: [OnceLock<Count>; CODES.len() * DRY_RUNS.len()],
    durations: [OnceLock<Histogram>; DRY_RUNS.len()],
    sli: OnceLock<Histogram>,
    sizes: OnceLock<Histogram>,
    bodies: OnceLock<Histogram>,
    running: OnceLock<Gauge>,
}

/// What is known of a request at its end.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub verb: Verb,
    pub scope: Scope,
    /// The query's `dryRun`.
    pub dry_run: DryRun,
    pub began: Instant,
    pub code: u16,
    /// Bytes of the answer, if they are known.
    pub answered: Option<u64>,
    /// Bytes of the request's body, if they are told beforehand.
    pub sent: Option<u64>,
}

impl ResourceSeries {
    fn is(&self, group: &str, version: &str, subresource: &str) -> bool {
        &*self.group == group && &*self.version == version && &*self.subresource == subresource
    }

    fn cell(&self, verb: Verb, scope: Scope) -> Option<&Arc<Cell>> {
        let cell = self.cells.get(verb as usize * SCOPES + scope as usize)?;
        Some(cell.get_or_init(|| {
            Arc::new(Cell {
                labels: [
                    text(&self.group),
                    text(&self.resource),
                    scope.as_str().into(),
                    text(&self.subresource),
                    verb.as_str().into(),
                    text(&self.version),
                ],
                families: Arc::clone(&self.families),
                totals: std::array::from_fn(|_| OnceLock::new()),
                durations: std::array::from_fn(|_| OnceLock::new()),
                sli: OnceLock::new(),
                sizes: OnceLock::new(),
                bodies: OnceLock::new(),
                running: OnceLock::new(),
            })
        }))
    }

    /// Counts a request that has ended.
    pub fn ended(&self, measured: &Measured) {
        if let Some(cell) = self.cell(measured.verb, measured.scope) {
            cell.ended(measured);
        }
    }

    /// Counts a request that goes on until what is returned is dropped.
    pub fn running(&self, measured: &Measured) -> Option<Running> {
        let cell = self.cell(measured.verb, measured.scope)?;
        cell.running().inc();
        Some(Running {
            cell: Arc::clone(cell),
            measured: *measured,
        })
    }

    /// Counts a request that was turned away, as one that has ended too.
    pub fn dropped(&self, measured: &Measured) {
        if let Some(cell) = self.cell(measured.verb, measured.scope) {
            cell.total(measured).inc();
        }
        self.terminated(measured);
    }

    /// Counts a request that was ended in self-defence.
    pub fn terminated(&self, measured: &Measured) {
        let Some(cell) = self.cell(measured.verb, measured.scope) else {
            return;
        };
        let [group, resource, scope, subresource, verb, version] = cell.labels.clone();
        let labels = [
            ("code", measured.code.to_string().into()),
            ("component", COMPONENT),
            ("group", group),
            ("resource", resource),
            ("scope", scope),
            ("subresource", subresource),
            ("verb", verb),
            ("version", version),
        ];
        self.families.terminated.get_or_create(&labels).inc();
    }

    /// Notes that something deprecated was asked for; `removed` is the release that has it no more, if that is known.
    pub fn deprecated(&self, removed: &'static str) {
        let labels = [
            ("group", text(&self.group)),
            ("removed_release", removed.into()),
            ("resource", text(&self.resource)),
            ("subresource", text(&self.subresource)),
            ("version", text(&self.version)),
        ];
        self.families.deprecated.get_or_create(&labels).set(1);
    }
}

const COMPONENT: Text = Text::Borrowed("apiserver");

impl Cell {
    fn ended(&self, measured: &Measured) {
        self.total(measured).inc();
        let took = clock::now().saturating_duration_since(measured.began);
        self.duration(measured.dry_run).took(took);
        if measured.dry_run == DryRun::No {
            self.sli().took(took);
        }
        if matches!(measured.verb, Verb::Get | Verb::List)
            && let Some(size) = measured.answered
        {
            self.sizes().observe(size as f64);
        }
        if let (Some(name), Some(sent)) = (measured.verb.of_body(), measured.sent) {
            self.bodies(name).observe(sent as f64);
        }
    }

    fn total(&self, measured: &Measured) -> Count {
        let dry_run = measured.dry_run as usize;
        let made = || {
            let [group, resource, scope, subresource, verb, version] = self.labels.clone();
            self.families.total.get_or_create_owned(&[
                ("code", measured.code.to_string().into()),
                ("component", COMPONENT),
                (
                    "dry_run",
                    DRY_RUNS.get(dry_run).copied().unwrap_or_default().into(),
                ),
                ("group", group),
                ("resource", resource),
                ("scope", scope),
                ("subresource", subresource),
                ("verb", verb),
                ("version", version),
            ])
        };
        let code = CODES.iter().position(|code| *code == measured.code);
        let place = code.and_then(|code| self.totals.get(code * DRY_RUNS.len() + dry_run));
        place.map_or_else(made, |place| place.get_or_init(made).clone())
    }

    fn duration(&self, dry_run: DryRun) -> Histogram {
        let made = || {
            let [group, resource, scope, subresource, verb, version] = self.labels.clone();
            self.families.durations.get_or_create_owned(&[
                ("component", COMPONENT),
                (
                    "dry_run",
                    DRY_RUNS
                        .get(dry_run as usize)
                        .copied()
                        .unwrap_or_default()
                        .into(),
                ),
                ("group", group),
                ("resource", resource),
                ("scope", scope),
                ("subresource", subresource),
                ("verb", verb),
                ("version", version),
            ])
        };
        let place = self.durations.get(dry_run as usize);
        place.map_or_else(made, |place| place.get_or_init(made).clone())
    }

    fn without_run(&self) -> [Label; 7] {
        let [group, resource, scope, subresource, verb, version] = self.labels.clone();
        [
            ("component", COMPONENT),
            ("group", group),
            ("resource", resource),
            ("scope", scope),
            ("subresource", subresource),
            ("verb", verb),
            ("version", version),
        ]
    }

    fn sli(&self) -> &Histogram {
        let families = &self.families.sli_durations;
        self.sli
            .get_or_init(|| families.get_or_create_owned(&self.without_run()))
    }

    fn sizes(&self) -> &Histogram {
        let families = &self.families.response_sizes;
        self.sizes
            .get_or_init(|| families.get_or_create_owned(&self.without_run()))
    }

    fn running(&self) -> &Gauge {
        let families = &self.families.running;
        self.running
            .get_or_init(|| families.get_or_create_owned(&self.without_run()))
    }

    fn bodies(&self, verb: &'static str) -> &Histogram {
        self.bodies.get_or_init(|| {
            let [group, resource, ..] = self.labels.clone();
            let labels = [
                ("group", group),
                ("resource", resource),
                ("verb", verb.into()),
            ];
            self.families.body_sizes.get_or_create_owned(&labels)
        })
    }
}

/// A request that goes on. It has ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    cell: Arc<Cell>,
    measured: Measured,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cell.running().dec();
        self.cell.ended(&self.measured);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::request::RequestInfo;

    fn measured(method: &str, url: &str) -> Measured {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let info = RequestInfo::parse(method, path, query).unwrap();
        let scope = Scope::of(&info);
        Measured {
            verb: Verb::of(method, &info, scope, false),
            scope,
            dry_run: DryRun::No,
            began: clock::now(),
            code: 200,
            answered: Some(5000),
            sent: None,
        }
    }

    fn page(registry: &Registry) -> Vec<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode_registry(&mut text, registry).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn requests_are_counted_under_the_releases_labels() {
        let mut registry = Registry::default();
        let requests = Requests::register(&mut registry);
        let deployments = requests.of("apps", "v1", "deployments", "");
        let list = measured("GET", "/apis/apps/v1/namespaces/a/deployments");
        deployments.ended(&list);
        requests.of("apps", "v1", "deployments", "").ended(&list);
        let put = Measured {
            code: 418,
            dry_run: DryRun::All,
            sent: Some(60_000),
            ..measured("PUT", "/apis/apps/v1/namespaces/a/deployments/x")
        };
        deployments.ended(&put);
        let page = page(&registry);
        let labels = |verb: &str, scope: &str| {
            format!(
                r#"group="apps",resource="deployments",scope="{scope}",subresource="",verb="{verb}",version="v1""#
            )
        };
        let (listed, put) = (labels("LIST", "namespace"), labels("PUT", "resource"));
        for line in [
            format!(r#"apiserver_request_total{{code="200",component="apiserver",dry_run="",{listed}}} 2"#),
            format!(r#"apiserver_request_total{{code="418",component="apiserver",dry_run="All",{put}}} 1"#),
            format!(r#"apiserver_request_duration_seconds_count{{component="apiserver",dry_run="All",{put}}} 1"#),
            format!(r#"apiserver_request_sli_duration_seconds_count{{component="apiserver",{listed}}} 2"#),
            format!(r#"apiserver_response_sizes_bucket{{le="10000.0",component="apiserver",{listed}}} 2"#),
            r#"apiserver_request_body_size_bytes_bucket{le="150000.0",group="apps",resource="deployments",verb="update"} 1"#.to_owned(),
        ] {
            assert!(page.contains(&line), "{line} is not in\n{}", page.join("\n"));
        }
        assert!(
            !page
                .iter()
                .any(|line| line.contains("sli") && line.contains(&put))
        );
    }

    #[test]
    fn what_goes_on_is_counted_at_its_end_too() {
        let mut registry = Registry::default();
        let requests = Requests::register(&mut registry);
        let watch = measured("GET", "/api/v1/pods?watch=1");
        assert_eq!((watch.verb, watch.scope), (Verb::Watch, Scope::Cluster));
        let running = requests.of("", "v1", "pods", "").running(&watch).unwrap();
        let gauge = |count: i64| {
            let lines = page(&registry);
            let begin = "apiserver_longrunning_requests{";
            let line = lines.iter().find(|line| line.starts_with(begin)).unwrap();
            assert!(line.ends_with(&format!(" {count}")), "{line}");
            lines
                .iter()
                .any(|line| line.starts_with("apiserver_request_total{"))
        };
        assert!(!gauge(1));
        drop(running);
        assert!(gauge(0));
    }
}
