//! What the API looks like, for clients: OpenAPI 3.0 (an index and a document for each group version) and 2.0.
//!
//! The documents are made from the tables of types and resources, under the names that the release gives things, so
//! that clients find what they look for: the parameters of a PATCH (`kubectl apply` reads off them what the server
//! checks), the fields of a kind (`kubectl explain`), merge keys, operation ids for generators.
//!
//! A document is made when it is first asked for and kept while there is room. Its hash is part of its URL in the
//! index: with it clients may keep the document for good.

mod definitions;
mod descriptions;
mod document;
mod extensions;
mod http_date;
mod leaves;
mod names;
mod operation;
mod operations;
mod parameters;
mod paths;
mod swagger;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::discovery::aggregated::sha512_hex;
use super::schema::{Resources, Schema};
use document::Subject;

pub use http_date::http_date;

/// The most bytes of documents that are kept ready.
const KEPT: usize = 8 << 20;
/// The place of the document of OpenAPI 2.0 among those that are kept.
const SWAGGER: &str = "v2";

/// The media type of the index, which the release sends so.
pub const INDEX_MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// A document as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub body: Bytes,
    /// SHA-512 in upper-case hexadecimal digits; in quotes it is the entity tag.
    pub hash: String,
}

impl Document {
    fn new(value: &Value) -> Self {
        let body = value.to_string();
        let hash = sha512_hex(body.as_bytes());
        let body = body.into();
        Self { body, hash }
    }

    /// As the header `ETag` has it.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }
}

/// What is to be answered below `/openapi/v3/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200; `immutable` when the client named the hash: then `Cache-Control: public, immutable` and `Expires` in a
    /// year, otherwise `no-cache, private`. Either way `ETag`, and `Vary: Accept`.
    Found { document: Document, immutable: bool },
    /// 301 to the document as it is now.
    Moved(String),
    /// 404.
    Unknown,
}

/// The documents of one set of resources.
#[derive(Debug)]
pub struct OpenApi {
    schema: &'static Schema,
    resources: &'static Resources,
    /// Path and hash of each document, once somebody asked for the index.
    hashes: OnceLock<Vec<(String, String)>>,
    kept: Mutex<Kept>,
}

/// The documents that were asked for last, newest last.
#[derive(Debug, Default)]
struct Kept(Vec<(String, Document)>);

impl OpenApi {
    pub fn new(schema: &'static Schema, resources: &'static Resources) -> Self {
        Self {
            schema,
            resources,
            hashes: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    /// The body of `/openapi/v3`: every document with its URL.
    ///
    /// The first call makes every document, for its hash: some hundred milliseconds, not for a thread that serves
    /// others.
    pub fn index(&self) -> Document {
        let paths = self.hashes().iter().map(|(path, hash)| {
            let url = json!({"serverRelativeURL": url(path, hash)});
            (path.clone(), url)
        });
        let paths: Map<String, Value> = paths.collect();
        Document::new(&json!({"paths": paths}))
    }

    /// `/openapi/v3/PATH`, with the query's `hash` if there is one. Takes milliseconds unless it is kept.
    pub fn version(&self, path: &str, hash: Option<&str>) -> Answer {
        let mut subjects = Subject::all(self.resources).into_iter();
        let Some(subject) = subjects.find(|one| one.path() == path) else {
            return Answer::Unknown;
        };
        let document = self.keep(path, || subject.describe(self.schema, self.resources));
        match hash.filter(|hash| !hash.is_empty()) {
            Some(hash) if hash != document.hash => Answer::Moved(url(path, &document.hash)),
            named => Answer::Found {
                document,
                immutable: named.is_some(),
            },
        }
    }

    /// The body of `/openapi/v2`. Takes some hundred milliseconds unless it is kept.
    pub fn swagger(&self) -> Document {
        self.keep(SWAGGER, || {
            let subjects = Subject::all(self.resources).into_iter();
            swagger::join(subjects.map(|one| one.describe(self.schema, self.resources)))
        })
    }

    fn hashes(&self) -> &[(String, String)] {
        self.hashes.get_or_init(|| {
            let mut hashes: Vec<_> = Subject::all(self.resources)
                .into_iter()
                .map(|one| {
                    let document = Document::new(&one.describe(self.schema, self.resources));
                    (one.path(), document.hash)
                })
                .collect();
            hashes.sort_unstable();
            hashes
        })
    }

    fn keep(&self, path: &str, make: impl FnOnce() -> Value) -> Document {
        if let Some(document) = self.kept.lock().find(path) {
            return document;
        }
        // Two who ask at once both make it: nobody waits for the lock meanwhile.
        let document = Document::new(&make());
        self.kept.lock().add(path, document.clone());
        document
    }
}

impl Kept {
    fn find(&mut self, path: &str) -> Option<Document> {
        let at = self.0.iter().position(|(one, _)| one == path)?;
        let found = self.0.remove(at);
        let document = found.1.clone();
        self.0.push(found);
        Some(document)
    }

    fn add(&mut self, path: &str, document: Document) {
        self.0.retain(|(one, _)| one != path);
        self.0.push((path.into(), document));
        let mut bytes: usize = self.0.iter().map(|(_, one)| one.body.len()).sum();
        while bytes > KEPT && self.0.len() > 1 {
            bytes -= self.0.remove(0).1.body.len();
        }
    }
}

fn url(path: &str, hash: &str) -> String {
    format!("/openapi/v3/{path}?hash={hash}")
}

/// Whether a request's `Accept` admits JSON, the only form in which documents are served; others are answered 406.
///
/// Clients that ask for the protobuf of OpenAPI name JSON, too, or are older than what this server is for.
pub fn json_is_acceptable(accept: Option<&str>) -> bool {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return true;
    };
    accept.split(',').any(|range| {
        let media = range.split(';').next().unwrap_or_default().trim();
        ["*/*", "application/*", "application/json"]
            .iter()
            .any(|one| media.eq_ignore_ascii_case(one))
    })
}
