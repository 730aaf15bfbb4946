//! `watch`: the state first if it is asked for, then every change, as a stream of frames.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use futures::stream::unfold;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::query::{ListOptions, Version};
use super::read::Collection;
use crate::base::clock;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::store::ObjectStore;
use crate::kube::views::{Event, EventKind, Stored, Views, WatchError, WatchOpened, WatchStart};

/// Frames that are ready are sent together, up to about this many bytes.
const TOGETHER: usize = 64 << 10;
/// Between bookmarks of one watcher.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// The last bookmark comes this long before the end of the stream.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// Makes the bytes of a watcher's frames.
pub(super) trait Frames: Send + Sync + 'static {
    /// Whether an object is selected.
    fn selects(&self, stored: &Stored) -> bool;
    /// An object of the state that a watch begins with.
    fn initial(&self, stored: &Stored) -> Option<Bytes>;
    /// An event, seen as `kind`.
    fn event(&self, event: &Event, kind: EventKind) -> Option<Bytes>;
    /// A bookmark; `initial_end` marks the end of the state.
    fn bookmark(&self, revision: i64, initial_end: bool) -> Bytes;
    /// An error, after which the stream ends.
    fn error(&self, error: &ApiError) -> Bytes;
}

fn now() -> Instant {
    Instant::from_std(clock::now())
}

/// What a watch asks for besides its selection.
#[derive(Debug, Clone, Copy)]
struct Manner {
    bookmarks: bool,
    /// Whether the end of the state is marked.
    mark_end: bool,
    deadline: Instant,
}

/// Opens a watch. What cannot be told is told in the stream, as the release does.
///
/// # Errors
/// 504 for a state that this member does not reach, 429 if too many watches are being opened.
pub(super) async fn open(
    store: &ObjectStore,
    collection: &Collection<'_>,
    namespaced: bool,
    options: &ListOptions,
    lifetime: Duration,
    frames: Arc<dyn Frames>,
) -> ApiResult<impl Stream<Item = Bytes> + Send + 'static> {
    let start = start(store, options).await?;
    let manner = Manner {
        bookmarks: options.bookmarks,
        mark_end: options.bookmarks
            && start == WatchStart::State
            && options.send_initial_events != Some(false),
        deadline: now() + lifetime,
    };
    let opened = store
        .views()
        .watch(start, collection.prefix(namespaced))
        .await;
    let prefix = collection.prefix(namespaced);
    let (opened, refusal) = match opened {
        Ok(opened) => (Some(opened), None),
        Err(WatchError::TooOld { oldest }) => {
            let wanted = &options.resource_version;
            let why = format!("too old resource version: {wanted} ({oldest})");
            (None, Some(ApiError::expired(why)))
        }
        Err(WatchError::Unavailable) => {
            return Err(ApiError::new(
                429,
                "TooManyRequests",
                "too many watches are being opened",
            ));
        }
    };
    let told = Telling::new(opened, &prefix, manner, store.views().clone(), frames);
    let refused = refusal.map(|error| told.frames.error(&error));
    Ok(unfold((told, refused), |(mut told, refused)| async move {
        match refused {
            Some(last) => Some((last, (told, None))),
            None => told.next().await.map(|chunk| (chunk, (told, None))),
        }
    }))
}

async fn start(store: &ObjectStore, options: &ListOptions) -> ApiResult<WatchStart> {
    Ok(match (options.version, options.send_initial_events) {
        (Version::Latest | Version::Any, Some(false)) => WatchStart::Now,
        (Version::Latest, _) => {
            store.latest().await?;
            WatchStart::State
        }
        (Version::Any, _) => WatchStart::State,
        (Version::NotOlderThan(revision) | Version::Exactly(revision), Some(true)) => {
            store.not_older_than(revision).await?;
            WatchStart::State
        }
        (Version::NotOlderThan(revision) | Version::Exactly(revision), _) => {
            WatchStart::After(revision)
        }
    })
}

/// A watcher that is being told.
struct Telling {
    /// What is left of the state, in reverse order.
    state: Vec<Arc<Stored>>,
    backlog: std::vec::IntoIter<Arc<Event>>,
    events: Option<mpsc::Receiver<Arc<Event>>>,
    /// The revision up to which everything has been told.
    revision: i64,
    end_due: bool,
    manner: Manner,
    next_bookmark: Instant,
    views: Views,
    frames: Arc<dyn Frames>,
}

impl Telling {
    fn new(
        opened: Option<WatchOpened>,
        prefix: &Bytes,
        manner: Manner,
        views: Views,
        frames: Arc<dyn Frames>,
    ) -> Self {
        let mut state = Vec::new();
        let (mut revision, mut backlog, mut events) = (0, Vec::new(), None);
        if let Some(opened) = opened {
            if let Some(world) = &opened.world {
                state = if prefix.ends_with(b"/") {
                    world.range(prefix, b"").cloned().collect()
                } else {
                    world.get(prefix).cloned().into_iter().collect()
                };
                state.reverse();
            }
            revision = opened.revision;
            backlog = opened.backlog;
            events = Some(opened.events);
        }
        Self {
            state,
            backlog: backlog.into_iter(),
            events,
            revision,
            end_due: manner.mark_end,
            next_bookmark: next_bookmark(now(), manner.deadline),
            manner,
            views,
            frames,
        }
    }

    /// The next bytes to send; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let mut chunk = BytesMut::new();
            self.tell_state(&mut chunk);
            self.tell_backlog(&mut chunk);
            if !chunk.is_empty() {
                return Some(chunk.freeze());
            }
            if std::mem::take(&mut self.end_due) {
                return Some(self.frames.bookmark(self.revision, true));
            }
            let events = self.events.as_mut()?;
            let woken = tokio::select! {
                biased;
                event = events.recv() => Some(event?),
                () = sleep_until(self.next_bookmark.min(self.manner.deadline)) => None,
            };
            let at = now();
            match woken {
                Some(first) => {
                    if let Some(chunk) = self.tell(&first) {
                        return Some(chunk);
                    }
                }
                None if at >= self.manner.deadline => return None,
                None => {
                    self.next_bookmark = next_bookmark(at, self.manner.deadline);
                    if self.manner.bookmarks {
                        return Some(self.catch_up_and_bookmark());
                    }
                }
            }
        }
    }

    fn tell_state(&mut self, chunk: &mut BytesMut) {
        while chunk.len() < TOGETHER
            && let Some(stored) = self.state.pop()
        {
            if self.frames.selects(&stored)
                && let Some(frame) = self.frames.initial(&stored)
            {
                chunk.extend_from_slice(&frame);
            }
        }
    }

    fn tell_backlog(&mut self, chunk: &mut BytesMut) {
        while chunk.len() < TOGETHER
            && self.state.is_empty()
            && let Some(event) = self.backlog.next()
        {
            if let Some(frame) = self.frame(&event) {
                chunk.extend_from_slice(&frame);
            }
        }
    }

    /// An event, and what else is waiting. A single frame is sent as it is, without a copy.
    fn tell(&mut self, first: &Event) -> Option<Bytes> {
        let mut one = self.frame(first);
        let mut chunk = BytesMut::new();
        while chunk.len() + one.as_ref().map_or(0, Bytes::len) < TOGETHER
            && let Some(event) = self
                .events
                .as_mut()
                .and_then(|events| events.try_recv().ok())
        {
            let Some(frame) = self.frame(&event) else {
                continue;
            };
            if let Some(before) = one.replace(frame) {
                chunk.extend_from_slice(&before);
            }
        }
        if chunk.is_empty() {
            return one;
        }
        chunk.extend_from_slice(&one.unwrap_or_default());
        Some(chunk.freeze())
    }

    fn frame(&mut self, event: &Event) -> Option<Bytes> {
        self.revision = self.revision.max(event.revision);
        let kind = event.seen_by(|stored| self.frames.selects(stored))?;
        self.frames.event(event, kind)
    }

    /// What is known to have been told when nothing more waits.
    fn catch_up_and_bookmark(&mut self) -> Bytes {
        // In this order: whatever was told up to here is in the queue now.
        let told = self.views.told();
        let mut chunk = BytesMut::new();
        while let Some(event) = self
            .events
            .as_mut()
            .and_then(|events| events.try_recv().ok())
        {
            if let Some(frame) = self.frame(&event) {
                chunk.extend_from_slice(&frame);
            }
        }
        self.revision = self.revision.max(told);
        chunk.extend_from_slice(&self.frames.bookmark(self.revision, false));
        chunk.freeze()
    }
}

/// A bookmark a minute, and one shortly before the end.
fn next_bookmark(now: Instant, deadline: Instant) -> Instant {
    let last = deadline - LAST_BOOKMARK;
    let next = now + BOOKMARK_EVERY;
    if now < last { next.min(last) } else { next }
}
