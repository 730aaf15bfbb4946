//! The HTTP pages of the client port: health, version, metrics, variables. Everything else is 404.

mod access;
mod health;
mod info;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use http::{HeaderValue, Method, StatusCode, header};

pub(super) use self::access::Transport;

use self::access::Access;
use super::{EtcdContext, grpc};

type Context = Arc<EtcdContext>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// All pages, and the answers to calls of unknown gRPC services.
pub(super) fn pages(context: &EtcdContext, over: Transport) -> Router {
    let access = Access::new(&context.settings, over);
    let context: Context = Arc::new(context.clone());
    shared_pages()
        .route("/version", page(info::version))
        .route("/debug/vars", page(info::variables))
        .fallback(not_found)
        .with_state(context)
        .layer(middleware::from_fn_with_state(
            Arc::new(access),
            access::check,
        ))
}

/// Metrics and health only.
pub(super) fn metrics_pages(context: &EtcdContext) -> Router {
    let context: Context = Arc::new(context.clone());
    shared_pages().with_state(context)
}

fn shared_pages() -> Router<Context> {
    health::routes(Router::new()).route("/metrics", page(info::metrics))
}

/// A page that is read with GET and with nothing else; HEAD too is refused, as etcd does.
fn page<S, F, Fut>(answer: F) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S, Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send,
{
    any(async move |State(state): State<S>, request: Request| {
        if request.method() == Method::GET {
            answer(state, request).await
        } else {
            let allow = [(header::ALLOW, HeaderValue::from_static("GET"))];
            let refusal = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            (allow, refusal).into_response()
        }
    })
}

async fn not_found(request: Request) -> Response {
    if grpc::is_grpc(&request) {
        return grpc::unknown(request.uri().path()).into_response();
    }
    error(StatusCode::NOT_FOUND, "404 page not found")
}

fn ok(content_type: HeaderValue, body: String) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// An error page: one line more than `text`, not to be taken for anything but text.
fn error(status: StatusCode, text: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, TEXT),
        (header::X_CONTENT_TYPE_OPTIONS, NOSNIFF),
    ];
    (status, headers, format!("{text}\n")).into_response()
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::Version;
    use tower::ServiceExt;

    use super::*;

    fn router() -> Router {
        let hello = async |(), _| ok(TEXT, "hello".into());
        Router::new()
            .route("/hello", page(hello))
            .fallback(not_found)
    }

    async fn send(request: http::request::Builder) -> Response {
        let request = request.body(Body::empty()).unwrap();
        router().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn pages_are_read_with_get_only() {
        let response = send(Request::get("/hello")).await;
        assert_eq!(response.status(), StatusCode::OK);
        for method in [Method::POST, Method::HEAD, Method::DELETE] {
            let response = send(Request::builder().method(method).uri("/hello")).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers()[header::ALLOW], "GET");
        }
    }

    #[tokio::test]
    async fn what_is_unknown_is_answered_in_the_callers_protocol() {
        let response = send(Request::get("/nothing")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        assert_eq!(body, "404 page not found\n");

        let call = Request::post("/etcdserverpb.Auth/AuthEnable")
            .version(Version::HTTP_2)
            .header(header::CONTENT_TYPE, "application/grpc");
        let response = send(call).await;
        assert_eq!(response.status(), StatusCode::OK);
        let status = tonic::Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), tonic::Code::Unimplemented);
        assert_eq!(status.message(), "unknown service etcdserverpb.Auth");
    }
}
