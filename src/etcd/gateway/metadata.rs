//! What the headers of an HTTP request say to the gRPC call that it becomes.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method as Verb, Request, Version, header};
use tonic::Status;

use super::table::Method;

/// How grpc-gateway passes on the content type of the call behind it.
pub(super) const CONTENT_TYPE: HeaderName = HeaderName::from_static("grpc-metadata-content-type");
pub(super) const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Headers with this before their name become metadata.
const METADATA: &str = "grpc-metadata-";

/// Marks calls of the gateway. A service must not take the certificate of such a connection for that of a user,
/// whoever is at its other end.
const MARK: HeaderName = HeaderName::from_static("grpcgateway-accept");

const TIMEOUT: &str = "grpc-timeout";

/// The head of a call.
#[derive(Debug)]
pub(super) struct CallHead {
    metadata: HeaderMap,
    /// Time for the whole call, if the client limits it.
    pub(super) timeout: Option<Duration>,
}

impl CallHead {
    /// # Errors
    /// `InvalidArgument` for a timeout that is none.
    pub(super) fn new(headers: &HeaderMap) -> Result<Self, Status> {
        let mut metadata = HeaderMap::new();
        for (name, value) in headers {
            let passed = match name.as_str().strip_prefix(METADATA) {
                Some(name) if is_metadata(name) => HeaderName::try_from(name).ok(),
                Some(_) => None,
                None => (name == header::AUTHORIZATION).then(|| name.clone()),
            };
            if let Some(name) = passed {
                metadata.append(name, value.clone());
            }
        }
        let accepted = headers.get(header::ACCEPT).cloned();
        let any = HeaderValue::from_static("*/*");
        metadata.insert(MARK, accepted.unwrap_or(any));
        let timeout = headers.get(TIMEOUT).map(timeout).transpose()?;
        Ok(Self { metadata, timeout })
    }

    /// The call, with what it has to have on the wire.
    pub(super) fn request(self, method: &Method, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = Verb::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = method.path.parse().unwrap_or_default();
        *request.headers_mut() = self.metadata;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, GRPC);
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        request
    }
}

/// Whether a client may say it of a call. The other names belong to the protocol, or to this gateway.
fn is_metadata(name: &str) -> bool {
    let reserved = [
        "content-type",
        "content-length",
        "user-agent",
        "te",
        "host",
        "connection",
        "transfer-encoding",
        "upgrade",
    ];
    !name.starts_with("grpc-") && !name.starts_with("grpcgateway-") && !reserved.contains(&name)
}

/// Reads a number of at most eight digits with a unit (gRPC over HTTP/2, "Timeout").
fn timeout(value: &HeaderValue) -> Result<Duration, Status> {
    let text = String::from_utf8_lossy(value.as_bytes());
    parse(&text).ok_or_else(|| Status::invalid_argument(format!("invalid grpc-timeout: {text}")))
}

fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number = text.strip_suffix(unit)?;
    let digits = (1..=8).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = if digits {
        number.parse().ok()?
    } else {
        return None;
    };
    Some(match unit {
        'H' => Duration::from_secs(number * 3_600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(headers: &[(&str, &str)]) -> HeaderMap {
        let mut given = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            given.append(name, HeaderValue::from_str(value).unwrap());
        }
        CallHead::new(&given).unwrap().metadata
    }

    #[test]
    fn tokens_and_marked_headers_are_passed_on() {
        let metadata = metadata(&[
            ("authorization", "abc.1"),
            ("grpc-metadata-hasleader", "true"),
            ("cookie", "secret"),
            ("accept", "application/json"),
        ]);
        assert_eq!(metadata["authorization"], "abc.1");
        assert_eq!(metadata["hasleader"], "true");
        assert_eq!(metadata["grpcgateway-accept"], "application/json");
        assert_eq!(metadata.len(), 3);
    }

    #[test]
    fn the_protocols_own_words_and_the_mark_are_not_the_clients() {
        let metadata = metadata(&[
            ("grpc-metadata-content-type", "text/plain"),
            ("grpc-metadata-grpc-encoding", "gzip"),
            ("grpc-metadata-te", "x"),
            ("grpc-metadata-grpcgateway-accept", "x"),
            ("grpcgateway-accept", "x"),
        ]);
        assert_eq!(metadata.len(), 1);
        assert_eq!(metadata["grpcgateway-accept"], "*/*");
    }

    #[test]
    fn timeouts_are_grpcs() {
        for (text, expected) in [
            ("2S", Duration::from_secs(2)),
            ("99999999H", Duration::from_secs(99_999_999 * 3_600)),
            ("15m", Duration::from_millis(15)),
            ("1u", Duration::from_micros(1)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for wrong in ["", "S", "1", "123456789S", "1s", "+1S", "1ä"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(TIMEOUT, HeaderValue::from_static("nonsense"));
        let refused = CallHead::new(&headers).unwrap_err();
        assert_eq!(refused.message(), "invalid grpc-timeout: nonsense");
    }
}
