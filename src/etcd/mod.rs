//! The etcd v3 API: decode a request, call the engine, encode the answer.
//!
//! One port serves gRPC, the same API as JSON (`gateway`) and a few HTTP pages (`/health`, `/metrics`, ...);
//! [`ClientServices`] has them all. Requests
//! become operations in `request`, results become messages in `response`, errors become statuses in
//! `status`: those three hold the contract, the services in `grpc` are glue. No rule of the business lives
//! here, and no storage or consensus is touched.

mod codec;
mod downgrade;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gateway;
mod grpc;
mod http;
mod identity;
pub mod pb;
mod request;
mod response;
mod service;
mod status;
mod version;
pub mod wire;

pub use identity::CertifiedName;
pub use service::{ClientBody, ClientServices};
pub use version::SERVER as ETCD_VERSION;

use std::sync::Arc;

use crate::base::metrics::Metrics;
use crate::base::trace::Tracer;
use crate::engine::Engine;

/// What the services need of the member.
#[derive(Debug, Clone)]
pub struct EtcdContext {
    /// The store.
    pub engine: Engine,
    /// Where calls are counted.
    pub metrics: Arc<Metrics>,
    /// Makes spans of calls, if they are traced.
    pub traces: Option<Arc<Tracer>>,
    /// What the operator decided.
    pub settings: EtcdSettings,
}

/// Limits and permissions of the client port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdSettings {
    /// The largest request, in bytes of its encoded command (`--max-request-bytes`).
    pub max_request_bytes: usize,
    /// The most operations in a list of a transaction (`--max-txn-ops`).
    pub max_txn_ops: usize,
    /// The space quota in bytes as `Status` and the metric report it; negative if there is none.
    pub quota_bytes: i64,
    /// Whether the API is served as JSON too (`--enable-grpc-gateway`).
    pub gateway: bool,
    /// Origins that browsers may call from (`--cors`); `*` is every one.
    pub cors: Vec<String>,
    /// Host names that plain HTTP requests may be addressed to (`--host-whitelist`); `*` is every one.
    pub host_whitelist: Vec<String>,
    /// Whether it is kept how long the calls of each method take (`--metrics extensive`).
    pub extensive_metrics: bool,
}

impl Default for EtcdSettings {
    /// etcd's defaults.
    fn default() -> Self {
        Self {
            max_request_bytes: 1024 * 1536,
            max_txn_ops: 128,
            quota_bytes: 2 << 30,
            gateway: true,
            cors: vec!["*".into()],
            host_whitelist: vec!["*".into()],
            extensive_metrics: false,
        }
    }
}

/// What `--listen-metrics-urls` listeners serve: metrics and health.
pub fn metrics_router(context: &EtcdContext) -> axum::Router {
    context.identify();
    http::metrics_pages(context)
}

impl EtcdContext {
    fn identify(&self) {
        self.metrics.identify(
            self.engine.header().member_id.to_string(),
            version::SERVER.into(),
            version::CLUSTER_MINOR.into(),
        );
        self.metrics
            .server
            .quota_bytes
            .set(self.settings.quota_bytes);
    }
}
