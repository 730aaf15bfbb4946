//! What `key` and `range_end` select, and what limits and counts say about it.

use holdfast::etcd::pb::etcdserverpb::RangeRequest;
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn ranges() {
    let cases = cases![
        an_empty_end_selects_exactly_the_key,
        a_key_that_is_a_prefix_of_others_is_still_one_key,
        a_missing_key_is_an_empty_answer,
        a_half_open_range_excludes_its_end,
        a_range_may_begin_and_end_between_keys,
        a_prefix_range_selects_every_key_with_the_prefix,
        a_zero_byte_end_selects_everything_from_the_key_on,
        a_zero_byte_key_and_end_select_everything,
        an_end_equal_to_the_key_selects_nothing,
        an_end_below_the_key_selects_nothing,
        an_empty_key_is_refused,
        an_empty_key_is_refused_even_with_an_end,
        keys_are_ordered_bytewise,
        keys_and_values_may_hold_any_bytes,
        a_key_followed_by_a_zero_byte_is_the_next_key,
        a_prefix_that_ends_in_ff_selects_the_longer_keys_too,
        a_long_key_is_stored,
    ];
    let limits = cases![
        a_limit_cuts_and_sets_more,
        a_limit_of_exactly_the_count_is_not_more,
        a_limit_above_the_count_is_not_more,
        a_zero_limit_is_none,
        a_negative_limit_is_none,
        count_ignores_the_limit,
        pages_by_continuing_after_the_last_key_cover_the_range,
        count_only_answers_a_count_and_nothing_else,
        count_only_ignores_limit_and_sort,
        count_only_of_nothing_is_zero,
        keys_only_leaves_out_values,
        keys_only_keeps_the_revisions,
        a_point_read_counts_one,
        serializable_reads_answer_alike,
        the_largest_limit_is_accepted,
        the_smallest_limit_is_none,
    ];
    Suite::new("range", cases)
        .with(limits)
        .run(shared().await)
        .await;
}

async fn an_empty_end_selects_exactly_the_key(c: Case) {
    c.put_all("a=1 b=2").await;
    assert_eq!(pairs(&c.range(point(c.key("a"))).await.kvs), "a=1");
}

async fn a_key_that_is_a_prefix_of_others_is_still_one_key(c: Case) {
    c.put_all("a=1 aa=2 ab=3").await;
    assert_eq!(pairs(&c.range(point(c.key("a"))).await.kvs), "a=1");
}

async fn a_missing_key_is_an_empty_answer(c: Case) {
    let response = c.range(point(c.key("a"))).await;
    assert_eq!(
        (response.kvs.len(), response.count, response.more),
        (0, 0, false)
    );
    assert!(response.header.is_some());
}

async fn a_half_open_range_excludes_its_end(c: Case) {
    c.put_all("a=1 b=2 c=3 d=4").await;
    let response = c.range(span(c.key("b"), c.key("d"))).await;
    assert_eq!(pairs(&response.kvs), "b=2 c=3");
}

async fn a_range_may_begin_and_end_between_keys(c: Case) {
    c.put_all("a=1 c=2 e=3").await;
    let response = c.range(span(c.key("b"), c.key("d"))).await;
    assert_eq!(pairs(&response.kvs), "c=2");
}

async fn a_prefix_range_selects_every_key_with_the_prefix(c: Case) {
    c.put_all("a=1 ab=2 abc=3 b=4").await;
    let response = c.range(prefixed(c.key("ab"))).await;
    assert_eq!(pairs(&response.kvs), "ab=2 abc=3");
}

async fn a_zero_byte_end_selects_everything_from_the_key_on(c: Case) {
    let top = [0xfe, 0xfe, 0xfe];
    c.client.put(put(top, "top")).await.unwrap();
    c.put("a", "1").await;
    let from_a = c.range(span(c.key("a"), NO_END)).await;
    assert_eq!(from_a.kvs[0].key(), &c.key("a"));
    assert!(from_a.kvs.iter().any(|kv| kv.key()[..] == top));
    assert_eq!(from_a.count, from_a.kvs.len() as i64);
}

async fn a_zero_byte_key_and_end_select_everything(c: Case) {
    c.put("a", "1").await;
    let all = c.range(span(NO_END, NO_END)).await;
    assert!(all.kvs.iter().any(|kv| kv.key() == &c.key("a")));
    assert!(all.kvs.is_sorted_by(|a, b| a.key() < b.key()));
}

async fn an_end_equal_to_the_key_selects_nothing(c: Case) {
    c.put("a", "1").await;
    let response = c.range(span(c.key("a"), c.key("a"))).await;
    assert_eq!((response.kvs.len(), response.count), (0, 0));
}

async fn an_end_below_the_key_selects_nothing(c: Case) {
    c.put_all("a=1 b=2").await;
    let response = c.range(span(c.key("b"), c.key("a"))).await;
    assert_eq!((response.kvs.len(), response.count), (0, 0));
}

async fn an_empty_key_is_refused(c: Case) {
    let result = c.client.range(point("")).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    );
}

async fn an_empty_key_is_refused_even_with_an_end(c: Case) {
    let result = c.client.range(span("", "z")).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    );
}

async fn keys_are_ordered_bytewise(c: Case) {
    c.put_all("b=1 B=2 a=3 10=4 2=5 aa=6 ~=7").await;
    assert_eq!(c.stored().await, "10=4 2=5 B=2 a=3 aa=6 b=1 ~=7");
}

async fn keys_and_values_may_hold_any_bytes(c: Case) {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let key = [&c.prefix()[..], &all_bytes].concat();
    c.client.put(put(&key, &all_bytes)).await.unwrap();
    let response = c.range(c.all()).await;
    assert_eq!(response.kvs[0].key(), &key);
    assert_eq!(response.kvs[0].value(), all_bytes);
}

async fn a_key_followed_by_a_zero_byte_is_the_next_key(c: Case) {
    c.put_all("a=1 a\0=2 b=3").await;
    let after_a = c.range(span(c.key("a\0"), c.key("b"))).await;
    assert_eq!(pairs(&after_a.kvs), "a\0=2");
}

async fn a_prefix_that_ends_in_ff_selects_the_longer_keys_too(c: Case) {
    let prefix = [&c.prefix()[..], &[0xff, 0xff]].concat();
    for tail in [&b""[..], b"\0", b"\xff"] {
        c.client
            .put(put([&prefix, tail].concat(), ""))
            .await
            .unwrap();
    }
    assert_eq!(c.range(prefixed(&prefix)).await.count, 3);
}

async fn a_long_key_is_stored(c: Case) {
    let name = "k".repeat(64 * 1024);
    c.put(&name, "1").await;
    assert_eq!(c.get(&name).await.unwrap().value(), b"1");
}

fn limited(c: &Case, limit: i64) -> RangeRequest {
    RangeRequest { limit, ..c.all() }
}

async fn a_limit_cuts_and_sets_more(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let response = c.range(limited(&c, 2)).await;
    assert_eq!(pairs(&response.kvs), "a=1 b=2");
    assert!(response.more);
}

async fn a_limit_of_exactly_the_count_is_not_more(c: Case) {
    c.put_all("a=1 b=2").await;
    let response = c.range(limited(&c, 2)).await;
    assert_eq!((response.kvs.len(), response.more), (2, false));
}

async fn a_limit_above_the_count_is_not_more(c: Case) {
    c.put_all("a=1 b=2").await;
    let response = c.range(limited(&c, 3)).await;
    assert_eq!((response.kvs.len(), response.more), (2, false));
}

async fn a_zero_limit_is_none(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let response = c.range(limited(&c, 0)).await;
    assert_eq!((response.kvs.len(), response.more), (3, false));
}

async fn a_negative_limit_is_none(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let response = c.range(limited(&c, -1)).await;
    assert_eq!((response.kvs.len(), response.more), (3, false));
}

async fn count_ignores_the_limit(c: Case) {
    c.put_all("a=1 b=2 c=3 d=4").await;
    let response = c.range(limited(&c, 1)).await;
    assert_eq!((response.kvs.len(), response.count), (1, 4));
}

async fn pages_by_continuing_after_the_last_key_cover_the_range(c: Case) {
    for n in 0..25 {
        c.put(&format!("{n:02}"), "").await;
    }
    let mut start = c.prefix().to_vec();
    let mut seen = Vec::new();
    loop {
        let mut page = span(&start, end_of(c.prefix()));
        page.limit = 4;
        let response = c.range(page).await;
        assert_eq!(response.count, 25 - seen.len() as i64);
        seen.extend(response.kvs.iter().map(|kv| kv.key().clone()));
        if !response.more {
            break;
        }
        start = [&seen.last().unwrap()[..], &[0]].concat();
    }
    let expected: Vec<_> = (0..25).map(|n| c.key(&format!("{n:02}"))).collect();
    assert_eq!(seen, expected);
}

async fn count_only_answers_a_count_and_nothing_else(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let mut request = c.all();
    request.count_only = true;
    let response = c.range(request).await;
    assert_eq!(
        (response.kvs.len(), response.count, response.more),
        (0, 3, false)
    );
}

async fn count_only_ignores_limit_and_sort(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let request = RangeRequest {
        count_only: true,
        sort_order: 2,
        sort_target: 4,
        ..limited(&c, 1)
    };
    let response = c.range(request).await;
    assert_eq!(
        (response.kvs.len(), response.count, response.more),
        (0, 3, false)
    );
}

async fn count_only_of_nothing_is_zero(c: Case) {
    let mut request = c.all();
    request.count_only = true;
    assert_eq!(c.range(request).await.count, 0);
}

async fn keys_only_leaves_out_values(c: Case) {
    c.put_all("a=1 b=2").await;
    let mut request = c.all();
    request.keys_only = true;
    assert_eq!(pairs(&c.range(request).await.kvs), "a= b=");
}

async fn keys_only_keeps_the_revisions(c: Case) {
    let created = c.put("a", "1").await;
    let modified = c.put("a", "2").await;
    let mut request = point(c.key("a"));
    request.keys_only = true;
    let response = c.range(request).await;
    let kv = &response.kvs[0];
    assert_eq!(
        (kv.create_revision(), kv.mod_revision(), kv.version()),
        (created, modified, 2)
    );
    assert_eq!(response.count, 1);
}

async fn a_point_read_counts_one(c: Case) {
    c.put_all("a=1 aa=2").await;
    assert_eq!(c.range(point(c.key("a"))).await.count, 1);
}

async fn serializable_reads_answer_alike(c: Case) {
    c.put_all("a=1 b=2").await;
    let mut request = c.all();
    let linearizable = c.range(request.clone()).await;
    request.serializable = true;
    let serializable = c.range(request).await;
    assert_eq!(linearizable.kvs, serializable.kvs);
    assert_eq!(linearizable.count, serializable.count);
}

async fn the_largest_limit_is_accepted(c: Case) {
    c.put_all("a=1 b=2").await;
    let response = c.range(limited(&c, i64::MAX)).await;
    assert_eq!((response.kvs.len(), response.more), (2, false));
}

async fn the_smallest_limit_is_none(c: Case) {
    c.put_all("a=1 b=2").await;
    let response = c.range(limited(&c, i64::MIN)).await;
    assert_eq!((response.kvs.len(), response.more), (2, false));
}
