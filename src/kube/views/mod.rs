//! What is stored, as an immutable map that follows the ring: lists and watches are served from here, without a
//! lock against writers and on every member.
//!
//! One thread (`feeder`) walks the changes, makes the next [`World`] of each batch and publishes it by a pointer
//! swap. A list takes the pointer and reads at exactly that world's revision. A watcher is registered by the same
//! thread, so that the world that it begins with and the events that it is told of afterwards meet without gap or
//! overlap (I6).

mod event;
mod feeder;
mod watchers;
mod world;

#[cfg(test)]
mod views_test;

pub use event::{Event, EventKind};
pub use world::{Stored, World};

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use crossbeam::channel::{self, Sender};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use self::feeder::Feeder;
use crate::base::ids::Revision;
use crate::base::range::KeyRange;
use crate::base::shutdown::Lifecycle;
use crate::engine::{Consistency, Engine, EngineError};
use crate::kube::metrics::KubeMetrics;
use crate::mvcc::ops::RangeOp;
use crate::watch::Bell;

/// Watches that wait to be opened.
const ASKED: usize = 1024;

/// What the feeder shares with everybody.
#[derive(Debug)]
struct Shared {
    world: ArcSwap<World>,
    revision: watch::Sender<i64>,
}

impl Shared {
    fn publish(&self, world: &World) {
        if world.revision > self.world.load().revision {
            self.world.store(Arc::new(world.clone()));
            self.revision.send_replace(world.revision);
        }
    }
}

/// The views of one member. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Views {
    shared: Arc<Shared>,
    asked: Sender<WatchAsked>,
    bell: Bell,
}

/// From where a watcher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchStart {
    /// The state first, then what changes.
    State,
    /// What changes after this revision, which may be one to come.
    After(i64),
    /// What changes from now on.
    Now,
}

/// A watch that has begun.
#[derive(Debug)]
pub struct WatchOpened {
    /// The state to begin with, if that was asked for.
    pub world: Option<World>,
    /// What has happened since the revision asked for.
    pub backlog: Vec<Arc<Event>>,
    /// What `world` and `backlog` cover.
    pub revision: i64,
    /// Everything later. Ends if the watcher does not keep up, or the member cannot tell.
    pub events: mpsc::Receiver<Arc<Event>>,
}

/// Why a watch cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchError {
    /// Events are known above this revision only.
    TooOld { oldest: i64 },
    /// The member is stopping, or too many watches wait to be opened.
    Unavailable,
}

#[derive(Debug)]
struct WatchAsked {
    start: WatchStart,
    prefix: Bytes,
    reply: oneshot::Sender<Result<WatchOpened, WatchError>>,
}

impl Views {
    /// Reads what is under `root` and begins to follow.
    ///
    /// # Errors
    /// The store does not read, or the system refuses a thread.
    pub async fn start(
        engine: &Engine,
        root: &str,
        metrics: &Arc<KubeMetrics>,
        life: &Lifecycle,
    ) -> Result<Self, String> {
        let root = Bytes::copy_from_slice(root.as_bytes());
        let world = read_world(engine, &root).await?;
        let shared = Arc::new(Shared {
            revision: watch::Sender::new(world.revision),
            world: ArcSwap::from_pointee(world.clone()),
        });
        let follower = engine.follow(Revision(world.revision));
        let bell = follower.bell();
        let (asked, queue) = channel::bounded(ASKED);
        let tell = (queue, Arc::clone(metrics));
        let feeder = Feeder::new(Arc::clone(&shared), follower, tell, root.clone(), world);
        let (engine, runtime, stop) = (engine.clone(), Handle::current(), life.clone());
        life.thread("kube-views", move || {
            feeder.run(&stop, || runtime.block_on(read_world(&engine, &root)));
        })
        .map_err(|error| error.to_string())?;
        Ok(Self {
            shared,
            asked,
            bell,
        })
    }

    /// What is stored, as far as this member has heard.
    pub fn world(&self) -> Arc<World> {
        self.shared.world.load_full()
    }

    /// Waits until the views have reached a revision; gives the revision that they are at if they do not
    /// within `patience`.
    ///
    /// # Errors
    /// The revision that they are at.
    pub async fn reach(&self, revision: i64, patience: Duration) -> Result<(), i64> {
        if self.shared.world.load().revision >= revision {
            return Ok(());
        }
        let mut reached = self.shared.revision.subscribe();
        let wait = reached.wait_for(|at| *at >= revision);
        match tokio::time::timeout(patience, wait).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(self.shared.world.load().revision),
        }
    }

    /// The revision up to which every watcher has been told everything: whoever finds its events empty
    /// after this has seen all up to here.
    pub fn told(&self) -> i64 {
        *self.shared.revision.borrow()
    }

    /// Opens a watch of the keys that begin with `prefix`, which ends in `/`, or of one key.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn watch(&self, start: WatchStart, prefix: Bytes) -> Result<WatchOpened, WatchError> {
        let (reply, answer) = oneshot::channel();
        let asked = WatchAsked {
            start,
            prefix,
            reply,
        };
        self.asked
            .try_send(asked)
            .map_err(|_| WatchError::Unavailable)?;
        self.bell.ring();
        answer.await.unwrap_or(Err(WatchError::Unavailable))
    }
}

/// Everything under `root` as the store has it now.
async fn read_world(engine: &Engine, root: &Bytes) -> Result<World, String> {
    let say = |error: EngineError| error.to_string();
    let op = RangeOp::new(KeyRange::prefix(root.clone()));
    let chunks = engine.range_stream(op, Consistency::Serializable).await;
    let mut chunks = chunks.map_err(say)?;
    let mut world = World::default();
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk.map_err(say)?;
        for kv in &chunk.kvs {
            let view = kv.view().map_err(|error| error.to_string())?;
            let value = Bytes::copy_from_slice(view.value);
            let revision = view.meta.mod_revision.get();
            world.put(Arc::new(Stored::new(kv.key.clone(), value, revision)));
        }
        if let Some(end) = chunk.end {
            world.begin(end.header.revision.get());
        }
    }
    Ok(world)
}
