use super::*;
use crate::config::{self, Request};

fn config(own: &str) -> MemberConfig {
    let args = [
        format!("--name={own}"),
        "--initial-cluster=a=http://h:1,b=http://h:2,b=http://h:3".to_owned(),
        "--initial-cluster-state=existing".to_owned(),
    ];
    match config::from_command_line(args.iter().map(Into::into), []).unwrap() {
        Request::Start(config) => *config,
        other => panic!("{other:?}"),
    }
}

fn member(id: u64, name: &str, urls: &[&str]) -> Member {
    Member {
        id,
        name: name.into(),
        peer_urls: urls.iter().map(ToString::to_string).collect(),
        ..Member::default()
    }
}

/// Where `b` finds itself among these members.
fn found(members: &[Member]) -> Result<u64, String> {
    let config = config("b");
    let page = Page {
        cluster: ClusterId(9),
        body: members_page(members.to_vec()).unwrap(),
    };
    let (cluster, members) = parse(&page)?;
    let own = config.own_entry().unwrap();
    let joined = place(cluster, members, &config.cluster.initial, own)?;
    assert_eq!(joined.identity.cluster_id, ClusterId(9));
    assert_eq!(joined.members.len(), 2);
    Ok(joined.identity.member_id.0)
}

#[test]
fn a_member_finds_its_place_by_its_urls() {
    let a = member(4, "a", &["http://h:1"]);
    // In whatever order it was told.
    let b = member(7, "", &["http://h:3", "http://h:2"]);
    assert_eq!(found(&[a.clone(), b.clone()]), Ok(7));
    for (members, said) in [
        (vec![a.clone()], "member count is unequal"),
        (
            vec![a.clone(), member(7, "", &["http://h:2"])],
            "no member with the peer URLs http://h:2,http://h:3 of b",
        ),
        (
            vec![member(4, "a", &["http://other:1"]), b],
            "no member with the peer URLs http://h:1 of a",
        ),
        (
            vec![a, member(7, "b", &["http://h:2", "http://h:3"])],
            "has run before",
        ),
    ] {
        let reason = found(&members).unwrap_err();
        assert!(reason.contains(said), "{reason}");
    }
}

/// What tools that read etcd's page find.
#[test]
fn the_page_is_etcds() {
    let page = members_page(vec![member(4, "a", &["http://h:1"])]).unwrap();
    assert_eq!(
        page,
        r#"[{"id":4,"peerURLs":["http://h:1"],"name":"a","clientURLs":[],"isLearner":false}]"#
    );
    for body in ["", "{}", "[{}]", "[{\"id\":-1}]"] {
        let page = Page {
            cluster: ClusterId(1),
            body: body.into(),
        };
        assert!(parse(&page).is_err(), "{body}");
    }
}

#[tokio::test]
async fn nobody_to_ask_is_said() {
    let args = ["--name=a", "--initial-cluster-state=existing"];
    let Request::Start(config) = config::from_command_line(args.map(Into::into), []).unwrap()
    else {
        panic!("not a member");
    };
    let error = tokio::time::timeout(Duration::from_secs(60), join(&config, None));
    let said = error.await.unwrap().unwrap_err().to_string();
    assert!(said.contains("names no other member"), "{said}");
}
