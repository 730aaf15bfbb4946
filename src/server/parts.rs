//! The parts that a member is made of, and how they are begun and ended. `server` decides when.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::runtime::Handle;

use super::connection::Serving;
use super::data_dir::{Beginning, DataDir, Origin};
use super::error::StartError;
use super::join;
use super::listen::Socket;
use super::secure::Secured;
use crate::base::ids::MemberId;
use crate::base::metrics::Metrics;
use crate::base::shutdown::Lifecycle;
use crate::base::trace::{TraceSettings, Tracer};
use crate::config::{self, MemberConfig, Url};
use crate::engine::StartError as EngineStartError;
use crate::engine::{
    AuthConfig, AutoCompaction, Consistency, Engine, EngineConfig, EngineError, Member, SlowLimits,
};
use crate::etcd::{self, ClientServices, EtcdContext, EtcdSettings};
use crate::raft::transport::{DEFAULT_MAX_SNAPSHOT, PeerConfig, PeerNetwork};
use crate::storage::StoreOptions;

pub(super) use crate::etcd::ETCD_VERSION;

/// How often the time left to long leases is replicated, if it is; etcd's pace.
const LEASE_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(300);

/// What the member answers with.
#[derive(Debug, Clone)]
pub(super) struct Routers {
    /// gRPC and HTTP for clients.
    pub(super) client: ClientServices,
    /// Metrics and health.
    pub(super) metrics: Router,
}

/// Opens the store and joins the cluster. Returns once the state on disk is readable; a leader may still
/// have to be found.
///
/// # Errors
/// [`StartError::Store`] when the state does not open.
pub(super) fn start_engine(
    config: &MemberConfig,
    engine: &EngineConfig,
    dir: &DataDir,
    origin: &Origin,
    peers: (Vec<Socket>, &Secured),
    metrics: &Arc<Metrics>,
    life: &Lifecycle,
) -> Result<Engine, StartError> {
    let failed = |reason: String| StartError::Store {
        dir: dir.path().to_owned(),
        reason,
    };
    let (peers, secured) = peers;
    let network = PeerConfig {
        calls: secured.calls.clone(),
        ..peer_config(config, dir, origin)
    };
    let network = PeerNetwork::start(network, Handle::current(), metrics, life)
        .map_err(|error| failed(error.to_string()))?;
    let engine = Engine::start(engine, &network, metrics, life).map_err(|error| match error {
        EngineStartError::Removed(_) => StartError::Removed(error.to_string()),
        error => failed(error.to_string()),
    })?;
    let members = engine.member_list();
    network.set_pages(Box::new(move |path| {
        (path == join::MEMBERS_PAGE).then(|| join::members_page(members()))?
    }));
    for Socket { listener, https } in peers {
        let network = Arc::clone(&network);
        let tls = secured.peers.clone().filter(|_| https);
        life.task("peer-accept", async move {
            network.serve(listener, tls).await;
        });
    }
    Ok(engine)
}

/// What the engine is told.
pub(super) fn engine_config(
    config: &MemberConfig,
    auth: AuthConfig,
    dir: &DataDir,
    origin: &Origin,
) -> EngineConfig {
    let identity = origin.identity();
    let beginning = origin.beginning().unwrap_or(Beginning {
        joining: false,
        members: Vec::new(),
    });
    let ticks = config.raft.election_timeout.as_nanos() / config.raft.heartbeat.as_nanos().max(1);
    EngineConfig {
        data_dir: dir.path().to_owned(),
        cluster_id: identity.cluster_id,
        member_id: identity.member_id,
        name: config.name.clone(),
        client_urls: texts(&config.cluster.advertise_client_urls),
        initial_members: beginning.members,
        joining: beginning.joining,
        strict_reconfig: config.cluster.strict_reconfig,
        max_learners: size(config.cluster.max_learners),
        force_new_cluster: config.cluster.force_new,
        heartbeat: config.raft.heartbeat,
        election_ticks: usize::try_from(ticks).unwrap_or(usize::MAX),
        max_request_bytes: size(config.limits.max_request_bytes),
        snapshot_catchup_entries: config.raft.catchup_entries,
        fsync: true,
        progress_interval: config.watch_progress_interval,
        slow: SlowLimits {
            apply: config.slow.apply,
            request: config.slow.request,
        },
        auto_compaction: match config.auto_compaction {
            config::AutoCompaction::Off => AutoCompaction::Off,
            config::AutoCompaction::Periodic(period) => AutoCompaction::Periodic(period),
            config::AutoCompaction::Revisions(keep) => AutoCompaction::Revisions(keep),
        },
        auth,
        quota_bytes: u64::try_from(config.limits.quota_bytes).ok(),
        lease_checkpoint_interval: config
            .lease_checkpoints
            .then_some(LEASE_CHECKPOINT_INTERVAL),
        corrupt_check_interval: config.corrupt_checks.interval,
        compact_check_interval: config.corrupt_checks.after_compactions,
        store: StoreOptions::default(),
    }
}

/// Refuses to go on with data that differs from the other members'.
///
/// # Errors
/// [`StartError::Corrupt`]; the store is stopped then.
pub(super) async fn check_data(engine: &Engine, dir: &DataDir) -> Result<(), StartError> {
    match engine.is_corrupt().await {
        Ok(false) => Ok(()),
        Ok(true) => {
            engine.stop().await;
            Err(StartError::Corrupt(dir.path().to_owned()))
        }
        Err(error) => {
            tracing::warn!(%error, "the data could not be compared with the other members'");
            Ok(())
        }
    }
}

/// The network of this member; the engine tells it who the members are.
fn peer_config(config: &MemberConfig, dir: &DataDir, origin: &Origin) -> PeerConfig {
    let identity = origin.identity();
    PeerConfig {
        cluster_id: identity.cluster_id,
        member_id: identity.member_id,
        advertised_urls: texts(&config.cluster.advertise_peer_urls),
        peers: Vec::new(),
        removed: Vec::new(),
        incoming_dir: dir.incoming(),
        heartbeat: config.raft.heartbeat,
        max_snapshot_bytes: DEFAULT_MAX_SNAPSHOT,
        calls: None,
    }
}

fn texts(urls: &[Url]) -> Vec<String> {
    urls.iter().map(ToString::to_string).collect()
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Makes spans of calls, if they are to be traced.
///
/// # Errors
/// [`StartError::Trace`].
pub(super) fn traces(config: &MemberConfig) -> Result<Option<Arc<Tracer>>, StartError> {
    let settings = config.tracing.as_ref().map(|tracing| TraceSettings {
        collector: tracing.address.clone(),
        service: tracing.service_name.clone(),
        instance: Some(tracing.instance_id.clone()).filter(|id| !id.is_empty()),
        sampled_per_million: tracing.sampling_per_million,
    });
    let tracer = settings.map(|settings| Tracer::start(&settings).map(Arc::new));
    Ok(tracer.transpose()?)
}

/// The pages and services over the store.
pub(super) fn routers(
    config: &MemberConfig,
    engine: &Engine,
    metrics: Arc<Metrics>,
    traces: Option<Arc<Tracer>>,
) -> Routers {
    let context = EtcdContext {
        engine: engine.clone(),
        metrics,
        traces,
        settings: EtcdSettings {
            max_request_bytes: size(config.limits.max_request_bytes),
            max_txn_ops: size(config.limits.max_txn_ops),
            quota_bytes: config.limits.quota_bytes,
            gateway: config.http.gateway,
            cors: config.http.cors.clone(),
            host_whitelist: config.http.host_whitelist.clone(),
            extensive_metrics: config.extensive_metrics,
        },
    };
    for feature in &config.features {
        let metrics = &context.metrics;
        metrics.show_feature(feature.name, feature.stage, feature.on);
    }
    Routers {
        client: ClientServices::new(&context),
        metrics: etcd::metrics_router(&context),
    }
}

/// Completes once this member has served a linearizable read and is listed with its client URLs, however
/// long that takes. A client that asks any ready member for the list thus finds every ready member in it.
pub(super) async fn ready(engine: &Engine) {
    /// Between attempts that failed at once.
    const PAUSE: Duration = Duration::from_millis(50);
    while engine.read_barrier().await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
    engine.published().await;
}

/// How many requests are under way: those of this member's clients, or those that travelled together in a
/// round since the last question, if these are more (a leader's clients may all be with its followers).
pub(super) fn load(engine: &Engine, serving: &Arc<Serving>) -> impl Fn() -> usize + use<> {
    let (engine, serving) = (engine.clone(), Arc::clone(serving));
    move || serving.unanswered().max(engine.take_largest_round())
}

/// Hands leadership to another voter, if this member leads and there is one, so that the cluster does not
/// have to wait for an election.
///
/// # Errors
/// As [`Engine::members`] and [`Engine::move_leader`].
pub(super) async fn hand_over(engine: &Engine) -> Result<Option<MemberId>, EngineError> {
    let status = engine.status()?;
    let own = status.header.member_id;
    if status.leader != own {
        return Ok(None);
    }
    let (_, members) = engine.members(Consistency::Serializable).await?;
    let mut failure = None;
    for heir in members.iter().filter(|m| can_lead(m, own)) {
        match engine.move_leader(MemberId(heir.id)).await {
            Ok(()) => return Ok(Some(MemberId(heir.id))),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(None), Err)
}

fn can_lead(member: &Member, own: MemberId) -> bool {
    member.id != own.0 && !member.is_learner
}
