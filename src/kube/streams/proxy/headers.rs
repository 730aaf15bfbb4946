//! Headers on their way to what is proxied and back.

use std::net::IpAddr;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Headers that are about one connection (RFC 9110, section 7.6.1, and those that were before it).
const OF_A_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a server behind says of who may read it from a browser; it does not know who does.
const OF_ORIGINS: [HeaderName; 4] = [
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
];

/// Takes the headers away that are about the connection on which they came.
pub fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_A_CONNECTION) {
        headers.remove(name);
    }
}

/// Says for whom a request is made.
pub fn forwarded_for(headers: &mut HeaderMap, client: Option<IpAddr>) {
    let Some(client) = client else { return };
    let before = headers.get_all(FORWARDED_FOR).iter();
    let mut all: Vec<&str> = before.filter_map(|value| value.to_str().ok()).collect();
    let client = client.to_canonical().to_string();
    all.push(&client);
    if let Ok(value) = HeaderValue::from_str(&all.join(", ")) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// Makes the headers of a request those of the request behind: `uri` is the path by which the client asked.
pub fn to_backend(headers: &mut HeaderMap, client: Option<IpAddr>, uri: &str) {
    // Trailers are all that is told of what a client takes.
    let trailers = headers.get_all(TE).iter().any(|value| value == "trailers");
    strip(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    forwarded_for(headers, client);
    if let Ok(value) = HeaderValue::from_str(uri) {
        headers.insert(FORWARDED_URI, value);
    }
}

/// Makes the headers of an answer those that a client is to see.
pub fn to_client(headers: &mut HeaderMap) {
    strip(headers);
    for name in OF_ORIGINS {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_request_says_for_whom_it_is_and_nothing_of_its_connection() {
        let mut asked = headers(&[
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "192.0.2.1"),
            ("accept", "*/*"),
        ]);
        let client = "::ffff:10.0.0.9".parse().ok();
        to_backend(&mut asked, client, "/api/v1/nodes/n/proxy/x");
        let wanted = headers(&[
            ("accept", "*/*"),
            ("te", "trailers"),
            ("x-forwarded-for", "192.0.2.1, 10.0.0.9"),
            ("x-forwarded-uri", "/api/v1/nodes/n/proxy/x"),
        ]);
        assert_eq!(asked, wanted);
    }

    #[test]
    fn an_answer_says_nothing_of_origins() {
        let mut answer = headers(&[
            ("access-control-allow-origin", "*"),
            ("upgrade", "h2c"),
            ("content-type", "text/plain"),
        ]);
        to_client(&mut answer);
        assert_eq!(answer, headers(&[("content-type", "text/plain")]));
    }
}
