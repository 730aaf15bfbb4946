//! What a call inside this process answers.

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use tonic::{Code, Status};

use super::frames;
use crate::etcd::service::ClientBody;

/// The one message of a unary call.
///
/// # Errors
/// The status that the call ended with.
pub(super) async fn message(response: Response<ClientBody>) -> Result<Bytes, Status> {
    if let Some(status) = Status::from_header_map(response.headers()) {
        ended(status)?;
    }
    let collected = response.into_body().collect().await;
    let collected = collected.map_err(|error| broken(&error))?;
    if let Some(status) = collected.trailers().and_then(Status::from_header_map) {
        ended(status)?;
    }
    frames::only(collected.to_bytes())
}

/// Whether a call went well.
pub(super) fn ended(status: Status) -> Result<(), Status> {
    if status.code() == Code::Ok {
        Ok(())
    } else {
        Err(status)
    }
}

/// An answer broke off.
pub(super) fn broken(error: &impl std::fmt::Display) -> Status {
    Status::internal(format!("grpc: {error}"))
}
