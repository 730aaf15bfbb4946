//! Random schedules of everything at once, held against the plainest statement of I6: a watcher receives
//! exactly the changes of its range from its start on, each once, in order, whole revisions together.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use crate::base::ids::{Revision, WatchId};
use crate::base::range::KeyRange;
use crate::watch::testing::{Client, Event, Response, Rig, change, config};
use crate::watch::{HubConfig, WatchRequest, WatchSpec};

const KEYS: [&str; 7] = ["a", "a/", "a/b", "a/b/c", "a/c", "b", "b/x"];
const STREAMS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    /// Transactions, published as one batch: for each its keys and whether they are deleted.
    Commit(Vec<Vec<(usize, bool)>>),
    /// Store-only transactions, then a reset.
    Reset(Vec<Vec<(usize, bool)>>),
    /// A compaction at this part of the way from the last one to now.
    Compact(f64),
    Create {
        stream: usize,
        range: usize,
        start: Start,
        options: u8,
    },
    Cancel {
        stream: usize,
        nth: usize,
    },
    Progress(usize),
    /// A stream's reader takes this many responses.
    Read(usize, usize),
    /// The dispatchers take a step, the pool reads this many pages.
    Step(usize),
    Pass(u64),
}

#[derive(Debug, Clone)]
enum Start {
    Now,
    /// This far from the current revision.
    Near(i64),
    Compacted(i64),
}

fn transactions() -> impl Strategy<Value = Vec<Vec<(usize, bool)>>> {
    let change = (0..KEYS.len(), prop::bool::weighted(0.3));
    prop::collection::vec(prop::collection::vec(change, 1..5), 1..4)
}

fn op() -> impl Strategy<Value = Op> {
    let start = prop_oneof![
        2 => Just(Start::Now),
        4 => (-15_i64..4).prop_map(Start::Near),
        1 => (-1_i64..2).prop_map(Start::Compacted),
    ];
    prop_oneof![
        8 => transactions().prop_map(Op::Commit),
        1 => transactions().prop_map(Op::Reset),
        1 => (0.0..1.0).prop_map(Op::Compact),
        4 => (0..STREAMS, 0..7_usize, start, any::<u8>())
            .prop_map(|(stream, range, start, options)| Op::Create { stream, range, start, options }),
        1 => (0..STREAMS, 0..4_usize).prop_map(|(stream, nth)| Op::Cancel { stream, nth }),
        2 => (0..STREAMS).prop_map(Op::Progress),
        6 => (0..STREAMS, 1..4_usize).prop_map(|(stream, count)| Op::Read(stream, count)),
        10 => (0..3_usize).prop_map(Op::Step),
        1 => (50_u64..200).prop_map(Op::Pass),
    ]
}

fn range(index: usize) -> KeyRange {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    match index {
        0 => KeyRange::all(),
        1 => KeyRange::prefix(bytes("a/")),
        2 => KeyRange::prefix(bytes("a/b")),
        3 => KeyRange::point(bytes("a/b")),
        4 => KeyRange::from_wire(bytes("a/c"), bytes("b/")),
        5 => KeyRange::from_wire(bytes("b"), bytes("\0")),
        _ => KeyRange::point(bytes("b/x")),
    }
}

/// What the test knows of one watcher.
#[derive(Debug)]
struct Watched {
    spec: WatchSpec,
    /// The first revision it is to receive.
    from: i64,
    /// The first revision it may still receive.
    next: i64,
    received: Vec<Event>,
    /// Revision of the last response with events that was complete.
    last_whole: i64,
    over: bool,
}

/// The client side of one stream, checking what it reads.
struct Stream {
    client: Client,
    pending: Vec<WatchSpec>,
    watchers: BTreeMap<i64, Watched>,
    ended: Vec<Watched>,
}

impl Stream {
    /// The rules that hold for each response by itself or against those before it.
    fn receive(&mut self, response: Response) {
        if response.created {
            let spec = self.pending.remove(0);
            if response.canceled {
                assert!(!response.reason.is_empty());
                return;
            }
            let next = spec.start.map_or(response.revision + 1, Revision::get);
            let watched = Watched {
                spec,
                from: next,
                next,
                received: Vec::new(),
                last_whole: 0,
                over: false,
            };
            assert!(self.watchers.insert(response.id, watched).is_none());
            return;
        }
        if response.id == -1 {
            assert!(response.is_progress());
            for watched in self.watchers.values_mut().filter(|w| !w.over) {
                watched.learn_progress(response.revision);
            }
            return;
        }
        let watched = self
            .watchers
            .get_mut(&response.id)
            .expect("only watchers get responses");
        // After the end there is only the answer to a cancel.
        assert!(!watched.over || (response.canceled && response.compact_revision == 0));
        if response.canceled {
            watched.over = true;
            if response.compact_revision == 0 {
                let ended = self.watchers.remove(&response.id);
                self.ended.extend(ended);
            } else {
                assert_eq!(response.revision, 0);
                assert!(
                    watched.next < response.compact_revision,
                    "told without need"
                );
            }
        } else if response.is_progress() {
            watched.learn_progress(response.revision);
        } else {
            watched.receive(response);
        }
    }
}

impl Watched {
    fn learn_progress(&mut self, revision: i64) {
        assert!(
            revision + 1 >= self.next,
            "progress goes back to {revision}: {self:?}"
        );
        if let Some(start) = self.spec.start {
            assert!(
                revision >= start.get(),
                "progress before the start: {self:?}"
            );
        }
        self.next = revision + 1;
    }

    fn receive(&mut self, response: Response) {
        let mut last = 0;
        let mut events = 0;
        for event in response.events {
            assert!(
                event.revision >= self.next,
                "{event:?} comes again or too late: {self:?}"
            );
            assert!(event.revision <= response.revision);
            if event.revision != last {
                events += 1;
                assert!(event.revision > last);
                assert!(event.revision > self.last_whole, "a revision was split");
            }
            last = event.revision;
            self.received.push(event);
        }
        assert!(events <= 1000);
        if !response.fragment && !self.spec.fragment {
            self.last_whole = last;
            self.next = last + 1;
        }
    }

    /// Everything the watcher must have received by now, if it was not ended.
    fn check(&self, rig: &Rig) {
        let all = rig.history.all();
        let wanted = all
            .iter()
            .filter(|c| c.id.revision.get() >= self.from && self.spec.range.contains(&c.key))
            .filter(|c| match c.kind {
                crate::base::change::ChangeKind::Put => !self.spec.no_put,
                crate::base::change::ChangeKind::Delete => !self.spec.no_delete,
            });
        let wanted: Vec<_> = wanted
            .map(|c| (c.id.revision.get(), c.key.clone()))
            .collect();
        let received: Vec<_> = self
            .received
            .iter()
            .map(|e| (e.revision, e.key.clone()))
            .collect();
        if self.over {
            assert_eq!(
                wanted.get(..received.len()),
                Some(&received[..]),
                "{self:?}"
            );
        } else {
            assert_eq!(wanted, received, "{self:?}");
        }
    }
}

struct World {
    rig: Rig,
    streams: Vec<Stream>,
    compacted: i64,
}

impl World {
    fn new(config: HubConfig) -> Self {
        let rig = Rig::new(config);
        let stream = || Stream {
            client: rig.client(),
            pending: Vec::new(),
            watchers: BTreeMap::new(),
            ended: Vec::new(),
        };
        let streams = std::iter::repeat_with(stream).take(STREAMS).collect();
        Self {
            rig,
            streams,
            compacted: 0,
        }
    }

    fn store(&mut self, transactions: &[Vec<(usize, bool)>]) -> Vec<crate::base::change::Change> {
        let mut batch = Vec::new();
        for ops in transactions {
            self.rig.revision += 1;
            for (sub, (key, delete)) in ops.iter().enumerate() {
                let value = (!delete).then_some(&b"v"[..]);
                batch.push(change(
                    self.rig.revision,
                    sub as u32,
                    KEYS[*key],
                    value,
                    true,
                ));
            }
        }
        self.rig.history.add(&batch);
        batch
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Commit(transactions) => {
                let batch = self.store(&transactions);
                self.rig.publisher.publish(batch);
            }
            Op::Reset(transactions) => {
                self.store(&transactions);
                self.rig.publisher.reset(Revision(self.rig.revision));
            }
            Op::Compact(part) => {
                self.compacted += ((self.rig.revision - self.compacted) as f64 * part) as i64;
                self.rig.history.compact(self.compacted);
            }
            Op::Create {
                stream,
                range: index,
                start,
                options,
            } => {
                let start = match start {
                    Start::Now => None,
                    Start::Near(offset) => Some(self.rig.revision + offset),
                    Start::Compacted(offset) => Some(self.compacted + offset),
                };
                let flag = |bit: u8| options & (1 << bit) != 0;
                let spec = WatchSpec {
                    id: None,
                    range: range(index),
                    start: start.filter(|&start| start != 0).map(Revision),
                    prev_kv: flag(0),
                    progress_notify: flag(1),
                    no_put: flag(2) && flag(3),
                    no_delete: flag(4) && flag(5),
                    fragment: flag(6) && flag(7),
                };
                if self.send(stream, WatchRequest::Create(spec.clone())) {
                    self.streams[stream].pending.push(spec);
                }
            }
            Op::Cancel { stream, nth } => {
                let id = self.streams[stream].watchers.keys().nth(nth).copied();
                if let Some(id) = id {
                    self.send(stream, WatchRequest::Cancel(WatchId(id)));
                }
            }
            Op::Progress(stream) => {
                self.send(stream, WatchRequest::Progress);
            }
            Op::Read(stream, count) => self.read(stream, count),
            Op::Step(reads) => self.rig.step(reads),
            Op::Pass(millis) => self.rig.now += Duration::from_millis(millis),
        }
    }

    fn send(&self, stream: usize, request: WatchRequest) -> bool {
        let sent = self.streams[stream].client.requests.send(request);
        futures::FutureExt::now_or_never(sent).is_some()
    }

    fn read(&mut self, stream: usize, count: usize) {
        let stream = &mut self.streams[stream];
        for _ in 0..count {
            if let Some(response) = stream.client.poll() {
                stream.receive(response);
            }
        }
    }

    /// Everybody reads on until nothing comes, and then every watcher has everything.
    fn finish(&mut self) {
        for _ in 0..100 {
            self.rig.settle();
            (0..STREAMS).for_each(|stream| self.read(stream, 1000));
        }
        for stream in &self.streams {
            assert!(stream.pending.is_empty(), "a request was not answered");
            let watchers = stream.watchers.values().chain(&stream.ended);
            watchers.for_each(|watched| watched.check(&self.rig));
        }
        assert_eq!(self.rig.hub.stats().behind, 0);
        assert_eq!(self.rig.hub.stats().pending_responses, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_watcher_receives_its_part_of_history(
        ops in prop::collection::vec(op(), 1..150),
        segment_changes in 1_usize..6,
        ring_segments in 1_usize..4,
        stream_buffer_frames in 1_usize..4,
        fragment_bytes in 100_usize..400,
        dispatchers in 1_usize..3,
    ) {
        let mut world = World::new(HubConfig {
            segment_changes,
            ring_segments,
            stream_buffer_frames,
            fragment_bytes,
            dispatchers,
            progress_interval: Duration::from_millis(100),
            ..config()
        });
        for op in ops {
            world.apply(op);
        }
        world.finish();
    }
}
