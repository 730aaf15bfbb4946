//! Alarms: listing, raising, lowering, and what they refuse while they are up.

use holdfast::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use holdfast::etcd::pb::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, CompactionRequest, LeaseRevokeRequest, StatusRequest,
};
use tonic::{Code, Status};

use crate::harness::*;

also_over_tls![alarms, an_alarm_survives_a_restart];

const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const CORRUPT: &str = "etcdserver: corrupt cluster";

#[tokio::test]
async fn alarms() {
    let server = Server::fresh().await;
    let cases = cases![
        there_are_none_at_first,
        lowering_none_answers_none,
        raising_answers_the_alarm,
        raising_twice_is_one_alarm,
        raising_nothing_does_nothing,
        the_list_can_be_asked_for_one_kind,
        lowering_needs_the_exact_member,
        status_reports_an_alarm,
        health_reports_an_alarm,
        no_space_refuses_what_grows,
        no_space_allows_the_rest,
        corrupt_refuses_writes,
        corrupt_allows_reads,
    ];
    Suite::new("alarm", cases)
        .since(
            3,
            6,
            cases![
                an_unknown_action_is_refused_and_survived,
                an_unknown_kind_is_refused_and_survived,
                the_page_shows_alarms,
            ],
        )
        .run_in_order(&server)
        .await;
}

#[tokio::test]
async fn an_alarm_survives_a_restart() {
    let mut server = Server::fresh().await;
    let client = server.client();
    call(&client, AlarmAction::Activate, 7, AlarmType::Nospace).await;
    server.kill();
    server.spawn();
    server.alive().await;
    let client = server.client();
    let listed = call(&client, AlarmAction::Get, 0, AlarmType::None).await;
    assert_eq!(listed, [alarm(7, AlarmType::Nospace)]);
    refused(
        client.put(put("a", "1")).await,
        Code::ResourceExhausted,
        NO_SPACE,
    );
}

fn alarm(member_id: u64, kind: AlarmType) -> AlarmMember {
    AlarmMember {
        member_id,
        alarm: kind.into(),
    }
}

async fn call(
    client: &Client,
    action: AlarmAction,
    member_id: u64,
    kind: AlarmType,
) -> Vec<AlarmMember> {
    let request = AlarmRequest {
        action: action.into(),
        member_id,
        alarm: kind.into(),
    };
    let mut alarms = client.alarm(request).await.unwrap().alarms;
    alarms.sort_by_key(|alarm| (alarm.alarm, alarm.member_id));
    alarms
}

async fn raise(c: &Case, member: u64, kind: AlarmType) -> Vec<AlarmMember> {
    call(&c.client, AlarmAction::Activate, member, kind).await
}

async fn lower(c: &Case, member: u64, kind: AlarmType) -> Vec<AlarmMember> {
    call(&c.client, AlarmAction::Deactivate, member, kind).await
}

async fn list(c: &Case, kind: AlarmType) -> Vec<AlarmMember> {
    call(&c.client, AlarmAction::Get, 0, kind).await
}

async fn there_are_none_at_first(c: Case) {
    assert_eq!(list(&c, AlarmType::None).await, []);
}

async fn lowering_none_answers_none(c: Case) {
    assert_eq!(lower(&c, 5, AlarmType::Nospace).await, []);
}

async fn raising_answers_the_alarm(c: Case) {
    let no_space = [alarm(5, AlarmType::Nospace)];
    assert_eq!(raise(&c, 5, AlarmType::Nospace).await, no_space);
    assert_eq!(list(&c, AlarmType::None).await, no_space);
    assert_eq!(lower(&c, 5, AlarmType::Nospace).await, no_space);
    assert_eq!(list(&c, AlarmType::None).await, []);
}

async fn raising_twice_is_one_alarm(c: Case) {
    raise(&c, 5, AlarmType::Nospace).await;
    raise(&c, 5, AlarmType::Nospace).await;
    assert_eq!(list(&c, AlarmType::None).await.len(), 1);
    lower(&c, 5, AlarmType::Nospace).await;
    assert_eq!(list(&c, AlarmType::None).await, []);
}

async fn raising_nothing_does_nothing(c: Case) {
    raise(&c, 5, AlarmType::None).await;
    assert_eq!(list(&c, AlarmType::None).await, []);
    c.put("a", "1").await;
}

async fn the_list_can_be_asked_for_one_kind(c: Case) {
    raise(&c, 5, AlarmType::Nospace).await;
    raise(&c, 6, AlarmType::Corrupt).await;
    assert_eq!(list(&c, AlarmType::None).await.len(), 2);
    let no_space = [alarm(5, AlarmType::Nospace)];
    assert_eq!(list(&c, AlarmType::Nospace).await, no_space);
    let corrupt = [alarm(6, AlarmType::Corrupt)];
    assert_eq!(list(&c, AlarmType::Corrupt).await, corrupt);
    lower(&c, 5, AlarmType::Nospace).await;
    lower(&c, 6, AlarmType::Corrupt).await;
}

async fn lowering_needs_the_exact_member(c: Case) {
    raise(&c, 5, AlarmType::Nospace).await;
    for member in [0, 6] {
        assert_eq!(lower(&c, member, AlarmType::Nospace).await, []);
    }
    assert_eq!(list(&c, AlarmType::None).await.len(), 1);
    lower(&c, 5, AlarmType::Nospace).await;
}

async fn status_reports_an_alarm(c: Case) {
    raise(&c, 5, AlarmType::Nospace).await;
    let status = c.client.status(StatusRequest {}).await.unwrap();
    assert_eq!(status.errors, ["memberID:5 alarm:NOSPACE "]);
    lower(&c, 5, AlarmType::Nospace).await;
    let status = c.client.status(StatusRequest {}).await.unwrap();
    assert!(status.errors.is_empty());
}

async fn health_reports_an_alarm(c: Case) {
    let get = async |path| c.client.http(path).await;
    for (kind, reason) in [
        (AlarmType::Nospace, "ALARM NOSPACE"),
        (AlarmType::Corrupt, "ALARM CORRUPT"),
    ] {
        raise(&c, 5, kind).await;
        let health = get("/health").await;
        let body = format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n");
        assert_eq!((health.status.as_u16(), health.text()), (503, &*body));
        let excluded = get("/health?exclude=NOSPACE").await;
        let expected = if kind == AlarmType::Nospace { 200 } else { 503 };
        assert_eq!(excluded.status, expected, "{kind:?}");
        let ready = get("/readyz").await;
        assert_eq!(ready.status, expected, "{kind:?}: {}", ready.text());
        lower(&c, 5, kind).await;
    }
    assert_eq!(get("/health").await.status, 200);
}

#[track_caller]
fn no_space<T: std::fmt::Debug>(result: Result<T, Status>) {
    refused(result, Code::ResourceExhausted, NO_SPACE);
}

async fn no_space_refuses_what_grows(c: Case) {
    raise(&c, 5, AlarmType::Nospace).await;
    let key = c.key("a");
    no_space(c.client.put(put(&key, "1")).await);
    no_space(c.client.txn(always(vec![op::put(&key, "1")])).await);
    let untaken = txn(vec![], vec![op::get(&key)], vec![op::put(&key, "1")]);
    no_space(c.client.txn(untaken).await);
    no_space(c.client.lease_grant(grant(60, 0)).await);
    lower(&c, 5, AlarmType::Nospace).await;
    c.put("a", "1").await;
}

async fn no_space_allows_the_rest(c: Case) {
    let id = c.lease(60).await;
    let last = c.put_all("a=1 b=2 c=3").await;
    raise(&c, 5, AlarmType::Nospace).await;
    assert_eq!(c.stored().await, "a=1 b=2 c=3");
    c.delete("a").await;
    let delete = always(vec![op::delete(c.key("b"))]);
    c.client.txn(delete).await.unwrap();
    c.client.compact(compact(last)).await.unwrap();
    KeepAlive::open(&c.client).ping(id).await.unwrap();
    c.client
        .lease_revoke(LeaseRevokeRequest { id })
        .await
        .unwrap();
    assert_eq!(c.stored().await, "c=3");
    lower(&c, 5, AlarmType::Nospace).await;
}

#[track_caller]
fn corrupt<T: std::fmt::Debug>(result: Result<T, Status>) {
    refused(result, Code::DataLoss, CORRUPT);
}

async fn corrupt_refuses_writes(c: Case) {
    let id = c.lease(60).await;
    let last = c.put("a", "1").await;
    raise(&c, 5, AlarmType::Corrupt).await;
    let key = c.key("a");
    corrupt(c.client.put(put(&key, "2")).await);
    corrupt(c.client.delete_range(delete(&key)).await);
    corrupt(c.client.txn(always(vec![op::delete(&key)])).await);
    corrupt(c.client.lease_grant(grant(60, 0)).await);
    corrupt(c.client.lease_revoke(LeaseRevokeRequest { id }).await);
    let compaction = CompactionRequest {
        revision: last,
        physical: false,
    };
    corrupt(c.client.compact(compaction).await);
    lower(&c, 5, AlarmType::Corrupt).await;
    assert_eq!(c.stored().await, "a=1");
}

async fn corrupt_allows_reads(c: Case) {
    c.put("a", "1").await;
    raise(&c, 5, AlarmType::Corrupt).await;
    assert_eq!(c.stored().await, "a=1");
    let read = always(vec![op::get(c.key("a"))]);
    let response = c.client.txn(read).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 0).kvs), "a=1");
    lower(&c, 5, AlarmType::Corrupt).await;
}

async fn an_unknown_action_is_refused_and_survived(c: Case) {
    let request = AlarmRequest {
        action: 7,
        ..Default::default()
    };
    let status = c.client.alarm(request).await.unwrap_err();
    assert!([Code::InvalidArgument, Code::Unknown].contains(&status.code()));
    c.put("a", "1").await;
}

async fn an_unknown_kind_is_refused_and_survived(c: Case) {
    let request = AlarmRequest {
        action: AlarmAction::Activate.into(),
        member_id: 5,
        alarm: 9,
    };
    let status = c.client.alarm(request).await.unwrap_err();
    assert!([Code::InvalidArgument, Code::Unknown].contains(&status.code()));
    assert_eq!(list(&c, AlarmType::None).await, []);
}

async fn the_page_shows_alarms(c: Case) {
    let page = async || c.client.http("/metrics").await;
    let line = "etcd_debugging_server_alarms{server_id=\"5\",alarm_type=\"NOSPACE\"} 1";
    raise(&c, 5, AlarmType::Nospace).await;
    assert!(page().await.text().contains(line));
    lower(&c, 5, AlarmType::Nospace).await;
    assert!(!page().await.text().contains(line));
}
