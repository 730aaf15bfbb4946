//! The rule by the clock, and what a client that breaks it is sent.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PING_FRAME: [u8; 17] = [0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const PONG_FRAME: [u8; 17] = [0, 0, 8, PING, ACK, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const LEAST: Duration = Duration::from_secs(5);

fn rule() -> Rule {
    Rule {
        least: LEAST,
        last: None,
        answered: false,
        strikes: 0,
    }
}

/// Which ping of those that come so many seconds apart is one too many.
fn broken_at(rule: &mut Rule, apart: u64, during_call: bool) -> Option<u64> {
    let begin = clock::now();
    (0..100).find(|n| rule.is_broken_by(begin + Duration::from_secs(n * apart), during_call))
}

#[test]
fn the_third_ping_out_of_turn_is_too_many() {
    assert_eq!(broken_at(&mut rule(), 4, true), Some(3));
    assert_eq!(broken_at(&mut rule(), 5, true), None);
    assert_eq!(broken_at(&mut rule(), 5, false), Some(3));
    assert_eq!(broken_at(&mut rule(), 7_199, false), Some(3));
    assert_eq!(broken_at(&mut rule(), 7_200, false), None);
}

#[test]
fn what_is_sent_forgives_the_pings_before() {
    let mut rule = rule();
    let now = clock::now();
    for _ in 0..10 {
        for _ in 0..3 {
            assert!(!rule.is_broken_by(now, true));
        }
        rule.answered = true;
    }
    assert_eq!(broken_at(&mut rule, 0, true), Some(3));
}

/// A client and the server's side of its connection.
fn pair() -> (DuplexStream, Pings<DuplexStream>) {
    let (client, server) = duplex(1 << 16);
    (client, Pings::new(server, Some(LEAST), Arc::default()))
}

fn frame(kind: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, content.len() as u8, kind, 4];
    frame.extend(stream.to_be_bytes());
    frame.extend(content);
    frame
}

/// What a client of two calls is told.
fn goaway() -> Vec<u8> {
    let mut content = vec![0, 0, 0, 3, 0, 0, 0, 0xb];
    content.extend(b"too_many_pings");
    let mut frame = frame(GOAWAY, 0, &content);
    frame[4] = 0;
    frame
}

/// Everything until the connection fails.
async fn read_all(server: &mut Pings<DuplexStream>) -> (Vec<u8>, io::Error) {
    let (mut all, mut part) = (Vec::new(), [0; 64]);
    loop {
        match server.read(&mut part).await {
            Ok(0) => panic!("the connection ended well"),
            Ok(count) => all.extend(&part[..count]),
            Err(error) => return (all, error),
        }
    }
}

#[tokio::test]
async fn a_client_that_pings_too_often_is_told_and_sent_away() {
    let (mut client, mut server) = pair();
    let mut said = PREFACE.to_vec();
    said.extend(frame(HEADERS, 1, b"one"));
    said.extend(frame(HEADERS, 3, b"two"));
    // Answers to the server's own pings are no pings.
    for _ in 0..9 {
        said.extend(PONG_FRAME);
    }
    for _ in 0..3 {
        said.extend(PING_FRAME);
    }
    client.write_all(&said).await.unwrap();
    let mut read = vec![0; said.len()];
    server.read_exact(&mut read).await.unwrap();
    assert_eq!(read, said);
    let seen = async {
        client.write_all(&PING_FRAME).await.unwrap();
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        drop(client);
        told
    };
    let (told, (read, error)) = tokio::join!(seen, read_all(&mut server));
    assert_eq!((told, read), (goaway(), Vec::new()));
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test]
async fn a_frame_that_was_begun_is_ended_and_no_other_begun() {
    let (mut client, mut server) = pair();
    let frame_sent = frame(9, 1, &[7; 100]);
    server.write_all(&frame_sent[..40]).await.unwrap();
    let mut said = PREFACE.to_vec();
    said.extend(frame(HEADERS, 3, b""));
    for _ in 0..4 {
        said.extend(PING_FRAME);
    }
    client.write_all(&said).await.unwrap();
    // Refused, but for what has yet to be written.
    let early = tokio::time::timeout(Duration::from_millis(20), read_all(&mut server)).await;
    assert!(early.is_err(), "{early:?}");
    server.write_all(&frame_sent[40..]).await.unwrap();
    server.write_all(&frame(9, 1, b"late")).await.unwrap();
    let seen = async {
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        drop(client);
        told
    };
    let (told, _) = tokio::join!(seen, read_all(&mut server));
    assert_eq!(told, [frame_sent, goaway()].concat());
}

#[tokio::test]
async fn other_protocols_pass_untouched() {
    let (mut client, mut server) = pair();
    let said = b"GET / HTTP/1.1\r\n\r\n".repeat(20);
    client.write_all(&said).await.unwrap();
    let mut read = vec![0; said.len()];
    server.read_exact(&mut read).await.unwrap();
    server.write_all(&said).await.unwrap();
    server.shutdown().await.unwrap();
    let mut seen = Vec::new();
    client.read_to_end(&mut seen).await.unwrap();
    assert_eq!((&read, &seen), (&said, &said));
}
