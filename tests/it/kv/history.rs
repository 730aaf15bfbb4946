//! Reads at a revision of the past.

use holdfast::etcd::pb::etcdserverpb::RangeRequest;
use tonic::Code;

use crate::harness::*;

const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";

#[tokio::test]
async fn history() {
    let cases = cases![
        a_past_revision_shows_the_past_value,
        a_past_revision_hides_later_keys,
        a_past_revision_shows_deleted_keys,
        a_past_revision_between_delete_and_recreation_shows_nothing,
        the_revision_of_a_delete_shows_nothing,
        a_past_count_counts_the_past,
        a_past_page_is_stable_under_writes,
        the_header_tells_the_current_revision_not_the_asked_one,
        a_negative_revision_is_the_latest,
        a_zero_revision_is_the_latest,
        a_future_revision_is_refused,
        a_future_revision_is_refused_when_serializable,
        a_future_revision_is_refused_when_only_counting,
        the_largest_revision_is_refused,
        every_revision_shows_its_own_state,
        revision_one_is_empty,
    ];
    Suite::new("history", cases).run(shared().await).await;
}

async fn at(c: &Case, revision: i64) -> String {
    let request = RangeRequest {
        revision,
        ..c.all()
    };
    pairs(&c.range(request).await.kvs)
}

async fn a_past_revision_shows_the_past_value(c: Case) {
    let first = c.put("a", "1").await;
    c.put("a", "2").await;
    assert_eq!(at(&c, first).await, "a=1");
}

async fn a_past_revision_hides_later_keys(c: Case) {
    let first = c.put("a", "1").await;
    c.put("b", "2").await;
    assert_eq!(at(&c, first).await, "a=1");
}

async fn a_past_revision_shows_deleted_keys(c: Case) {
    let before = c.put_all("a=1 b=2").await;
    c.delete("a").await;
    assert_eq!(at(&c, before).await, "a=1 b=2");
    assert_eq!(c.stored().await, "b=2");
}

async fn a_past_revision_between_delete_and_recreation_shows_nothing(c: Case) {
    c.put("a", "1").await;
    let deleted = c.delete("a").await;
    c.put("a", "2").await;
    assert_eq!(at(&c, deleted).await, "");
}

async fn the_revision_of_a_delete_shows_nothing(c: Case) {
    let put = c.put("a", "1").await;
    let deleted = c.delete("a").await;
    assert_eq!(at(&c, put).await, "a=1");
    assert_eq!(at(&c, deleted).await, "");
}

async fn a_past_count_counts_the_past(c: Case) {
    let two = c.put_all("a=1 b=2").await;
    c.put("c", "3").await;
    let request = RangeRequest {
        revision: two,
        count_only: true,
        ..c.all()
    };
    assert_eq!(c.range(request).await.count, 2);
}

async fn a_past_page_is_stable_under_writes(c: Case) {
    let revision = c.put_all("a=1 b=2 c=3").await;
    c.put_all("aa=9 bb=9").await;
    c.delete("c").await;
    let request = RangeRequest {
        revision,
        limit: 2,
        ..span(c.key("b"), end_of(c.prefix()))
    };
    let response = c.range(request).await;
    assert_eq!(pairs(&response.kvs), "b=2 c=3");
    assert_eq!((response.count, response.more), (2, false));
}

async fn the_header_tells_the_current_revision_not_the_asked_one(c: Case) {
    let first = c.put("a", "1").await;
    let last = c.put("a", "2").await;
    let request = RangeRequest {
        revision: first,
        ..c.all()
    };
    assert!(revision(&c.range(request).await.header) >= last);
}

async fn a_negative_revision_is_the_latest(c: Case) {
    c.put_all("a=1 a=2").await;
    assert_eq!(at(&c, -1).await, "a=2");
    assert_eq!(at(&c, i64::MIN).await, "a=2");
}

async fn a_zero_revision_is_the_latest(c: Case) {
    c.put_all("a=1 a=2").await;
    assert_eq!(at(&c, 0).await, "a=2");
}

/// A revision that no other case will reach meanwhile.
async fn future(c: &Case) -> RangeRequest {
    RangeRequest {
        revision: c.put("a", "1").await + 1_000_000,
        ..c.all()
    }
}

async fn a_future_revision_is_refused(c: Case) {
    let request = future(&c).await;
    refused(c.client.range(request).await, Code::OutOfRange, FUTURE);
}

async fn a_future_revision_is_refused_when_serializable(c: Case) {
    let mut request = future(&c).await;
    request.serializable = true;
    refused(c.client.range(request).await, Code::OutOfRange, FUTURE);
}

async fn a_future_revision_is_refused_when_only_counting(c: Case) {
    let mut request = future(&c).await;
    request.count_only = true;
    refused(c.client.range(request).await, Code::OutOfRange, FUTURE);
}

async fn the_largest_revision_is_refused(c: Case) {
    let mut request = future(&c).await;
    request.revision = i64::MAX;
    refused(c.client.range(request).await, Code::OutOfRange, FUTURE);
}

async fn every_revision_shows_its_own_state(c: Case) {
    let mut expected = Vec::new();
    for n in 0..20 {
        let revision = if n % 5 == 4 {
            c.delete("a").await
        } else {
            c.put("a", &n.to_string()).await
        };
        let state = if n % 5 == 4 {
            String::new()
        } else {
            format!("a={n}")
        };
        expected.push((revision, state));
    }
    for (revision, state) in expected {
        assert_eq!(at(&c, revision).await, state, "at revision {revision}");
    }
}

async fn revision_one_is_empty(c: Case) {
    c.put("a", "1").await;
    let request = RangeRequest {
        revision: 1,
        ..span(NO_END, NO_END)
    };
    assert_eq!(c.range(request).await.count, 0);
}
