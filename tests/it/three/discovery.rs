//! A cluster whose members find each other in DNS.

use std::net::SocketAddr;

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, ToName as _};
use domain::rdata::Srv;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::harness::*;

const SERVICE: &str = "_etcd-server-blue._tcp.cluster.example";

/// Answers for the members at these ports until the task is ended.
async fn serve(ports: Vec<u16>) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut bytes = [0; 1232];
        while let Ok((count, from)) = socket.recv_from(&mut bytes).await {
            let question = Message::from_octets(&bytes[..count]).unwrap();
            let asked = question.first_question().unwrap();
            assert_eq!(asked.qtype(), Rtype::SRV);
            let name = asked.qname().to_vec();
            let known = name.to_string() == SERVICE;
            let code = if known {
                Rcode::NOERROR
            } else {
                Rcode::NXDOMAIN
            };
            let builder = MessageBuilder::from_target(Vec::new()).unwrap();
            let mut answer = builder.start_answer(&question, code).unwrap();
            for &port in ports.iter().filter(|_| known) {
                let host = Name::vec_from_str("127.0.0.1.").unwrap();
                answer
                    .push((&name, 60, Srv::new(0, 0, port, host)))
                    .unwrap();
            }
            socket.send_to(&answer.finish(), from).await.unwrap();
        }
    });
    (address, task)
}

#[tokio::test]
async fn a_cluster_is_found_in_dns() {
    if !Program::get().is_own() {
        return;
    }
    let mut members: Vec<Server> = ["a", "b", "c"].map(Server::prepare).into();
    let ports = members.iter().map(|member| {
        let (_, port) = member.peer_url().rsplit_once(':').unwrap();
        port.parse().unwrap()
    });
    let (dns, task) = serve(ports.collect()).await;
    let settings = Settings::default()
        .quick_elections()
        .flag("test-dns-server", dns)
        .flag("discovery-srv", "cluster.example")
        .flag("discovery-srv-name", "blue");
    for member in &mut members {
        member.configure(&settings, "");
        member.spawn();
    }
    for member in &mut members {
        member.ready().await;
    }
    let client = members[0].client();
    client.put(put("a", "1")).await.unwrap();
    for member in &members {
        let listed = member.client().member_list(Default::default()).await;
        let listed = listed.unwrap().members;
        let mut names: Vec<_> = listed.iter().map(|member| member.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c"]);
        let urls: Vec<_> = listed
            .iter()
            .flat_map(|member| &member.peer_ur_ls)
            .collect();
        assert!(
            members
                .iter()
                .all(|m| urls.contains(&&m.peer_url().to_owned()))
        );
        assert_eq!(member.client().range(point("a")).await.unwrap().count, 1);
    }
    // Who has data does not ask again.
    task.abort();
    members[2].kill();
    members[2].restart().await;
    assert_eq!(
        members[2].client().range(point("a")).await.unwrap().count,
        1
    );
}
