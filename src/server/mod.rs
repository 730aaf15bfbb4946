//! The composition root: builds every part of a member, and stops them in order.
//!
//! [`Server::start`] goes from what can fail cheaply to what cannot be undone: lock the data directory, bind
//! every socket, check whose data it is, claim it, open the store, serve. [`Server::stop`] goes the other
//! way: take nothing new, hand over leadership, answer what has been asked, stop the store, which ends the
//! streams, close. Called by the commands in [`command`]; no rule of the business lives here.

mod accept;
mod auth;
#[doc(hidden)]
pub mod bench_support;
pub mod command;
mod config_file;
mod connection;
mod data_dir;
mod discovery;
mod error;
mod gather;
mod join;
mod kube;
mod limits;
mod listen;
mod log;
mod parts;
mod pings;
mod scheduling;
mod secure;
#[cfg(test)]
mod secured_test;
#[cfg(test)]
mod server_test;
mod signals;
mod snapshot;
mod streams;
mod systemd;
mod terminal;
mod up;

pub use error::{DataDirError, StartError};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::accept::Entrance;
use self::connection::Serving;
use self::data_dir::{DataDir, Origin};
use self::kube::{Kube, KubeParts};
use self::listen::Listeners;
use self::secure::Secured;
use crate::base::metrics::Metrics;
use crate::base::shutdown::Lifecycle;
use crate::base::trace::Tracer;
use crate::config::MemberConfig;
use crate::engine::Engine;
use crate::tls::Connector;

/// Time for leadership to move before the member stops all the same.
const HAND_OVER: Duration = Duration::from_secs(3);

/// Time for requests under way to be answered. Longer than a healthy cluster needs for any of them, shorter
/// than supervisors wait before they kill.
const ANSWER: Duration = Duration::from_secs(5);

/// Time for clients to close their connections after the last answer.
const GOODBYE: Duration = Duration::from_secs(2);

/// Time to send the last spans to whom they are for.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Time from a connection's begin to its first request. Clients connect when they have one.
const FIRST_REQUEST: Duration = Duration::from_secs(120);

/// Connections for metrics and health. They have a bound of their own, so that a member whose clients use
/// up every connection can still be asked how it is.
const METRICS_CONNECTIONS: usize = 64;

/// What becomes of leadership when a member that has it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// Another member gets it first, so that the cluster does not have to wait for an election.
    HandOver,
    /// Nothing: the other members stop too, or the member cannot go on.
    LetGo,
}

/// A member that serves.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    serving: Arc<Serving>,
    life: Lifecycle,
    addresses: Vec<SocketAddr>,
    traces: Option<Arc<Tracer>>,
    kube: Option<Kube>,
    /// Locked until the very end.
    dir: DataDir,
}

impl Server {
    /// Starts a member. Clients can connect when this returns; they are answered once the cluster has a
    /// leader and lists this member, or after `wait-cluster-ready-timeout`, and a line in the log says so.
    ///
    /// # Errors
    /// [`StartError`]. Nothing is left behind, the directory's lock included.
    pub async fn start(config: &MemberConfig, life: Lifecycle) -> Result<Self, StartError> {
        let auth = auth::auth_config(&config.auth)?;
        let traces = parts::traces(config)?;
        let dir = DataDir::open(&config.data_dir)?;
        let discovered = discovery::discover(config, &dir).await?;
        let config = discovered.as_ref().unwrap_or(config);
        let secured = Secured::read(config, dir.path())?;
        // Before anything listens: members that begin together would wait for each other's answers.
        let origin = find_origin(config, &dir, secured.calls.as_deref()).await?;
        let listeners = Listeners::bind(&config.listen)?;
        let kube = config.kube.as_ref();
        let kube = kube
            .map(|kube| KubeParts::prepare(kube, dir.path()))
            .transpose()?;
        let addresses = listeners.client_addresses();
        let token = &config.cluster.token;
        let beginning = origin.beginning();
        if beginning.is_some() {
            dir.claim(origin.identity(), token, beginning.clone())?;
        }
        announce(config, &dir, &origin);
        let metrics = Arc::new(Metrics::new());
        let engine = parts::engine_config(config, auth, &dir, &origin);
        let peers = (listeners.peer, &secured);
        let engine = parts::start_engine(config, &engine, &dir, &origin, peers, &metrics, &life)?;
        if beginning.is_some() {
            dir.claim(origin.identity(), token, None)?;
        }
        if config.corrupt_checks.at_start {
            parts::check_data(&engine, &dir).await?;
        }
        let routers = parts::routers(config, &engine, metrics, traces.clone());
        let serving = Arc::new(Serving::new(
            &config.limits,
            &config.keepalive,
            FIRST_REQUEST,
        ));
        let ready = CancellationToken::new();
        let clients = Entrance {
            sockets: listeners.client,
            respond_secured: routers.client.over_tls(),
            respond: routers.client,
            tls: secured.clients,
            room: limits::client_connections(),
            open: ready.clone(),
        };
        let metrics = Entrance {
            sockets: listeners.metrics,
            respond_secured: routers.metrics.clone(),
            respond: routers.metrics,
            tls: secured.metrics,
            room: METRICS_CONNECTIONS,
            open: accept::at_once(),
        };
        clients.serve(&life, &serving);
        metrics.serve(&life, &serving);
        let kube = kube.map(|kube| kube.serve(&engine, &life, &serving));
        tracing::info!(?addresses, "listening for clients");
        let patience = config.wait_cluster_ready;
        life.task("readiness", announce_ready(engine.clone(), patience, ready));
        let load = parts::load(&engine, &serving);
        life.task("scheduling", scheduling::follow(load));
        Ok(Self {
            engine,
            serving,
            life,
            addresses,
            traces,
            kube,
            dir,
        })
    }

    /// Where clients are accepted, with the ports that the system chose for those given as 0.
    pub fn client_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops the member: nothing acknowledged is lost, and nothing asked for in time goes unanswered.
    pub async fn stop(self, leadership: Leadership) {
        if let Some(kube) = &self.kube
            && !self.life.is_stopping()
        {
            kube.depart().await;
        }
        self.serving.close();
        if leadership == Leadership::HandOver {
            hand_over(&self.engine).await;
        }
        if !self.life.is_stopping() {
            answer(&self.serving).await;
        }
        self.engine.stop().await;
        self.serving.finish(GOODBYE).await;
        if let Some(traces) = self.traces {
            // A thread that ends badly has nothing to say that the log does not have.
            let _ = tokio::task::spawn_blocking(move || traces.stop(LAST_SPANS)).await;
        }
        tracing::info!(data_dir = %self.dir.path().display(), "closed server");
    }
}

/// Whose data this is, after asking the other members where there is none.
async fn find_origin(
    config: &MemberConfig,
    dir: &DataDir,
    calls: Option<&Connector>,
) -> Result<Origin, StartError> {
    match dir.origin(config)? {
        None => Ok(Origin::Joining(join::join(config, calls).await?)),
        Some(Origin::Fresh(bootstrap)) => {
            join::refuse_second_beginning(config, &bootstrap, calls).await?;
            Ok(Origin::Fresh(bootstrap))
        }
        Some(origin) => Ok(origin),
    }
}

/// Lets clients in once the cluster serves this member, or after `patience`: then reads of this member's
/// own data are answered all the same. Before that there may be no term to name in a response.
async fn announce_ready(engine: Engine, patience: Duration, ready: CancellationToken) {
    if tokio::time::timeout(patience, parts::ready(&engine))
        .await
        .is_err()
    {
        tracing::warn!(?patience, "serving clients before the cluster is ready");
        ready.cancel();
        parts::ready(&engine).await;
    }
    ready.cancel();
    tracing::info!("ready to serve client requests");
    systemd::notify_ready();
}

async fn answer(serving: &Serving) {
    if tokio::time::timeout(ANSWER, serving.answered())
        .await
        .is_err()
    {
        tracing::warn!("stopping with requests unanswered");
    }
}

async fn hand_over(engine: &Engine) {
    match tokio::time::timeout(HAND_OVER, parts::hand_over(engine)).await {
        Ok(Ok(Some(heir))) => tracing::info!(to = %heir, "handed over leadership"),
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "could not hand over leadership"),
        Err(_) => tracing::warn!("handing over leadership took too long"),
    }
}

/// Tells the log what starts, and which flags have no effect.
fn announce(config: &MemberConfig, dir: &DataDir, origin: &Origin) {
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    secure::warn_of_plain_text(&config.listen);
    let identity = origin.identity();
    tracing::info!(
        name = config.name,
        local_member_id = %identity.member_id,
        cluster_id = %identity.cluster_id,
        data_dir = %dir.path().display(),
        member_initialized = origin.beginning().is_none(),
        version = env!("CARGO_PKG_VERSION"),
        etcd_version = parts::ETCD_VERSION,
        "starting member"
    );
    tracing::debug!(
        state = %dir.state().display(),
        log = %dir.log().display(),
        incoming = %dir.incoming().display(),
        "layout of the data directory"
    );
}
