//! Compaction: what it refuses, what it keeps, what is refused afterwards.

use holdfast::etcd::pb::etcdserverpb::{CompactionRequest, RangeRequest};
use tonic::Code;

use crate::harness::*;

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";

#[tokio::test]
async fn compaction() {
    let server = Server::fresh().await;
    let cases = cases![
        a_future_revision_is_refused,
        a_negative_revision_is_refused,
        reads_below_are_refused_and_at_it_allowed,
        serializable_reads_below_are_refused_too,
        counts_below_are_refused_too,
        the_same_revision_twice_is_refused,
        an_older_revision_is_refused,
        the_current_revision_is_allowed,
        the_latest_values_survive,
        later_history_survives,
        a_key_deleted_before_is_gone_for_good,
        a_key_deleted_later_is_still_readable,
        physical_compaction_answers_too,
        versions_go_on_counting,
        a_later_write_is_not_disturbed,
        the_compacted_error_wins_over_an_empty_range,
        compactions_can_follow_each_other_step_by_step,
    ];
    Suite::new("compact", cases).run_in_order(&server).await;
}

#[tokio::test]
async fn compaction_survives_a_restart() {
    let mut server = Server::fresh().await;
    let client = server.client();
    for n in 0..10 {
        client.put(put("a", n.to_string())).await.unwrap();
    }
    client.compact(compact(7)).await.unwrap();
    server.kill();
    server.restart().await;
    let client = server.client();
    let below = RangeRequest {
        revision: 6,
        ..point("a")
    };
    refused(client.range(below).await, Code::OutOfRange, COMPACTED);
    let at = RangeRequest {
        revision: 7,
        ..point("a")
    };
    assert_eq!(pairs(&client.range(at).await.unwrap().kvs), "a=5");
    refused(
        client.compact(compact(7)).await,
        Code::OutOfRange,
        COMPACTED,
    );
}

/// kube-apiserver's compactor may do this on a new cluster.
#[tokio::test]
async fn compacting_revision_zero_of_a_new_store_is_accepted() {
    let server = Server::fresh().await;
    let client = server.client();
    client.put(put("a", "1")).await.unwrap();
    client.compact(compact(0)).await.unwrap();
    assert_eq!(pairs(&client.range(point("a")).await.unwrap().kvs), "a=1");
    refused(
        client.compact(compact(0)).await,
        Code::OutOfRange,
        COMPACTED,
    );
    client.compact(compact(1)).await.unwrap();
}

async fn a_future_revision_is_refused(c: Case) {
    let now = c.put("a", "1").await;
    let result = c.client.compact(compact(now + 1)).await;
    refused(result, Code::OutOfRange, FUTURE);
    let result = c.client.compact(compact(i64::MAX)).await;
    refused(result, Code::OutOfRange, FUTURE);
}

async fn a_negative_revision_is_refused(c: Case) {
    c.put("a", "1").await;
    c.client.compact(compact(1)).await.unwrap();
    let result = c.client.compact(compact(-1)).await;
    refused(result, Code::OutOfRange, COMPACTED);
}

fn at(c: &Case, revision: i64) -> RangeRequest {
    RangeRequest {
        revision,
        ..c.all()
    }
}

async fn reads_below_are_refused_and_at_it_allowed(c: Case) {
    let first = c.put("a", "1").await;
    let second = c.put("a", "2").await;
    c.put("a", "3").await;
    c.client.compact(compact(second)).await.unwrap();
    let below = c.client.range(at(&c, first)).await;
    refused(below, Code::OutOfRange, COMPACTED);
    assert_eq!(pairs(&c.range(at(&c, second)).await.kvs), "a=2");
}

/// Two puts, compacted to the second; a request at the first.
async fn compacted(c: &Case) -> RangeRequest {
    let first = c.put("a", "1").await;
    let second = c.put("a", "2").await;
    c.client.compact(compact(second)).await.unwrap();
    at(c, first)
}

async fn serializable_reads_below_are_refused_too(c: Case) {
    let mut request = compacted(&c).await;
    request.serializable = true;
    refused(c.client.range(request).await, Code::OutOfRange, COMPACTED);
}

async fn counts_below_are_refused_too(c: Case) {
    let mut request = compacted(&c).await;
    request.count_only = true;
    refused(c.client.range(request).await, Code::OutOfRange, COMPACTED);
}

async fn the_same_revision_twice_is_refused(c: Case) {
    let now = c.put("a", "1").await;
    c.client.compact(compact(now)).await.unwrap();
    let again = c.client.compact(compact(now)).await;
    refused(again, Code::OutOfRange, COMPACTED);
}

async fn an_older_revision_is_refused(c: Case) {
    let now = c.put_all("a=1 a=2").await;
    c.client.compact(compact(now)).await.unwrap();
    let older = c.client.compact(compact(now - 1)).await;
    refused(older, Code::OutOfRange, COMPACTED);
}

async fn the_current_revision_is_allowed(c: Case) {
    let now = c.put("a", "1").await;
    let response = c.client.compact(compact(now)).await.unwrap();
    assert_eq!(revision(&response.header), now);
    assert_eq!(c.stored().await, "a=1");
}

async fn the_latest_values_survive(c: Case) {
    c.put_all("a=1 b=1 c=1 a=2 b=2").await;
    c.delete("c").await;
    let now = c.client.revision().await;
    c.client.compact(compact(now)).await.unwrap();
    assert_eq!(c.stored().await, "a=2 b=2");
    let a = c.get("a").await.unwrap();
    assert_eq!(a.version(), 2);
    assert!(a.create_revision() < a.mod_revision());
}

async fn later_history_survives(c: Case) {
    let first = c.put("a", "1").await;
    let second = c.put("a", "2").await;
    let third = c.put("b", "3").await;
    c.put("a", "4").await;
    c.client.compact(compact(first)).await.unwrap();
    assert_eq!(pairs(&c.range(at(&c, first)).await.kvs), "a=1");
    assert_eq!(pairs(&c.range(at(&c, second)).await.kvs), "a=2");
    assert_eq!(pairs(&c.range(at(&c, third)).await.kvs), "a=2 b=3");
}

async fn a_key_deleted_before_is_gone_for_good(c: Case) {
    c.put("a", "1").await;
    c.delete("a").await;
    let now = c.put("b", "1").await;
    c.client.compact(compact(now)).await.unwrap();
    assert_eq!(c.stored().await, "b=1");
    assert_eq!(pairs(&c.range(at(&c, now)).await.kvs), "b=1");
}

async fn a_key_deleted_later_is_still_readable(c: Case) {
    let put = c.put("a", "1").await;
    let deleted = c.delete("a").await;
    c.client.compact(compact(put)).await.unwrap();
    assert_eq!(pairs(&c.range(at(&c, put)).await.kvs), "a=1");
    assert_eq!(pairs(&c.range(at(&c, deleted)).await.kvs), "");
}

async fn physical_compaction_answers_too(c: Case) {
    for n in 0..50 {
        c.put("a", &n.to_string()).await;
    }
    let revision = c.client.revision().await;
    let request = CompactionRequest {
        revision,
        physical: true,
    };
    c.client.compact(request).await.unwrap();
    assert_eq!(c.stored().await, "a=49");
    let below = c.client.range(at(&c, revision - 1)).await;
    refused(below, Code::OutOfRange, COMPACTED);
}

async fn versions_go_on_counting(c: Case) {
    let now = c.put_all("a=1 a=2 a=3").await;
    c.client.compact(compact(now)).await.unwrap();
    c.put("a", "4").await;
    let kv = c.get("a").await.unwrap();
    assert_eq!((kv.version(), kv.create_revision()), (4, now - 2));
}

async fn a_later_write_is_not_disturbed(c: Case) {
    let now = c.put_all("a=1 b=2").await;
    c.client.compact(compact(now)).await.unwrap();
    c.put_all("a=3 c=4").await;
    assert_eq!(c.stored().await, "a=3 b=2 c=4");
    assert_eq!(pairs(&c.range(at(&c, now)).await.kvs), "a=1 b=2");
}

async fn the_compacted_error_wins_over_an_empty_range(c: Case) {
    let request = RangeRequest {
        revision: compacted(&c).await.revision,
        ..point(c.key("nothing"))
    };
    refused(c.client.range(request).await, Code::OutOfRange, COMPACTED);
}

async fn compactions_can_follow_each_other_step_by_step(c: Case) {
    let first = c.put("a", "0").await;
    for n in 1..20 {
        c.put("a", &n.to_string()).await;
    }
    for n in 0..20 {
        c.client.compact(compact(first + n)).await.unwrap();
        let kvs = c.range(at(&c, first + n)).await.kvs;
        assert_eq!(pairs(&kvs), format!("a={n}"));
    }
}
