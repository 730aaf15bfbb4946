//! Members that speak TLS to each other.

use std::sync::Arc;
use std::time::Duration;

use super::certified;
use crate::harness::*;

/// The flags of a member whose peer port shows `FILE.crt` and believes the authority.
fn peer(settings: Settings, pki: &Arc<Pki>, file: &str) -> Settings {
    settings
        .flag("peer-cert-file", pki.path(&format!("{file}.crt")))
        .flag("peer-key-file", pki.path(&format!("{file}.key")))
        .flag("peer-trusted-ca-file", pki.path("ca.crt"))
        .flag("peer-client-cert-auth", true)
}

/// Starts three members with settings of their own and waits for the first two; the third may not get in.
async fn three(settings: [Settings; 3]) -> Vec<Server> {
    let mut members: Vec<_> = ["a", "b", "c"].map(Server::prepare).into();
    for member in &mut members {
        member.make_peer_url_https();
    }
    let entry = |member: &Server| format!("{}={}", member.name(), member.peer_url());
    let cluster = members.iter().map(entry).collect::<Vec<_>>().join(",");
    for (member, settings) in members.iter_mut().zip(settings) {
        member.configure(&settings.quick_elections(), &cluster);
        member.spawn();
    }
    for member in &mut members[..2] {
        member.ready().await;
    }
    members
}

/// Whether the third member serves linearizable reads within a while.
async fn gets_in(member: &Server) -> bool {
    let read = async {
        let mut request = point("a");
        request.serializable = false;
        while member.client().range(request.clone()).await.is_err() {
            tokio::time::sleep(QUIET / 4).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(4), read)
        .await
        .is_ok()
}

/// Whether a member that may not call is kept out. With etcd's peer protocol it is heard all the same, over
/// connections that the others have made to it.
fn refuses_whole_members() -> bool {
    Program::get().is_own()
}

#[tokio::test]
async fn three_members_with_certificates_survive_the_loss_of_one() {
    let pki = Pki::new();
    let mut cluster = Cluster::start(Settings::plain().tls(&pki).quick_elections()).await;
    for index in 0..3 {
        let key = format!("from-{index}");
        cluster.client(index).put(put(&key, "1")).await.unwrap();
    }
    cluster.converge().await;
    let leader = cluster.leader().await;
    cluster[leader].kill();
    let next = cluster.leader_other_than(leader).await;
    cluster
        .client(next)
        .put(put("from-next", "1"))
        .await
        .unwrap();
    cluster[leader].restart().await;
    let got = cluster
        .client(leader)
        .range(prefixed("from-"))
        .await
        .unwrap();
    assert_eq!(got.count, 4);
    let members = cluster
        .client(0)
        .member_list(Default::default())
        .await
        .unwrap();
    for member in members.members {
        assert!(member.peer_ur_ls[0].starts_with("https://"), "{member:?}");
        assert!(member.client_ur_ls[0].starts_with("https://"), "{member:?}");
    }
}

#[tokio::test]
async fn members_of_another_authority_are_refused() {
    let (pki, other) = (Pki::new(), Pki::new());
    let ours = || peer(Settings::plain(), &pki, "server");
    let theirs = peer(Settings::plain(), &other, "server");
    let members = three([ours(), ours(), theirs]).await;
    members[0].client().put(put("a", "1")).await.unwrap();
    assert!(!gets_in(&members[2]).await);
    members[1].client().put(put("a", "2")).await.unwrap();
    if Program::get().is_own() {
        let log = members[2].log_tail();
        assert!(log.contains("invalid peer certificate"), "{log}");
    }
}

#[tokio::test]
async fn common_names_of_members_can_be_demanded() {
    let pki = Pki::new();
    pki.issue("member", "member", &["127.0.0.1"]);
    let demanding =
        |file| peer(Settings::plain(), &pki, file).flag("peer-cert-allowed-cn", "member");
    let members = three([
        demanding("member"),
        demanding("member"),
        demanding("server"),
    ])
    .await;
    assert!(!gets_in(&members[2]).await);
}

#[tokio::test]
async fn members_call_from_where_their_certificates_say() {
    if !refuses_whole_members() {
        return;
    }
    let pki = Pki::new();
    pki.issue("elsewhere", "server", &["192.0.2.1"]);
    let with = |file, skip: bool| {
        let settings = peer(Settings::plain(), &pki, "server")
            .flag("peer-client-cert-file", pki.path(&format!("{file}.crt")))
            .flag("peer-client-key-file", pki.path(&format!("{file}.key")));
        if skip {
            settings.renamed_flag("peer-skip-client-san-verification", true)
        } else {
            settings
        }
    };
    let strict = || with("server", false);
    let members = three([strict(), strict(), with("elsewhere", false)]).await;
    assert!(!gets_in(&members[2]).await);
    drop(members);
    let lenient = || with("server", true);
    let members = three([lenient(), lenient(), with("elsewhere", true)]).await;
    assert!(gets_in(&members[2]).await);
}

#[tokio::test]
async fn revoked_members_are_refused() {
    if !refuses_whole_members() {
        return;
    }
    let pki = Pki::new();
    let revoked = pki.issue("revoked", "server", &["127.0.0.1"]);
    let list = pki.authority.revocation_list(&[&revoked]);
    std::fs::write(pki.dir().join("crl"), list.der()).unwrap();
    let with = |file| peer(Settings::plain(), &pki, file).flag("peer-crl-file", pki.path("crl"));
    let members = three([with("server"), with("server"), with("revoked")]).await;
    assert!(!gets_in(&members[2]).await);
}

#[tokio::test]
async fn members_make_their_own_certificates() {
    let auto = || Settings::plain().flag("peer-auto-tls", true);
    let members = three([auto(), auto(), auto()]).await;
    assert!(gets_in(&members[2]).await);
    for member in &members {
        assert!(member.data_dir().join("fixtures/peer/key.pem").is_file());
    }
}

#[tokio::test]
async fn plain_clients_and_secured_members_go_together() {
    let pki = Pki::new();
    let settings = || peer(certified(&pki), &pki, "server");
    let members = three([settings(), settings(), settings()]).await;
    assert!(gets_in(&members[2]).await);
}
