//! Transactions that only read.

use holdfast::etcd::pb::etcdserverpb::RangeRequest;

use crate::harness::cmp::Result::Greater;
use crate::harness::*;

#[tokio::test]
async fn read_only() {
    let cases = cases![
        several_ranges_answer_in_order,
        all_ranges_see_one_revision,
        the_comparison_chooses_what_is_read,
        serializable_ranges_answer,
        range_options_work,
        a_past_revision_can_be_read,
        counts_and_limits_work,
    ];
    Suite::new("txn_read", cases).run(shared().await).await;
}

async fn several_ranges_answer_in_order(c: Case) {
    c.put_all("a=1 b=2").await;
    let ops = vec![
        op::get(c.key("b")),
        op::get(c.key("x")),
        op::get(c.key("a")),
    ];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 0).kvs), "b=2");
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "");
    assert_eq!(pairs(&answer::range(&response, 2).kvs), "a=1");
}

async fn all_ranges_see_one_revision(c: Case) {
    let writer = async {
        for n in 0..50 {
            c.put("a", &n.to_string()).await;
        }
    };
    let reader = async {
        for _ in 0..50 {
            let ops = vec![op::get(c.key("a")); 4];
            let response = c.client.txn(always(ops)).await.unwrap();
            let first = &answer::range(&response, 0).kvs;
            for n in 1..4 {
                assert_eq!(&answer::range(&response, n).kvs, first);
            }
        }
    };
    futures::future::join(writer, reader).await;
}

async fn the_comparison_chooses_what_is_read(c: Case) {
    c.put_all("a=1 b=2").await;
    for (name, expected) in [("a", "a=1"), ("missing", "b=2")] {
        let exists = vec![cmp::created(c.key(name), Greater, 0)];
        let request = txn(exists, vec![op::get(c.key("a"))], vec![op::get(c.key("b"))]);
        let response = c.client.txn(request).await.unwrap();
        assert_eq!(pairs(&answer::range(&response, 0).kvs), expected);
    }
}

async fn serializable_ranges_answer(c: Case) {
    c.put("a", "1").await;
    let mut range = c.all();
    range.serializable = true;
    let ops = vec![op::range(range.clone()), op::range(range)];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "a=1");
}

async fn range_options_work(c: Case) {
    let written = c.put_all("a=3 b=2 c=1").await;
    let sorted = RangeRequest {
        sort_target: 4,
        ..c.all()
    };
    let filtered = RangeRequest {
        min_mod_revision: written,
        ..c.all()
    };
    let bare = RangeRequest {
        keys_only: true,
        ..c.all()
    };
    let ops = [sorted, filtered, bare].map(op::range).into();
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 0).kvs), "c=1 b=2 a=3");
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "c=1");
    assert_eq!(pairs(&answer::range(&response, 2).kvs), "a= b= c=");
}

async fn a_past_revision_can_be_read(c: Case) {
    let first = c.put("a", "1").await;
    c.put("a", "2").await;
    let past = RangeRequest {
        revision: first,
        ..c.all()
    };
    let ops = vec![op::range(past), op::range(c.all())];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 0).kvs), "a=1");
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "a=2");
}

async fn counts_and_limits_work(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let count = RangeRequest {
        count_only: true,
        ..c.all()
    };
    let limit = RangeRequest {
        limit: 1,
        ..c.all()
    };
    let ops = vec![op::range(count), op::range(limit)];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(answer::range(&response, 0).count, 3);
    let cut = answer::range(&response, 1);
    assert_eq!((cut.kvs.len(), cut.count, cut.more), (1, 3, true));
}
