//! Runs the cases of one area against one server, at once, and reports every one that failed.
//!
//! A server takes about a second to start, a case some milliseconds; so a test is a group of cases.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use holdfast::etcd::pb::etcdserverpb::{LeaseGrantRequest, RangeRequest, RangeResponse};
use holdfast::etcd::pb::mvccpb::KeyValue;

use super::{Client, Server, Watch, bytes, point, prefixed, put, watch_key, watch_prefix};

/// After this long a case counts as hung.
const CASE_LIMIT: Duration = Duration::from_secs(90);

/// Cases in flight: many, because those about leases and quiet streams mostly wait.
const AT_ONCE: usize = 32;

type CaseFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A case and the rule it states.
pub struct NamedCase {
    name: String,
    run: Box<dyn FnOnce(Case) -> CaseFuture>,
}

impl NamedCase {
    pub fn new<F>(name: impl Into<String>, run: impl FnOnce(Case) -> F + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        Self {
            name: name.into(),
            run: Box::new(move |case| Box::pin(run(case))),
        }
    }
}

/// Cases from functions, named as they are.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        vec![$($crate::harness::NamedCase::new(stringify!($case), $case)),*]
    };
}
pub(crate) use cases;

/// The cases of one area.
pub struct Suite {
    area: &'static str,
    cases: Vec<(NamedCase, (u32, u32))>,
}

impl Suite {
    pub fn new(area: &'static str, cases: Vec<NamedCase>) -> Self {
        let none = Self {
            area,
            cases: Vec::new(),
        };
        none.with(cases)
    }

    /// Adds cases.
    pub fn with(self, cases: Vec<NamedCase>) -> Self {
        self.since(0, 0, cases)
    }

    /// Adds cases of an API that servers have from this version on.
    pub fn since(mut self, major: u32, minor: u32, cases: Vec<NamedCase>) -> Self {
        let dated = cases.into_iter().map(|case| (case, (major, minor)));
        self.cases.extend(dated);
        self
    }

    /// Runs all cases at once; each has its own keys and connection.
    pub async fn run(self, server: &Server) {
        self.run_on(&[server], AT_ONCE).await;
    }

    /// Runs one case after the other, for cases that mind the store's revision.
    pub async fn run_in_order(self, server: &Server) {
        self.run_on(&[server], 1).await;
    }

    /// Runs cases on a cluster, some at once.
    pub async fn run_on(self, servers: &[&Server], at_once: usize) {
        panic_in_one_line();
        let version = servers[0].client().version().await;
        let (due, skipped): (Vec<_>, Vec<_>) = self
            .cases
            .into_iter()
            .partition(|(_, since)| *since <= version);
        let area = self.area;
        let total = due.len();
        let runs = due
            .into_iter()
            .map(|(case, _)| run_case(area, case, servers));
        let failures: Vec<String> = futures::stream::iter(runs)
            .buffer_unordered(at_once)
            .filter_map(|outcome| async { outcome.err() })
            .collect()
            .await;
        let skipped = skipped_text(&skipped);
        let failed = failures.len();
        eprintln!("{area}: {total} cases, {failed} failed{skipped}");
        if !failures.is_empty() {
            let failures = failures.join("\n");
            // Before the logs as well as after them: a report may keep only one end of the output.
            eprintln!("{failures}");
            for server in servers {
                eprintln!("log of {}:\n{}", server.name(), server.log_tail());
            }
            panic!("{area}: {failed} of {total} failed\n{failures}");
        }
    }
}

/// Says which cases did not run and why; empty if all did.
fn skipped_text(skipped: &[(NamedCase, (u32, u32))]) -> String {
    let Some((_, (major, minor))) = skipped.first() else {
        return String::new();
    };
    let names: Vec<_> = skipped.iter().map(|(case, _)| case.name.as_str()).collect();
    let count = skipped.len();
    format!(
        ", {count} skipped (need {major}.{minor}): {}",
        names.join(" ")
    )
}

/// Panics print where and what, without a backtrace: of a future it is the executor's, and a hundred lines
/// of it for each case hide which one failed.
fn panic_in_one_line() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| eprintln!("{info}"))));
}

async fn run_case(area: &str, case: NamedCase, servers: &[&Server]) -> Result<(), String> {
    let NamedCase { name, run } = case;
    let context = Case {
        client: servers[0].client(),
        members: servers.iter().map(|server| server.client()).collect(),
        prefix: format!("{area}/{name}/"),
    };
    let guarded = AssertUnwindSafe(async { run(context).await }).catch_unwind();
    match tokio::time::timeout(CASE_LIMIT, guarded).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(panic)) => Err(format!("  {name}: {}", panic_text(panic.as_ref()))),
        Err(_) => Err(format!("  {name}: hung")),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("panicked")
}

/// What a case works with: connections and a key prefix that no other case uses.
pub struct Case {
    pub client: Client,
    /// A connection to each member of the cluster.
    pub members: Vec<Client>,
    prefix: String,
}

impl Case {
    pub fn prefix(&self) -> Bytes {
        bytes(&self.prefix)
    }

    pub fn key(&self, name: &str) -> Bytes {
        bytes(format!("{}{name}", self.prefix))
    }

    /// A request for all keys of the case.
    pub fn all(&self) -> RangeRequest {
        prefixed(&self.prefix)
    }

    pub async fn range(&self, request: RangeRequest) -> RangeResponse {
        self.client.range(request).await.unwrap()
    }

    /// Puts one key; returns the revision.
    pub async fn put(&self, name: &str, value: &str) -> i64 {
        let response = self.client.put(put(self.key(name), value)).await.unwrap();
        response.header.unwrap().revision
    }

    /// Puts `a=1 b=2 ...` in this order; returns the last revision.
    pub async fn put_all(&self, pairs: &str) -> i64 {
        let mut last = 0;
        for pair in pairs.split(' ') {
            let (name, value) = pair.split_once('=').unwrap();
            last = self.put(name, value).await;
        }
        last
    }

    /// Deletes one key; returns the revision.
    pub async fn delete(&self, name: &str) -> i64 {
        let request = super::delete(self.key(name));
        let response = self.client.delete_range(request).await.unwrap();
        response.header.unwrap().revision
    }

    pub async fn get(&self, name: &str) -> Option<KeyValue> {
        self.range(point(self.key(name))).await.kvs.pop()
    }

    /// Everything the case has stored, as `a=1 b=2`.
    pub async fn stored(&self) -> String {
        super::pairs(&self.range(self.all()).await.kvs)
    }

    /// Grants a lease with an id that the server chooses.
    pub async fn lease(&self, ttl: i64) -> i64 {
        let request = LeaseGrantRequest { ttl, id: 0 };
        self.client.lease_grant(request).await.unwrap().id
    }

    /// Puts a key with a lease.
    pub async fn put_leased(&self, name: &str, value: &str, lease: i64) -> i64 {
        let mut request = put(self.key(name), value);
        request.lease = lease;
        let response = self.client.put(request).await.unwrap();
        response.header.unwrap().revision
    }

    /// A watch on one key, from now on.
    pub async fn watch(&self, name: &str) -> Watch {
        Watch::start(&self.client, watch_key(self.key(name)))
            .await
            .0
    }

    /// A watch on all keys of the case, from now on.
    pub async fn watch_all(&self) -> Watch {
        Watch::start(&self.client, watch_prefix(&self.prefix))
            .await
            .0
    }
}
