//! The JSON gateway: the API for callers that speak HTTP and JSON, with the conventions of grpc-gateway.
//!
//! A POST to a path of [`table`] becomes a call of the gRPC service behind it: the body's JSON is translated to
//! the protobuf message (`json`), the call is made in this process with the same bytes that a gRPC client would
//! send, and what comes back is translated again. So there is one implementation of every rule, limit,
//! permission and counter, and none of them here.
//!
//! A unary call reads one JSON value and answers one; a stream reads as many as the body has and answers a
//! line of JSON for each message. What a client sends is bounded by the size of a gRPC message and by the
//! depth at which JSON is read.

mod call;
mod error;
mod frames;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod json;
mod metadata;
mod once;
mod requests;
mod results;
mod split;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::{HeaderValue, Method as Verb, StatusCode, header};
use tokio::time::Instant;
use tonic::{Code, Status};

use self::error::refuse;
use self::metadata::CallHead;
use self::requests::Requests;
use self::results::Results;
use self::table::{Method, Methods};
use super::grpc;
use super::service::ClientServices;

#[cfg(any(test, fuzzing))]
pub use self::fuzzing::check;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// JSON needs up to a third more bytes than what it stands for, when all of it is base64; names of fields,
/// and white space for people, come on top.
const JSON_OVERHEAD: usize = 2;

/// The paths of the gateway, over the services that answer its calls. `limit` is the largest gRPC message.
pub(super) fn routes(services: ClientServices, limit: usize) -> Router {
    let gateway = Gateway {
        services,
        methods: Methods::new(),
        limit: limit.saturating_mul(JSON_OVERHEAD),
    };
    Router::new()
        .route("/v3", any(to_directory))
        .route("/v3/", any(answer))
        .route("/v3/{*path}", any(answer))
        .route("/v3beta/", any(answer))
        .route("/v3beta/{*path}", any(answer))
        .with_state(Arc::new(gateway))
}

/// What calls need.
#[derive(Debug)]
struct Gateway {
    services: ClientServices,
    methods: Methods,
    /// The largest JSON value in bytes.
    limit: usize,
}

/// Go's multiplexer leads from the name of a directory to the directory.
async fn to_directory(request: Request) -> Response {
    if grpc::is_grpc(&request) {
        return grpc::unknown(request.uri().path()).into_response();
    }
    let location = [(header::LOCATION, HeaderValue::from_static("/v3/"))];
    (StatusCode::MOVED_PERMANENTLY, location).into_response()
}

async fn answer(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    if grpc::is_grpc(&request) {
        return grpc::unknown(request.uri().path()).into_response();
    }
    let path = request.uri().path();
    let path = path.strip_prefix("/v3beta/").or(path.strip_prefix("/v3/"));
    let Some(method) = path.and_then(|path| gateway.methods.get(path)) else {
        return refuse(&Status::not_found("Not Found"));
    };
    if request.method() != Verb::POST {
        return refuse(&Status::unimplemented("Method Not Allowed"));
    }
    let method = Arc::clone(method);
    let (head, body) = request.into_parts();
    let head = match CallHead::new(&head.headers) {
        Ok(head) => head,
        Err(status) => return refuse(&status),
    };
    let deadline = head.timeout.and_then(results::after);
    if method.is_stream() {
        Box::pin(gateway.stream(&method, head, body, deadline)).await
    } else {
        let call = Box::pin(gateway.unary(&method, head, body));
        let answer = results::within_deadline(deadline, call).await.flatten();
        answer.unwrap_or_else(|status| refuse(&status))
    }
}

impl Gateway {
    /// One value in, one value out.
    async fn unary(&self, method: &Method, head: CallHead, body: Body) -> Result<Response, Status> {
        let message = self.message(method, body).await?;
        let request = head.request(method, Body::from(message));
        // The gateway's own answer begins with this one.
        let response = self.services.answer(request, ()).await;
        let message = call::message(response).await?;
        let text = json::encode(&method.output, message)?;
        let headers = [
            (header::CONTENT_TYPE, JSON),
            (metadata::CONTENT_TYPE, metadata::GRPC),
        ];
        Ok((headers, text).into_response())
    }

    /// One value in or many, a line out for each message.
    async fn stream(
        &self,
        method: &Arc<Method>,
        head: CallHead,
        body: Body,
        deadline: Option<Instant>,
    ) -> Response {
        let body = if method.many_requests {
            Body::new(Requests::new(body, Arc::clone(method), self.limit))
        } else {
            match self.message(method, body).await {
                Ok(message) => Body::from(message),
                Err(status) => return refuse(&status),
            }
        };
        let services = self.services.clone();
        let request = head.request(method, body);
        let call = async move { services.answer(request, ()).await };
        let results = Results::new(call, Arc::clone(method), deadline);
        results.begin().await
    }

    /// The first value of a body as a framed message; what follows it is not looked at.
    async fn message(&self, method: &Method, body: Body) -> Result<bytes::Bytes, Status> {
        let text = to_bytes(body, self.limit).await.map_err(|error| {
            Status::new(
                Code::ResourceExhausted,
                format!("http: request body: {error}"),
            )
        })?;
        json::decode(&method.input, &text)
    }
}
