//! The gRPC services of the client port.

mod access;
mod admission;
mod auth;
mod cluster;
mod direct;
mod election;
mod gate;
mod health;
mod kv;
mod leader;
mod lease;
mod lock;
mod maintenance;
mod meter;
mod methods;
mod observe;
mod queue;
mod queue_keys;
mod received;
mod snapshot;
mod watch;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use futures::stream::BoxStream;
use http::{HeaderMap, Request, Version, header};
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;
use tower::Service;

use self::access::Doorkeeper;
use self::admission::Admission;
pub(super) use self::direct::{DirectBody, DirectCalls};
use self::gate::Gate;
use self::meter::Metered;
use self::methods::Methods;
pub(super) use self::received::{PREFIX_BYTES, put_prefix};
#[cfg(any(test, fuzzing))]
pub(super) use self::watch::request as watch_request;
use super::EtcdContext;
use super::pb::etcdserverpb::auth_server::AuthServer;
use super::pb::etcdserverpb::cluster_server::ClusterServer;
use super::pb::etcdserverpb::kv_server::KvServer;
use super::pb::etcdserverpb::lease_server::LeaseServer;
use super::pb::etcdserverpb::maintenance_server::MaintenanceServer;
use super::pb::etcdserverpb::watch_server::WatchServer;
use super::pb::v3electionpb::election_server::ElectionServer;
use super::pb::v3lockpb::lock_server::LockServer;
use super::status;

/// What a message may be larger than the largest request: room for what surrounds the command.
pub(super) const RECEIVE_OVERHEAD: usize = 512 * 1024;

/// gRPC's own limit on a message that is sent.
const MAX_SEND_BYTES: usize = i32::MAX as usize;

/// A response stream of a handler.
type Responses<T> = BoxStream<'static, Result<T, Status>>;

/// Configures a generated server: limits and compression are the same for all of them.
macro_rules! server {
    ($server:ident, $service:expr, $limit:expr) => {
        $server::new($service)
            .max_decoding_message_size($limit)
            .max_encoding_message_size(MAX_SEND_BYTES)
            .accept_compressed(CompressionEncoding::Gzip)
    };
}

/// The hot calls, and routes to every service. Other services are for the fallback of the router it is
/// merged into, which answers them with [`unknown`].
pub(super) fn services(context: &EtcdContext) -> (DirectCalls, Router) {
    // Nothing that a client asks for is done on the member's own behalf.
    let context = &EtcdContext {
        engine: context.engine.for_clients(),
        ..context.clone()
    };
    let limit = context.settings.max_request_bytes + RECEIVE_OVERHEAD;
    let engine = &context.engine;
    let kv = Arc::new(kv::KvCalls::new(context));
    let watch = watch::WatchService::new(engine.clone(), &context.metrics.network);
    let lease = lease::LeaseService::new(engine.clone(), &context.metrics.network);
    let cluster = cluster::ClusterService::new(engine.clone());
    let maintenance = maintenance::MaintenanceService::new(context);
    let admission = Admission::of(engine);
    let queues = queue::Queues::new(Arc::clone(&kv), engine.clone());
    let lock = lock::LockService::new(queues.clone());
    let election = election::ElectionService::new(queues);
    let methods = Arc::new(Methods::new(
        &context.metrics,
        context.settings.extensive_metrics,
        context.traces.as_ref(),
    ));
    let doorkeeper: Arc<dyn Doorkeeper> = Arc::new(engine.clone());
    let auth = auth::AuthService::new(engine.clone());
    let direct = DirectCalls::new(
        Arc::clone(&kv),
        watch.clone(),
        admission.clone(),
        Arc::clone(&doorkeeper),
        &methods,
        limit,
    );
    let mut gates = Gates {
        router: Router::new(),
        admission,
        doorkeeper,
        methods,
    };
    gates.add(server!(KvServer, kv::KvService::new(kv), limit));
    gates.add(server!(WatchServer, watch, limit));
    gates.add(server!(AuthServer, auth, limit));
    gates.add(server!(LeaseServer, lease, limit));
    gates.add(server!(ClusterServer, cluster, limit));
    gates.add(server!(MaintenanceServer, maintenance, limit));
    gates.add(server!(LockServer, lock, limit));
    gates.add(server!(ElectionServer, election, limit));
    gates.add(server!(HealthServer, health::HealthService, limit));
    (direct, gates.router)
}

/// Adds services to a router, each behind its gate.
struct Gates {
    router: Router,
    admission: Admission,
    doorkeeper: Arc<dyn Doorkeeper>,
    methods: Arc<Methods>,
}

impl Gates {
    fn add<S>(&mut self, service: S)
    where
        S: NamedService + Clone + Send + Sync + 'static,
        S: Service<
                Request<Metered<Body>>,
                Response = http::Response<tonic::body::Body>,
                Error = Infallible,
            >,
        S::Future: Send + Unpin + 'static,
    {
        let admission = self.admission.clone();
        let doorkeeper = Arc::clone(&self.doorkeeper);
        let gate = Gate::new(service, admission, doorkeeper, Arc::clone(&self.methods));
        let router = std::mem::take(&mut self.router);
        self.router = router.route_service(&format!("/{}/{{*method}}", S::NAME), gate);
    }
}

/// Whether a request is a gRPC call: the rule by which etcd parts its port.
pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2 && has_grpc_content(request.headers())
}

fn has_grpc_content(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The answer to a call of a service that is not here.
pub(super) fn unknown(path: &str) -> http::Response<tonic::body::Body> {
    let status = match path.trim_start_matches('/').rsplit_once('/') {
        Some((service, _)) => status::unknown_service(service),
        None => Status::unimplemented(format!("malformed method name: {path:?}")),
    };
    status.into_http()
}
