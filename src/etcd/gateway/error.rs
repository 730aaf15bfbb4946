//! Statuses as HTTP answers.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tonic::{Code, Status};

use super::JSON;

/// A status as a JSON object.
#[derive(Debug, Serialize)]
struct Told<'a> {
    code: i32,
    message: &'a str,
}

/// A stream's end that is no good one.
#[derive(Debug, Serialize)]
struct Ended<'a> {
    error: Told<'a>,
}

fn told(status: &Status) -> Told<'_> {
    Told {
        code: status.code() as i32,
        message: status.message(),
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and strings are always JSON")
}

/// The answer that is only a refusal.
pub(super) fn refuse(status: &Status) -> Response {
    with_code(status, text(&told(status)))
}

/// The answer of a stream that ended before it began.
pub(super) fn refuse_stream(status: &Status) -> Response {
    with_code(status, line(status))
}

/// The last line of a stream.
pub(super) fn line(status: &Status) -> String {
    let error = told(status);
    let mut line = text(&Ended { error });
    line.push('\n');
    line
}

fn with_code(status: &Status, body: String) -> Response {
    let head = (http_code(status.code()), [(header::CONTENT_TYPE, JSON)]);
    let mut response = (head.0, head.1, body).into_response();
    if status.code() == Code::Unauthenticated
        && let Ok(message) = HeaderValue::from_str(status.message())
    {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, message);
    }
    response
}

/// The mapping of grpc-gateway.
fn http_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // "Client closed request", which has no name in the registry of codes.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::DataLoss | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_contract() {
        let rows = [
            (400, [3, 9, 11].as_slice()),
            (401, &[16]),
            (403, &[7]),
            (404, &[5]),
            (409, &[6, 10]),
            (429, &[8]),
            (499, &[1]),
            (500, &[2, 13, 15]),
            (501, &[12]),
            (503, &[14]),
            (504, &[4]),
        ];
        for (http, codes) in rows {
            for &code in codes {
                assert_eq!(http_code(Code::from_i32(code)), http, "{code}");
            }
        }
    }

    #[test]
    fn who_is_not_known_is_asked_to_say_who_it_is() {
        let status = Status::unauthenticated("etcdserver: invalid auth token");
        let answer = refuse(&status);
        assert_eq!(answer.status(), 401);
        let asked = &answer.headers()[header::WWW_AUTHENTICATE];
        assert_eq!(asked, "etcdserver: invalid auth token");
    }

    #[test]
    fn lines_have_the_error_inside() {
        let status = Status::unavailable("etcdserver: \"no\" leader");
        let expected = "{\"error\":{\"code\":14,\"message\":\"etcdserver: \\\"no\\\" leader\"}}\n";
        assert_eq!(line(&status), expected);
    }
}
