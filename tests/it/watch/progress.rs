//! Progress: asked for and periodic; never ahead of events.

use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::WatchCreateRequest;

use crate::harness::*;

#[tokio::test]
async fn asked_for() {
    let cases = cases![
        a_request_is_answered_for_the_whole_stream,
        the_answer_tells_the_current_revision,
        each_request_is_answered,
        without_a_watcher_there_is_no_answer,
        a_watcher_in_the_future_holds_the_answer,
        progress_never_overtakes_events,
        a_watcher_that_caught_up_answers,
    ];
    Suite::new("progress", cases).run(shared().await).await;
}

#[tokio::test]
async fn periodic() {
    let settings = Settings::default().renamed_flag("watch-progress-notify-interval", "200ms");
    let server = Server::start(settings).await;
    let cases = cases![
        an_idle_watcher_is_told_again_and_again,
        it_carries_the_watchers_own_id,
        it_follows_the_store_revision,
        without_progress_notify_nothing_comes,
        every_watcher_of_a_stream_that_asked_is_told,
        a_watcher_in_the_future_is_not_told,
        it_never_overtakes_events,
    ];
    Suite::new("progress_notify", cases).run(&server).await;
}

async fn a_request_is_answered_for_the_whole_stream(c: Case) {
    let mut watch = c.watch("a").await;
    watch.create(watch_key(c.key("b"))).await;
    watch.request_progress().await;
    let progress = watch.next().await;
    assert_eq!(
        (progress.watch_id, progress.created, progress.canceled),
        (-1, false, false)
    );
    assert!(progress.events.is_empty());
    watch.stays_quiet().await;
}

async fn the_answer_tells_the_current_revision(c: Case) {
    let mut watch = c.watch("a").await;
    let last = c.put("b", "1").await;
    assert!(ask(&mut watch).await >= last);
}

/// Asks until answered, as clients do: a server may drop a request while it is behind.
async fn ask(watch: &mut Watch) -> i64 {
    loop {
        watch.request_progress().await;
        if let Some(response) = watch.next_within(Duration::from_millis(200)).await {
            assert_eq!(response.watch_id, -1, "{response:?}");
            return revision(&response.header);
        }
    }
}

async fn each_request_is_answered(c: Case) {
    let mut watch = c.watch("a").await;
    for _ in 0..5 {
        watch.request_progress().await;
        assert_eq!(watch.next().await.watch_id, -1);
    }
}

async fn without_a_watcher_there_is_no_answer(c: Case) {
    let mut watch = c.watch("a").await;
    watch.cancel(0).await;
    assert!(watch.next().await.canceled);
    watch.request_progress().await;
    watch.stays_quiet().await;
}

fn in_the_future(c: &Case, now: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        start_revision: now + 1_000_000,
        progress_notify: true,
        ..watch_key(c.key("future"))
    }
}

async fn a_watcher_in_the_future_holds_the_answer(c: Case) {
    let now = c.put("a", "1").await;
    let mut watch = c.watch("a").await;
    assert!(watch.create(in_the_future(&c, now)).await.created);
    watch.request_progress().await;
    watch.stays_quiet().await;
}

async fn progress_never_overtakes_events(c: Case) {
    let mut watch = c.watch_all().await;
    let write = write_many(&c);
    let read = async {
        let (mut events, mut progress) = (0, 0);
        while events < WRITES {
            watch.request_progress().await;
            let response = watch.next().await;
            let Some(first) = response.events.first() else {
                progress = revision(&response.header);
                continue;
            };
            assert!(event_revision(first) > progress, "progress overtook");
            events += response.events.len();
        }
    };
    futures::future::join(write, read).await;
}

const WRITES: usize = 300;

async fn write_many(c: &Case) {
    for n in 0..WRITES {
        c.put(&(n % 7).to_string(), "1").await;
    }
}

async fn a_watcher_that_caught_up_answers(c: Case) {
    let first = c.put("a", "1").await;
    let request = WatchCreateRequest {
        start_revision: first,
        ..watch_key(c.key("a"))
    };
    let (mut watch, _) = Watch::start(&c.client, request).await;
    assert_eq!(told(&watch.events(1).await), "PUT a=1");
    assert!(ask(&mut watch).await >= first);
}

async fn notified(c: &Case, name: &str) -> Watch {
    let request = WatchCreateRequest {
        progress_notify: true,
        ..watch_key(c.key(name))
    };
    Watch::start(&c.client, request).await.0
}

async fn an_idle_watcher_is_told_again_and_again(c: Case) {
    let mut watch = notified(&c, "a").await;
    for _ in 0..4 {
        let response = watch.next().await;
        assert!(response.events.is_empty());
        assert!(!response.created && !response.canceled);
    }
}

async fn it_carries_the_watchers_own_id(c: Case) {
    let request = WatchCreateRequest {
        progress_notify: true,
        watch_id: 42,
        ..watch_key(c.key("a"))
    };
    let (mut watch, _) = Watch::start(&c.client, request).await;
    assert_eq!(watch.next().await.watch_id, 42);
}

async fn it_follows_the_store_revision(c: Case) {
    let mut watch = notified(&c, "a").await;
    let last = c.put("b", "1").await;
    let mut told = 0;
    while told < last {
        told = revision(&watch.next().await.header);
    }
}

async fn without_progress_notify_nothing_comes(c: Case) {
    let mut watch = c.watch("a").await;
    let response = watch.next_within(Duration::from_secs(1)).await;
    assert_eq!(response, None);
}

async fn every_watcher_of_a_stream_that_asked_is_told(c: Case) {
    let mut watch = notified(&c, "a").await;
    watch.create(watch_key(c.key("silent"))).await;
    let request = WatchCreateRequest {
        progress_notify: true,
        watch_id: 5,
        ..watch_key(c.key("b"))
    };
    watch.send_create(request).await;
    let mut told = std::collections::BTreeSet::new();
    while told.len() < 2 {
        let response = watch.next().await;
        if !response.created {
            told.insert(response.watch_id);
        }
    }
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [0, 5]);
}

async fn a_watcher_in_the_future_is_not_told(c: Case) {
    let now = c.put("a", "1").await;
    let (mut watch, _) = Watch::start(&c.client, in_the_future(&c, now)).await;
    let response = watch.next_within(Duration::from_secs(1)).await;
    assert_eq!(response, None);
}

async fn it_never_overtakes_events(c: Case) {
    let request = WatchCreateRequest {
        progress_notify: true,
        ..watch_prefix(c.prefix())
    };
    let (mut watch, _) = Watch::start(&c.client, request).await;
    let write = async {
        for _ in 0..3 {
            write_many(&c).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let read = async {
        let (mut events, mut progress) = (0, 0);
        while events < 3 * WRITES {
            let response = watch.next().await;
            let Some(first) = response.events.first() else {
                progress = revision(&response.header);
                continue;
            };
            assert!(event_revision(first) > progress, "progress overtook");
            events += response.events.len();
        }
    };
    futures::future::join(write, read).await;
}
