//! HashKV and Hash.

use holdfast::etcd::pb::etcdserverpb::{HashKvRequest, HashKvResponse, HashRequest};
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn hashes() {
    let server = Server::fresh().await;
    let cases = cases![
        compact_revision_is_minus_one_before_any_compaction,
        an_empty_store_hashes_to_its_bucket_name,
        one_key_hashes_as_specified,
        the_same_revision_hashes_alike,
        a_write_changes_the_hash,
        a_past_revision_hashes_as_it_did_then,
        a_future_revision_is_refused,
        hash_of_everything_answers,
        compact_revision_is_reported,
        below_the_compacted_revision_is_refused,
    ];
    Suite::new("hash", cases)
        .since(3, 6, cases![the_hashed_revision_is_reported])
        .run_in_order(&server)
        .await;
}

async fn hash_at(c: &Case, revision: i64) -> HashKvResponse {
    let request = HashKvRequest { revision };
    c.client.hash_kv(request).await.unwrap()
}

async fn compact_revision_is_minus_one_before_any_compaction(c: Case) {
    assert_eq!(hash_at(&c, 0).await.compact_revision, -1);
}

async fn an_empty_store_hashes_to_its_bucket_name(c: Case) {
    assert_eq!(hash_at(&c, 0).await.hash, crc32c::crc32c(b"key"));
}

/// CRC-32C over the bucket's name, then revision key and encoded key-value of every change.
async fn one_key_hashes_as_specified(c: Case) {
    let response = c.client.put(put("k", "v")).await.unwrap();
    assert_eq!(revision(&response.header), 2);
    let mut hashed = b"key".to_vec();
    hashed.extend_from_slice(&2u64.to_be_bytes());
    hashed.push(b'_');
    hashed.extend_from_slice(&0u64.to_be_bytes());
    let encoded = b"\x0a\x01k\x10\x02\x18\x02\x20\x01\x2a\x01v";
    hashed.extend_from_slice(encoded);
    assert_eq!(hash_at(&c, 0).await.hash, crc32c::crc32c(&hashed));
}

async fn the_same_revision_hashes_alike(c: Case) {
    c.put("a", "1").await;
    assert_eq!(hash_at(&c, 0).await.hash, hash_at(&c, 0).await.hash);
}

async fn a_write_changes_the_hash(c: Case) {
    let before = hash_at(&c, 0).await.hash;
    c.put("a", "1").await;
    assert_ne!(hash_at(&c, 0).await.hash, before);
}

async fn a_past_revision_hashes_as_it_did_then(c: Case) {
    let revision = c.put("a", "1").await;
    let then = hash_at(&c, 0).await.hash;
    c.put("a", "2").await;
    c.delete("a").await;
    assert_eq!(hash_at(&c, revision).await.hash, then);
}

async fn a_future_revision_is_refused(c: Case) {
    let revision = c.put("a", "1").await + 1;
    let result = c.client.hash_kv(HashKvRequest { revision }).await;
    let text = "etcdserver: mvcc: required revision is a future revision";
    refused(result, Code::OutOfRange, text);
}

async fn hash_of_everything_answers(c: Case) {
    let response = c.client.hash(HashRequest {}).await.unwrap();
    assert!(response.header.is_some());
    assert_ne!(response.hash, 0);
}

async fn compact_revision_is_reported(c: Case) {
    let now = c.put_all("a=1 a=2 a=3").await;
    c.client.compact(compact(now - 1)).await.unwrap();
    assert_eq!(hash_at(&c, 0).await.compact_revision, now - 1);
}

async fn below_the_compacted_revision_is_refused(c: Case) {
    let now = c.put_all("a=1 a=2 a=3").await;
    c.client.compact(compact(now)).await.unwrap();
    let revision = now - 1;
    let result = c.client.hash_kv(HashKvRequest { revision }).await;
    let text = "etcdserver: mvcc: required revision has been compacted";
    refused(result, Code::OutOfRange, text);
}

async fn the_hashed_revision_is_reported(c: Case) {
    let now = c.put_all("a=1 a=2").await;
    assert_eq!(hash_at(&c, 0).await.hash_revision, now);
    assert_eq!(hash_at(&c, now - 1).await.hash_revision, now - 1);
}
