//! The server's half of a stream: a line of JSON for each message.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use http::header;
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tonic::Status;

use super::frames::Frames;
use super::table::Method;
use super::{JSON, call, error, json, metadata};
use crate::base::clock;
use crate::etcd::service::ClientBody;
use crate::etcd::status;

/// Time for a stream's first message, which decides on the code of the answer. After it the answer begins all
/// the same: a stream that has nothing to say yet must not look like a request that is not answered.
const FIRST: Duration = Duration::from_secs(1);

/// A stream that is under way.
pub(super) struct Results {
    state: State,
    frames: Frames,
    method: Arc<Method>,
    deadline: Option<Instant>,
}

enum State {
    /// The call has not begun to answer: a watch does so with its first message.
    Opening(BoxFuture<'static, http::Response<ClientBody>>),
    Open(ClientBody),
    Ended,
}

impl Results {
    /// The results of a call, which ends at `deadline` if it has one.
    pub(super) fn new(
        call: impl Future<Output = http::Response<ClientBody>> + Send + 'static,
        method: Arc<Method>,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            state: State::Opening(Box::pin(call)),
            frames: Frames::default(),
            method,
            deadline,
        }
    }

    /// The answer: its code is that of a stream which ends before its first message.
    pub(super) async fn begin(mut self) -> Response {
        let first = match tokio::time::timeout(FIRST, self.next()).await {
            Ok(Some(Err(status))) => return error::refuse_stream(&status),
            Ok(first) => first,
            Err(_) => None,
        };
        let headers = [
            (header::CONTENT_TYPE, JSON),
            (metadata::CONTENT_TYPE, metadata::GRPC),
        ];
        let rest = stream::unfold(self, async |mut results| {
            let line = results.next().await?;
            Some((line, results))
        });
        let lines = stream::iter(first).chain(rest).map(|line| {
            let line = line.unwrap_or_else(|status| error::line(&status).into());
            Ok::<_, std::convert::Infallible>(line)
        });
        (headers, Body::from_stream(lines)).into_response()
    }

    /// The line of the next message, or why there is none; nothing after the end. Loses nothing when it is
    /// dropped before it ends.
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        if matches!(self.state, State::Ended) {
            return None;
        }
        let line = within_deadline(self.deadline, self.line()).await;
        let line = line.unwrap_or_else(|status| Some(Err(status)));
        if !matches!(line, Some(Ok(_))) {
            self.state = State::Ended;
        }
        line
    }

    async fn line(&mut self) -> Option<Result<Bytes, Status>> {
        if let State::Opening(call) = &mut self.state {
            let response = call.await;
            if let Some(status) = Status::from_header_map(response.headers()) {
                return call::ended(status).err().map(Err);
            }
            self.state = State::Open(response.into_body());
        }
        let State::Open(body) = &mut self.state else {
            return None;
        };
        loop {
            match self.frames.next() {
                Ok(Some(message)) => return Some(line(&self.method, message)),
                Ok(None) => {}
                Err(status) => return Some(Err(status)),
            }
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.frames.push(data);
                    }
                    if let Some(status) = frame.trailers_ref().and_then(Status::from_header_map) {
                        return call::ended(status).err().map(Err);
                    }
                }
                Some(Err(error)) => return Some(Err(call::broken(&error))),
                None => return Some(Err(call::broken(&"answer without a status"))),
            }
        }
    }
}

fn line(method: &Method, message: Bytes) -> Result<Bytes, Status> {
    let mut text = b"{\"result\":".to_vec();
    json::write(&method.output, message, &mut text)?;
    text.extend_from_slice(b"}\n");
    Ok(text.into())
}

/// The instant after a time that a clock can hold.
pub(super) fn after(time: Duration) -> Option<Instant> {
    clock::now().checked_add(time).map(Instant::from_std)
}

/// What comes in time.
///
/// # Errors
/// `DeadlineExceeded`.
pub(super) async fn within_deadline<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = T>,
) -> Result<T, Status> {
    let Some(deadline) = deadline else {
        return Ok(work.await);
    };
    // What is done at once would otherwise be done after any deadline.
    if deadline <= Instant::from_std(clock::now()) {
        return Err(status::deadline_exceeded());
    }
    let done = tokio::time::timeout_at(deadline, work).await;
    done.map_err(|_| status::deadline_exceeded())
}

#[cfg(test)]
mod tests {
    use super::super::table::Methods;
    use super::*;

    #[tokio::test]
    async fn a_stream_ends_once_at_its_deadline_even_if_its_call_never_begins() {
        let methods = Methods::new();
        let method = Arc::clone(methods.get("watch").unwrap());
        let deadline = after(Duration::from_millis(5));
        let mut results = Results::new(std::future::pending(), method, deadline);
        let code = results.next().await.map(|line| line.unwrap_err().code());
        assert_eq!(code, Some(tonic::Code::DeadlineExceeded));
        assert!(results.next().await.is_none());
    }

    #[tokio::test]
    async fn a_deadline_ends_what_is_not_done_and_what_begins_too_late() {
        let past = Some(Instant::from_std(clock::now()));
        let late = within_deadline(past, async {}).await.unwrap_err();
        assert_eq!(late.message(), "context deadline exceeded");
        let soon = after(Duration::from_millis(5));
        let never = std::future::pending::<()>();
        assert!(within_deadline(soon, never).await.is_err());
        for far in [None, after(Duration::from_secs(99_999_999 * 3_600))] {
            assert!(within_deadline(far, async {}).await.is_ok());
        }
    }
}
