//! Connections and the closed loop of clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use super::BenchError;
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
pub(super) async fn connect(options: &LoadOptions) -> Result<Vec<Channel>, BenchError> {
    let mut channels = Vec::with_capacity(options.conns);
    for endpoint in options.endpoints.iter().cycle().take(options.conns) {
        let wrong = |error| BenchError::Endpoint {
            endpoint: endpoint.clone(),
            error,
        };
        let url = if endpoint.contains("://") {
            endpoint.clone()
        } else {
            format!("http://{endpoint}")
        };
        let channel = Endpoint::from_shared(url)
            .map_err(wrong)?
            .tcp_nodelay(true)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .connect()
            .await
            .map_err(wrong)?;
        channels.push(channel);
    }
    Ok(channels)
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
    channels: &[Channel],
) -> Outcome {
    let tickets = Arc::new(Tickets::new(options.total, options.rate));
    let bar = progress(options, options.total);
    let mut clients = JoinSet::new();
    for channel in channels.iter().cycle().take(options.clients) {
        let client = Client {
            requests: Arc::clone(requests),
            tickets: Arc::clone(&tickets),
            channel: channel.clone(),
            bar: bar.clone(),
        };
        clients.spawn(client.run());
    }
    let mut outcome = Outcome::new();
    while let Some(done) = clients.join_next().await {
        if let Ok(done) = done {
            outcome.merge(done);
        }
    }
    bar.finish_and_clear();
    outcome
}

struct Client {
    requests: Arc<Requests>,
    tickets: Arc<Tickets>,
    channel: Channel,
    bar: ProgressBar,
}

impl Client {
    async fn run(self) -> Outcome {
        let mut outcome = Outcome::new();
        let mut done = 0;
        while let Some(number) = self.tickets.take().await {
            let started = clock::now();
            match self.requests.send(&self.channel, number).await {
                Ok(()) => outcome.record(clock::now().duration_since(started)),
                Err(error) => outcome.fail(&error),
            }
            done += 1;
            if done % PROGRESS_STEP == 0 {
                self.bar.inc(PROGRESS_STEP);
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
