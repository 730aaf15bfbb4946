//! The REST API: from a request to an answer.
//!
//! A request goes through the stages in the order of kube-apiserver's filters: who is it, may they, what is it
//! about; then the verb. Every answer says which audit event it would be; every refusal is a `Status`.

mod answer;
mod call;
mod checks;
mod connect;
mod definitions;
mod door;
mod establish;
mod event_leases;
mod eviction;
pub mod form;
mod frames;
mod json_list;
mod limits;
mod openapi_pages;
pub mod options;
mod pages;
mod patching;
mod presence;
pub mod query;
mod read;
mod remove;
pub mod reply;
mod resetting;
mod scale;
mod serve;
mod steps;
mod subresources;
pub mod token;
mod watching;
mod write;

pub use call::Call;
pub use connect::ClientAddress;
pub use limits::LimitSettings;
pub use reply::KubeBody;
pub use serve::{ClientCertificate, KubeServer, KubeSettings};

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use serde_json::Value;

use self::checks::Progress;
use self::connect::Outward;
use self::event_leases::EventLeases;
use self::limits::Limits;
use super::admission::Admission;
use super::catalog::Catalogs;
use super::flow::Flows;
use super::gate::Gate;
use super::live::Live;
use super::metrics::KubeMetrics;
use super::store::ObjectStore;

/// What all requests share.
struct Inner {
    store: ObjectStore,
    live: Arc<Live>,
    catalogs: Catalogs,
    gate: Gate,
    admission: Admission,
    event_leases: EventLeases,
    outward: Outward,
    limits: Limits,
    flows: Flows,
    metrics: Arc<KubeMetrics>,
    progress: Progress,
    settings: KubeSettings,
}

/// Why the body of a request cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BodyError(Box<dyn std::error::Error + Send + Sync>);

/// The body of a request, of a connection or of a caller in process.
pub type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// Makes any body one of a request.
pub fn request_body<B>(body: B) -> RequestBody
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    body.map_err(|error| BodyError(Box::new(error)))
        .boxed_unsync()
}

/// What a verb answers with, besides lists and streams.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub object: Value,
}

impl Answer {
    pub fn of(object: Value) -> Self {
        Self { code: 200, object }
    }

    pub fn created(object: Value) -> Self {
        Self { code: 201, object }
    }

    /// What is no object of the resource: a `Status`, or a list of what was deleted.
    pub fn status(object: Value) -> Self {
        Self { code: 200, object }
    }
}
