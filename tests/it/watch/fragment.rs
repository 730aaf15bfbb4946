//! Responses too large for one message.

use holdfast::etcd::pb::etcdserverpb::WatchCreateRequest;
use holdfast::etcd::wire::WatchFields;
use prost::Message;

use crate::harness::*;

/// max-request-bytes and 512 KiB: a fragmented response stays below it unless one event is larger.
const THRESHOLD: usize = 2 * 1024 * 1024;

#[tokio::test]
async fn fragments() {
    let cases = cases![
        a_small_response_is_one_fragment,
        a_large_revision_is_split_when_allowed,
        a_large_revision_arrives_whole_when_not_allowed,
        large_history_is_split_when_allowed,
        large_history_is_never_a_fragment_when_not_allowed,
    ];
    Suite::new("fragment", cases).run(shared().await).await;
}

const KEYS: usize = 10;

/// Overwrites ten large keys at one revision: with prev_kv its events are about 2.8 MB.
async fn write_large_revision(c: &Case) {
    for letter in ["x", "y"] {
        let value = letter.repeat(140_000);
        let puts = (0..KEYS).map(|n| op::put(c.key(&n.to_string()), &value));
        c.client.txn(always(puts.collect())).await.unwrap();
    }
}

fn watch_large(c: &Case, fragment: bool, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        prev_kv: true,
        fragment,
        start_revision,
        ..watch_prefix(c.prefix())
    }
}

/// The messages up to the one that ends a logical response.
async fn logical_response(watch: &mut Watch) -> Vec<WatchFields> {
    let mut parts = vec![watch.next().await];
    while parts.last().unwrap().fragment {
        parts.push(watch.next().await);
    }
    for part in &parts {
        assert_eq!(part.watch_id, parts[0].watch_id);
        assert_eq!(part.header, parts[0].header);
    }
    parts
}

fn names_of(parts: &[WatchFields]) -> String {
    let events = parts.iter().flat_map(|part| &part.events);
    let kvs: Vec<_> = events.map(|event| event.kv.clone().unwrap()).collect();
    names(&kvs)
}

const ALL_NAMES: &str = "0 1 2 3 4 5 6 7 8 9";

async fn a_small_response_is_one_fragment(c: Case) {
    let (mut watch, created) = Watch::start(&c.client, watch_large(&c, true, 0)).await;
    assert!(!created.fragment);
    c.put("a", "1").await;
    let response = watch.next().await;
    assert_eq!((response.fragment, response.events.len()), (false, 1));
}

async fn a_large_revision_is_split_when_allowed(c: Case) {
    let (mut watch, _) = Watch::start(&c.client, watch_large(&c, true, 0)).await;
    write_large_revision(&c).await;
    let small = logical_response(&mut watch).await;
    assert_eq!(names_of(&small), ALL_NAMES);
    let large = logical_response(&mut watch).await;
    assert_eq!(names_of(&large), ALL_NAMES);
    assert!(large.len() > 1, "2.8 MB in one message");
    for part in &large {
        assert!(part.encoded_len() < THRESHOLD);
    }
}

async fn a_large_revision_arrives_whole_when_not_allowed(c: Case) {
    let (mut watch, _) = Watch::start(&c.client, watch_large(&c, false, 0)).await;
    write_large_revision(&c).await;
    for _ in 0..2 {
        let response = watch.next().await;
        assert_eq!((response.fragment, response.events.len()), (false, KEYS));
    }
}

async fn write_large_history(c: &Case) -> i64 {
    let value = "x".repeat(1_000_000);
    let first = c.put("0", &value).await;
    for n in 1..6 {
        c.put(&n.to_string(), &value).await;
    }
    first
}

async fn large_history_is_split_when_allowed(c: Case) {
    let first = write_large_history(&c).await;
    let request = watch_large(&c, true, first);
    let (mut watch, _) = Watch::start(&c.client, request).await;
    let mut parts = Vec::new();
    while parts.len() < 6 {
        parts.extend(logical_response(&mut watch).await);
        if names_of(&parts) == "0 1 2 3 4 5" {
            break;
        }
    }
    assert!(parts.iter().all(|part| part.encoded_len() < THRESHOLD));
    assert_eq!(names_of(&parts), "0 1 2 3 4 5");
}

async fn large_history_is_never_a_fragment_when_not_allowed(c: Case) {
    let first = write_large_history(&c).await;
    let request = watch_large(&c, false, first);
    let (mut watch, _) = Watch::start(&c.client, request).await;
    let mut parts = Vec::new();
    while names_of(&parts) != "0 1 2 3 4 5" {
        parts.push(watch.next().await);
        assert!(!parts.last().unwrap().fragment);
    }
}
