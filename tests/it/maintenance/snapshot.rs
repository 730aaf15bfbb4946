//! The framing of the Snapshot stream.

use holdfast::etcd::pb::etcdserverpb::{SnapshotRequest, SnapshotResponse};
use sha2::{Digest, Sha256};

use crate::harness::*;

also_over_tls![snapshots];

#[tokio::test]
async fn snapshots() {
    let server = Server::fresh().await;
    let cases = cases![
        the_last_message_is_the_hash_of_the_rest,
        remaining_bytes_count_down_to_zero,
        there_is_never_a_header,
        the_payload_is_padded_to_512,
        blobs_are_32_kib,
        a_snapshot_does_not_stop_writes,
    ];
    Suite::new("snapshot", cases)
        .since(3, 6, cases![the_storage_version_is_told])
        .run(&server)
        .await;
}

async fn take(c: &Case) -> Vec<SnapshotResponse> {
    c.put("a", &"v".repeat(200_000)).await;
    let mut maintenance = c.client.maintenance();
    let mut stream = maintenance
        .snapshot(SnapshotRequest {})
        .await
        .unwrap()
        .into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        messages.push(message);
    }
    messages
}

async fn the_last_message_is_the_hash_of_the_rest(c: Case) {
    let messages = take(&c).await;
    let (last, payload) = messages.split_last().unwrap();
    let mut hash = Sha256::new();
    for message in payload {
        hash.update(&message.blob);
    }
    assert_eq!(last.blob[..], hash.finalize()[..]);
    assert_eq!(last.remaining_bytes, 0);
}

async fn remaining_bytes_count_down_to_zero(c: Case) {
    let messages = take(&c).await;
    let payload = &messages[..messages.len() - 1];
    let mut left: usize = payload.iter().map(|message| message.blob.len()).sum();
    for message in payload {
        left -= message.blob.len();
        assert_eq!(message.remaining_bytes, left as u64);
    }
    assert_eq!(left, 0);
}

async fn there_is_never_a_header(c: Case) {
    let messages = take(&c).await;
    assert!(messages.iter().all(|message| message.header.is_none()));
}

/// `etcdctl snapshot save` checks that the saved file is a multiple of 512 and a 32-byte hash.
async fn the_payload_is_padded_to_512(c: Case) {
    let messages = take(&c).await;
    let total: usize = messages.iter().map(|message| message.blob.len()).sum();
    assert_eq!(total % 512, 32);
}

async fn blobs_are_32_kib(c: Case) {
    let messages = take(&c).await;
    let payload = &messages[..messages.len() - 1];
    let (last, full) = payload.split_last().unwrap();
    assert!(full.iter().all(|message| message.blob.len() == 32 * 1024));
    assert!((1..=32 * 1024).contains(&last.blob.len()));
}

async fn a_snapshot_does_not_stop_writes(c: Case) {
    let write = async {
        for n in 0..50 {
            c.put("b", &n.to_string()).await;
        }
    };
    let (messages, ()) = futures::future::join(take(&c), write).await;
    assert!(messages.len() > 1);
    assert_eq!(c.get("b").await.unwrap().version(), 50);
}

async fn the_storage_version_is_told(c: Case) {
    let messages = take(&c).await;
    assert!(messages.iter().all(|message| !message.version.is_empty()));
}
