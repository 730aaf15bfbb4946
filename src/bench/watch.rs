//! The watch workload: one stream of puts, many watchers, every delivery timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::BenchError;
use super::load::{Outcome, Tickets, progress};
use super::options::{LoadOptions, WatchOptions};
use super::workload::{mix, value};
use crate::base::clock;
use crate::base::range::prefix_end;
use crate::etcd::pb::etcdserverpb::kv_client::KvClient;
use crate::etcd::pb::etcdserverpb::watch_client::WatchClient;
use crate::etcd::pb::etcdserverpb::watch_request::RequestUnion;
use crate::etcd::pb::etcdserverpb::{PutRequest, WatchCreateRequest, WatchRequest};

/// A run whose deliveries stop arriving for this long is over: what is missing is reported as lost.
const SILENCE: Duration = Duration::from_secs(10);
/// How often the progress bar moves.
const SHOW_INTERVAL: Duration = Duration::from_millis(100);
/// The largest answer that is accepted.
const MAX_ANSWER_BYTES: usize = 512 << 20;

struct Run {
    load: LoadOptions,
    value: Bytes,
    /// When the run began: values carry microseconds since then.
    epoch: Instant,
    /// Deliveries that are still to come.
    outstanding: AtomicU64,
}

/// Watchers that exist and wait for the first put.
pub(super) struct Watchers {
    streams: Vec<Stream>,
    per_stream: u64,
}

impl Watchers {
    /// Opens the streams and waits until the server has created every watcher.
    pub(super) async fn open(
        load: &LoadOptions,
        options: &WatchOptions,
        channels: &[Channel],
    ) -> Result<Self, BenchError> {
        let mut streams = Vec::with_capacity(options.streams);
        for channel in channels.iter().cycle().take(options.streams) {
            streams.push(Stream::open(channel, load, options).await?);
        }
        Ok(Self {
            streams,
            per_stream: options.watchers_per_stream as u64,
        })
    }

    /// Puts, and receives until every delivery is in or none comes any more.
    pub(super) async fn run(self, load: &LoadOptions, channels: &[Channel]) -> Outcome {
        let watchers = self.streams.len() as u64 * self.per_stream;
        let deliveries = load.total * watchers;
        let run = Arc::new(Run {
            load: load.clone(),
            value: value(load),
            epoch: clock::now(),
            outstanding: AtomicU64::new(deliveries),
        });
        let bar = progress(load, deliveries);
        let mut parts = JoinSet::new();
        for stream in self.streams {
            parts.spawn(stream.receive(Arc::clone(&run), load.total * self.per_stream));
        }
        let tickets = Arc::new(Tickets::new(load.total, load.rate));
        for channel in channels.iter().cycle().take(load.clients) {
            parts.spawn(Arc::clone(&run).write(channel.clone(), Arc::clone(&tickets)));
        }
        let mut outcome = Outcome::new();
        let mut show = tokio::time::interval(SHOW_INTERVAL);
        loop {
            tokio::select! {
                done = parts.join_next() => match done {
                    Some(Ok(done)) => outcome.merge(done),
                    Some(Err(_)) => {}
                    None => break,
                },
                _ = show.tick() => {
                    bar.set_position(deliveries - run.outstanding.load(Ordering::Relaxed));
                }
            }
        }
        bar.finish_and_clear();
        outcome.extra.insert("watchers", watchers);
        let lost = run.outstanding.load(Ordering::Relaxed);
        outcome.extra.insert("lost", lost);
        outcome
    }
}

impl Run {
    async fn write(self: Arc<Self>, channel: Channel, tickets: Arc<Tickets>) -> Outcome {
        let mut outcome = Outcome::new();
        let mut kv = KvClient::new(channel);
        while let Some(number) = tickets.take().await {
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
            if let Err(error) = kv.put(request).await {
                outcome.fail(&error);
            }
        }
        outcome
    }

    fn micros(&self) -> u64 {
        u64::try_from(clock::now().duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX)
    }
}

struct Stream {
    answers: tonic::Streaming<crate::etcd::pb::etcdserverpb::WatchResponse>,
    /// Kept open: closing it would end the stream.
    _requests: mpsc::Sender<WatchRequest>,
}

impl Stream {
    /// Opens a stream and waits until all its watchers exist.
    async fn open(
        channel: &Channel,
        load: &LoadOptions,
        options: &WatchOptions,
    ) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::channel(options.watchers_per_stream);
        for _ in 0..options.watchers_per_stream {
            let create = WatchCreateRequest {
                key: Bytes::from(load.prefix.clone()),
                range_end: prefix_end(load.prefix.as_bytes()).unwrap_or(Bytes::from_static(b"\0")),
                prev_kv: options.prev_kv,
                ..WatchCreateRequest::default()
            };
            let request = WatchRequest {
                request_union: Some(RequestUnion::CreateRequest(create)),
            };
            // The queue has room for every request.
            let _ = requests.send(request).await;
        }
        let mut client =
            WatchClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
        let mut answers = client
            .watch(ReceiverStream::new(receiver))
            .await?
            .into_inner();
        let mut created = 0;
        while created < options.watchers_per_stream {
            match answers.message().await? {
                Some(answer) if answer.fields.canceled => {
                    return Err(Status::aborted(answer.fields.cancel_reason));
                }
                Some(answer) => created += usize::from(answer.fields.created),
                None => return Err(Status::aborted("the watch stream ended")),
            }
        }
        Ok(Self {
            answers,
            _requests: requests,
        })
    }

    /// Receives until every delivery is in, or none comes any more.
    async fn receive(mut self, run: Arc<Run>, mut expected: u64) -> Outcome {
        let mut outcome = Outcome::new();
        while expected > 0 {
            let answer = match tokio::time::timeout(SILENCE, self.answers.message()).await {
                Ok(Ok(Some(answer))) => answer,
                Ok(Ok(None)) | Err(_) => break,
                Ok(Err(error)) => {
                    outcome.fail(&error);
                    break;
                }
            };
            let now = run.micros();
            let events = answer.fields.events.len() as u64;
            for event in &answer.fields.events {
                let sent = event.kv.as_ref().and_then(|kv| kv.value().first_chunk());
                let sent = sent.map_or(now, |stamp| u64::from_le_bytes(*stamp));
                outcome.record(Duration::from_micros(now.saturating_sub(sent)));
            }
            *outcome.extra.entry("messages").or_default() += 1;
            expected = expected.saturating_sub(events);
            run.outstanding.fetch_sub(events, Ordering::Relaxed);
        }
        outcome
    }
}
