//! What every call passes before its handler: is it gRPC, is the method known, does the member serve it in
//! its present state, who calls; and what every answer passes after it: counting, and gRPC's words for oversized
//! messages.
//!
//! It sits on the path of every request, so it adds neither an allocation nor a lock while authentication is off.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body as Incoming;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::access::Doorkeeper;
use super::admission::Admission;
use super::meter::{self, Call, Metered};
use super::methods::{self, Method, Methods};
use crate::base::trace;
use crate::engine::{Caller, Demand};
use crate::etcd::{identity, status};

/// Where etcd's clients name the version of the API that they speak.
const API_VERSION: HeaderName = HeaderName::from_static("client-api-version");

/// A service behind its gate.
#[derive(Clone)]
pub(super) struct Gate<S> {
    service: S,
    admission: Admission,
    doorkeeper: Arc<dyn Doorkeeper>,
    methods: Arc<Methods>,
}

impl<S> Gate<S> {
    pub(super) const fn new(
        service: S,
        admission: Admission,
        doorkeeper: Arc<dyn Doorkeeper>,
        methods: Arc<Methods>,
    ) -> Self {
        Self {
            service,
            admission,
            doorkeeper,
            methods,
        }
    }
}

impl<S> Service<Request<Incoming>> for Gate<S>
where
    S: Service<Request<Metered<Incoming>>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Unpin + Send,
{
    type Response = Response<Metered<Body>>;
    type Error = Infallible;
    type Future = Passage<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if !super::is_grpc(&request) {
            return Passage::refused(not_found());
        }
        let Some(method) = self.methods.get(request.uri().path()) else {
            return Passage::refused(unknown(request.uri().path()).into_http());
        };
        let mut call = begin(method, request.headers());
        if let Err(status) = self.admission.check(method, request.headers()) {
            call.end(status.code());
            return Passage::refused(status.into_http());
        }
        let request = request.map(|body| Metered::received(body, method));
        if self.doorkeeper.is_guarded() && method.demand != Demand::Open {
            let credentials = identity::credentials(request.headers(), request.extensions());
            let admitted = self.doorkeeper.admit(credentials, method.demand);
            // The one that said that it is ready serves the call.
            let ready = self.service.clone();
            let service = std::mem::replace(&mut self.service, ready);
            return Passage::Asking(Box::pin(ask(admitted, service, request, call)));
        }
        let answer = self.service.call(request);
        if let Some(span) = call.span().cloned() {
            return Passage::Asking(Box::pin(async move {
                let Ok(response) = span.over(answer).await;
                answered(response, call)
            }));
        }
        Passage::Admitted {
            answer,
            call: Some(call),
        }
    }
}

/// Counts a call that begins.
pub(super) fn begin(method: &Arc<Method>, headers: &HeaderMap) -> Call {
    let version = headers.get(API_VERSION);
    method.requests.of(version.map(HeaderValue::as_bytes)).inc();
    Call::begin(method, headers)
}

/// Serves a call of a caller whom it is for.
async fn ask<S>(
    admitted: BoxFuture<'static, Result<Caller, Status>>,
    mut service: S,
    mut request: Request<Metered<Incoming>>,
    mut call: Call,
) -> Response<Metered<Body>>
where
    S: Service<Request<Metered<Incoming>>, Response = Response<Body>, Error = Infallible>,
{
    match admitted.await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            let Ok(response) = trace::over(call.span(), service.call(request)).await;
            answered(response, call)
        }
        Err(status) => {
            call.end(status.code());
            status.into_http().map(Metered::off)
        }
    }
}

/// The way of one call through the gate.
pub(super) enum Passage<F> {
    /// Answered at the gate; ends when polled.
    Refused(Option<Response<Body>>),
    /// The caller is being made out, or the call is traced; ends with the answer.
    Asking(BoxFuture<'static, Response<Metered<Body>>>),
    /// With the handler; ends with its answer.
    Admitted { answer: F, call: Option<Call> },
}

impl<F> Passage<F> {
    const fn refused(response: Response<Body>) -> Self {
        Self::Refused(Some(response))
    }
}

impl<F> Future for Passage<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<Metered<Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.get_mut() {
            Self::Refused(response) => response.take().map(|response| response.map(Metered::off)),
            Self::Asking(answer) => Some(ready!(answer.as_mut().poll(cx))),
            Self::Admitted { answer, call } => {
                let Ok(response) = ready!(Pin::new(answer).poll(cx));
                call.take().map(|call| answered(response, call))
            }
        };
        Poll::Ready(Ok(response.expect("a future is not polled after it ended")))
    }
}

/// Counts an answer that is only headers; one with a body is counted when its trailers pass.
fn answered(response: Response<Body>, mut call: Call) -> Response<Metered<Body>> {
    let Some(code) = meter::code(response.headers()) else {
        return response.map(|body| Metered::sent(body, call));
    };
    let response = match oversized(code, &response) {
        Some(status) => {
            call.end(status.code());
            status.into_http()
        }
        None => {
            call.end(code);
            response
        }
    };
    response.map(Metered::off)
}

fn oversized(code: Code, response: &Response<Body>) -> Option<Status> {
    if code != Code::OutOfRange {
        return None;
    }
    status::as_size_limit(&Status::from_header_map(response.headers())?)
}

fn unknown(path: &str) -> Status {
    let (service, method) = methods::split(path).unwrap_or_default();
    status::unknown_method(service, method)
}

fn not_found() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

#[cfg(test)]
#[path = "gate_test.rs"]
mod tests;
