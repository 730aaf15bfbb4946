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
use super::grpc::{self, Reply, UnaryCalls};
use super::http::pages;

/// gRPC services and HTTP pages, to be served with HTTP/1.1 and HTTP/2 on the same listener. Cheap to clone.
#[derive(Clone)]
pub struct ClientServices {
    unary: Arc<UnaryCalls>,
    router: Router,
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
        let (unary, services) = grpc::services(context);
        Self {
            unary: Arc::new(unary),
            router: pages(context).merge(services),
        }
    }

    /// Answers a request. Dropping the future gives the request up.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<ClientBody>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
    {
        match self.unary.answer(request).await {
            Ok(response) => response.map(ClientBody::Reply),
            Err(request) => {
                let Ok(response) = self.router.clone().call(request).await;
                response.map(ClientBody::Routed)
            }
        }
    }
}

/// A response's body.
#[derive(Debug)]
pub enum ClientBody {
    /// Of a hot call.
    Reply(Reply),
    /// Of everything else.
    Routed(axum::body::Body),
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Reply(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|never| match never {}),
            Self::Routed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Reply(body) => body.is_end_stream(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Reply(body) => body.size_hint(),
            Self::Routed(body) => body.size_hint(),
        }
    }
}
