//! Sort orders and targets.

use holdfast::etcd::pb::etcdserverpb::RangeRequest;
use holdfast::etcd::pb::etcdserverpb::range_request::{SortOrder, SortTarget};
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn sorting() {
    let cases = cases![
        equal_elements_all_arrive,
        the_limit_cuts_after_the_sort,
        without_an_order_the_limit_cuts_before_the_sort,
        the_first_created_key_is_one_request,
        the_last_modified_key_is_one_request,
        a_value_sort_with_keys_only_uses_the_real_values,
        sorting_applies_to_a_past_revision,
        values_sort_bytewise,
    ];
    let strict = cases![
        an_unknown_sort_order_is_refused,
        an_unknown_sort_target_is_refused
    ];
    Suite::new("sort", cases)
        .with(ROWS.iter().map(row).collect())
        .since(3, 6, strict)
        .run(shared().await)
        .await;
}

/// Order, target, and the keys of [`fill`] as they must come back.
type Row = (SortOrder, SortTarget, &'static str);

const ROWS: [Row; 15] = [
    (SortOrder::None, SortTarget::Key, "a b c d"),
    (SortOrder::Ascend, SortTarget::Key, "a b c d"),
    (SortOrder::Descend, SortTarget::Key, "d c b a"),
    (SortOrder::None, SortTarget::Version, "c a d b"),
    (SortOrder::Ascend, SortTarget::Version, "c a d b"),
    (SortOrder::Descend, SortTarget::Version, "b d a c"),
    (SortOrder::None, SortTarget::Create, "d b a c"),
    (SortOrder::Ascend, SortTarget::Create, "d b a c"),
    (SortOrder::Descend, SortTarget::Create, "c a b d"),
    (SortOrder::None, SortTarget::Mod, "c d a b"),
    (SortOrder::Ascend, SortTarget::Mod, "c d a b"),
    (SortOrder::Descend, SortTarget::Mod, "b a d c"),
    (SortOrder::None, SortTarget::Value, "b c d a"),
    (SortOrder::Ascend, SortTarget::Value, "b c d a"),
    (SortOrder::Descend, SortTarget::Value, "a d c b"),
];

fn row(&(order, target, expected): &Row) -> NamedCase {
    let name = format!("sorted_by_{target:?}_{order:?}");
    NamedCase::new(name, move |c: Case| async move {
        fill(&c).await;
        let response = c.range(sorted(&c, order, target)).await;
        assert_eq!(names(&response.kvs), expected);
    })
}

/// Four keys whose orders by version, creation, change and value all differ.
async fn fill(c: &Case) {
    c.put_all("d=0 b=0 a=0 c=2 d=1 b=1 d=3 a=9 b=2 b=1").await;
}

fn sorted(c: &Case, order: SortOrder, target: SortTarget) -> RangeRequest {
    RangeRequest {
        sort_order: order.into(),
        sort_target: target.into(),
        ..c.all()
    }
}

async fn equal_elements_all_arrive(c: Case) {
    c.put_all("a=1 b=1 c=1").await;
    let response = c
        .range(sorted(&c, SortOrder::Descend, SortTarget::Value))
        .await;
    let mut keys: Vec<_> = response.kvs.iter().map(|kv| kv.key().clone()).collect();
    keys.sort();
    assert_eq!(keys, [c.key("a"), c.key("b"), c.key("c")]);
}

async fn the_limit_cuts_after_the_sort(c: Case) {
    fill(&c).await;
    let request = RangeRequest {
        limit: 2,
        ..sorted(&c, SortOrder::Descend, SortTarget::Value)
    };
    let response = c.range(request).await;
    assert_eq!(names(&response.kvs), "a d");
    assert_eq!((response.more, response.count), (true, 4));
}

/// What etcd does with `NONE` and another target: the keys after the limit, but for one, are not read.
async fn without_an_order_the_limit_cuts_before_the_sort(c: Case) {
    fill(&c).await;
    let request = RangeRequest {
        limit: 2,
        ..sorted(&c, SortOrder::None, SortTarget::Create)
    };
    let response = c.range(request.clone()).await;
    assert_eq!(names(&response.kvs), "b a");
    assert_eq!((response.more, response.count), (true, 4));
    let filtered = RangeRequest {
        min_mod_revision: 1,
        ..request
    };
    assert_eq!(names(&c.range(filtered).await.kvs), "d b");
}

async fn the_first_created_key_is_one_request(c: Case) {
    fill(&c).await;
    let request = RangeRequest {
        limit: 1,
        ..sorted(&c, SortOrder::Ascend, SortTarget::Create)
    };
    assert_eq!(names(&c.range(request).await.kvs), "d");
}

async fn the_last_modified_key_is_one_request(c: Case) {
    fill(&c).await;
    let request = RangeRequest {
        limit: 1,
        ..sorted(&c, SortOrder::Descend, SortTarget::Mod)
    };
    assert_eq!(names(&c.range(request).await.kvs), "b");
}

async fn a_value_sort_with_keys_only_uses_the_real_values(c: Case) {
    fill(&c).await;
    let request = RangeRequest {
        keys_only: true,
        ..sorted(&c, SortOrder::Ascend, SortTarget::Value)
    };
    assert_eq!(pairs(&c.range(request).await.kvs), "b= c= d= a=");
}

async fn sorting_applies_to_a_past_revision(c: Case) {
    let revision = c.put_all("a=3 b=2 c=1").await;
    c.put_all("a=0 d=9").await;
    let request = RangeRequest {
        revision,
        ..sorted(&c, SortOrder::Ascend, SortTarget::Value)
    };
    assert_eq!(pairs(&c.range(request).await.kvs), "c=1 b=2 a=3");
}

async fn values_sort_bytewise(c: Case) {
    c.put_all("a=10 b=9 c= d=\u{80}").await;
    let request = sorted(&c, SortOrder::Ascend, SortTarget::Value);
    assert_eq!(names(&c.range(request).await.kvs), "c a b d");
}

async fn an_unknown_sort_order_is_refused(c: Case) {
    let request = RangeRequest {
        sort_order: 9,
        ..c.all()
    };
    let result = c.client.range(request).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: invalid sort option",
    );
}

async fn an_unknown_sort_target_is_refused(c: Case) {
    let request = RangeRequest {
        sort_target: 9,
        ..c.all()
    };
    let result = c.client.range(request).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: invalid sort option",
    );
}
