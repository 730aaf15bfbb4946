//! Messages: order, loss, bounds, silence, corruption, shutdown.

use std::collections::HashMap;

use super::proxy::{Mode, Proxy};
use super::*;

#[tokio::test]
async fn messages_arrive_whole_and_in_order_on_each_stream() {
    let (one, mut two) = pair().await;
    for number in 0..1500_u32 {
        let len = (number as usize * 7919) % 40_000;
        one.network.send(
            MemberId(2),
            vec![
                message(APPEND, number, len),
                message(HEARTBEAT, number, len % 50),
            ],
        );
        if number % 100 == 99 {
            // Leaves the queue room: this test is not about dropping.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let mut due = HashMap::from([(APPEND, 0), (HEARTBEAT, 0)]);
    while due.values().any(|&next| next < 1500) {
        let got = two.next_message().await;
        let number = number_of(&got);
        let next = due.get_mut(&kind_of(&got)).unwrap();
        assert_eq!(number, *next);
        *next += 1;
        let len = (number as usize * 7919) % 40_000;
        let len = if kind_of(&got) == APPEND {
            len
        } else {
            len % 50
        };
        assert_eq!(got, message(kind_of(&got), number, len));
    }
    assert_eq!(one.stats(2).metrics.sent_failures.get(), 0);
    assert!(two.stats(1).metrics.received_bytes.get() > 25_000_000);
}

#[tokio::test]
async fn the_largest_message_arrives_and_a_larger_one_is_refused_at_once() {
    let (mut one, mut two) = pair().await;
    one.send(2, message(APPEND, 1, MAX_MESSAGE));
    assert_eq!(two.next_message().await.len(), MAX_MESSAGE);
    one.send(2, message(APPEND, 2, MAX_MESSAGE + 1));
    assert_eq!(one.next().await, Event::Unreachable(MemberId(2)));
    one.send(2, message(APPEND, 3, 0));
    assert_eq!(number_of(&two.next_message().await), 3);
}

#[tokio::test]
async fn reconnects_lose_but_neither_repeat_nor_reorder() {
    let two = Setup::new(2).await;
    let proxy = Proxy::to(&two.url).await;
    let one = Setup::new(1).await.knows(2, &proxy.url).start();
    let mut two = two.knows(1, &one.url).start();
    let mut sent = 0;
    for _ in 0..5 {
        one.connected(2).await;
        let lost = one.stats(2).metrics.disconnects.get();
        proxy.cut_after(200_000);
        while one.stats(2).metrics.disconnects.get() == lost {
            sent += 1;
            one.send(2, message(APPEND, sent, 5000));
            tokio::task::yield_now().await;
        }
        proxy.mend();
    }
    one.connected(2).await;
    let last = sent + 1;
    one.send(2, message(APPEND, last, 0));
    let mut before = 0;
    let mut received = 0;
    while before < last {
        let number = number_of(&two.next_message().await);
        assert!(number > before, "{number} after {before}");
        before = number;
        received += 1;
    }
    assert!(received > 5 * 30, "only {received} of {last} arrived");
}

#[tokio::test]
async fn a_lost_connection_is_reported() {
    let two = Setup::new(2).await;
    let proxy = Proxy::to(&two.url).await;
    let mut one = Setup::new(1).await.knows(2, &proxy.url).start();
    let two = two.knows(1, &one.url).start();
    one.connected(2).await;
    two.connected(1).await;
    while one.events.try_recv().is_ok() {}
    proxy.set(Mode::Cut);
    assert_eq!(one.next().await, Event::Unreachable(MemberId(2)));
    one.until(2, |s| s.connected_since.is_none()).await;
}

#[tokio::test]
async fn a_peer_that_comes_is_dialled_at_once() {
    let two = Setup::new(2).await;
    let proxy = Proxy::to(&two.url).await;
    proxy.set(Mode::Cut);
    let mut one = Setup::new(1).await.knows(2, &proxy.url);
    // Dials again after half an hour.
    one.config.heartbeat = Duration::from_secs(3600);
    let mut one = one.start();
    for _ in Lane::ALL {
        assert_eq!(one.next().await, Event::Unreachable(MemberId(2)));
    }
    proxy.set(Mode::Forward);
    let two = two.knows(1, &one.url).start();
    two.connected(1).await;
}

#[tokio::test]
async fn a_full_queue_drops_and_reports() {
    // Takes connections and never answers, so nothing leaves the queue.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let peer = peer(MemberId(2), &url);
    let limit = (0..10_000)
        .take_while(|&n| PeerNetwork::queue(&peer, message(HEARTBEAT, n, 0)))
        .count();
    assert!(limit < 10_000);

    let mut one = Setup::new(1).await.knows(2, &url).start();
    for number in 0..limit as u32 {
        one.send(2, message(HEARTBEAT, number, 0));
    }
    assert_eq!(one.stats(2).metrics.sent_failures.get(), 0);
    one.send(2, message(HEARTBEAT, 0, 0));
    assert_eq!(one.stats(2).metrics.sent_failures.get(), 1);
    assert_eq!(one.next().await, Event::Unreachable(MemberId(2)));
    // The other stream has a queue of its own, bounded in bytes as well.
    one.send(2, message(APPEND, 0, 0));
    assert_eq!(one.stats(2).metrics.sent_failures.get(), 1);
    for _ in 0..5 {
        one.send(2, message(APPEND, 0, MAX_MESSAGE));
    }
    assert!(one.stats(2).metrics.sent_failures.get() > 1);
}

#[tokio::test]
async fn sending_to_a_member_that_nobody_knows_is_reported() {
    let mut one = Setup::new(1).await.start();
    one.send(9, message(HEARTBEAT, 0, 0));
    assert_eq!(one.next().await, Event::Unreachable(MemberId(9)));
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_noticed_on_both_sides() {
    let two = Setup::new(2).await;
    let proxy = Proxy::to(&two.url).await;
    let mut one = Setup::new(1).await.knows(2, &proxy.url).start();
    let mut two = two.knows(1, &one.url).start();
    one.connected(2).await;
    two.connected(1).await;
    while one.events.try_recv().is_ok() {}
    proxy.set(Mode::Stall);
    assert_eq!(one.next().await, Event::Unreachable(MemberId(2)));
    one.until(2, |s| s.connected_since.is_none()).await;
    // What one dialled is dead to two as well; what two dialled lives.
    two.until(1, |s| s.metrics.received_failures.get() >= 2)
        .await;
    two.until(1, |s| s.connected_since.is_some()).await;

    proxy.set(Mode::Forward);
    one.connected(2).await;
    one.send(2, message(HEARTBEAT, 5, 0));
    assert_eq!(number_of(&two.next_message().await), 5);
}

#[tokio::test]
async fn a_heartbeat_does_not_wait_for_appends() {
    let two = Setup::new(2).await;
    let proxy = Proxy::to(&two.url).await;
    let one = Setup::new(1).await.knows(2, &proxy.url).start();
    let mut two = two.knows(1, &one.url).start();
    one.connected(2).await;
    two.connected(1).await;
    proxy.set(Mode::StallBulk);
    // More than the sockets on the way hold.
    for number in 0..50 {
        one.send(2, message(APPEND, number, 1 << 20));
    }
    one.send(2, message(HEARTBEAT, 1, 0));
    let before = two.next_of(|event| match event {
        Event::Message(_, got) if kind_of(&got) == HEARTBEAT => Some(()),
        Event::Message(_, got) => panic!("append {} came through", number_of(&got)),
        _ => None,
    });
    before.await;
}

#[tokio::test]
async fn the_raft_thread_is_no_thread_of_the_runtime() {
    let (mut one, mut two) = pair().await;
    let network = one.network.clone();
    let sent = Arc::new(Snapshot {
        state: Default::default(),
        dir: one.dir.path().to_owned(),
    });
    // The directory holds another one, so the transfer fails; that it is tried and reported counts.
    let thread = std::thread::spawn(move || {
        network.send(MemberId(2), vec![message(HEARTBEAT, 1, 0)]);
        network.send_snapshot(MemberId(2), Bytes::new(), sent);
    });
    assert_eq!(number_of(&two.next_message().await), 1);
    one.next_of(|event| (event == Event::SnapshotSent(MemberId(2), false)).then_some(()))
        .await;
    thread.join().unwrap();
}

#[tokio::test]
async fn a_second_url_is_tried_when_the_first_is_dead() {
    let two = Setup::new(2).await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead_url = format!("http://{}", dead.local_addr().unwrap());
    drop(dead);
    let mut one = Setup::new(1).await;
    let urls = vec![dead_url, two.url.clone()];
    one.config.peers.push((MemberId(2), urls));
    let one = one.start();
    let two = two.knows(1, &one.url).start();
    one.connected(2).await;
    drop(two);
}

#[tokio::test]
async fn round_trips_are_measured() {
    let (one, _two) = pair().await;
    one.until(2, |s| s.metrics.round_trips.count() > 0).await;
    assert!(one.stats(2).last_heard.is_some());
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_stream_and_nothing_else() {
    let (one, mut two) = puppet_and_member().await;
    let oversize = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1];
    let bad_crc = [0, 0, 0, 1, 1, 2, 3, 4, 1, 0];
    for bytes in [&oversize[..], &bad_crc, b"GET / HTTP/1.1\r\n\r\n"] {
        let failures = two.stats(1).metrics.received_failures.get();
        let mut raw = one.raw(&two, Channel::Stream(Lane::Bulk)).await;
        raw.say_bytes(bytes).await;
        raw.closed().await;
        two.until(1, |s| s.metrics.received_failures.get() == failures + 1)
            .await;
    }
    let mut raw = one.raw(&two, Channel::Stream(Lane::Bulk)).await;
    raw.say(&Frame::Finish).await;
    raw.closed().await;
    // Ends within a frame.
    let failures = two.stats(1).metrics.received_failures.get();
    let mut raw = one.raw(&two, Channel::Stream(Lane::Bulk)).await;
    raw.say_bytes(&bad_crc[..9]).await;
    drop(raw);
    two.until(1, |s| s.metrics.received_failures.get() == failures + 1)
        .await;

    let mut raw = one.raw(&two, Channel::Stream(Lane::Bulk)).await;
    raw.say(&Frame::Message(message(APPEND, 3, 0))).await;
    assert_eq!(number_of(&two.next_message().await), 3);
    assert_eq!(two.life.failure(), None);
}

#[tokio::test]
async fn a_newer_stream_replaces_the_older() {
    let (one, mut two) = puppet_and_member().await;
    let mut older = one.raw(&two, Channel::Stream(Lane::Bulk)).await;
    older.say(&Frame::Message(message(APPEND, 1, 0))).await;
    assert_eq!(number_of(&two.next_message().await), 1);
    let mut newer = one.raw(&two, Channel::Stream(Lane::Bulk)).await;
    newer.say(&Frame::Message(message(APPEND, 2, 0))).await;
    assert_eq!(number_of(&two.next_message().await), 2);
    older.closed().await;
}

#[tokio::test]
async fn stopping_closes_everything() {
    let (one, two) = pair().await;
    two.life.stop();
    one.until(2, |s| s.active_streams == 0).await;
    let address = two.url.strip_prefix("http://").unwrap();
    let refused = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
    timeout(PATIENCE, refused).await.unwrap();
    two.until(1, |s| s.active_streams == 0).await;
}
