//! What the tests of the hub share: history in memory, a decoder of responses, and a hub without threads
//! that a test steps by hand, so that every schedule can be had again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use parking_lot::Mutex;

use super::catch_up::Reader;
use super::dispatcher::Dispatcher;
use super::hub::Parts;
use super::*;
use crate::base::change::ChangeKind;
use crate::base::clock;
use crate::base::ids::{ChangeId, ClusterId, LeaseId, MemberId};
use crate::base::kv::{Kv, KvMeta};
use crate::base::wire::{self, Field, FieldReader};

/// A put or a deletion of `key`, encoded as storage would, with a previous value if there was one.
pub(super) fn change(
    revision: i64,
    sub: u32,
    key: &str,
    value: Option<&[u8]>,
    prev: bool,
) -> Change {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let meta = |modified| KvMeta {
        create_revision: Revision(if value.is_some() { 1 } else { 0 }),
        mod_revision: Revision(modified),
        version: i64::from(value.is_some()),
        lease: LeaseId::NONE,
    };
    let mut event = Vec::new();
    wire::put_varint_field(&mut event, 1, u64::from(value.is_none()));
    let mut put_kv = |field, kv: Kv| {
        wire::put_len_header(&mut event, field, kv.message_len());
        kv.put_message(&mut event);
        event.len()
    };
    let kv = Kv::encode(key.clone(), meta(revision), value.unwrap_or_default());
    let prev_at = put_kv(2, kv);
    if prev {
        put_kv(3, Kv::encode(key.clone(), meta(revision - 1), b"previous"));
    }
    Change {
        id: ChangeId::new(Revision(revision), sub),
        kind: if value.is_some() {
            ChangeKind::Put
        } else {
            ChangeKind::Delete
        },
        key,
        event: event.into(),
        prev_at,
    }
}

/// History that lives in a list.
#[derive(Debug, Default)]
pub(super) struct MemoryHistory {
    changes: Mutex<Vec<Change>>,
    compacted: AtomicI64,
    /// Pages read so far.
    pub reads: AtomicU64,
    /// What every read answers instead.
    pub broken: Mutex<Option<String>>,
}

impl MemoryHistory {
    pub(super) fn add(&self, changes: &[Change]) {
        self.changes.lock().extend_from_slice(changes);
    }

    pub(super) fn compact(&self, revision: i64) {
        self.compacted.store(revision, Ordering::SeqCst);
    }

    pub(super) fn all(&self) -> Vec<Change> {
        self.changes.lock().clone()
    }
}

impl History for MemoryHistory {
    fn changes(
        &self,
        range: &KeyRange,
        from: Revision,
        upto: Revision,
        max_revisions: usize,
        max_bytes: usize,
    ) -> Result<HistoryPage, HistoryError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if let Some(reason) = self.broken.lock().clone() {
            return Err(HistoryError::Storage(reason));
        }
        let compacted = self.compacted();
        if from < compacted {
            return Err(HistoryError::Compacted(compacted));
        }
        let all = self.changes.lock();
        let mut page = HistoryPage {
            changes: Vec::new(),
            next: upto.next(),
        };
        let (mut revisions, mut bytes, mut last) = (0, 0, Revision::ZERO);
        let wanted = all
            .iter()
            .filter(|c| c.id.revision >= from && c.id.revision <= upto);
        for change in wanted.filter(|c| range.contains(&c.key)) {
            if change.id.revision != last {
                if revisions > 0 && (revisions >= max_revisions || bytes >= max_bytes) {
                    page.next = change.id.revision;
                    break;
                }
                revisions += 1;
                last = change.id.revision;
            }
            bytes += change.event.len();
            let mut change = change.clone();
            if change.id.revision <= compacted {
                change.event.truncate(change.prev_at);
            }
            page.changes.push(change);
        }
        Ok(page)
    }

    fn compacted(&self) -> Revision {
        Revision(self.compacted.load(Ordering::SeqCst))
    }
}

/// One event of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub revision: i64,
    pub key: Bytes,
    pub delete: bool,
    pub prev: bool,
}

/// A decoded `WatchResponse`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Response {
    pub revision: i64,
    pub term: u64,
    pub id: i64,
    pub created: bool,
    pub canceled: bool,
    pub compact_revision: i64,
    pub reason: String,
    pub fragment: bool,
    pub events: Vec<Event>,
    pub len: usize,
}

impl Response {
    pub(super) fn decode(frame: &Frame) -> Self {
        let bytes = [frame.head.clone(), frame.body.clone()].concat();
        let mut response = Self {
            len: bytes.len(),
            ..Self::default()
        };
        let mut fields = FieldReader::new(&bytes);
        while let Some(field) = fields.next_field().unwrap() {
            match field {
                Field::Bytes(1, header) => response.decode_header(header),
                Field::Varint(2, id) => response.id = id as i64,
                Field::Varint(3, 1) => response.created = true,
                Field::Varint(4, 1) => response.canceled = true,
                Field::Varint(5, revision) => response.compact_revision = revision as i64,
                Field::Bytes(6, text) => {
                    response.reason = String::from_utf8(text.to_vec()).unwrap();
                }
                Field::Varint(7, 1) => response.fragment = true,
                Field::Bytes(11, event) => response.events.push(decode_event(event)),
                other => panic!("unexpected field {other:?}"),
            }
        }
        response
    }

    fn decode_header(&mut self, header: &[u8]) {
        let mut fields = FieldReader::new(header);
        while let Some(field) = fields.next_field().unwrap() {
            match field {
                Field::Varint(1, id) => assert_eq!(id, 11),
                Field::Varint(2, id) => assert_eq!(id, 22),
                Field::Varint(3, revision) => self.revision = revision as i64,
                Field::Varint(4, term) => self.term = term,
                other => panic!("unexpected field {other:?}"),
            }
        }
    }

    /// Whether it is a progress notification, as a client tells.
    pub(super) fn is_progress(&self) -> bool {
        self.events.is_empty() && !self.created && !self.canceled
    }
}

fn decode_event(bytes: &[u8]) -> Event {
    let mut event = Event {
        revision: 0,
        key: Bytes::new(),
        delete: false,
        prev: false,
    };
    let mut fields = FieldReader::new(bytes);
    while let Some(field) = fields.next_field().unwrap() {
        match field {
            Field::Varint(1, 1) => event.delete = true,
            Field::Bytes(2, kv) => {
                let mut kv = FieldReader::new(kv);
                while let Some(field) = kv.next_field().unwrap() {
                    match field {
                        Field::Bytes(1, key) => event.key = Bytes::copy_from_slice(key),
                        Field::Varint(3, revision) => event.revision = revision as i64,
                        _ => {}
                    }
                }
            }
            Field::Bytes(3, _) => event.prev = true,
            other => panic!("unexpected field {other:?}"),
        }
    }
    event
}

pub(super) fn config() -> HubConfig {
    HubConfig {
        dispatchers: 1,
        coalesce: Duration::ZERO,
        coalesce_per_response: Duration::ZERO,
        coalesce_crowded: Duration::ZERO,
        ..HubConfig::new(ClusterId(11), MemberId(22), Arc::new(AtomicU64::new(33)))
    }
}

/// A watcher of everything from now on, without options.
pub(super) fn spec(range: KeyRange) -> WatchSpec {
    WatchSpec {
        id: None,
        range,
        start: None,
        prev_kv: false,
        progress_notify: false,
        no_put: false,
        no_delete: false,
        fragment: false,
    }
}

/// A watcher of `k/` from this revision on.
pub(super) fn since(start: i64) -> WatchSpec {
    WatchSpec {
        start: Some(Revision(start)),
        ..spec(prefix("k/"))
    }
}

pub(super) fn prefix(prefix: &'static str) -> KeyRange {
    KeyRange::prefix(Bytes::from_static(prefix.as_bytes()))
}

/// A client's stream, read without waiting.
pub(super) struct Client {
    pub requests: WatchRequests,
    pub frames: WatchFrames,
}

impl Client {
    pub(super) fn send(&self, request: WatchRequest) {
        self.requests
            .send(request)
            .now_or_never()
            .expect("the queue has room")
            .unwrap();
    }

    /// The next response if there is one.
    pub(super) fn poll(&mut self) -> Option<Response> {
        match self
            .frames
            .poll_next(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(frame) => frame.as_ref().map(Response::decode),
            Poll::Pending => None,
        }
    }

    pub(super) fn drain(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.poll()).collect()
    }
}

/// A hub with its store, stepped by hand.
pub(super) struct Rig {
    pub hub: Hub,
    pub publisher: Publisher,
    pub dispatchers: Vec<Dispatcher>,
    pub reader: Reader,
    pub history: Arc<MemoryHistory>,
    pub revision: i64,
    pub now: Instant,
}

impl Rig {
    pub(super) fn new(config: HubConfig) -> Self {
        let history = Arc::new(MemoryHistory::default());
        let Parts {
            hub,
            publisher,
            dispatchers,
            reader,
        } = Hub::assemble(config, history.clone(), Revision::FIRST);
        Self {
            hub,
            publisher,
            dispatchers,
            reader,
            history,
            revision: 1,
            now: clock::now(),
        }
    }

    /// Commits one transaction of puts (`Some` value) and deletions, all of keys that existed.
    pub(super) fn commit(&mut self, ops: &[(&str, Option<&[u8]>)]) -> i64 {
        let changes = self.next_changes(ops);
        self.history.add(&changes);
        self.publisher.publish(changes);
        self.revision
    }

    pub(super) fn next_changes(&mut self, ops: &[(&str, Option<&[u8]>)]) -> Vec<Change> {
        self.revision += 1;
        let revision = self.revision;
        let ops = ops.iter().enumerate();
        ops.map(|(sub, (key, value))| change(revision, sub as u32, key, *value, true))
            .collect()
    }

    pub(super) fn put(&mut self, key: &str) -> i64 {
        self.commit(&[(key, Some(b"v"))])
    }

    pub(super) fn client(&self) -> Client {
        let (requests, frames) = self.hub.open().expect("open");
        Client { requests, frames }
    }

    /// Steps every part once; reads at most `reads` pages.
    pub(super) fn step(&mut self, reads: usize) {
        for dispatcher in &mut self.dispatchers {
            dispatcher.step(self.now);
        }
        for _ in 0..reads {
            let Ok(job) = self.reader.jobs.try_recv() else {
                return;
            };
            self.reader.perform(&job);
        }
    }

    /// Steps until nothing happens any more, with clients that do not read.
    pub(super) fn settle(&mut self) {
        for _ in 0..50 {
            self.step(usize::MAX);
        }
    }

    /// Steps and reads until nothing comes any more.
    pub(super) fn read(&mut self, client: &mut Client) -> Vec<Response> {
        let mut all = Vec::new();
        loop {
            self.settle();
            let some = client.drain();
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }

    /// Creates a watcher and gives the responses.
    pub(super) fn create(&mut self, client: &mut Client, spec: WatchSpec) -> Vec<Response> {
        client.send(WatchRequest::Create(spec));
        self.read(client)
    }
}

/// Revisions of all events, in the order received.
pub(super) fn revisions(responses: &[Response]) -> Vec<i64> {
    responses
        .iter()
        .flat_map(|r| &r.events)
        .map(|event| event.revision)
        .collect()
}
