//! How large requests and answers may be.

use prost::Message;
use tonic::Code;

use crate::harness::*;

const TOO_LARGE: &str = "etcdserver: request is too large";
const MAX_REQUEST: usize = 1_572_864;
const MAX_MESSAGE: usize = 2_097_152;

#[tokio::test]
async fn limits() {
    let cases = cases![
        a_value_just_below_the_limit_is_stored,
        a_value_above_the_limit_is_refused,
        a_transaction_above_the_limit_is_refused,
        a_message_above_the_grpc_limit_is_refused,
        a_message_at_the_grpc_limit_is_read,
        the_connection_survives_a_refused_message,
        an_answer_may_be_larger_than_a_request,
        a_large_read_request_is_not_limited_by_writes,
    ];
    Suite::new("limits", cases).run(shared().await).await;
}

#[tokio::test]
async fn configured_limits() {
    let settings = Settings::default()
        .flag("max-request-bytes", 10_000)
        .flag("max-txn-ops", 5);
    let server = Server::start(settings).await;
    let cases = cases![
        a_configured_request_limit_holds,
        a_configured_message_limit_holds,
        a_configured_operation_limit_holds,
    ];
    Suite::new("configured_limits", cases).run(&server).await;
}

/// The log entry around a put takes some dozens of bytes.
const ENTRY_OVERHEAD: usize = 200;

async fn a_value_just_below_the_limit_is_stored(c: Case) {
    let value = "v".repeat(MAX_REQUEST - ENTRY_OVERHEAD);
    c.put("a", &value).await;
    assert_eq!(c.get("a").await.unwrap().value().len(), value.len());
}

async fn a_value_above_the_limit_is_refused(c: Case) {
    let value = "v".repeat(MAX_REQUEST);
    let result = c.client.put(put(c.key("a"), value)).await;
    refused(result, Code::InvalidArgument, TOO_LARGE);
    assert_eq!(c.stored().await, "");
}

async fn a_transaction_above_the_limit_is_refused(c: Case) {
    let value = "v".repeat(MAX_REQUEST / 10);
    let puts = (0..10).map(|n| op::put(c.key(&n.to_string()), &value));
    let result = c.client.txn(always(puts.collect())).await;
    refused(result, Code::InvalidArgument, TOO_LARGE);
    assert_eq!(c.stored().await, "");
}

async fn a_message_above_the_grpc_limit_is_refused(c: Case) {
    let request = put(c.key("a"), "v".repeat(MAX_MESSAGE));
    let size = request.encoded_len();
    let text = format!("grpc: received message larger than max ({size} vs. {MAX_MESSAGE})");
    refused(c.client.put(request).await, Code::ResourceExhausted, &text);
}

/// Read and then refused for another reason.
async fn a_message_at_the_grpc_limit_is_read(c: Case) {
    let half = put(c.key("a"), "v".repeat(MAX_MESSAGE / 2));
    let overhead = half.encoded_len() - half.value.len();
    let request = put(c.key("a"), "v".repeat(MAX_MESSAGE - overhead));
    assert_eq!(request.encoded_len(), MAX_MESSAGE);
    let result = c.client.put(request).await;
    refused(result, Code::InvalidArgument, TOO_LARGE);
}

async fn the_connection_survives_a_refused_message(c: Case) {
    let mut watch = c.watch("a").await;
    let request = put(c.key("a"), "v".repeat(MAX_MESSAGE));
    c.client.put(request).await.unwrap_err();
    c.put("a", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=1");
}

async fn an_answer_may_be_larger_than_a_request(c: Case) {
    let value = "v".repeat(1_000_000);
    for n in 0..6 {
        c.put(&n.to_string(), &value).await;
    }
    let kvs = c.range(c.all()).await.kvs;
    assert_eq!(kvs.len(), 6);
    assert!(kvs.iter().all(|kv| kv.value().len() == value.len()));
}

async fn a_large_read_request_is_not_limited_by_writes(c: Case) {
    let key = "k".repeat(MAX_REQUEST + 1000);
    assert_eq!(c.range(point(key)).await.count, 0);
}

async fn a_configured_request_limit_holds(c: Case) {
    c.put("a", &"v".repeat(10_000 - ENTRY_OVERHEAD)).await;
    let result = c.client.put(put(c.key("a"), "v".repeat(10_000))).await;
    refused(result, Code::InvalidArgument, TOO_LARGE);
}

async fn a_configured_message_limit_holds(c: Case) {
    let limit = 10_000 + 512 * 1024;
    let request = put(c.key("a"), "v".repeat(limit));
    let size = request.encoded_len();
    let text = format!("grpc: received message larger than max ({size} vs. {limit})");
    refused(c.client.put(request).await, Code::ResourceExhausted, &text);
}

async fn a_configured_operation_limit_holds(c: Case) {
    c.client
        .txn(always(vec![op::get(c.key("a")); 5]))
        .await
        .unwrap();
    let result = c.client.txn(always(vec![op::get(c.key("a")); 6])).await;
    let text = "etcdserver: too many operations in txn request";
    refused(result, Code::InvalidArgument, text);
}
