//! The watch workload: one stream of puts, many watchers, every delivery timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use h2::SendStream;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::BenchError;
use super::answers::Delivery;
use super::grpc::{Answers, Client, Link, deal};
use super::load::{Outcome, Tickets, progress};
use super::options::{LoadOptions, WatchOptions};
use super::workload::{PUT, mix, value};
use crate::base::clock;
use crate::base::range::prefix_end;
use crate::etcd::pb::etcdserverpb::watch_request::RequestUnion;
use crate::etcd::pb::etcdserverpb::{PutRequest, PutResponse, WatchCreateRequest, WatchRequest};

/// Where the method is, as in etcd's `rpc.proto`.
const WATCH: &str = "/etcdserverpb.Watch/Watch";
/// A run whose deliveries stop arriving for this long is over: what is missing is reported as lost.
const SILENCE: Duration = Duration::from_secs(10);
/// How often the progress bar moves and silence is looked for.
const SHOW_INTERVAL: Duration = Duration::from_millis(100);

struct Run {
    load: LoadOptions,
    value: Bytes,
    tickets: Tickets,
    /// When the run began: values carry microseconds since then.
    epoch: Instant,
    /// Deliveries that each stream is to have.
    per_stream: u64,
    /// Deliveries that are still to come.
    outstanding: AtomicU64,
    /// Ends what still waits for deliveries.
    silent: CancellationToken,
}

/// Watchers that exist and wait for the first put.
pub(super) struct Watchers {
    /// The streams on each connection, in the order of the connections.
    streams: Vec<Vec<Stream>>,
    streams_in_all: u64,
    per_stream: u64,
}

impl Watchers {
    /// Opens the streams and waits until the server has created every watcher.
    pub(super) async fn open(
        load: &LoadOptions,
        options: &WatchOptions,
        links: &[Arc<Link>],
    ) -> Result<Self, BenchError> {
        let create = create_request(load, options);
        let requests = vec![create; options.watchers_per_stream];
        let mut streams = Vec::with_capacity(links.len());
        for (link, numbers) in deal(links, options.streams) {
            streams.push(link.drive(open_on(link, numbers.len(), &requests)).await?);
        }
        Ok(Self {
            streams,
            streams_in_all: options.streams as u64,
            per_stream: options.watchers_per_stream as u64,
        })
    }

    /// Puts, and receives until every delivery is in or none comes any more.
    pub(super) async fn run(self, load: &LoadOptions, links: &[Arc<Link>]) -> Outcome {
        let watchers = self.streams_in_all * self.per_stream;
        let deliveries = load.total * watchers;
        let run = Arc::new(Run {
            load: load.clone(),
            value: value(load),
            tickets: Tickets::new(load.total, load.rate),
            epoch: clock::now(),
            per_stream: load.total * self.per_stream,
            outstanding: AtomicU64::new(deliveries),
            silent: CancellationToken::new(),
        });
        let mut parts = JoinSet::new();
        for ((link, writers), streams) in deal(links, load.clients).zip(self.streams) {
            parts.spawn(Arc::clone(&run).on_link(Arc::clone(link), streams, writers.len()));
        }
        let mut outcome = run.wait(parts, deliveries).await;
        outcome.extra.insert("watchers", watchers);
        let lost = run.outstanding.load(Ordering::Relaxed);
        outcome.extra.insert("lost", lost);
        outcome
    }
}

impl Run {
    /// Waits for all connections, shows how far they are, and ends the run when they hear nothing more.
    async fn wait(&self, mut parts: JoinSet<Outcome>, deliveries: u64) -> Outcome {
        let bar = progress(&self.load, deliveries);
        let mut outcome = Outcome::new();
        let mut quiet = Quiet::new(deliveries, self.epoch);
        let mut show = tokio::time::interval(SHOW_INTERVAL);
        loop {
            tokio::select! {
                done = parts.join_next() => match done {
                    Some(Ok(done)) => outcome.merge(done),
                    Some(Err(_)) => {}
                    None => break,
                },
                _ = show.tick() => {
                    let outstanding = self.outstanding.load(Ordering::Relaxed);
                    bar.set_position(deliveries - outstanding);
                    if quiet.lasts(outstanding, clock::now()) >= SILENCE {
                        self.silent.cancel();
                    }
                }
            }
        }
        bar.finish_and_clear();
        outcome
    }

    /// The streams and writers of one connection, in one task with it.
    async fn on_link(
        self: Arc<Self>,
        link: Arc<Link>,
        streams: Vec<Stream>,
        writers: usize,
    ) -> Outcome {
        let outcome = Mutex::new(Outcome::new());
        let writing: FuturesUnordered<_> = (0..writers)
            .map(|_| self.write(link.client(), &outcome))
            .collect();
        let receiving: FuturesUnordered<_> = streams
            .into_iter()
            .map(|stream| self.receive(stream, &outcome))
            .collect();
        let receiving = self.silent.run_until_cancelled(receiving.collect::<()>());
        link.drive(async { tokio::join!(writing.collect::<()>(), receiving) })
            .await;
        outcome.into_inner()
    }

    async fn write(&self, mut client: Client, outcome: &Mutex<Outcome>) {
        while let Some(number) = self.tickets.take().await {
            let mut value = BytesMut::from(&*self.value);
            let sent = self.micros().to_le_bytes();
            for (byte, stamp) in value.iter_mut().zip(sent) {
                *byte = stamp;
            }
            let request = PutRequest {
                key: self.load.key(mix(number) % self.load.key_space_size),
                value: value.freeze(),
                ..PutRequest::default()
            };
            if let Err(error) = client.call::<PutResponse>(PUT, &request).await {
                outcome.lock().fail(&error);
            }
        }
    }

    /// Receives until every delivery of the stream is in, or it ends.
    async fn receive(&self, mut stream: Stream, outcome: &Mutex<Outcome>) {
        let mut expected = self.per_stream;
        while expected > 0 {
            match stream.answers.next().await {
                Ok(Some(delivery)) => {
                    let events = self.count(&delivery, &mut outcome.lock());
                    expected = expected.saturating_sub(events);
                }
                Ok(None) => break,
                Err(error) => {
                    outcome.lock().fail(&error);
                    break;
                }
            }
        }
    }

    fn count(&self, delivery: &Delivery, outcome: &mut Outcome) -> u64 {
        let now = self.micros();
        for event in &delivery.events {
            let sent = event.kv.as_ref().and_then(|kv| kv.value.first_chunk());
            let sent = sent.map_or(now, |stamp| u64::from_le_bytes(*stamp));
            outcome.record(Duration::from_micros(now.saturating_sub(sent)));
        }
        *outcome.extra.entry("messages").or_default() += 1;
        let events = delivery.events.len() as u64;
        self.outstanding.fetch_sub(events, Ordering::Relaxed);
        events
    }

    fn micros(&self) -> u64 {
        u64::try_from(clock::now().duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX)
    }
}

/// How long nothing has been delivered.
struct Quiet {
    outstanding: u64,
    since: Instant,
}

impl Quiet {
    fn new(outstanding: u64, since: Instant) -> Self {
        Self { outstanding, since }
    }

    /// How long the deliveries that are still to come have been as many as `outstanding`.
    fn lasts(&mut self, outstanding: u64, now: Instant) -> Duration {
        if outstanding != self.outstanding {
            *self = Self::new(outstanding, now);
        }
        now.duration_since(self.since)
    }
}

struct Stream {
    answers: Answers,
    /// Kept open: closing it would end the stream.
    _requests: SendStream<Bytes>,
}

impl Stream {
    /// Opens a stream and waits until all its watchers exist.
    async fn open(client: &mut Client, requests: &[WatchRequest]) -> Result<Self, Status> {
        let (mut answers, more) = client.open(WATCH, requests).await?;
        let mut created = 0;
        while created < requests.len() {
            match answers.next::<Delivery>().await? {
                Some(answer) if answer.canceled => {
                    return Err(Status::aborted(answer.cancel_reason));
                }
                Some(answer) => created += usize::from(answer.created),
                None => return Err(Status::aborted("the watch stream ended")),
            }
        }
        Ok(Self {
            answers,
            _requests: more,
        })
    }
}

async fn open_on(
    link: &Arc<Link>,
    count: usize,
    requests: &[WatchRequest],
) -> Result<Vec<Stream>, Status> {
    let mut client = link.client();
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        streams.push(Stream::open(&mut client, requests).await?);
    }
    Ok(streams)
}

fn create_request(load: &LoadOptions, options: &WatchOptions) -> WatchRequest {
    let create = WatchCreateRequest {
        key: Bytes::from(load.prefix.clone()),
        range_end: prefix_end(load.prefix.as_bytes()).unwrap_or(Bytes::from_static(b"\0")),
        prev_kv: options.prev_kv,
        ..WatchCreateRequest::default()
    };
    WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(create)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_lasts_while_nothing_is_delivered() {
        let start = clock::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut quiet = Quiet::new(5, start);
        assert_eq!(quiet.lasts(5, after(3)), Duration::from_secs(3));
        assert_eq!(quiet.lasts(4, after(5)), Duration::ZERO);
        assert_eq!(quiet.lasts(4, after(9)), Duration::from_secs(4));
    }
}
