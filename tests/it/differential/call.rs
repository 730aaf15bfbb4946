//! One request, and its answer without what two servers may differ in.

use holdfast::etcd::pb::etcdserverpb::request_op::Request;
use holdfast::etcd::pb::etcdserverpb::response_op::Response;
use holdfast::etcd::pb::etcdserverpb::*;
use tonic::{Code, Status};

use crate::harness::{Client, KeepAlive, NO_END, QUIET, Watch, grant};

/// The server raises these, and the lease would end soon: it is granted and revoked in one step.
const SHORT_LEASE: i64 = 4242;

#[derive(Debug, Clone)]
pub enum Call {
    Range(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
    Grant(LeaseGrantRequest),
    ShortGrant(i64),
    Revoke(i64),
    TimeToLive(LeaseTimeToLiveRequest),
    KeepAlive(i64),
    Leases,
    HashKv(i64),
    /// Watchers on one stream.
    Watch(Vec<WatchCreateRequest>),
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Range(RangeResponse),
    Put(PutResponse),
    Delete(DeleteRangeResponse),
    Txn(TxnResponse),
    /// A compaction that was carried out, and to where.
    Compacted(CompactionResponse, i64),
    Lease(LeaseGrantResponse),
    Revoked(LeaseRevokeResponse),
    Alive(LeaseTimeToLiveResponse),
    Kept(LeaseKeepAliveResponse),
    Leases(LeaseLeasesResponse),
    Hash(HashKvResponse),
    Told(Vec<(i64, String)>),
    Refused(Code, String),
}

impl Call {
    pub async fn send(&self, to: &Client) -> Outcome {
        let answer = self.ask(to).await;
        answer.unwrap_or_else(|status| Outcome::Refused(status.code(), status.message().into()))
    }

    async fn ask(&self, to: &Client) -> Result<Outcome, Status> {
        let mut outcome = match self.clone() {
            Self::Range(request) => Outcome::Range(to.range(request).await?),
            Self::Put(request) => Outcome::Put(to.put(request).await?),
            Self::Delete(request) => Outcome::Delete(to.delete_range(request).await?),
            Self::Txn(request) => Outcome::Txn(to.txn(request).await?),
            Self::Compact(request) => {
                Outcome::Compacted(to.compact(request).await?, request.revision)
            }
            Self::Grant(request) => Outcome::Lease(to.lease_grant(request).await?),
            Self::ShortGrant(ttl) => {
                let granted = to.lease_grant(grant(ttl, SHORT_LEASE)).await?;
                to.lease_revoke(LeaseRevokeRequest { id: SHORT_LEASE })
                    .await?;
                Outcome::Lease(granted)
            }
            Self::Revoke(id) => Outcome::Revoked(to.lease_revoke(LeaseRevokeRequest { id }).await?),
            Self::TimeToLive(request) => {
                let mut answer = to.lease_time_to_live(request).await?;
                // Servers are asked one after the other.
                if answer.ttl > 0 && answer.ttl <= answer.granted_ttl {
                    answer.ttl = 1;
                }
                answer.keys.sort();
                Outcome::Alive(answer)
            }
            Self::KeepAlive(id) => Outcome::Kept(KeepAlive::open(to).ping(id).await?),
            Self::Leases => {
                let mut answer = to.lease_leases(LeaseLeasesRequest {}).await?;
                answer.leases.sort_by_key(|lease| lease.id);
                Outcome::Leases(answer)
            }
            Self::HashKv(revision) => {
                let mut answer = to.hash_kv(HashKvRequest { revision }).await?;
                // New in 3.6.
                answer.hash_revision = 0;
                Outcome::Hash(answer)
            }
            Self::Watch(creates) => Outcome::Told(told(to, &creates).await),
        };
        outcome.clean();
        Ok(outcome)
    }

    /// Whether this is one of the two transactions that etcd lets pass though they change a key twice, and
    /// that are refused here: with a put under a deletion without an upper bound, or with a nested one.
    pub fn is_known_quirk(&self, ours: &Outcome, theirs: &Outcome) -> bool {
        let duplicate = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_, text) if text.contains("duplicate key"));
        let Self::Txn(txn) = self else { return false };
        duplicate(ours) && !duplicate(theirs) && has_odd_deletion(txn, false)
    }
}

fn has_odd_deletion(txn: &TxnRequest, nested: bool) -> bool {
    let mut ops = txn.success.iter().chain(&txn.failure);
    ops.any(|op| match &op.request {
        Some(Request::RequestDeleteRange(delete)) => nested || delete.range_end == NO_END,
        Some(Request::RequestTxn(txn)) => has_odd_deletion(txn, true),
        _ => false,
    })
}

impl Outcome {
    fn header(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Self::Range(answer) => answer.header.as_mut(),
            Self::Put(answer) => answer.header.as_mut(),
            Self::Delete(answer) => answer.header.as_mut(),
            Self::Txn(answer) => answer.header.as_mut(),
            Self::Compacted(answer, _) => answer.header.as_mut(),
            Self::Lease(answer) => answer.header.as_mut(),
            Self::Revoked(answer) => answer.header.as_mut(),
            Self::Alive(answer) => answer.header.as_mut(),
            Self::Kept(answer) => answer.header.as_mut(),
            Self::Leases(answer) => answer.header.as_mut(),
            Self::Hash(answer) => answer.header.as_mut(),
            Self::Told(_) | Self::Refused(..) => None,
        }
    }

    /// Takes out who answered, but not whether anyone said so.
    fn clean(&mut self) {
        if let Some(header) = self.header() {
            assert!(header.cluster_id != 0 && header.member_id != 0 && header.raft_term != 0);
            (header.cluster_id, header.member_id, header.raft_term) = (0, 0, 0);
        }
    }

    pub fn revision(&self) -> Option<i64> {
        let header = self.clone().header().copied();
        header.map(|header| header.revision)
    }

    pub fn compacted(&self) -> Option<i64> {
        match self {
            Self::Compacted(_, to) => Some(*to),
            _ => None,
        }
    }

    /// What it was, in a line.
    pub fn brief(&self) -> String {
        match self {
            Self::Refused(code, text) => format!("{code:?} {text}"),
            Self::Txn(answer) => {
                let kinds = answer.responses.iter().map(|op| match &op.response {
                    Some(Response::ResponseRange(_)) => 'r',
                    Some(Response::ResponsePut(_)) => 'p',
                    Some(Response::ResponseDeleteRange(_)) => 'd',
                    Some(Response::ResponseTxn(_)) => 't',
                    None => '?',
                });
                let kinds: String = kinds.collect();
                format!("{} {kinds} at {:?}", answer.succeeded, self.revision())
            }
            _ => format!("ok at {:?}", self.revision()),
        }
    }
}

/// Everything that watchers of one stream are told until it is quiet, a line for each answer and event,
/// watcher by watcher. How events are spread over responses is left out.
async fn told(to: &Client, creates: &[WatchCreateRequest]) -> Vec<(i64, String)> {
    let mut watch = Watch::open(to);
    for create in creates {
        watch.send_create(create.clone()).await;
    }
    let mut told = Vec::new();
    while let Some(response) = watch.next_within(QUIET).await {
        let revision = response.header.map(|header| header.revision);
        let id = response.watch_id;
        if response.created || response.canceled {
            told.push((
                id,
                format!(
                    "created {} canceled {} reason {:?} compacted {} at {revision:?}",
                    response.created,
                    response.canceled,
                    response.cancel_reason,
                    response.compact_revision
                ),
            ));
        }
        let events = response.events.iter();
        told.extend(events.map(|event| (id, format!("{event:?}"))));
    }
    told.sort_by_key(|(id, _)| *id);
    told
}
