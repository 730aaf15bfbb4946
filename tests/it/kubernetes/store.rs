//! The storage calls of kube-apiserver, request for request.

use holdfast::etcd::pb::etcdserverpb::{
    PutRequest, RangeRequest, RangeResponse, TxnRequest, TxnResponse, WatchCreateRequest,
};
use holdfast::etcd::pb::mvccpb::KeyValue;
use tonic::Status;

use super::fixtures::{Object, objects};
use crate::harness::*;

/// An apiserver's view of a cluster, below a root of its own.
pub struct Store {
    pub client: Client,
    /// In the place of `/registry`.
    pub root: String,
}

/// Whether a write went through: its resource version, or the state that was in its way.
pub type Written = Result<i64, Option<KeyValue>>;

impl Store {
    pub fn new(c: &Case) -> Self {
        Self {
            client: c.client.clone(),
            root: format!("/registry/{}", text(&c.prefix()).trim_end_matches('/')),
        }
    }

    /// A store that holds the fixture objects; those come back with their resource versions.
    pub async fn filled(c: &Case) -> (Self, Vec<(Object, i64)>) {
        let store = Self::new(c);
        let mut stored = Vec::new();
        for object in objects(&store.root) {
            let version = store.create(&object).await.unwrap();
            stored.push((object, version));
        }
        (store, stored)
    }

    /// The prefix of a resource, with its slash.
    pub fn prefix(&self, resource: &str) -> String {
        format!("{}/{resource}/", self.root)
    }

    pub fn object(&self, resource: &str, name: &str, value: &str) -> Object {
        Object {
            key: format!("{}{name}", self.prefix(resource)),
            value: value.into(),
        }
    }

    async fn txn(&self, request: TxnRequest) -> TxnResponse {
        self.client.txn(request).await.unwrap()
    }

    /// Creation has nothing to do on failure: the object exists.
    pub async fn create(&self, object: &Object) -> Written {
        self.create_leased(object, 0).await
    }

    pub async fn create_leased(&self, object: &Object, lease: i64) -> Written {
        let write = PutRequest {
            lease,
            ..put(&object.key, &object.value)
        };
        let missing = cmp::modified(&object.key, cmp::Result::Equal, 0);
        let request = txn(vec![missing], vec![op::put_with(write)], vec![]);
        written(&self.txn(request).await)
    }

    pub async fn update(&self, object: &Object, version: i64) -> Written {
        let write = op::put(&object.key, &object.value);
        written(&self.txn(guarded(&object.key, version, write)).await)
    }

    pub async fn delete(&self, key: &str, version: i64) -> Written {
        written(&self.txn(guarded(key, version, op::delete(key))).await)
    }

    /// Reads, changes and writes until nobody came between.
    pub async fn guaranteed_update(&self, key: &str, change: impl Fn(&[u8]) -> Vec<u8>) -> i64 {
        let mut current = self.get(key, 0).await.expect("the object is there");
        loop {
            let object = Object {
                key: key.into(),
                value: change(current.value()),
            };
            match self.update(&object, current.mod_revision()).await {
                Ok(version) => return version,
                Err(found) => current = found.expect("nobody deletes it"),
            }
        }
    }

    pub async fn get(&self, key: &str, revision: i64) -> Option<KeyValue> {
        let request = RangeRequest {
            limit: 1,
            revision,
            ..point(key)
        };
        self.client.range(request).await.unwrap().kvs.pop()
    }

    /// The resource version "now": a read of a key that is never there.
    pub async fn current_version(&self, resource: &str) -> i64 {
        let request = RangeRequest {
            limit: 1,
            ..point(self.prefix(resource).trim_end_matches('/'))
        };
        revision(&self.client.range(request).await.unwrap().header)
    }

    /// One page from `start` on.
    pub async fn page(
        &self,
        resource: &str,
        start: &[u8],
        limit: i64,
        revision: i64,
    ) -> Result<RangeResponse, Status> {
        let request = RangeRequest {
            limit,
            revision,
            ..span(start, end_of(self.prefix(resource)))
        };
        self.client.range(request).await
    }

    /// All pages, pinned to the revision of the first.
    pub async fn list(&self, resource: &str, limit: i64) -> (Vec<KeyValue>, i64) {
        let mut start = self.prefix(resource).into_bytes();
        let (mut all, mut pinned) = (Vec::new(), 0);
        loop {
            let page = self.page(resource, &start, limit, pinned).await.unwrap();
            if pinned == 0 {
                pinned = revision(&page.header);
            }
            let has_more = (page.kvs.len() as i64) < page.count;
            assert_eq!(has_more, page.more);
            all.extend(page.kvs);
            if !has_more {
                return (all, pinned);
            }
            start = [&all.last().expect("a page before more").key()[..], &[0]].concat();
        }
    }

    pub async fn count(&self, resource: &str) -> i64 {
        let request = RangeRequest {
            count_only: true,
            ..prefixed(self.prefix(resource))
        };
        self.client.range(request).await.unwrap().count
    }

    /// The watch of a watch cache: from after `version` on.
    pub async fn watch(&self, resource: &str, version: i64) -> Watch {
        let request = WatchCreateRequest {
            start_revision: version + 1,
            prev_kv: true,
            progress_notify: true,
            ..watch_prefix(self.prefix(resource))
        };
        let mut watch = Watch::open_requiring_leader(&self.client);
        assert!(watch.create(request).await.created);
        watch
    }
}

fn guarded(
    key: &str,
    version: i64,
    write: holdfast::etcd::pb::etcdserverpb::RequestOp,
) -> TxnRequest {
    let unchanged = cmp::modified(key, cmp::Result::Equal, version);
    txn(vec![unchanged], vec![write], vec![op::get(key)])
}

fn written(response: &TxnResponse) -> Written {
    if response.succeeded {
        return Ok(revision(&response.header));
    }
    let found = response.responses.first();
    Err(found.and_then(|_| answer::range(response, 0).kvs.first().cloned()))
}
