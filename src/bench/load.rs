//! Connections and the closed loop of clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::BenchError;
use super::grpc::{Client, Link, deal};
use super::options::LoadOptions;
use super::workload::Requests;
use crate::base::clock;

/// Latencies are kept from a microsecond to ten minutes, to three digits.
const LONGEST_US: u64 = 600_000_000;
/// Finished requests after which a client moves the progress bar.
const PROGRESS_STEP: u64 = 64;

/// What a run gives.
pub(super) struct Outcome {
    /// Latency of each success in microseconds.
    pub(super) latency: Histogram<u64>,
    /// Failures by their text.
    pub(super) errors: BTreeMap<String, u64>,
    /// Bytes, messages and the like that a workload counts besides.
    pub(super) extra: BTreeMap<&'static str, u64>,
}

impl Outcome {
    pub(super) fn new() -> Self {
        Self {
            latency: histogram(),
            errors: BTreeMap::new(),
            extra: BTreeMap::new(),
        }
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.latency.saturating_record(micros.clamp(1, LONGEST_US));
    }

    pub(super) fn fail(&mut self, error: &tonic::Status) {
        let text = format!("{:?}: {}", error.code(), error.message());
        *self.errors.entry(text).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.latency
            .add(other.latency)
            .expect("all histograms of a run have the same bounds");
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        for (name, count) in other.extra {
            *self.extra.entry(name).or_default() += count;
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are constants in range")
}

/// Opens the connections, dealt out to the endpoints in turn.
pub(super) async fn connect(options: &LoadOptions) -> Result<Vec<Arc<Link>>, BenchError> {
    let mut links = Vec::with_capacity(options.conns);
    let tls = options.tls.connector()?;
    for endpoint in options.endpoints.iter().cycle().take(options.conns) {
        let link = Link::connect(endpoint, tls.as_ref()).await;
        links.push(link.map_err(|error| BenchError::Endpoint {
            endpoint: endpoint.clone(),
            error,
        })?);
    }
    Ok(links)
}

/// Hands out request numbers, no faster than the wanted rate.
pub(super) struct Tickets {
    next: AtomicU64,
    total: u64,
    rate: u64,
    start: Instant,
}

impl Tickets {
    pub(super) fn new(total: u64, rate: u64) -> Self {
        Self {
            next: AtomicU64::new(0),
            total,
            rate,
            start: clock::now(),
        }
    }

    /// The next request's number, when it is due; `None` when all are handed out.
    pub(super) async fn take(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.total {
            return None;
        }
        if self.rate > 0 {
            let due = self.start + Duration::from_secs(1).mul_f64(number as f64 / self.rate as f64);
            tokio::time::sleep_until(due.into()).await;
        }
        Some(number)
    }
}

/// A progress bar over `total` steps on standard error; invisible when not wanted or not a terminal.
pub(super) fn progress(options: &LoadOptions, total: u64) -> ProgressBar {
    if options.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar} {human_pos}/{human_len} {per_sec} (about {eta} left)",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

/// Runs the workload with all its clients and gives what they saw together.
pub(super) async fn run(
    options: &LoadOptions,
    requests: &Arc<Requests>,
    links: &[Arc<Link>],
) -> Outcome {
    let run = Arc::new(Run {
        requests: Arc::clone(requests),
        tickets: Tickets::new(options.total, options.rate),
        bar: progress(options, options.total),
    });
    let mut parts = JoinSet::new();
    for (link, clients) in deal(links, options.clients) {
        parts.spawn(Arc::clone(&run).on_link(Arc::clone(link), clients.len()));
    }
    let mut outcome = Outcome::new();
    while let Some(part) = parts.join_next().await {
        if let Ok(part) = part {
            outcome.merge(part);
        }
    }
    run.bar.finish_and_clear();
    outcome
}

struct Run {
    requests: Arc<Requests>,
    tickets: Tickets,
    bar: ProgressBar,
}

impl Run {
    /// The clients of one connection, in one task with it. They share an outcome because a histogram is
    /// large: one for each of a thousand clients would not stay in any cache.
    async fn on_link(self: Arc<Self>, link: Arc<Link>, clients: usize) -> Outcome {
        let outcome = Mutex::new(Outcome::new());
        let loops: FuturesUnordered<_> = (0..clients)
            .map(|_| self.client(link.client(), &outcome))
            .collect();
        link.drive(loops.collect::<()>()).await;
        outcome.into_inner()
    }

    async fn client(&self, mut client: Client, outcome: &Mutex<Outcome>) {
        let mut done = 0;
        while let Some(number) = self.tickets.take().await {
            let started = clock::now();
            let answered = self.requests.send(&mut client, number).await;
            let latency = clock::now().duration_since(started);
            match answered {
                Ok(()) => outcome.lock().record(latency),
                Err(error) => outcome.lock().fail(&error),
            }
            done += 1;
            if done % PROGRESS_STEP == 0 {
                self.bar.inc(PROGRESS_STEP);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;
    use crate::bench::grpc::testing::{Server, fail, succeed};
    use crate::bench::options::BenchOptions;
    use crate::etcd::pb::etcdserverpb::{PutResponse, RangeResponse, TxnResponse};

    #[tokio::test]
    async fn every_ticket_is_handed_out_once() {
        let tickets = Tickets::new(3, 0);
        let mut taken = Vec::new();
        while let Some(number) = tickets.take().await {
            taken.push(number);
        }
        assert_eq!(taken, [0, 1, 2]);
    }

    #[test]
    fn outcomes_add_up() {
        let mut sum = Outcome::new();
        for micros in [10, 20] {
            let mut one = Outcome::new();
            one.record(Duration::from_micros(micros));
            one.fail(&tonic::Status::not_found("gone"));
            sum.merge(one);
        }
        assert_eq!(sum.latency.len(), 2);
        assert_eq!(sum.latency.max(), 20);
        assert_eq!(sum.errors.get("NotFound: gone"), Some(&2));
    }
    /// The line's workload and options, which are known to be good.
    fn parse(line: &str) -> BenchOptions {
        let command = BenchOptions::augment_args(clap::Command::new("bench"));
        let matches = command.get_matches_from(format!("bench {line}").split(' '));
        let options = BenchOptions::from_arg_matches(&matches).unwrap();
        options.validate().unwrap();
        options
    }

    /// Runs the line's workload on a server with one key in every range, on which each tenth call fails.
    async fn run_line(line: &str) -> Outcome {
        let calls = AtomicU64::new(0);
        let server = Server::start(move |path, respond| {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            match path {
                _ if number % 10 == 9 => fail(respond, "14"),
                "/etcdserverpb.KV/Put" => succeed(respond, &PutResponse::default()),
                "/etcdserverpb.KV/Txn" => succeed(respond, &TxnResponse::default()),
                _ => succeed(
                    respond,
                    &RangeResponse {
                        count: 1,
                        ..RangeResponse::default()
                    },
                ),
            }
        })
        .await;
        let options = parse(&format!("--quiet --endpoints {} {line}", server.endpoint));
        let links = connect(&options.load).await.unwrap();
        let requests = Requests::prepare(&options.workload, &options.load, &links).await;
        run(&options.load, &requests.unwrap(), &links).await
    }

    #[tokio::test]
    async fn every_request_succeeds_or_fails() {
        for workload in [
            "put",
            "range --skip-fill",
            "mixed --read-write-ratio 1 --key-space-size 5",
            "txn --key-space-size 5",
        ] {
            let outcome = run_line(&format!("--total 100 --clients 7 --conns 3 {workload}")).await;
            assert_eq!(outcome.latency.len(), 90, "{workload}");
            let failed: u64 = outcome.errors.values().sum();
            assert_eq!(failed, 10, "{workload}");
        }
    }
}
