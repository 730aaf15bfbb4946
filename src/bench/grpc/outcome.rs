//! How a call ended: what headers, trailers and HTTP/2 errors say about it.

use http::{HeaderMap, StatusCode};
use tonic::{Code, Status};

const GRPC_STATUS: &str = "grpc-status";
const GRPC_DETAILS: &str = "grpc-status-details-bin";

/// The outcome in `headers`, which are trailers or the headers of an answer without a body; `None` if they
/// have none.
pub(super) fn stated(headers: &HeaderMap) -> Option<Result<(), Status>> {
    if headers.get(GRPC_STATUS)? == "0" {
        return Some(Ok(()));
    }
    // Nobody reads the details, and tonic's parser panics on some that are malformed.
    let mut headers = headers.clone();
    headers.remove(GRPC_DETAILS);
    Status::from_header_map(&headers).map(|status| match status.code() {
        Code::Ok => Ok(()),
        _ => Err(status),
    })
}

/// The outcome of a call that ended without one: what the HTTP status stands for ("HTTP to gRPC Status
/// Code Mapping").
pub(super) fn unstated(http: StatusCode) -> Status {
    let code = match http {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("HTTP status {http} and no grpc-status"))
}

/// The outcome of a call whose stream or connection broke.
pub(super) fn broken(error: h2::Error) -> Status {
    if error.is_io() || error.is_go_away() {
        return Status::unavailable(format!("the connection broke: {error}"));
    }
    Status::from_error(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn zero_is_success() {
        assert!(matches!(
            stated(&headers(&[("grpc-status", "0")])),
            Some(Ok(()))
        ));
    }

    #[test]
    fn a_failure_has_its_code_and_its_decoded_text() {
        let trailers = headers(&[("grpc-status", "5"), ("grpc-message", "key%20is gone")]);
        let status = stated(&trailers).unwrap().unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "key is gone");
    }

    #[test]
    fn an_unknown_code_is_a_failure() {
        let status = stated(&headers(&[("grpc-status", "x")])).unwrap();
        assert_eq!(status.unwrap_err().code(), Code::Unknown);
    }

    #[test]
    fn malformed_details_do_no_harm() {
        let trailers = headers(&[("grpc-status", "3"), (GRPC_DETAILS, "%%%")]);
        let status = stated(&trailers).unwrap().unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }

    #[test]
    fn headers_may_say_nothing() {
        assert!(stated(&headers(&[("content-type", "application/grpc")])).is_none());
    }

    #[test]
    fn http_failures_have_codes() {
        let status = unstated(StatusCode::BAD_GATEWAY);
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("502"), "{}", status.message());
        assert_eq!(unstated(StatusCode::OK).code(), Code::Unknown);
    }
}
