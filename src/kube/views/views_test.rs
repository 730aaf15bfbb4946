//! The views of a real store: what is written through the engine is seen, in order, each change once.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::engine::testing;
use crate::mvcc::ops::{DeleteOp, PutOp};

const PATIENCE: Duration = Duration::from_secs(20);

fn key(name: &str) -> Bytes {
    format!("/registry/configmaps/default/{name}").into()
}

async fn start(engine: &Engine, life: &Lifecycle) -> Views {
    let views = Views::start(engine, "/registry/", &Arc::default(), life).await;
    views.unwrap()
}

async fn put(engine: &Engine, name: &str, value: &str) -> i64 {
    let op = PutOp::new(key(name), Bytes::copy_from_slice(value.as_bytes()));
    engine.put(op).await.unwrap().0.revision.get()
}

async fn delete(engine: &Engine, name: &str) -> i64 {
    let op = DeleteOp {
        range: KeyRange::point(key(name)),
        prev_kv: false,
    };
    engine.delete(op).await.unwrap().0.revision.get()
}

async fn next(opened: &mut WatchOpened) -> (i64, String, Option<Bytes>, Option<Bytes>) {
    let event = tokio::time::timeout(PATIENCE, opened.events.recv()).await;
    let event = event.unwrap().unwrap();
    let name = String::from_utf8_lossy(&event.key)
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let value = |stored: &Option<Arc<Stored>>| stored.as_ref().map(|stored| stored.value.clone());
    (
        event.revision,
        name,
        value(&event.now),
        value(&event.before),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_meets_the_world_that_it_begins_with() {
    let dir = tempfile::tempdir().unwrap();
    let life = Lifecycle::new();
    let engine = testing::start(dir.path());
    put(&engine, "a", "1").await;
    let views = start(&engine, &life).await;
    let prefix = Bytes::from_static(b"/registry/configmaps/");
    let mut opened = views
        .watch(WatchStart::State, prefix.clone())
        .await
        .unwrap();
    let world = opened.world.take().unwrap();
    assert_eq!(world.range(&prefix, b"").count(), 1);

    let second = put(&engine, "a", "2").await;
    let gone = delete(&engine, "a").await;
    let (one, two) = (Some("1".into()), Some("2".into()));
    assert_eq!(
        next(&mut opened).await,
        (second, "a".into(), two.clone(), one)
    );
    assert_eq!(next(&mut opened).await, (gone, "a".into(), None, two));
    views.reach(gone, PATIENCE).await.unwrap();
    assert!(views.world().is_empty());
    assert_eq!(views.told(), gone);

    // One that comes back is told what it missed, and one that was too long away that it was.
    let again = views
        .watch(WatchStart::After(second), prefix.clone())
        .await
        .unwrap();
    let missed: Vec<_> = again.backlog.iter().map(|event| event.revision).collect();
    assert_eq!(missed, [gone]);
    let late = views.watch(WatchStart::After(0), prefix).await;
    assert!(matches!(late, Err(WatchError::TooOld { .. })));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn worlds_follow_many_writers_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let life = Lifecycle::new();
    let engine = testing::start(dir.path());
    let views = start(&engine, &life).await;
    let prefix = Bytes::from_static(b"/registry/configmaps/default/");
    let mut opened = views.watch(WatchStart::Now, prefix.clone()).await.unwrap();
    let writers = (0..8).map(|writer| {
        let engine = engine.clone();
        async move {
            let mut revisions = Vec::new();
            for round in 0..50 {
                revisions.push(put(&engine, &format!("w{writer}"), &round.to_string()).await);
            }
            revisions
        }
    });
    let mut expected = futures::future::join_all(writers).await.concat();
    expected.sort_unstable();
    let mut told = Vec::new();
    while told.len() < expected.len() {
        told.push(next(&mut opened).await.0);
    }
    assert_eq!(told, expected);
    let last = *expected.last().unwrap();
    views.reach(last, PATIENCE).await.unwrap();
    assert_eq!(views.world().range(&prefix, b"").count(), 8);
    assert_eq!(views.world().changed("configmaps"), last);
    engine.stop().await;
}
