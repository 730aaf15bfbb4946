//! What a transaction's operations see of each other, and what its response says.

use holdfast::etcd::pb::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest};

use crate::harness::cmp::Result::{Equal, Greater};
use crate::harness::*;

#[tokio::test]
async fn execution() {
    let cases = cases![
        responses_come_in_the_order_of_operations,
        inner_headers_carry_only_a_revision,
        a_range_after_a_put_sees_it,
        a_range_before_a_put_does_not_see_it,
        a_range_after_a_delete_does_not_see_the_key,
        a_later_delete_range_with_prev_kv_sees_the_state_before,
        a_put_with_prev_kv_sees_the_state_before,
        a_range_counts_earlier_puts,
        a_range_with_limit_and_sort_sees_earlier_puts,
        a_put_seen_inside_carries_the_new_revision,
        all_writes_share_one_revision,
        the_header_of_a_transaction_without_change_is_current,
        a_branch_without_operations_answers_nothing,
        deletes_of_nothing_answer_zero,
        a_lease_is_attached,
        ignore_value_works_inside,
        ignore_lease_works_inside,
        compare_and_swap_lets_one_of_many_win,
        counters_by_compare_and_swap_lose_nothing,
        one_hundred_keys_are_one_event_batch,
    ];
    Suite::new("txn", cases).run(shared().await).await;
}

async fn responses_come_in_the_order_of_operations(c: Case) {
    c.put_all("a=1 b=2").await;
    let ops = vec![
        op::get(c.key("a")),
        op::put(c.key("c"), "3"),
        op::delete(c.key("b")),
        op::get(c.key("c")),
    ];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert!(response.succeeded);
    assert_eq!(pairs(&answer::range(&response, 0).kvs), "a=1");
    assert_eq!(answer::put(&response, 1).prev_kv, None);
    assert_eq!(answer::delete(&response, 2).deleted, 1);
    assert_eq!(pairs(&answer::range(&response, 3).kvs), "c=3");
}

async fn inner_headers_carry_only_a_revision(c: Case) {
    let ops = vec![
        op::put(c.key("a"), "1"),
        op::get(c.key("a")),
        op::delete(c.key("b")),
    ];
    let response = c.client.txn(always(ops)).await.unwrap();
    let headers = [
        answer::put(&response, 0).header,
        answer::range(&response, 1).header,
        answer::delete(&response, 2).header,
    ];
    for header in headers.map(Option::unwrap) {
        assert_eq!(
            (header.cluster_id, header.member_id, header.raft_term),
            (0, 0, 0)
        );
        assert!(header.revision > 0);
    }
    assert_ne!(response.header.unwrap().cluster_id, 0);
}

async fn a_range_after_a_put_sees_it(c: Case) {
    let ops = vec![op::put(c.key("a"), "1"), op::get(c.key("a"))];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "a=1");
}

async fn a_range_before_a_put_does_not_see_it(c: Case) {
    let ops = vec![op::get(c.key("a")), op::put(c.key("a"), "1")];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 0).kvs), "");
}

async fn a_range_after_a_delete_does_not_see_the_key(c: Case) {
    c.put_all("a=1 b=2").await;
    let ops = vec![op::delete(c.key("a")), op::range(c.all())];
    let response = c.client.txn(always(ops)).await.unwrap();
    let seen = answer::range(&response, 1);
    assert_eq!((pairs(&seen.kvs).as_str(), seen.count), ("b=2", 1));
}

async fn a_later_delete_range_with_prev_kv_sees_the_state_before(c: Case) {
    c.put_all("a=1 b=2").await;
    let all = DeleteRangeRequest {
        prev_kv: true,
        ..delete_span(c.key("a"), c.key("c"))
    };
    let ops = vec![op::put(c.key("x"), "9"), op::delete_with(all)];
    let response = c.client.txn(always(ops)).await.unwrap();
    let deleted = answer::delete(&response, 1);
    assert_eq!(pairs(&deleted.prev_kvs), "a=1 b=2");
    assert_eq!(deleted.deleted, 2);
}

async fn a_put_with_prev_kv_sees_the_state_before(c: Case) {
    let before = c.put("a", "1").await;
    let request = PutRequest {
        prev_kv: true,
        ..put(c.key("a"), "2")
    };
    let ops = vec![op::put_with(request)];
    let response = c.client.txn(always(ops)).await.unwrap();
    let prev = answer::put(&response, 0).prev_kv.clone().unwrap();
    assert_eq!((prev.value(), prev.mod_revision()), (&b"1"[..], before));
}

async fn a_range_counts_earlier_puts(c: Case) {
    c.put("a", "1").await;
    let count = RangeRequest {
        count_only: true,
        ..c.all()
    };
    let ops = vec![
        op::put(c.key("b"), "2"),
        op::put(c.key("c"), "3"),
        op::range(count),
    ];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(answer::range(&response, 2).count, 3);
}

async fn a_range_with_limit_and_sort_sees_earlier_puts(c: Case) {
    c.put_all("b=2 d=4").await;
    let first = RangeRequest {
        limit: 2,
        sort_order: 2,
        ..c.all()
    };
    let ops = vec![
        op::put(c.key("c"), "3"),
        op::delete(c.key("d")),
        op::range(first),
    ];
    let response = c.client.txn(always(ops)).await.unwrap();
    let seen = answer::range(&response, 2);
    assert_eq!(pairs(&seen.kvs), "c=3 b=2");
    assert_eq!((seen.count, seen.more), (2, false));
}

async fn a_put_seen_inside_carries_the_new_revision(c: Case) {
    let created = c.put("a", "1").await;
    let ops = vec![op::put(c.key("a"), "2"), op::get(c.key("a"))];
    let response = c.client.txn(always(ops)).await.unwrap();
    let kv = &answer::range(&response, 1).kvs[0];
    assert_eq!(kv.mod_revision(), revision(&response.header));
    assert_eq!((kv.create_revision(), kv.version()), (created, 2));
}

async fn all_writes_share_one_revision(c: Case) {
    c.put("z", "0").await;
    let mut watch = c.watch_all().await;
    let ops = vec![
        op::put(c.key("b"), "1"),
        op::delete(c.key("z")),
        op::put(c.key("a"), "2"),
    ];
    let response = c.client.txn(always(ops)).await.unwrap();
    let events = watch.next().await.events;
    assert_eq!(told(&events), "PUT b=1, DELETE z, PUT a=2");
    for event in &events {
        assert_eq!(event_revision(event), revision(&response.header));
    }
}

async fn the_header_of_a_transaction_without_change_is_current(c: Case) {
    let last = c.put("a", "1").await;
    let response = c.client.txn(always(vec![op::delete(c.key("b"))])).await;
    assert!(revision(&response.unwrap().header) >= last);
    assert_eq!(c.get("a").await.unwrap().mod_revision(), last);
}

async fn a_branch_without_operations_answers_nothing(c: Case) {
    let exists = vec![cmp::version(c.key("a"), Greater, 0)];
    let request = txn(exists, vec![op::put(c.key("a"), "1")], vec![]);
    let response = c.client.txn(request).await.unwrap();
    assert!(!response.succeeded);
    assert_eq!(response.responses, []);
    assert_eq!(c.stored().await, "");
}

async fn deletes_of_nothing_answer_zero(c: Case) {
    let ops = vec![
        op::delete(c.key("a")),
        op::delete_with(delete_span(c.prefix(), end_of(c.prefix()))),
    ];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(answer::delete(&response, 0).deleted, 0);
    assert_eq!(answer::delete(&response, 1).deleted, 0);
}

async fn a_lease_is_attached(c: Case) {
    let lease = c.lease(60).await;
    let request = PutRequest {
        lease,
        ..put(c.key("a"), "1")
    };
    let ops = vec![op::put_with(request), op::get(c.key("a"))];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(answer::range(&response, 1).kvs[0].lease(), lease);
    let attached = c.client.lease_time_to_live(time_to_live(lease, true)).await;
    assert_eq!(attached.unwrap().keys, [c.key("a")]);
}

async fn ignore_value_works_inside(c: Case) {
    c.put("a", "1").await;
    let request = PutRequest {
        ignore_value: true,
        ..put(c.key("a"), "")
    };
    c.client
        .txn(always(vec![op::put_with(request)]))
        .await
        .unwrap();
    let kv = c.get("a").await.unwrap();
    assert_eq!((kv.value(), kv.version()), (&b"1"[..], 2));
}

async fn ignore_lease_works_inside(c: Case) {
    let lease = c.lease(60).await;
    c.put_leased("a", "1", lease).await;
    let request = PutRequest {
        ignore_lease: true,
        ..put(c.key("a"), "2")
    };
    c.client
        .txn(always(vec![op::put_with(request)]))
        .await
        .unwrap();
    let kv = c.get("a").await.unwrap();
    assert_eq!((kv.value(), kv.lease()), (&b"2"[..], lease));
}

async fn compare_and_swap_lets_one_of_many_win(c: Case) {
    let request = |n: usize| {
        let missing = vec![cmp::created(c.key("a"), Equal, 0)];
        txn(missing, vec![op::put(c.key("a"), n.to_string())], vec![])
    };
    let tries = (0..32).map(|n| c.client.txn(request(n)));
    let outcomes = futures::future::join_all(tries).await;
    let winners: Vec<_> = (0..32)
        .filter(|&n| outcomes[n].as_ref().unwrap().succeeded)
        .collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(c.stored().await, format!("a={}", winners[0]));
}

async fn counters_by_compare_and_swap_lose_nothing(c: Case) {
    c.put("a", "0").await;
    let clients = (0..8).map(|_| async {
        for _ in 0..10 {
            increment(&c).await;
        }
    });
    futures::future::join_all(clients).await;
    assert_eq!(c.stored().await, "a=80");
}

async fn increment(c: &Case) {
    loop {
        let kv = c.get("a").await.unwrap();
        let next = text(kv.value()).parse::<i64>().unwrap() + 1;
        let unchanged = vec![cmp::modified(c.key("a"), Equal, kv.mod_revision())];
        let write = vec![op::put(c.key("a"), next.to_string())];
        let request = txn(unchanged, write, vec![]);
        if c.client.txn(request).await.unwrap().succeeded {
            return;
        }
    }
}

async fn one_hundred_keys_are_one_event_batch(c: Case) {
    let mut watch = c.watch_all().await;
    let puts = (0..100).map(|n| op::put(c.key(&format!("{n:03}")), "1"));
    c.client.txn(always(puts.collect())).await.unwrap();
    assert_eq!(watch.next().await.events.len(), 100);
}
