//! Who is let in, and what the port says to those who are not.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::*;

/// What the port answers to a hand-written request.
async fn ask(member: &Member, request: &str) -> String {
    let address = member.url.strip_prefix("http://").unwrap();
    let mut io = TcpStream::connect(address).await.unwrap();
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = timeout(PATIENCE, io.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..count.unwrap()]).into_owned()
}

fn upgrade(path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request + "\r\n"
}

/// The headers of member 1, calling member 2.
const CALLER: [(&str, &str); 6] = [
    ("upgrade", "holdfast-peer/1"),
    ("x-holdfast-cluster-id", "c1"),
    ("x-holdfast-from", "1"),
    ("x-holdfast-to", "2"),
    ("x-holdfast-lane", "control"),
    ("x-holdfast-peer-urls", ""),
];

fn with(name: &str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let change = |(n, v)| if n == name { (n, value) } else { (n, v) };
    CALLER.into_iter().map(change).collect()
}

#[tokio::test]
async fn every_wrong_caller_gets_a_status_and_a_reason() {
    let mut two = Setup::new(2).await.knows(1, "http://127.0.0.1:9");
    two.config.removed.push(MemberId(7));
    let two = two.start();
    for (headers, status, reason) in [
        (
            with("upgrade", "holdfast-peer/9"),
            "426",
            "speaks holdfast-peer/1",
        ),
        (
            with("x-holdfast-cluster-id", "c2"),
            "412",
            "belongs to cluster c2",
        ),
        (
            with("x-holdfast-cluster-id", "?"),
            "400",
            "x-holdfast-cluster-id",
        ),
        (with("x-holdfast-to", "3"), "421", "this is member 2"),
        (with("x-holdfast-from", "2"), "409", "have the id 2"),
        (
            with("x-holdfast-from", "7"),
            "410",
            "member 7 has been removed",
        ),
        (with("x-holdfast-from", "8"), "403", "member 8 is not known"),
        (with("x-holdfast-lane", "fast"), "400", "x-holdfast-lane"),
    ] {
        let answer = ask(&two, &upgrade("/raft/stream", &headers)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(reason), "{answer}");
    }
    let answer = ask(&two, &upgrade("/raft/stream", &CALLER)).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let answer = ask(&two, &upgrade("/raft/snapshot", &CALLER)).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}

#[tokio::test]
async fn tools_get_pages() {
    let two = Setup::new(2).await.start();
    let version = "GET /version HTTP/1.1\r\nhost: x\r\n\r\n";
    assert!(ask(&two, version).await.starts_with("HTTP/1.1 503 "));
    two.network.set_pages(Box::new(|path| {
        (path == "/version").then(|| Bytes::from_static(b"{\"etcdserver\":\"3.5.0\"}"))
    }));
    let answer = ask(&two, version).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("application/json") && answer.ends_with("\"3.5.0\"}"));
    let other = ask(&two, "GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
    let post = ask(&two, "POST /version HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let garbage = ask(&two, "\x16\x03\x01 hello\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
}

#[tokio::test]
async fn nobody_is_let_in_before_somebody_listens_and_dialling_goes_on() {
    let two = Setup::new(2).await.knows(1, "http://127.0.0.1:9");
    let url = two.url.clone();
    let mut two = two.start_unattached();
    let answer = ask(&two, &upgrade("/raft/stream", &CALLER)).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let mut one = Setup::new(1).await.knows(2, &url).start();
    assert_eq!(one.next().await, Event::Unreachable(MemberId(2)));
    two.network.attach(two.recorder.clone());
    one.until(2, |s| s.connected_since.is_some()).await;
    one.send(2, message(HEARTBEAT, 1, 0));
    assert_eq!(number_of(&two.next_message().await), 1);
}

#[tokio::test]
async fn a_peer_of_another_cluster_never_delivers() {
    let two = Setup::new(2).await.knows(1, "http://127.0.0.1:9");
    let mut one = Setup::new(1).await.knows(2, &two.url);
    one.config.cluster_id = ClusterId(0xc2);
    let mut two = two.start();
    let mut one = one.start();
    one.send(2, message(HEARTBEAT, 1, 0));
    assert_eq!(one.next().await, Event::Unreachable(MemberId(2)));
    assert_eq!(one.stats(2).metrics.disconnects.get(), 0);
    while let Ok(event) = two.events.try_recv() {
        assert_eq!(event, Event::Unreachable(MemberId(1)));
    }
    assert_eq!(two.stats(1).last_heard, None);
}

#[tokio::test]
async fn a_removed_member_is_told_so() {
    let (mut one, two) = pair().await;
    two.network.update_peers(&[], &[MemberId(1)]);
    let told = one.next_of(|event| match event {
        Event::Removed(by) => Some(by),
        _ => None,
    });
    assert_eq!(told.await, MemberId(2));
    assert!(two.network.stats().is_empty());
}

#[tokio::test]
async fn a_member_that_lags_hears_a_leader_that_it_does_not_know() {
    let two = Setup::new(2).await;
    let mut three = Setup::new(3).await.knows(2, &two.url).start();
    let mut two = two.start();
    three.until(2, |s| s.connected_since.is_some()).await;
    three.send(2, message(HEARTBEAT, 1, 0));
    assert_eq!(number_of(&two.next_message().await), 1);
    // And can answer it, at the URL that it gave.
    two.connected(3).await;
    two.send(3, message(HEARTBEAT, 2, 0));
    assert_eq!(number_of(&three.next_message().await), 2);

    // A configuration that still does not name it keeps it; one that removes it does not.
    two.network.update_peers(&[], &[]);
    assert_eq!(two.network.stats().len(), 1);
    two.network.update_peers(&[], &[MemberId(3)]);
    assert!(two.network.stats().is_empty());
}

#[tokio::test]
async fn strangers_are_few() {
    let two = Setup::new(2).await.start();
    let mut admitted = 0;
    for id in ["11", "12", "13", "14", "15", "16"] {
        let mut headers = with("x-holdfast-from", id);
        headers.retain(|(name, _)| *name != "x-holdfast-peer-urls");
        headers.push(("x-holdfast-peer-urls", "http://127.0.0.1:9"));
        let answer = ask(&two, &upgrade("/raft/stream", &headers)).await;
        if answer.starts_with("HTTP/1.1 101 ") {
            admitted += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        }
    }
    assert_eq!(admitted, 4);
}

#[tokio::test]
async fn a_member_that_is_no_longer_named_is_disconnected_and_a_new_one_connected() {
    let (one, two) = pair().await;
    one.network.update_peers(&[], &[]);
    assert!(one.network.stats().is_empty());
    two.until(1, |s| {
        s.active_streams == 0 || s.metrics.disconnects.get() > 0
    })
    .await;
    let peers = [(MemberId(2), vec![two.url.clone()])];
    one.network.update_peers(&peers, &[]);
    one.connected(2).await;
}
