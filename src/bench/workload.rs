//! The unary workloads: which request has which number.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;
use tonic::Status;

use super::BenchError;
use super::answers::Counted;
use super::grpc::{Client, Link, deal};
use super::options::{LoadOptions, RangeOptions, ReadConsistency, Workload};
use crate::base::range::prefix_end;
use crate::etcd::pb::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::etcd::pb::etcdserverpb::request_op::Request;
use crate::etcd::pb::etcdserverpb::response_op::Response;
use crate::etcd::pb::etcdserverpb::{
    Compare, PutRequest, PutResponse, RangeRequest, RequestOp, TxnRequest, TxnResponse,
};

/// Where the methods are, as in etcd's `rpc.proto`.
pub(super) const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";
const TXN: &str = "/etcdserverpb.KV/Txn";

/// Puts under way while the key space is filled before a run that reads.
const FILL_CLIENTS: usize = 64;

/// Makes and sends the requests of one run.
pub(super) struct Requests {
    load: LoadOptions,
    kind: Kind,
    value: Bytes,
    range_end: Bytes,
    /// The mod revision last seen of each key: what compare-and-swap expects. Empty for other workloads.
    revisions: Vec<AtomicI64>,
}

enum Kind {
    Put,
    Range(RangeOptions),
    Txn { ops: usize },
    Mixed { reads: f64, serializable: bool },
}

impl Requests {
    /// Fills the key space where the workload reads it.
    pub(super) async fn prepare(
        workload: &Workload,
        load: &LoadOptions,
        links: &[Arc<Link>],
    ) -> Result<Arc<Self>, BenchError> {
        let (kind, fill, keep_revisions) = match workload {
            Workload::Range(range) => (Kind::Range(range.clone()), !range.skip_fill, false),
            Workload::Txn(txn) => (Kind::Txn { ops: txn.ops }, true, true),
            Workload::Mixed(mixed) => {
                let reads = mixed.read_write_ratio / (1.0 + mixed.read_write_ratio);
                let serializable = mixed.consistency == ReadConsistency::S;
                let kind = Kind::Mixed {
                    reads,
                    serializable,
                };
                (kind, true, false)
            }
            Workload::Put | Workload::Watch(_) => (Kind::Put, false, false),
        };
        let revisions = if keep_revisions {
            (0..load.key_space_size)
                .map(|_| AtomicI64::new(0))
                .collect()
        } else {
            Vec::new()
        };
        let requests = Arc::new(Self {
            load: load.clone(),
            kind,
            value: value(load),
            range_end: prefix_end(load.prefix.as_bytes()).unwrap_or(Bytes::from_static(b"\0")),
            revisions,
        });
        if fill {
            requests.fill(links).await?;
        }
        Ok(requests)
    }

    async fn fill(self: &Arc<Self>, links: &[Arc<Link>]) -> Result<(), BenchError> {
        let mut parts = tokio::task::JoinSet::new();
        for (link, fillers) in deal(links, FILL_CLIENTS) {
            parts.spawn(Arc::clone(self).fill_on_link(Arc::clone(link), fillers));
        }
        while let Some(filled) = parts.join_next().await {
            if let Ok(filled) = filled {
                filled?;
            }
        }
        Ok(())
    }

    async fn fill_on_link(
        self: Arc<Self>,
        link: Arc<Link>,
        fillers: impl Iterator<Item = usize>,
    ) -> Result<(), Status> {
        let fillers: FuturesUnordered<_> = fillers
            .map(|first| self.fill_from(link.client(), first))
            .collect();
        link.drive(fillers.try_collect::<()>()).await
    }

    async fn fill_from(&self, mut client: Client, first: usize) -> Result<(), Status> {
        for key in (first as u64..self.load.key_space_size).step_by(FILL_CLIENTS) {
            self.put(&mut client, key).await?;
        }
        Ok(())
    }

    /// Sends request `number` and waits for its answer.
    pub(super) async fn send(&self, client: &mut Client, number: u64) -> Result<(), Status> {
        let key = self.key_number(number);
        match &self.kind {
            Kind::Put => self.put(client, key).await,
            Kind::Range(options) => self.range(client, key, options).await,
            Kind::Txn { ops } => self.swap(client, key, *ops).await,
            Kind::Mixed {
                reads,
                serializable,
            } => {
                if unit(mix(number ^ self.load.seed.rotate_left(32))) < *reads {
                    let request = RangeRequest {
                        key: self.load.key(key),
                        serializable: *serializable,
                        ..RangeRequest::default()
                    };
                    client.call::<Counted>(RANGE, &request).await.map(drop)
                } else {
                    self.put(client, key).await
                }
            }
        }
    }

    async fn put(&self, client: &mut Client, key: u64) -> Result<(), Status> {
        let request = PutRequest {
            key: self.load.key(key),
            value: self.value.clone(),
            ..PutRequest::default()
        };
        let answer: PutResponse = client.call(PUT, &request).await?;
        if let (Some(revision), Some(header)) = (self.revision(key), answer.header) {
            revision.store(header.revision, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn range(
        &self,
        client: &mut Client,
        key: u64,
        options: &RangeOptions,
    ) -> Result<(), Status> {
        let whole = options.count_only || options.limit > 0;
        let request = RangeRequest {
            key: if options.count_only {
                Bytes::from(self.load.prefix.clone())
            } else {
                self.load.key(key)
            },
            range_end: if whole {
                self.range_end.clone()
            } else {
                Bytes::new()
            },
            limit: options.limit,
            count_only: options.count_only,
            serializable: options.consistency == ReadConsistency::S,
            ..RangeRequest::default()
        };
        let found: Counted = client.call(RANGE, &request).await?;
        check_found(&found)
    }

    /// The update that kube-apiserver sends: put if the mod revision is the one seen last, read otherwise.
    async fn swap(&self, client: &mut Client, first: u64, ops: usize) -> Result<(), Status> {
        let keys: Vec<u64> = (0..ops as u64)
            .map(|offset| (first + offset) % self.load.key_space_size)
            .collect();
        let request = TxnRequest {
            compare: keys.iter().map(|key| self.unchanged(*key)).collect(),
            success: keys.iter().map(|key| self.put_op(*key)).collect(),
            failure: keys.iter().map(|key| self.read_op(*key)).collect(),
        };
        let answer: TxnResponse = client.call(TXN, &request).await?;
        let revision = answer.header.map_or(0, |header| header.revision);
        if answer.succeeded {
            for key in keys {
                self.remember(key, revision);
            }
        } else {
            for (key, response) in keys.into_iter().zip(answer.responses) {
                if let Some(Response::ResponseRange(range)) = response.response
                    && let Some(kv) = range.kvs.first()
                {
                    self.remember(key, kv.mod_revision());
                }
            }
        }
        Ok(())
    }

    fn unchanged(&self, key: u64) -> Compare {
        let revision = self
            .revision(key)
            .map_or(0, |revision| revision.load(Ordering::Relaxed));
        Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: self.load.key(key),
            range_end: Bytes::new(),
            target_union: Some(TargetUnion::ModRevision(revision)),
        }
    }

    fn put_op(&self, key: u64) -> RequestOp {
        RequestOp {
            request: Some(Request::RequestPut(PutRequest {
                key: self.load.key(key),
                value: self.value.clone(),
                ..PutRequest::default()
            })),
        }
    }

    fn read_op(&self, key: u64) -> RequestOp {
        RequestOp {
            request: Some(Request::RequestRange(RangeRequest {
                key: self.load.key(key),
                ..RangeRequest::default()
            })),
        }
    }

    fn remember(&self, key: u64, revision: i64) {
        if let Some(cell) = self.revision(key) {
            cell.fetch_max(revision, Ordering::Relaxed);
        }
    }

    fn revision(&self, key: u64) -> Option<&AtomicI64> {
        self.revisions.get(usize::try_from(key).ok()?)
    }

    fn key_number(&self, number: u64) -> u64 {
        if self.load.sequential_keys {
            number % self.load.key_space_size
        } else {
            mix(number ^ self.load.seed) % self.load.key_space_size
        }
    }
}

/// A read that finds nothing measures nothing.
fn check_found(found: &Counted) -> Result<(), Status> {
    if found.count == 0 {
        return Err(Status::not_found("the key that was to be read is missing"));
    }
    Ok(())
}

/// A value that does not compress to nothing.
pub(super) fn value(load: &LoadOptions) -> Bytes {
    let words =
        (0..load.val_size.div_ceil(8) as u64).flat_map(|n| mix(n ^ load.seed).to_le_bytes());
    words.take(load.val_size).collect()
}

/// SplitMix64's finaliser: spreads consecutive numbers over all of `u64`, the same in every run.
pub(super) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in [0, 1) from random bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
