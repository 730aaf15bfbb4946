//! The compactor: one of several apiservers wins each round and compacts what is old.

use holdfast::etcd::pb::etcdserverpb::{TxnResponse, WatchCreateRequest};
use tonic::Code;

use crate::harness::*;

const KEY: &str = "compact_rev_key";

/// One compactor's turn: it believes the key to be at `version` and the store to have been at
/// `revision` some minutes ago.
async fn turn(client: &Client, version: i64, revision: i64) -> TxnResponse {
    let request = txn(
        vec![cmp::version(KEY, cmp::Result::Equal, version)],
        vec![op::put(KEY, revision.to_string())],
        vec![op::get(KEY)],
    );
    client.txn(request).await.unwrap()
}

#[tokio::test]
async fn compactors_take_turns() {
    let server = Server::fresh().await;
    let client = server.client();
    let mut versions = [0, 0];
    let mut compacted = 0;
    for round in 0..10 {
        let before = client.revision().await;
        for n in 0..20 {
            client.put(put("busy", n.to_string())).await.unwrap();
        }
        let [first, second] = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        let won = turn(&client, versions[first], before).await;
        assert!(won.succeeded);
        versions[first] += 1;
        client.compact(compact(before)).await.unwrap();
        compacted = before;
        let lost = turn(&client, versions[second], before).await;
        assert!(!lost.succeeded);
        let found = &answer::range(&lost, 0).kvs[0];
        assert_eq!(text(found.value()), before.to_string());
        versions[second] = found.version();
    }
    let mut below = point("busy");
    below.revision = compacted - 1;
    let message = "etcdserver: mvcc: required revision has been compacted";
    refused(client.range(below).await, Code::OutOfRange, message);
}

/// Others learn of a compaction by watching the key.
#[tokio::test]
async fn a_compaction_is_heard_of() {
    let server = Server::fresh().await;
    let client = server.client();
    let read = client.range(point(KEY)).await.unwrap();
    let request = WatchCreateRequest {
        start_revision: revision(&read.header),
        ..watch_key(KEY)
    };
    let (mut watch, _) = Watch::start(&client, request).await;
    assert!(turn(&client, 0, 1).await.succeeded);
    assert_eq!(told(&watch.next().await.events), "PUT compact_rev_key=1");
    assert!(turn(&client, 1, 2).await.succeeded);
    client.compact(compact(2)).await.unwrap();
    assert_eq!(told(&watch.next().await.events), "PUT compact_rev_key=2");
}
