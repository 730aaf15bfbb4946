//! A watch cache: lists a resource, then follows it, whatever becomes of the members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use holdfast::etcd::pb::etcdserverpb::WatchCreateRequest;
use holdfast::etcd::pb::mvccpb::Event;
use holdfast::etcd::wire::WatchFields;
use tokio::time::{sleep, timeout};

use super::apiserver::{Apiserver, ROOT};
use super::claims::{Chain, Change, Claim, Ledger, Listing, Segment, Shown, State, What};
use super::weather::Failure;
use crate::harness::*;

/// kube-apiserver asks for progress so often while a consistent read waits.
const ASK: Duration = Duration::from_millis(100);
/// Between two consistent reads.
const READ: Duration = Duration::from_millis(700);
/// A watch that is silent for so long while progress is asked for is broken.
const SILENCE: Duration = Duration::from_secs(10);
/// Every so many reads the cache begins anew with a list.
const READS_PER_LIST: usize = 8;

/// What a cache is to do besides following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Keeps all events for the audit.
    Record,
    /// Serves consistent reads.
    Serve,
    /// Nothing: of a resource that nobody writes, where only progress notifications come.
    Idle,
}

/// What a cache has heard.
pub struct Heard {
    pub history: Vec<Change>,
    pub segments: Vec<Segment>,
    pub ledger: Ledger,
    /// Progress notifications, asked for or not.
    pub notifications: usize,
    pub streams: usize,
}

pub struct Cache {
    api: Apiserver,
    duty: Duty,
    /// Nothing stands for all.
    resource: &'static str,
    prefix: String,
    objects: BTreeMap<String, State>,
    /// All events up to this revision are known.
    version: i64,
    /// The same, for the compactors.
    position: Arc<AtomicI64>,
    /// The revision with which the soak ends; 0 until it does.
    end: Arc<AtomicI64>,
    since_list: i64,
    chain: Chain,
    reads: usize,
    heard: Heard,
    /// When, and in which term, the stream last spoke.
    spoke: (Instant, u64),
}

impl Cache {
    /// Follows from after `version` on, when there was nothing.
    pub fn new(
        api: Apiserver,
        duty: Duty,
        resource: &'static str,
        version: i64,
        end: &Arc<AtomicI64>,
    ) -> Self {
        let all = resource.is_empty();
        Self {
            api,
            duty,
            resource,
            prefix: if all {
                ROOT.into()
            } else {
                format!("{ROOT}{resource}/")
            },
            objects: BTreeMap::new(),
            version,
            position: Arc::new(AtomicI64::new(version)),
            end: Arc::clone(end),
            since_list: version,
            chain: Chain::default(),
            reads: 0,
            heard: Heard {
                history: Vec::new(),
                segments: Vec::new(),
                ledger: Ledger::default(),
                notifications: 0,
                streams: 0,
            },
            spoke: (Instant::now(), 0),
        }
    }

    pub fn position(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.position)
    }

    /// Follows until the soak's end.
    pub async fn run(mut self) -> Heard {
        while !self.has_ended() {
            let (number, client) = self.api.member();
            self.spoke = (Instant::now(), self.api.shared.weather.term());
            self.heard.streams += 1;
            if let Err(failure) = self.follow(&client).await {
                let (since, term) = self.spoke;
                let weather = &self.api.shared.weather;
                weather.excuse(number, since, term, &failure).await;
                self.api.move_on();
                sleep(ASK).await;
            } else if !self.has_ended() {
                self.list().await;
            }
        }
        self.close_segment();
        self.heard.ledger.claims.append(&mut self.api.ledger.claims);
        self.heard
    }

    fn has_ended(&self) -> bool {
        let end = self.end.load(Ordering::Relaxed);
        end > 0 && self.version >= end
    }

    /// One stream, until the soak ends, the cache begins anew, or the stream fails.
    async fn follow(&mut self, client: &Client) -> Result<(), Failure> {
        let mut watch = Watch::open_requiring_leader(client);
        let request = WatchCreateRequest {
            start_revision: self.version + 1,
            prev_kv: true,
            progress_notify: true,
            ..watch_prefix(&self.prefix)
        };
        watch.send_create(request).await;
        let mut read = Read::new();
        while !self.has_ended() {
            self.advance(&mut read, &watch).await?;
            if self.reads >= READS_PER_LIST {
                return Ok(());
            }
            match timeout(ASK, watch.message()).await {
                Err(_) => {}
                Ok(Ok(Some(response))) => self.take(response),
                Ok(Ok(None)) => return Err(Failure::Ended),
                Ok(Err(status)) => return Err(Failure::Refused(status)),
            }
        }
        Ok(())
    }

    /// Begins, pursues and ends consistent reads.
    async fn advance(&mut self, read: &mut Read, watch: &Watch) -> Result<(), Failure> {
        let end = self.end.load(Ordering::Relaxed);
        if end > 0 && read.due.is_none() {
            read.begin(end);
        }
        if read.due.is_some_and(|due| self.version >= due) {
            self.claim_state();
            *read = Read::new();
        } else if read.due.is_some() {
            if read.begun.elapsed() > SILENCE {
                return Err(Failure::Late);
            }
            if read.asked.is_none_or(|asked| asked.elapsed() >= ASK) {
                watch.request_progress().await;
                read.asked = Some(Instant::now());
            }
        } else if self.duty == Duty::Serve
            && read.begun.elapsed() > READ
            && let Some(due) = self.api.current_version(self.resource).await
        {
            read.begin(due);
        }
        Ok(())
    }

    fn take(&mut self, response: WatchFields) {
        let header = response.header.as_ref().unwrap();
        let weather = &self.api.shared.weather;
        weather.note_term(header.raft_term);
        self.spoke = (Instant::now(), weather.term());
        assert!(!response.canceled, "{response:?}");
        if response.created {
            return;
        }
        if response.events.is_empty() {
            let told = header.revision;
            assert!(told >= self.version, "progress {told} < {}", self.version);
            self.version = told;
            self.heard.notifications += 1;
        }
        let before = self.version;
        for event in response.events {
            self.apply(event, before);
        }
        self.position.store(self.version, Ordering::Relaxed);
    }

    /// Applies an event of a response; `before` it the cache was at that version.
    fn apply(&mut self, event: Event, before: i64) {
        let revision = event_revision(&event);
        let in_order = revision > before && revision >= self.version;
        assert!(in_order, "{revision} after {}", self.version);
        self.version = revision;
        let kind = event.r#type();
        let kv = event.kv.unwrap();
        let key = text(kv.key()).to_owned();
        let is_put = kind == holdfast::etcd::pb::mvccpb::event::EventType::Put;
        let change = Change {
            revision,
            before: event.prev_kv.as_ref().map(State::from),
            after: is_put.then(|| State::from(&kv)),
            key,
            heard: Instant::now(),
        };
        let held = self.objects.remove(&change.key);
        assert_eq!(change.before, held, "prev_kv is not the state before");
        if let Some(state) = change.after {
            self.objects.insert(change.key.clone(), state);
        }
        self.chain.add(&change);
        if self.duty == Duty::Record {
            self.heard.history.push(change);
        }
    }

    /// What the cache holds is what is stored at its version.
    fn claim_state(&mut self) {
        self.reads += usize::from(self.duty == Duty::Serve);
        let objects = self.objects.iter();
        let objects = objects.map(|(key, state)| (key.as_str(), state));
        let listing = Listing {
            digest: Listing::digest_of(Shown::Whole, 0, objects),
            from: self.prefix.clone(),
            end: text(&end_of(&self.prefix)).into(),
            limit: 0,
            shown: Shown::Whole,
            count: self.objects.len(),
        };
        self.heard.ledger.claims.push(Claim {
            at: self.version,
            what: What::Listed(listing),
        });
    }

    /// Throws everything away and lists, as an apiserver does that has just started.
    async fn list(&mut self) {
        self.close_segment();
        self.reads = 0;
        let (version, objects) = loop {
            if let Some(listed) = self.api.list(self.resource, 100).await {
                break listed;
            }
        };
        self.version = version;
        self.since_list = version;
        self.objects = objects.into_iter().collect();
        self.position.store(version, Ordering::Relaxed);
    }

    fn close_segment(&mut self) {
        let Chain { events, digest } = std::mem::take(&mut self.chain);
        self.heard.segments.push(Segment {
            prefix: self.prefix.clone(),
            from: self.since_list,
            until: self.version,
            events,
            digest,
        });
    }
}

/// A consistent read: it waits until the cache has reached a version.
struct Read {
    due: Option<i64>,
    begun: Instant,
    asked: Option<Instant>,
}

impl Read {
    fn new() -> Self {
        Self {
            due: None,
            begun: Instant::now(),
            asked: None,
        }
    }

    fn begin(&mut self, due: i64) {
        *self = Self {
            due: Some(due),
            ..Self::new()
        };
    }
}
