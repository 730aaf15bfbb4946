//! Many watchers, many streams, slow readers (invariant I8: a slow client costs itself, not others).

use holdfast::etcd::pb::etcdserverpb::WatchCreateRequest;

use crate::harness::*;

#[tokio::test]
async fn streams() {
    let cases = cases![
        a_thousand_watchers_on_one_stream,
        two_hundred_streams_on_one_connection,
        many_watchers_of_one_key_all_hear,
        a_stream_requiring_a_leader_works_with_one,
        a_slow_reader_gets_everything_in_the_end,
        a_slow_reader_does_not_delay_others,
        a_stream_may_come_and_go_often,
        requests_are_handled_in_order,
    ];
    let server = Server::fresh().await;
    Suite::new("watch_streams", cases).run(&server).await;
}

async fn a_thousand_watchers_on_one_stream(c: Case) {
    let mut watch = Watch::open(&c.client);
    for n in 0..1000 {
        watch.send_create(watch_key(c.key(&n.to_string()))).await;
    }
    for _ in 0..1000 {
        assert!(watch.next().await.created);
    }
    for n in [0, 999, 500] {
        c.put(&n.to_string(), "1").await;
        let response = watch.next().await;
        assert_eq!(response.watch_id, n);
        assert_eq!(told(&response.events), format!("PUT {n}=1"));
    }
}

async fn two_hundred_streams_on_one_connection(c: Case) {
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(c.watch("a").await);
    }
    c.put("a", "1").await;
    for stream in &mut streams {
        assert_eq!(told(&stream.next().await.events), "PUT a=1");
    }
}

async fn many_watchers_of_one_key_all_hear(c: Case) {
    let mut watch = Watch::open(&c.client);
    for _ in 0..300 {
        watch.create(watch_key(c.key("a"))).await;
    }
    let written = c.put("a", "1").await;
    let mut ids = Vec::new();
    for _ in 0..300 {
        let response = watch.next().await;
        assert_eq!(event_revision(&response.events[0]), written);
        ids.push(response.watch_id);
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..300).collect::<Vec<_>>());
}

async fn a_stream_requiring_a_leader_works_with_one(c: Case) {
    let mut watch = Watch::open_requiring_leader(&c.client);
    assert!(watch.create(watch_key(c.key("a"))).await.created);
    c.put("a", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=1");
}

/// Writes 20 MB, far more than any window or socket buffer holds.
async fn write_much(c: &Case) -> Vec<i64> {
    let value = "v".repeat(100_000);
    let mut written = Vec::new();
    for n in 0..200 {
        written.push(c.put(&(n % 5).to_string(), &value).await);
    }
    written
}

async fn a_slow_reader_gets_everything_in_the_end(c: Case) {
    let mut watch = c.watch_all().await;
    let written = write_much(&c).await;
    let events = watch.events(written.len()).await;
    let seen: Vec<_> = events.iter().map(event_revision).collect();
    assert_eq!(seen, written);
}

async fn a_slow_reader_does_not_delay_others(c: Case) {
    let other = c.client.another();
    let mut quick = Watch::start(&other, watch_key(c.key("quick"))).await.0;
    let _never_read: Vec<Watch> = {
        let mut streams = Vec::new();
        for _ in 0..4 {
            streams.push(c.watch_all().await);
        }
        streams
    };
    let own = c.client.another();
    let value = "v".repeat(100_000);
    for n in 0..100 {
        own.put(put(c.key("big"), &value)).await.unwrap();
        own.put(put(c.key("quick"), n.to_string())).await.unwrap();
        assert_eq!(told(&quick.next().await.events), format!("PUT quick={n}"));
    }
}

async fn a_stream_may_come_and_go_often(c: Case) {
    for n in 0..100 {
        let mut watch = c.watch("a").await;
        c.put("a", &n.to_string()).await;
        assert_eq!(told(&watch.next().await.events), format!("PUT a={n}"));
    }
}

async fn requests_are_handled_in_order(c: Case) {
    let mut watch = Watch::open(&c.client);
    for n in 1..=50 {
        let create = WatchCreateRequest {
            watch_id: n,
            ..watch_key(c.key("a"))
        };
        watch.send_create(create).await;
        watch.cancel(n).await;
    }
    let mut open = std::collections::BTreeSet::new();
    let mut cancelled = Vec::new();
    while cancelled.len() < 50 {
        let response = watch.next().await;
        if response.created {
            assert!(open.insert(response.watch_id));
        } else {
            assert!(open.remove(&response.watch_id), "cancelled before created");
            cancelled.push(response.watch_id);
        }
    }
    assert_eq!(cancelled, (1..=50).collect::<Vec<_>>());
}
