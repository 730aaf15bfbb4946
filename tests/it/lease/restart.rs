//! Leases across a restart of the only member.

use std::time::Duration;

use crate::harness::*;

#[tokio::test]
async fn leases_survive_a_kill() {
    let mut server = Server::fresh().await;
    let client = server.client();
    client.lease_grant(grant(600, 1)).await.unwrap();
    client.lease_grant(grant(4, 2)).await.unwrap();
    for (key, lease) in [("long", 1), ("short", 2), ("none", 0)] {
        let mut request = put(key, "1");
        request.lease = lease;
        client.put(request).await.unwrap();
    }
    server.kill();
    server.restart().await;
    let client = server.client();
    let long = client
        .lease_time_to_live(time_to_live(1, true))
        .await
        .unwrap();
    assert_eq!(long.keys, ["long"]);
    assert_eq!(long.granted_ttl, 600);
    assert_eq!(client.range(point("long")).await.unwrap().kvs[0].lease(), 1);
    while client.range(point("short")).await.unwrap().count > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = client.range(span(NO_END, NO_END)).await.unwrap();
    assert_eq!(names(&all.kvs), "long none");
}

#[tokio::test]
async fn a_revoked_lease_stays_revoked_after_a_kill() {
    let mut server = Server::fresh().await;
    let client = server.client();
    client.lease_grant(grant(600, 1)).await.unwrap();
    let revoke = holdfast::etcd::pb::etcdserverpb::LeaseRevokeRequest { id: 1 };
    client.lease_revoke(revoke).await.unwrap();
    server.kill();
    server.restart().await;
    let client = server.client();
    let response = client.lease_time_to_live(time_to_live(1, false)).await;
    assert_eq!(response.unwrap().ttl, -1);
}
