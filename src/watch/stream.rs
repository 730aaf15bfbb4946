//! The two ends of one watch stream, as the API layer holds them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::WatchSpec;
use super::port::Port;
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

impl Frame {
    /// Bytes of the whole response.
    pub fn size(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// What a client asks of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchRequest {
    /// Create a watcher.
    Create(WatchSpec),
    /// Cancel one; unknown ids are ignored.
    Cancel(WatchId),
    /// Answer a request to create one with a refusal and this reason: whoever asks may not.
    Refuse(&'static str),
    /// Ask for a progress response (watch id -1) once every watcher of the stream is synced; dropped if
    /// they are not.
    Progress,
}

/// The requesting end. Dropping it only ends the requests: as after a client's half-close, the watchers
/// go on until [`WatchFrames`] is dropped.
#[derive(Debug)]
pub struct WatchRequests {
    port: Arc<Port>,
}

/// The stream is gone: the member is stopping, or the responding end was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("watch stream is closed")]
pub struct StreamClosed;

impl WatchRequests {
    pub(super) const fn new(port: Arc<Port>) -> Self {
        Self { port }
    }

    /// Queues a request; waits while the stream's bounded queue is full. Requests are handled in order,
    /// and not while the responses that wait for the client are too many.
    ///
    /// # Errors
    /// [`StreamClosed`] when the stream is gone.
    pub async fn send(&self, request: WatchRequest) -> Result<(), StreamClosed> {
        self.port.send(request).await
    }
}

/// The responding end. Dropping it ends the stream and all its watchers.
#[derive(Debug)]
pub struct WatchFrames {
    port: Arc<Port>,
}

impl WatchFrames {
    pub(super) const fn new(port: Arc<Port>) -> Self {
        Self { port }
    }

    /// The next response; `None` when the member stops.
    pub async fn next(&mut self) -> Option<Frame> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Self::next`], for bodies that are polled.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.port.poll_next(context)
    }
}

impl Drop for WatchFrames {
    fn drop(&mut self) {
        self.port.desert();
    }
}
