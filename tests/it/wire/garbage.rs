//! Input that means nothing is refused and does not disturb anyone (invariant I10).

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use super::raw::call;
use crate::harness::*;

#[tokio::test]
async fn garbage() {
    let server = Server::fresh().await;
    let cases = cases![
        bytes_that_are_no_message_are_refused,
        a_truncated_message_is_refused,
        a_wrong_wire_type_is_refused,
        unknown_fields_are_ignored,
        an_overlong_varint_is_refused,
        deeply_nested_transactions_are_refused_or_answered,
        an_unknown_compare_result_does_no_harm,
        an_unknown_compare_target_does_no_harm,
        an_unknown_watch_filter_does_no_harm,
        an_unknown_alarm_kind_does_no_harm,
        bytes_that_are_no_http_are_dropped,
        a_bare_http2_preface_does_no_harm,
        a_connection_that_says_nothing_does_no_harm,
        requests_cut_off_in_the_middle_do_no_harm,
        random_bytes_to_every_method_do_no_harm,
        thousands_of_connections_that_come_and_go,
        five_thousand_idle_watchers,
    ];
    Suite::new("garbage", cases).run_in_order(&server).await;
    let client = server.client();
    client.put(put("alive", "1")).await.unwrap();
}

const RANGE: &str = "/etcdserverpb.KV/Range";
const TXN: &str = "/etcdserverpb.KV/Txn";

/// The server is there and well.
async fn well(c: &Case) {
    c.put("well", "1").await;
    assert_eq!(c.get("well").await.unwrap().value(), b"1");
}

/// Refused as a message that cannot be decoded. etcd answers Internal.
async fn undecodable(c: &Case, body: &'static [u8]) {
    for path in [RANGE, TXN, "/etcdserverpb.Lease/LeaseGrant"] {
        let status = call(&c.client, path, body).await.unwrap_err();
        let accepted = [Code::Internal, Code::InvalidArgument];
        assert!(accepted.contains(&status.code()), "{status:?}");
    }
    well(c).await;
}

async fn bytes_that_are_no_message_are_refused(c: Case) {
    undecodable(&c, &[0xff; 40]).await;
}

async fn a_truncated_message_is_refused(c: Case) {
    undecodable(&c, b"\x0a\x7fshort").await;
}

/// Field 1 of these requests is never a 32-bit number.
async fn a_wrong_wire_type_is_refused(c: Case) {
    undecodable(&c, b"\x0d\x01\x02\x03\x04").await;
}

async fn unknown_fields_are_ignored(c: Case) {
    c.put("a", "1").await;
    let key = c.key("a");
    let mut body = vec![0x0a, key.len() as u8];
    body.extend_from_slice(&key);
    body.extend_from_slice(b"\xd2\x3e\x03new\xd8\x3e\x07");
    let answer = call(&c.client, RANGE, body).await.unwrap();
    let response: holdfast::etcd::pb::etcdserverpb::RangeResponse =
        prost::Message::decode(answer).unwrap();
    assert_eq!(pairs(&response.kvs), "a=1");
}

async fn an_overlong_varint_is_refused(c: Case) {
    undecodable(
        &c,
        &[
            0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
        ],
    )
    .await;
}

/// A transaction in a transaction, some thousand times over.
async fn deeply_nested_transactions_are_refused_or_answered(c: Case) {
    let mut body = Vec::new();
    for _ in 0..5000 {
        body = wrap(0x12, wrap(0x22, body));
    }
    let _ = call(&c.client, TXN, body).await;
    well(&c).await;
}

/// A length-delimited field around `body`.
fn wrap(tag: u8, body: Vec<u8>) -> Vec<u8> {
    let mut wrapped = vec![tag];
    prost::encoding::encode_varint(body.len() as u64, &mut wrapped);
    wrapped.extend(body);
    wrapped
}

async fn an_unknown_compare_result_does_no_harm(c: Case) {
    let mut compare = cmp::version(c.key("a"), cmp::Result::Equal, 0);
    compare.result = 77;
    let _ = c.client.txn(txn(vec![compare], vec![], vec![])).await;
    well(&c).await;
}

async fn an_unknown_compare_target_does_no_harm(c: Case) {
    let mut compare = cmp::version(c.key("a"), cmp::Result::Equal, 0);
    compare.target = 77;
    let ops = vec![op::put(c.key("a"), "1")];
    let _ = c.client.txn(txn(vec![compare], ops.clone(), ops)).await;
    well(&c).await;
}

async fn an_unknown_watch_filter_does_no_harm(c: Case) {
    let mut request = watch_key(c.key("a"));
    request.filters = vec![77, -1];
    let (_watch, _) = Watch::start(&c.client, request).await;
    well(&c).await;
}

async fn an_unknown_alarm_kind_does_no_harm(c: Case) {
    let request = holdfast::etcd::pb::etcdserverpb::AlarmRequest {
        alarm: 77,
        ..Default::default()
    };
    let _ = c.client.alarm(request).await;
    well(&c).await;
}

/// Sends bytes on a new connection, within TLS if there is any, and waits for the server to answer or hang up.
/// `protocol` is what is announced by TLS.
async fn send_bytes(c: &Case, protocol: &str, bytes: &[u8]) {
    let mut stream = c.client.stream(protocol).await;
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the server hangs up");
}

async fn bytes_that_are_no_http_are_dropped(c: Case) {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"SSH-2.0-client\r\n",
        &[0; 1000],
        b"GET\r\n\r\n",
    ] {
        send_bytes(&c, "http/1.1", bytes).await;
        send_bytes(&c, "h2", bytes).await;
    }
    well(&c).await;
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn a_bare_http2_preface_does_no_harm(c: Case) {
    let settings = [0u8, 0, 0, 4, 0, 0, 0, 0, 0];
    let nonsense_frame = [0xff, 0xff, 0xff, 9, 9, 9, 9, 9, 9];
    send_bytes(&c, "h2", PREFACE).await;
    send_bytes(&c, "h2", &[PREFACE, &settings].concat()).await;
    send_bytes(&c, "h2", &[PREFACE, &settings, &nonsense_frame].concat()).await;
    well(&c).await;
}

async fn a_connection_that_says_nothing_does_no_harm(c: Case) {
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(&c.client.address).await.unwrap());
    }
    well(&c).await;
}

async fn requests_cut_off_in_the_middle_do_no_harm(c: Case) {
    for _ in 0..20 {
        let client = c.client.another();
        let request = put(c.key("a"), "v".repeat(1_000_000));
        let call = client.put(request);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(2), call).await;
    }
    well(&c).await;
}

async fn random_bytes_to_every_method_do_no_harm(c: Case) {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    for path in METHODS {
        for length in [1, 7, 100] {
            let mut body = vec![0; length];
            random.fill_bytes(&mut body);
            let reply = call(&c.client, path, Bytes::from(body));
            let _ = tokio::time::timeout(std::time::Duration::from_millis(300), reply).await;
        }
    }
    well(&c).await;
}

/// Everything that random bytes cannot make destructive: no member, alarm or authentication change.
const METHODS: [&str; 14] = [
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.KV/RangeStream",
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/DeleteRange",
    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.KV/Compact",
    "/etcdserverpb.Watch/Watch",
    "/etcdserverpb.Lease/LeaseGrant",
    "/etcdserverpb.Lease/LeaseRevoke",
    "/etcdserverpb.Lease/LeaseKeepAlive",
    "/etcdserverpb.Lease/LeaseTimeToLive",
    "/etcdserverpb.Cluster/MemberList",
    "/etcdserverpb.Maintenance/HashKV",
    "/etcdserverpb.Maintenance/Status",
];

async fn thousands_of_connections_that_come_and_go(c: Case) {
    for _ in 0..2000 {
        drop(TcpStream::connect(&c.client.address).await.unwrap());
    }
    well(&c).await;
}

async fn five_thousand_idle_watchers(c: Case) {
    let clients: Vec<_> = (0..5).map(|_| c.client.another()).collect();
    let mut streams = Vec::new();
    for n in 0..5000 {
        let stream = Watch::open(&clients[n % clients.len()]);
        stream.send_create(watch_key(c.key(&n.to_string()))).await;
        streams.push(stream);
    }
    for stream in &mut streams {
        assert!(stream.next().await.created);
    }
    c.put("4999", "1").await;
    assert_eq!(told(&streams[4999].next().await.events), "PUT 4999=1");
    well(&c).await;
}
