//! Calls that ask for a leader (metadata `hasleader: true`): refused while there is none, and streams cut
//! when it is lost.

use futures::future::BoxFuture;
use http::HeaderMap;

use crate::engine::Engine;

const METADATA_KEY: &str = "hasleader";

/// Whether the call asks for a leader.
pub(super) fn is_required(headers: &HeaderMap) -> bool {
    headers
        .get(METADATA_KEY)
        .is_some_and(|value| value.as_bytes() == b"true")
}

/// Completes when a stream must be cut because it asks for a leader and there has been none for long
/// enough. Never completes for other streams.
pub(super) fn lost<T>(engine: &Engine, request: &tonic::Request<T>) -> BoxFuture<'static, ()> {
    if !is_required(request.metadata().as_ref()) {
        return Box::pin(std::future::pending());
    }
    let engine = engine.clone();
    Box::pin(async move { engine.leader_lost().await })
}
