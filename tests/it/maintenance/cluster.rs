//! The Cluster service on a single member.

use holdfast::etcd::pb::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
    MemberUpdateRequest,
};
use tonic::Code;

use crate::harness::*;

also_over_tls![membership];

#[tokio::test]
async fn membership() {
    let server = Server::fresh().await;
    let own = server.peer_url().to_owned();
    let url = server.client_url();
    let cases = cases![
        a_list_need_not_be_linearizable,
        adding_without_a_url_is_refused,
        adding_a_malformed_url_is_refused,
        removing_a_stranger_is_refused,
        removing_the_last_member_is_refused,
        updating_a_stranger_is_refused,
        promoting_a_stranger_is_refused,
        promoting_a_voter_is_refused,
    ];
    let about_urls = vec![
        NamedCase::new("the_only_member_is_listed", {
            let own = own.clone();
            move |c| the_only_member_is_listed(c, own, url)
        }),
        NamedCase::new("adding_a_url_in_use_is_refused", move |c| {
            adding_a_url_in_use_is_refused(c, own)
        }),
    ];
    Suite::new("cluster", about_urls)
        .with(cases)
        .run_in_order(&server)
        .await;
}

async fn the_only_member_is_listed(c: Case, peer_url: String, client_url: String) {
    let request = MemberListRequest { linearizable: true };
    let response = c.client.member_list(request).await.unwrap();
    let [member] = &response.members[..] else {
        panic!("{:?}", response.members);
    };
    assert_ne!(member.id, 0);
    assert_eq!(member.id, response.header.unwrap().member_id);
    assert_eq!(member.name, "default");
    assert_eq!(member.peer_ur_ls, [peer_url]);
    assert_eq!(member.client_ur_ls, [client_url]);
    assert!(!member.is_learner);
}

async fn own_id(c: &Case) -> u64 {
    let list = c.client.member_list(MemberListRequest::default()).await;
    list.unwrap().members[0].id
}

async fn a_list_need_not_be_linearizable(c: Case) {
    let lists = [false, true].map(|linearizable| MemberListRequest { linearizable });
    let [local, linearizable] = lists.map(|request| c.client.member_list(request));
    assert_eq!(
        local.await.unwrap().members,
        linearizable.await.unwrap().members
    );
}

async fn add(c: &Case, urls: &[&str]) -> Result<(), tonic::Status> {
    let request = MemberAddRequest {
        peer_ur_ls: urls.iter().map(|&url| url.into()).collect(),
        is_learner: false,
    };
    c.client.cluster().member_add(request).await.map(|_| ())
}

async fn adding_without_a_url_is_refused(c: Case) {
    let text = "etcdserver: given member URLs are invalid";
    refused(add(&c, &[]).await, Code::InvalidArgument, text);
}

async fn adding_a_malformed_url_is_refused(c: Case) {
    let text = "etcdserver: given member URLs are invalid";
    for url in [
        "",
        "127.0.0.1:2380",
        "http://127.0.0.1",
        "ftp://127.0.0.1:1",
        "http://127.0.0.1:1/path",
    ] {
        refused(add(&c, &[url]).await, Code::InvalidArgument, text);
    }
}

async fn adding_a_url_in_use_is_refused(c: Case, own: String) {
    let text = "etcdserver: Peer URLs already exists";
    refused(add(&c, &[&own]).await, Code::FailedPrecondition, text);
}

async fn removing_a_stranger_is_refused(c: Case) {
    let request = MemberRemoveRequest { id: 12345 };
    let result = c.client.cluster().member_remove(request).await;
    refused(result, Code::NotFound, "etcdserver: member not found");
}

/// The code differs between etcd's own table and its servers; clients match the text.
async fn removing_the_last_member_is_refused(c: Case) {
    let request = MemberRemoveRequest {
        id: own_id(&c).await,
    };
    let status = c.client.cluster().member_remove(request).await.unwrap_err();
    let text = "etcdserver: re-configuration failed due to not enough started members";
    assert_eq!(status.message(), text);
    assert!([Code::Unknown, Code::FailedPrecondition].contains(&status.code()));
    c.put("a", "1").await;
}

async fn updating_a_stranger_is_refused(c: Case) {
    let request = MemberUpdateRequest {
        id: 12345,
        peer_ur_ls: vec!["http://127.0.0.1:1".into()],
    };
    let result = c.client.cluster().member_update(request).await;
    refused(result, Code::NotFound, "etcdserver: member not found");
}

async fn promoting_a_stranger_is_refused(c: Case) {
    let request = MemberPromoteRequest { id: 12345 };
    let result = c.client.cluster().member_promote(request).await;
    refused(result, Code::NotFound, "etcdserver: member not found");
}

async fn promoting_a_voter_is_refused(c: Case) {
    let request = MemberPromoteRequest {
        id: own_id(&c).await,
    };
    let result = c.client.cluster().member_promote(request).await;
    let text = "etcdserver: can only promote a learner member";
    refused(result, Code::FailedPrecondition, text);
}
