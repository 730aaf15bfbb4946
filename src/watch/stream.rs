//! The two ends of one watch stream, as the API layer holds them.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::WatchSpec;
use crate::base::ids::WatchId;

/// One encoded `WatchResponse`, in two parts that are sent one after the other: what is this watcher's
/// own, and what may be shared with every other watcher that receives the same events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Header, watch id, flags.
    pub head: Bytes,
    /// Encoded events; empty for control responses.
    pub body: Bytes,
}

/// What a client asks of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchRequest {
    /// Create a watcher.
    Create(WatchSpec),
    /// Cancel one; unknown ids are ignored.
    Cancel(WatchId),
    /// Ask for a progress response (watch id -1) once every watcher of the stream is synced; dropped if
    /// they are not.
    Progress,
}

/// The requesting end. Dropping it and [`WatchFrames`] ends the stream and all its watchers.
#[derive(Debug)]
pub struct WatchRequests {
    pub(super) queue: mpsc::Sender<WatchRequest>,
}

/// The stream is gone: the member is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("watch stream is closed")]
pub struct StreamClosed;

impl WatchRequests {
    /// Queues a request; waits while the stream's bounded queue is full. Requests are handled in order.
    ///
    /// # Errors
    /// [`StreamClosed`] when the member stops.
    pub async fn send(&self, request: WatchRequest) -> Result<(), StreamClosed> {
        self.queue.send(request).await.map_err(|_| StreamClosed)
    }
}

/// The responding end.
#[derive(Debug)]
pub struct WatchFrames {
    pub(super) queue: mpsc::Receiver<Frame>,
}

impl WatchFrames {
    /// The next response; `None` when the member stops.
    pub async fn next(&mut self) -> Option<Frame> {
        self.queue.recv().await
    }
}
