//! The client's half of a stream: objects of a body as gRPC messages.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body as Source;
use bytes::Bytes;
use http_body::{Body, Frame};

use super::json;
use super::split::Objects;
use super::table::Method;

/// A body of framed messages. What is not one ends it, as the end of the client's body does: the answers to
/// what came before are still of use.
#[derive(Debug)]
pub(super) struct Requests {
    source: Source,
    objects: Objects,
    method: Arc<Method>,
    ended: bool,
}

impl Requests {
    /// `limit` is the largest object in bytes.
    pub(super) fn new(source: Source, method: Arc<Method>, limit: usize) -> Self {
        Self {
            source,
            objects: Objects::new(limit),
            method,
            ended: false,
        }
    }

    /// The next message whose object has arrived.
    fn message(&mut self) -> Option<Bytes> {
        let object = match self.objects.next() {
            Ok(object) => object?,
            Err(_) => {
                self.ended = true;
                return None;
            }
        };
        match json::decode(&self.method.input, &object) {
            Ok(message) => Some(message),
            Err(status) => {
                tracing::debug!(error = status.message(), "request of a stream is refused");
                self.ended = true;
                None
            }
        }
    }
}

impl Body for Requests {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        while !this.ended {
            if let Some(message) = this.message() {
                return Poll::Ready(Some(Ok(Frame::data(message))));
            }
            if this.ended {
                break;
            }
            match ready!(Pin::new(&mut this.source).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        this.objects.push(data);
                    }
                }
                Some(Err(_)) | None => this.ended = true,
            }
        }
        Poll::Ready(None)
    }
}
