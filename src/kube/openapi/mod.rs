//! What the API looks like, for clients: OpenAPI 3.0 (an index and a document for each group version) and 2.0.
//!
//! The documents are made from the tables of types and resources, under the names that the release gives things, so
//! that clients find what they look for: the parameters of a PATCH (`kubectl apply` reads off them what the server
//! checks), the fields of a kind (`kubectl explain`), merge keys, operation ids for generators.
//!
//! A document is made when it is first asked for and kept while there is room. Its hash is part of its URL in the
//! index: with it clients may keep the document for good.

mod customs;
mod definitions;
mod descriptions;
mod document;
mod extensions;
mod gnostic;
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

pub use customs::Customs;
pub(in crate::kube) use descriptions::of_field as field_description;
pub use http_date::http_date;

/// The most bytes of documents that are kept ready.
const KEPT: usize = 8 << 20;
/// The places of the document of OpenAPI 2.0, in both its forms, among those that are kept.
const SWAGGER: [&str; 2] = ["v2", "v2 as protobuf"];

/// The media type of the index, which the release sends so.
pub const INDEX_MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// The media type of the document of OpenAPI 2.0 as protobuf.
pub const PROTOBUF_MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The same as clients ask for it, with a character that media types may not have.
const PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// A document in one of its forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub body: Bytes,
    /// SHA-512 in upper-case hexadecimal digits; in quotes it is the entity tag.
    pub hash: String,
}

impl Document {
    fn new(value: &Value) -> Self {
        Self::of(value.to_string().into())
    }

    fn of(body: Bytes) -> Self {
        let hash = sha512_hex(&body);
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

    /// The body of `/openapi/v3`: every document with its URL, those of custom resources too.
    ///
    /// The first call makes every document, for its hash: some hundred milliseconds, not for a thread that serves
    /// others.
    pub fn index(&self, customs: &Customs) -> Document {
        let customs = customs.documents(self.schema, self.resources).iter();
        let customs = customs.map(|(path, document)| (path, &document.hash));
        let own = self.hashes().iter().map(|(path, hash)| (path, hash));
        let paths = own.chain(customs).map(|(path, hash)| {
            let url = json!({"serverRelativeURL": url(path, hash)});
            (path.clone(), url)
        });
        let mut paths: Map<String, Value> = paths.collect();
        paths.sort_keys();
        Document::new(&json!({"paths": paths}))
    }

    /// `/openapi/v3/PATH`, with the query's `hash` if there is one. Takes milliseconds unless it is kept.
    pub fn version(&self, path: &str, hash: Option<&str>, customs: &Customs) -> Answer {
        let mut subjects = Subject::all(self.resources).into_iter();
        let document = match subjects.find(|one| one.path() == path) {
            Some(subject) => self.keep(path, || {
                Document::new(&subject.describe(self.schema, self.resources))
            }),
            None => {
                let mut customs = customs.documents(self.schema, self.resources).iter();
                match customs.find(|(one, _)| one == path) {
                    Some((_, document)) => document.clone(),
                    None => return Answer::Unknown,
                }
            }
        };
        match hash.filter(|hash| !hash.is_empty()) {
            Some(hash) if hash != document.hash => Answer::Moved(url(path, &document.hash)),
            named => Answer::Found {
                document,
                immutable: named.is_some(),
            },
        }
    }

    /// The body of `/openapi/v2`. Takes some hundred milliseconds unless it is kept.
    pub fn swagger(&self, form: Form, customs: &Customs) -> Document {
        let make = || {
            let joined = self.joined(customs);
            match form {
                Form::Json => Document::new(&joined),
                Form::Protobuf => Document::of(gnostic::encode(&joined).into()),
            }
        };
        let ([as_json, as_protobuf], [own_json, own_protobuf]) = (SWAGGER, &customs.swagger);
        let (path, own) = match form {
            Form::Json => (as_json, own_json),
            Form::Protobuf => (as_protobuf, own_protobuf),
        };
        if customs.is_empty() {
            return self.keep(path, make);
        }
        own.get_or_init(make).clone()
    }

    fn joined(&self, customs: &Customs) -> Value {
        let subjects = Subject::all(self.resources).into_iter();
        let own = subjects.map(|one| one.describe(self.schema, self.resources));
        swagger::join(own.chain(customs.for_swagger(self.schema, self.resources)))
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

    fn keep(&self, path: &str, make: impl FnOnce() -> Document) -> Document {
        if let Some(document) = self.kept.lock().find(path) {
            return document;
        }
        // Two who ask at once both make it: nobody waits for the lock meanwhile.
        let document = make();
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

/// In what form a document is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    /// Of `/openapi/v2` alone: [`PROTOBUF_MEDIA_TYPE`].
    Protobuf,
}

/// The form of `/openapi/v2` that a request's `Accept` asks for first; none if it asks for another: then the answer
/// is 406. The documents below `/openapi/v3` are JSON alone.
pub fn form(accept: Option<&str>) -> Option<Form> {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Some(Form::Json);
    };
    let ranges = accept.split(',').map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        (media, quality.unwrap_or(1.0_f32))
    });
    let mut ranges: Vec<_> = ranges.collect();
    // Of equals the first counts.
    ranges.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    ranges.into_iter().find_map(|(media, _)| {
        let is = |one: &&str| media.eq_ignore_ascii_case(one);
        if ["*/*", "application/*", "application/json"].iter().any(is) {
            Some(Form::Json)
        } else if [PROTOBUF_MEDIA_TYPE, PROTOBUF_ASKED].iter().any(is) {
            Some(Form::Protobuf)
        } else {
            None
        }
    })
}

/// Whether a request's `Accept` admits JSON, in whatever place.
pub fn json_is_acceptable(accept: Option<&str>) -> bool {
    let accept = accept.unwrap_or_default();
    accept
        .split(',')
        .any(|range| form(Some(range)) == Some(Form::Json))
}
