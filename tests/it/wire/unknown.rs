//! Methods and services that do not exist.

use tonic::Code;

use super::raw::call;
use crate::harness::*;

#[tokio::test]
async fn unknown_calls() {
    Suite::new("unknown", ROWS.iter().map(row).collect())
        .run(shared().await)
        .await;
}

const ROWS: [(&str, &str); 8] = [
    (
        "/etcdserverpb.KV/Nothing",
        "unknown method Nothing for service etcdserverpb.KV",
    ),
    (
        "/etcdserverpb.KV/range",
        "unknown method range for service etcdserverpb.KV",
    ),
    (
        "/etcdserverpb.Watch/Unwatch",
        "unknown method Unwatch for service etcdserverpb.Watch",
    ),
    (
        "/etcdserverpb.Lease/LeaseCheckpoint",
        "unknown method LeaseCheckpoint for service etcdserverpb.Lease",
    ),
    (
        "/etcdserverpb.Maintenance/Nap",
        "unknown method Nap for service etcdserverpb.Maintenance",
    ),
    (
        "/etcdserverpb.Nothing/Range",
        "unknown service etcdserverpb.Nothing",
    ),
    ("/kv.KV/Range", "unknown service kv.KV"),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "unknown service grpc.reflection.v1.ServerReflection",
    ),
];

fn row(&(path, message): &(&'static str, &'static str)) -> NamedCase {
    NamedCase::new(path, move |c: Case| async move {
        let result = call(&c.client, path, "").await;
        refused(result, Code::Unimplemented, message);
    })
}
