//! One apiserver's storage calls: every answer becomes a claim for the audit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use holdfast::etcd::pb::etcdserverpb::{
    PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseHeader, StatusRequest, TxnResponse,
};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use super::claims::{Claim, Ledger, Listing, Shown, State, What, Write, digest};
use super::weather::{Failure, Weather};
use crate::harness::*;

/// What stands for `/registry`.
pub const ROOT: &str = "/registry/";
/// After this long a client gives up; etcd itself answers after seven seconds that it cannot.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// What a read of a compacted revision, and a second compaction, are told.
const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
/// What a write with a lease is told that has expired.
const EXPIRED: &str = "etcdserver: requested lease not found";
/// Before the next member is tried.
const RETRY: Duration = Duration::from_millis(30);

/// What all clients of a soak share.
pub struct Shared {
    pub weather: Weather,
    /// The highest revision that any answer told: no later read may show an older state.
    pub newest: AtomicI64,
    pub stop: AtomicBool,
    /// The highest revision to which anybody compacts.
    pub compacted: AtomicI64,
    /// Whether the server streams lists.
    pub streams: bool,
}

/// What became of a conditional write.
pub enum Written {
    Done(i64),
    /// The object that was in the way, if the request asked for it.
    Refused(Option<State>),
    Unknown,
}

pub struct Apiserver {
    clients: Vec<Client>,
    /// The member that is called next.
    at: usize,
    pub shared: Arc<Shared>,
    pub ledger: Ledger,
}

impl Apiserver {
    pub fn new(clients: Vec<Client>, at: usize, shared: &Arc<Shared>) -> Self {
        Self {
            clients,
            at,
            shared: Arc::clone(shared),
            ledger: Ledger::default(),
        }
    }

    /// The member that is called next, and its number.
    pub fn member(&self) -> (usize, Client) {
        let number = self.at % self.clients.len();
        (number, self.clients[number].clone())
    }

    pub fn move_on(&mut self) {
        self.at += 1;
    }

    /// One call. Nothing if it failed in a way that etcd's might; an error only for revisions and leases that are
    /// gone.
    async fn attempt<T, F>(&mut self, call: impl FnOnce(Client) -> F) -> Result<Option<T>, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (number, client) = self.member();
        let (since, term) = (Instant::now(), self.shared.weather.term());
        let failure = match timeout(CALL_LIMIT, call(client)).await {
            Ok(Ok(answer)) => return Ok(Some(answer)),
            Ok(Err(status)) if is_gone(&status) => return Err(status),
            Ok(Err(status)) => Failure::Refused(status),
            Err(_) => Failure::Late,
        };
        let weather = &self.shared.weather;
        weather.excuse(number, since, term, &failure).await;
        self.move_on();
        sleep(RETRY).await;
        Ok(None)
    }

    pub async fn call<T, F>(&mut self, call: impl FnOnce(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.attempt(call).await.unwrap()
    }

    /// Checks that an answer is no older than what was known before the question; returns its revision.
    fn note(&self, header: &Option<ResponseHeader>, floor: i64) -> i64 {
        let header = header.as_ref().unwrap();
        assert!(header.revision >= floor, "an answer from the past");
        let newest = &self.shared.newest;
        newest.fetch_max(header.revision, Ordering::Relaxed);
        self.shared.weather.note_term(header.raft_term);
        header.revision
    }

    fn floor(&self) -> i64 {
        self.shared.newest.load(Ordering::Relaxed)
    }

    fn claim(&mut self, at: i64, what: What) {
        self.ledger.claims.push(Claim { at, what });
    }

    pub async fn create(&mut self, key: &str, value: &str, lease: i64) -> Written {
        let put = PutRequest {
            lease,
            ..put(key, value)
        };
        let write = Write {
            key: key.into(),
            expected: 0,
            value: Some(digest(value.as_bytes())),
            lease,
        };
        self.write(write, op::put_with(put), vec![]).await
    }

    pub async fn update(&mut self, key: &str, expected: i64, value: &str) -> Written {
        let write = Write {
            key: key.into(),
            expected,
            value: Some(digest(value.as_bytes())),
            lease: 0,
        };
        let found = vec![op::get(key)];
        self.write(write, op::put(key, value), found).await
    }

    pub async fn delete(&mut self, key: &str, expected: i64) -> Written {
        let write = Write {
            key: key.into(),
            expected,
            value: None,
            lease: 0,
        };
        let found = vec![op::get(key)];
        self.write(write, op::delete(key), found).await
    }

    async fn write(&mut self, write: Write, change: RequestOp, found: Vec<RequestOp>) -> Written {
        let asks = !found.is_empty();
        let unchanged = cmp::modified(&write.key, cmp::Result::Equal, write.expected);
        let request = txn(vec![unchanged], vec![change], found);
        let floor = self.floor();
        let call = |client: Client| async move { client.txn(request).await };
        let answer = match self.attempt(call).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                self.ledger.unknown.push(write);
                return Written::Unknown;
            }
            Err(status) => {
                assert!(self.may_have_expired(write.lease), "{status}");
                return Written::Refused(None);
            }
        };
        let revision = self.note(&answer.header, floor);
        if answer.succeeded {
            assert!(revision > floor, "a write below what was known before it");
            self.claim(revision, What::Wrote(write));
            return Written::Done(revision);
        }
        let found = asks.then(|| answer::range(&answer, 0).kvs.first().map(State::from));
        self.claim(revision, What::Refused(write, found));
        Written::Refused(found.flatten())
    }

    /// Whether the lease's time is over: an answer may have taken that long.
    fn may_have_expired(&self, lease: i64) -> bool {
        let mut leases = self.ledger.leases.iter();
        leases.any(|(id, earliest)| *id == lease && Instant::now() >= *earliest)
    }

    /// The object, as of now or as it was at `revision`.
    pub async fn get(&mut self, key: &str, revision: i64) -> Option<Option<State>> {
        let request = RangeRequest {
            limit: 1,
            revision,
            ..point(key)
        };
        let response = self.range(request).await.ok()??;
        let found = response.kvs.first().map(State::from);
        let at = if revision == 0 {
            revision_of(&response)
        } else {
            revision
        };
        self.claim(at, What::Read(key.into(), found));
        Some(found)
    }

    /// Nothing if nobody answered; an error if its revision is compacted.
    async fn range(&mut self, request: RangeRequest) -> Result<Option<RangeResponse>, Status> {
        let floor = self.floor();
        let pinned = request.revision;
        let call = |client: Client| async move { client.range(request).await };
        let response = self.attempt(call).await;
        match &response {
            Ok(Some(response)) => drop(self.note(&response.header, floor)),
            Ok(None) => {}
            Err(status) => {
                let compacted = self.shared.compacted.load(Ordering::Relaxed);
                assert!((1..compacted).contains(&pinned), "at {pinned}: {status}");
            }
        }
        response
    }

    /// The version "now" of a resource; nothing if nobody answers.
    pub async fn current_version(&mut self, resource: &str) -> Option<i64> {
        let request = RangeRequest {
            limit: 1,
            ..point(format!("{ROOT}{resource}"))
        };
        let response = self.range(request).await.ok()??;
        Some(revision_of(&response))
    }

    /// A list in pages, all pinned to the revision of the first. Nothing if a page was not answered, or if the
    /// revision was compacted meanwhile: the list has to begin anew.
    pub async fn list(
        &mut self,
        resource: &str,
        limit: i64,
    ) -> Option<(i64, Vec<(String, State)>)> {
        let prefix = format!("{ROOT}{resource}/");
        let end = end_of(&prefix);
        let (mut start, mut pinned, mut all) = (prefix, 0, Vec::new());
        loop {
            let request = RangeRequest {
                limit,
                revision: pinned,
                ..span(&start, &end)
            };
            let page = self.range(request).await.ok()??;
            if pinned == 0 {
                pinned = revision_of(&page);
            }
            self.claim_page(pinned, start, &end, limit, Shown::Whole, &page);
            let objects = page.kvs.iter();
            all.extend(objects.map(|kv| (text(kv.key()).to_owned(), State::from(kv))));
            let has_more = (page.kvs.len() as i64) < page.count;
            assert_eq!(has_more, page.more);
            let Some((last, ..)) = all.last().filter(|_| has_more) else {
                return Some((pinned, all));
            };
            start = format!("{last}\0");
        }
    }

    /// Keys alone, or their number alone.
    pub async fn survey(&mut self, resource: &str, shown: Shown) {
        let prefix = format!("{ROOT}{resource}/");
        let request = RangeRequest {
            keys_only: shown == Shown::Keys,
            count_only: shown == Shown::Nothing,
            ..prefixed(&prefix)
        };
        if let Ok(Some(page)) = self.range(request).await {
            assert!(page.kvs.iter().all(|kv| kv.value().is_empty()));
            let at = revision_of(&page);
            let end = end_of(&prefix);
            self.claim_page(at, prefix, &end, 0, shown, &page);
        }
    }

    /// A list as a stream of parts.
    pub async fn stream(&mut self, resource: &str) {
        let prefix = format!("{ROOT}{resource}/");
        let floor = self.floor();
        let request = prefixed(&prefix);
        let call = |client: Client| async move {
            let mut stream = client.kv().range_stream(request).await?.into_inner();
            let mut whole = RangeResponse::default();
            while let Some(part) = stream.message().await? {
                let part = part.range_response.unwrap();
                whole.kvs.extend(part.kvs);
                whole.header = part.header.or(whole.header);
            }
            Ok(whole)
        };
        if let Some(mut whole) = self.call(call).await {
            let at = self.note(&whole.header, floor);
            whole.count = whole.kvs.len() as i64;
            let end = end_of(&prefix);
            self.claim_page(at, prefix, &end, 0, Shown::Whole, &whole);
        }
    }

    fn claim_page(
        &mut self,
        at: i64,
        from: String,
        end: &[u8],
        limit: i64,
        shown: Shown,
        page: &RangeResponse,
    ) {
        let listing = Listing {
            from,
            end: text(end).into(),
            limit: usize::try_from(limit).unwrap(),
            shown,
            digest: Listing::digest_of_page(shown, &page.kvs),
            count: usize::try_from(page.count).unwrap(),
        };
        self.claim(at, What::Listed(listing));
    }

    /// A lease for events; nothing if nobody answers.
    pub async fn lease(&mut self, ttl: Duration) -> Option<i64> {
        let request = grant(i64::try_from(ttl.as_secs()).unwrap(), 0);
        let earliest = Instant::now() + ttl;
        let call = |client: Client| async move { client.lease_grant(request).await };
        let lease = self.call(call).await?.id;
        self.ledger.leases.push((lease, earliest));
        Some(lease)
    }

    /// The health check, the size of the database, and the version for feature detection.
    pub async fn probe(&mut self) {
        let _found_or_not = self.range(point(format!("{ROOT}health"))).await;
        let call = |client: Client| async move { client.status(StatusRequest {}).await };
        if let Some(status) = self.call(call).await {
            assert!(status.db_size > 0);
            assert_eq!(status.version.split('.').count(), 3, "{}", status.version);
        }
    }

    /// A transaction that the audit knows nothing of.
    pub async fn txn(
        &mut self,
        request: holdfast::etcd::pb::etcdserverpb::TxnRequest,
    ) -> Option<TxnResponse> {
        let floor = self.floor();
        let call = |client: Client| async move { client.txn(request).await };
        let answer = self.call(call).await?;
        self.note(&answer.header, floor);
        Some(answer)
    }

    /// Compacts, unless another has gone further already.
    pub async fn compact(&mut self, revision: i64) {
        self.shared.compacted.fetch_max(revision, Ordering::Relaxed);
        let request = compact(revision);
        let call = |client: Client| async move { client.compact(request).await };
        let _done_before = self.attempt(call).await;
    }
}

fn is_gone(status: &Status) -> bool {
    let told = (status.code(), status.message());
    told == (Code::OutOfRange, COMPACTED) || told == (Code::NotFound, EXPIRED)
}

fn revision_of(response: &RangeResponse) -> i64 {
    revision(&response.header)
}
