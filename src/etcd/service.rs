//! Everything that answers on the client port: the short way of the hot calls, and the router for all else.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::Service as _;

use super::EtcdContext;
use super::grpc::{self, DirectBody, DirectCalls};
use super::http::{Transport, pages};

/// gRPC services and HTTP pages, to be served with HTTP/1.1 and HTTP/2 on the same listener. Cheap to clone.
#[derive(Clone)]
pub struct ClientServices {
    direct: Arc<DirectCalls>,
    router: Router,
    /// The same for connections over TLS.
    over_tls: Router,
}

impl std::fmt::Debug for ClientServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientServices").finish_non_exhaustive()
    }
}

impl ClientServices {
    /// The services over the member's store.
    pub fn new(context: &EtcdContext) -> Self {
        context.identify();
        let (direct, services) = grpc::services(context);
        Self {
            direct: Arc::new(direct),
            over_tls: pages(context, Transport::Tls).merge(services.clone()),
            router: pages(context, Transport::Plain).merge(services),
        }
    }

    /// The same services for connections over TLS.
    #[must_use]
    pub fn over_tls(&self) -> Self {
        Self {
            router: self.over_tls.clone(),
            ..self.clone()
        }
    }

    /// Answers a request. Dropping the future gives the request up. `pending` is dropped when it is this member
    /// no longer that the request waits for: its answer begins, or the client has yet to ask something.
    pub async fn answer<B, P>(&self, request: Request<B>, pending: P) -> Response<ClientBody>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
    {
        match self.direct.answer(request, pending).await {
            Ok(response) => response.map(|body| ClientBody(Source::Direct(body))),
            Err((request, _pending)) => {
                let Ok(response) = self.router.clone().call(request).await;
                response.map(|body| ClientBody(Source::Routed(body)))
            }
        }
    }
}

/// A response's body.
pub struct ClientBody(Source);

enum Source {
    Direct(DirectBody),
    Routed(axum::body::Body),
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.get_mut().0 {
            Source::Direct(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|never| match never {}),
            Source::Routed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Direct(body) => body.is_end_stream(),
            Source::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Direct(body) => body.size_hint(),
            Source::Routed(body) => body.size_hint(),
        }
    }
}
