//! Members that are found in records of a server of the test's own.

use std::net::Ipv4Addr;

use domain::base::iana::Class;
use domain::base::{Message, MessageBuilder, ToName as _};
use tokio::net::UdpSocket;

use super::*;
use crate::config::testing::member;

type Records = &'static [(&'static str, &'static [(u16, &'static str, u16)])];

/// Answers questions for these records until it is dropped, by priority, host and port.
#[allow(clippy::disallowed_methods, reason = "it is no part of a member")]
async fn server(records: Records) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 1232];
        while let Ok((count, from)) = socket.recv_from(&mut bytes).await {
            let question = Message::from_octets(bytes[..count].to_vec()).unwrap();
            socket
                .send_to(&answer(&question, records), from)
                .await
                .unwrap();
        }
    });
    address
}

fn answer(question: &Message<Vec<u8>>, records: Records) -> Vec<u8> {
    let asked = question.first_question().unwrap();
    assert_eq!((asked.qtype(), asked.qclass()), (Rtype::SRV, Class::IN));
    let name = asked.qname().to_vec();
    let found = records.iter().find(|(of, _)| *of == name.to_string());
    let code = found.map_or(Rcode::NXDOMAIN, |_| Rcode::NOERROR);
    let builder = MessageBuilder::from_target(Vec::new()).unwrap();
    let mut answer = builder.start_answer(question, code).unwrap();
    for &(priority, host, port) in found.map_or(&[][..], |(_, to)| to) {
        let host = Name::vec_from_str(host).unwrap();
        let srv = Srv::new(priority, 0, port, host);
        answer.push((&name, 60, srv)).unwrap();
    }
    answer.finish()
}

/// What is found with these flags: the members and where this one says it is, or why there are none.
async fn found(flags: &[&str], records: Records) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let dir = DataDir::open(dir.path()).unwrap();
    let server = format!("--test-dns-server={}", server(records).await);
    let mut line = vec!["--name=a", "--discovery-srv=cluster.example.", &server];
    line.extend(flags);
    let config = discover(&member(&line), &dir).await;
    let config = config.map_err(|error| error.to_string())?.unwrap();
    let members = config.cluster.initial.iter().map(|member| {
        let urls = member.peer_urls.iter().map(ToString::to_string);
        format!("{}={}", member.name, urls.collect::<Vec<_>>().join("+"))
    });
    let own: Vec<_> = config
        .cluster
        .advertise_peer_urls
        .iter()
        .map(ToString::to_string)
        .collect();
    config.bootstrap().unwrap();
    Ok(format!(
        "{} at {}",
        members.collect::<Vec<_>>().join(","),
        own.join("+")
    ))
}

const PLAIN: Records = &[(
    "_etcd-server._tcp.cluster.example",
    &[
        (20, "localhost.", 1),
        (10, "127.0.0.3.", 3),
        (10, "127.0.0.2.", 2),
    ],
)];

#[tokio::test]
async fn the_record_that_leads_here_has_this_members_name() {
    let here = "--initial-advertise-peer-urls=http://127.0.0.1:1";
    assert_eq!(
        found(&[here], PLAIN).await.unwrap(),
        "0=http://127.0.0.2:2,1=http://127.0.0.3:3,a=http://localhost:1 at http://localhost:1"
    );
}

#[tokio::test]
async fn records_that_do_not_lead_here_are_no_cluster_of_this_member() {
    for elsewhere in ["http://127.0.0.1:7", "https://127.0.0.1:1"] {
        let elsewhere = format!("--initial-advertise-peer-urls={elsewhere}");
        let reason = found(&[&elsewhere], PLAIN).await.unwrap_err();
        assert_eq!(
            reason,
            "--discovery-srv=cluster.example.: cannot find local etcd member \"a\" in SRV records"
        );
    }
}

#[tokio::test]
async fn services_have_their_scheme_and_their_suffix() {
    let records: Records = &[
        (
            "_etcd-server-ssl-two._tcp.cluster.example",
            &[(0, "localhost.", 1), (0, "127.0.0.2.", 2)],
        ),
        (
            "_etcd-server-two._tcp.cluster.example",
            &[(0, "localhost.", 1), (0, ".", 9)],
        ),
    ];
    let flags = [
        "--initial-advertise-peer-urls=https://127.0.0.1:1",
        "--discovery-srv-name=two",
    ];
    // The plain record of this member's port is left out: it does not speak so.
    assert_eq!(
        found(&flags, records).await.unwrap(),
        "0=https://127.0.0.2:2,a=https://localhost:1 at https://localhost:1"
    );
}

#[tokio::test]
async fn domains_without_records_are_told() {
    let here = "--initial-advertise-peer-urls=http://127.0.0.1:1";
    let reason = found(&[here], &[]).await.unwrap_err();
    for name in [
        "_etcd-server-ssl._tcp.cluster.example",
        "_etcd-server._tcp.cluster.example",
    ] {
        let part = format!("error querying DNS SRV records for {name}: NXDOMAIN");
        assert!(reason.contains(&part), "{reason}");
    }
}

#[tokio::test]
async fn a_member_that_cannot_be_found_is_not_left_out() {
    let records: Records = &[(
        "_etcd-server._tcp.cluster.example",
        &[(0, "127.0.0.1.", 1), (0, "nowhere.invalid.", 2)],
    )];
    let here = "--initial-advertise-peer-urls=http://127.0.0.1:1";
    let reason = found(&[here], records).await.unwrap_err();
    assert!(reason.contains("cannot find nowhere.invalid"), "{reason}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_told() {
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut discovery = SrvDiscovery {
        domain: "cluster.example".into(),
        service_name: String::new(),
        server: Some(nobody.local_addr().unwrap()),
    };
    drop(nobody);
    let resolver = StubResolver::from_conf(servers(discovery.server));
    let asked = targets(&resolver, "etcd-server", &discovery).await;
    assert!(
        asked
            .unwrap_err()
            .contains("_etcd-server._tcp.cluster.example")
    );
    discovery.domain = "a..b".into();
    assert!(targets(&resolver, "etcd-server", &discovery).await.is_err());
}

#[tokio::test]
async fn whoever_has_data_does_not_ask() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("identity.json"), "{}").unwrap();
    let dir = DataDir::open(dir.path()).unwrap();
    let config = member(&[
        "--discovery-srv=cluster.example",
        "--test-dns-server=127.0.0.1:1",
    ]);
    assert_eq!(discover(&config, &dir).await.unwrap(), None);
}
