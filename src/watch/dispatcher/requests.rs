//! What clients ask of their streams, and the answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::Dispatcher;
use super::watcher::{Place, Stream, Watcher};
use crate::base::ids::{Revision, WatchId};
use crate::watch::WatchSpec;
use crate::watch::frame::{Head, STREAM_ID, Stamp};
use crate::watch::group::Interest;
use crate::watch::port::Port;
use crate::watch::stream::{Frame, WatchRequest};

/// The texts that etcd's clients compare (etcd 3.5, `cancel_reason` of a refused create).
mod reason {
    pub(super) const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
    pub(super) const EMPTY_RANGE: &str = "mvcc: watcher range is empty";
    pub(super) const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";
    pub(super) const TOO_MANY: &str = "etcdserver: too many requests";
}

impl Dispatcher {
    /// Looks at a port that rang and handles its first `requests` requests. Everything up to
    /// `self.revision` has been offered.
    pub(super) fn serve(&mut self, port: &Arc<Port>, requests: usize, now: Instant) {
        if port.outbox.is_deserted() {
            self.end_stream(port.key);
            return;
        }
        self.streams.entry(port.key).or_insert_with(|| {
            self.hub.counters.streams.fetch_add(1, Ordering::Relaxed);
            Stream::new(port.clone())
        });
        self.answer_requests(port, requests, now);
        if let Some(stream) = self.streams.get_mut(&port.key) {
            self.reads.want(port.key, stream);
        }
    }

    /// Handles requests while there is room for the answers.
    fn answer_requests(&mut self, port: &Port, requests: usize, now: Instant) {
        for _ in 0..requests {
            if !port.outbox.has_room_to_answer() {
                return;
            }
            match port.take_request() {
                Some(WatchRequest::Create(spec)) => self.create(port, &spec, now),
                Some(WatchRequest::Refuse(reason)) => self.refuse(port, reason),
                Some(WatchRequest::Cancel(id)) => self.cancel(port, id),
                Some(WatchRequest::Progress) => self.manual_progress(port),
                None => return,
            }
        }
    }

    fn create(&mut self, port: &Port, spec: &WatchSpec, now: Instant) {
        let start = spec.start.unwrap_or_default();
        let (id, group) = match self.admit(port.key, spec) {
            Ok(admitted) => admitted,
            Err(reason) => return self.refuse(port, reason),
        };
        let key = self.add_watcher(port.key, id, group, spec, start);
        let created = Head {
            created: true,
            ..Head::plain(id)
        };
        self.respond(port, &created, self.revision);
        if spec.progress_notify {
            self.schedule_progress(port.key, now);
        }
        let compacted = self.hub.history.compacted();
        if start == Revision::ZERO {
            self.start_at(key, self.revision.next());
        } else if start < compacted {
            self.cancel_compacted(key, compacted);
        } else {
            self.start_at(key, start);
        }
    }

    /// The id and the group of a new watcher, or why there cannot be one.
    fn admit(&mut self, stream: u64, spec: &WatchSpec) -> Result<(WatchId, usize), &'static str> {
        if spec.start.is_some_and(|start| start < Revision::ZERO) {
            return Err(reason::COMPACTED);
        }
        if spec.range.is_empty() {
            return Err(reason::EMPTY_RANGE);
        }
        let config = &self.hub.config;
        let stream = self.streams.get_mut(&stream).ok_or(reason::TOO_MANY)?;
        if stream.watchers.len() >= config.max_stream_watchers
            || self.hub.counters.watchers.load(Ordering::Relaxed) >= config.max_watchers
        {
            return Err(reason::TOO_MANY);
        }
        // The stream itself answers under -1.
        let is_taken = |id: &WatchId| *id == STREAM_ID || stream.watchers.contains_key(id);
        if spec.id.as_ref().is_some_and(is_taken) {
            return Err(reason::DUPLICATE_ID);
        }
        let group = self.groups.acquire(Interest::of(spec), &self.hub.keys);
        let group = group.ok_or(reason::TOO_MANY)?;
        Ok((spec.id.unwrap_or_else(|| stream.unused_id()), group))
    }

    fn add_watcher(
        &mut self,
        stream: u64,
        id: WatchId,
        group: usize,
        spec: &WatchSpec,
        start: Revision,
    ) -> u64 {
        self.last_key += 1;
        let key = self.last_key;
        let watcher = Watcher {
            stream,
            id,
            group,
            start,
            place: Place::Future,
            progress: spec.progress_notify,
            fragment: spec.fragment,
        };
        self.watchers.insert(key, watcher);
        self.mailbox.set_watched(true);
        self.hub.counters.watchers.fetch_add(1, Ordering::Relaxed);
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.watchers.insert(id, key);
            stream.live += 1;
            stream.unsynced += 1;
            stream.progress += usize::from(spec.progress_notify);
        }
        key
    }

    fn refuse(&self, port: &Port, reason: &str) {
        let refused = Head {
            created: true,
            canceled: true,
            cancel_reason: reason,
            ..Head::plain(STREAM_ID)
        };
        self.respond(port, &refused, self.revision);
    }

    fn cancel(&mut self, port: &Port, id: WatchId) {
        let stream = self.streams.get(&port.key);
        let Some(&key) = stream.and_then(|stream| stream.watchers.get(&id)) else {
            return;
        };
        self.remove_watcher(key);
        let canceled = Head {
            canceled: true,
            ..Head::plain(id)
        };
        self.respond(port, &canceled, self.revision);
    }

    /// Ends a watcher whose next revision is gone. The header of this response has no revision.
    pub(super) fn cancel_compacted(&mut self, key: u64, compacted: Revision) {
        let head = Head {
            canceled: true,
            compact_revision: compacted,
            ..Head::default()
        };
        self.notify(key, head, Revision::ZERO);
        self.unplace(key);
        self.retire(key);
    }

    /// Ends a watcher that cannot be served because history cannot be read.
    pub(super) fn cancel_failed(&mut self, key: u64, reason: &str) {
        let head = Head {
            canceled: true,
            cancel_reason: reason,
            ..Head::default()
        };
        self.notify(key, head, self.revision);
        self.remove_watcher(key);
    }

    fn notify(&self, key: u64, head: Head<'_>, revision: Revision) {
        let Some(watcher) = self.watchers.get(&key) else {
            return;
        };
        if let Some(stream) = self.streams.get(&watcher.stream) {
            let watch_id = watcher.id;
            self.respond(&stream.port, &Head { watch_id, ..head }, revision);
        }
    }

    fn respond(&self, port: &Port, head: &Head<'_>, revision: Revision) {
        let stamp = Stamp {
            revision,
            ..*self.heads.stamp()
        };
        let frame = Frame {
            head: head.encode(&stamp),
            body: Bytes::new(),
        };
        port.outbox.push(frame, 1);
    }

    fn end_stream(&mut self, key: u64) {
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        let tick = stream.tick.take();
        let watchers: Vec<u64> = stream.watchers.values().copied().collect();
        for watcher in watchers {
            self.remove_watcher(watcher);
        }
        if let Some(at) = tick {
            self.ticks.remove(&(at, key));
        }
        self.streams.remove(&key);
        self.hub.counters.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream {
    /// The next id, counting up, that no watcher of the stream has.
    fn unused_id(&mut self) -> WatchId {
        loop {
            let id = WatchId(self.next_id);
            self.next_id += 1;
            if !self.watchers.contains_key(&id) {
                return id;
            }
        }
    }
}
