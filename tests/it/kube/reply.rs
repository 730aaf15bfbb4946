//! Answers, whole and as streams of events.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use crate::harness::PATIENCE;

/// What came back for what.
#[derive(Debug)]
pub struct Reply {
    pub(super) what: String,
    pub status: u16,
    pub(super) headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn decoded(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.what, self.text()))
    }

    /// The object, of an answer with this code.
    pub fn value(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        self.decoded()
    }

    /// The object, of an answer that is no refusal.
    pub fn ok(&self) -> Value {
        let good = self.status == 200 || self.status == 201;
        assert!(good, "{}: {} {}", self.what, self.status, self.text());
        self.decoded()
    }

    /// A refusal, word by word. `details` is null where the Status has none.
    pub fn refused(&self, code: u16, reason: &str, message: &str, details: Value) {
        let mut status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": message, "reason": reason});
        if !details.is_null() {
            status["details"] = details;
        }
        status["code"] = code.into();
        assert_eq!(self.decoded(), status, "{}", self.what);
        assert_eq!(self.status, code, "{}", self.what);
    }
}

/// A watch's stream.
pub struct Events {
    pub(super) body: Incoming,
    pub(super) read: BytesMut,
}

impl Events {
    /// The next event; none at the stream's end.
    pub async fn next(&mut self) -> Option<Value> {
        let line = timeout(PATIENCE, self.line());
        line.await.expect("no event comes")
    }

    async fn line(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|&byte| byte == b'\n') {
                let line = self.read.split_to(end + 1);
                return Some(serde_json::from_slice(&line).unwrap());
            }
            match self.body.frame().await {
                Some(frame) => self.read.extend(frame.unwrap().into_data()),
                None => {
                    assert!(self.read.is_empty(), "the stream ends within an event");
                    return None;
                }
            }
        }
    }

    /// The next `count` events as `TYPE name`.
    pub async fn told(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..count {
            let event = self.next().await.expect("the stream goes on");
            told.push(format!(
                "{} {}",
                event["type"].as_str().unwrap(),
                event["object"]["metadata"]["name"].as_str().unwrap_or("-")
            ));
        }
        told
    }
}
