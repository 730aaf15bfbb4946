//! Who may use the HTTP pages: browsers by origin (CORS), plain requests by the host they name, which
//! keeps a web page from reaching a member through a name that it resolves itself. Over TLS the certificate does.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::error;
use crate::etcd::{EtcdSettings, grpc};

/// Allowed origins and hosts. An empty list and `*` both allow every one.
#[derive(Debug)]
pub(super) struct Access {
    origins: Allowed,
    hosts: Allowed,
}

/// What a request comes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::etcd) enum Transport {
    /// Plain text.
    Plain,
    /// TLS.
    Tls,
}

#[derive(Debug)]
enum Allowed {
    All,
    Only(Vec<String>),
}

impl Allowed {
    fn new(names: &[String]) -> Self {
        if names.is_empty() || names.iter().any(|name| name == "*") {
            Self::All
        } else {
            Self::Only(names.to_vec())
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|allowed| allowed == name),
        }
    }
}

impl Access {
    pub(super) fn new(settings: &EtcdSettings, over: Transport) -> Self {
        Self {
            origins: Allowed::new(&settings.cors),
            hosts: match over {
                Transport::Plain => Allowed::new(&settings.host_whitelist),
                Transport::Tls => Allowed::All,
            },
        }
    }

    /// What `Access-Control-Allow-Origin` says to this request, if anything.
    fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if matches!(self.origins, Allowed::All) {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = headers.get(header::ORIGIN)?;
        self.origins
            .has(origin.to_str().ok()?)
            .then(|| origin.clone())
    }

    fn allows_host(&self, request: &Request) -> bool {
        matches!(self.hosts, Allowed::All) || self.hosts.has(&host(request))
    }
}

/// The name that the request is addressed to, without port and brackets.
fn host(request: &Request) -> String {
    let named = request.headers().get(header::HOST);
    let named = named.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let authority = request.uri().authority().cloned().or(named);
    authority.map_or_else(String::new, |authority| {
        authority.host().trim_matches(['[', ']']).to_owned()
    })
}

/// Lets a request through to its page, or not. gRPC calls are not for it.
pub(super) async fn check(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    if grpc::is_grpc(&request) {
        return next.run(request).await;
    }
    if !access.allows_host(&request) {
        return error(
            StatusCode::MISDIRECTED_REQUEST,
            "this host name is not in --host-whitelist",
        );
    }
    let origin = access.origin(request.headers());
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        allow(response.headers_mut(), origin);
    }
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE"),
    );
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("accept, content-type, authorization"),
    );
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn access(cors: &[&str], hosts: &[&str]) -> Access {
        Access::new(&settings(cors, hosts), Transport::Plain)
    }

    fn settings(cors: &[&str], hosts: &[&str]) -> EtcdSettings {
        let owned = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
        EtcdSettings {
            cors: owned(cors),
            host_whitelist: owned(hosts),
            ..EtcdSettings::default()
        }
    }

    fn request(name: header::HeaderName, value: &'static str) -> Request {
        Request::builder()
            .header(name, value)
            .body(Body::empty())
            .unwrap()
    }

    #[test]
    fn hosts_are_compared_without_port_and_brackets() {
        let access = access(&["*"], &["etcd.example", "::1"]);
        assert!(access.allows_host(&request(header::HOST, "etcd.example:2379")));
        assert!(access.allows_host(&request(header::HOST, "[::1]:2379")));
        assert!(!access.allows_host(&request(header::HOST, "evil.example")));
        assert!(!access.allows_host(&request(header::HOST, "")));
        let any = Access::new(&EtcdSettings::default(), Transport::Plain);
        assert!(any.allows_host(&request(header::HOST, "x")));
        let secured = Access::new(&settings(&["*"], &["etcd.example"]), Transport::Tls);
        assert!(secured.allows_host(&request(header::HOST, "x")));
    }

    #[test]
    fn origins_are_echoed_only_if_allowed() {
        let one = access(&["https://ui.example"], &["*"]);
        let origin =
            |access: &Access, origin| access.origin(request(header::ORIGIN, origin).headers());
        assert_eq!(
            origin(&one, "https://ui.example"),
            Some(HeaderValue::from_static("https://ui.example"))
        );
        assert_eq!(origin(&one, "https://evil.example"), None);
        assert_eq!(
            origin(&access(&["*"], &["*"]), "https://any.example"),
            Some(HeaderValue::from_static("*"))
        );
    }
}
