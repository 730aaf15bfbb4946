//! The composition root: builds every part of a member, and stops them in order.
//!
//! [`Server::start`] goes from what can fail cheaply to what cannot be undone: lock the data directory, bind
//! every socket, check whose data it is, claim it, open the store, serve. [`Server::stop`] goes the other
//! way: take nothing new, hand over leadership, answer what has been asked, stop the store, which ends the
//! streams, close. Called by the commands in [`command`]; no rule of the business lives here.

mod accept;
pub mod command;
mod connection;
mod data_dir;
mod error;
mod limits;
mod listen;
mod log;
mod parts;
#[cfg(test)]
mod server_test;
mod signals;
mod snapshot;
mod systemd;
mod terminal;
mod up;

pub use error::{DataDirError, StartError};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use self::connection::Serving;
use self::data_dir::{DataDir, Origin};
use self::listen::Listeners;
use self::parts::Routers;
use crate::base::metrics::Metrics;
use crate::base::shutdown::Lifecycle;
use crate::config::MemberConfig;
use crate::engine::Engine;

/// Time for leadership to move before the member stops all the same.
const HAND_OVER: Duration = Duration::from_secs(3);

/// Time for requests under way to be answered. Longer than a healthy cluster needs for any of them, shorter
/// than supervisors wait before they kill.
const ANSWER: Duration = Duration::from_secs(5);

/// Time for clients to close their connections after the last answer.
const GOODBYE: Duration = Duration::from_secs(2);

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
    /// Locked until the very end.
    dir: DataDir,
}

impl Server {
    /// Starts a member. It accepts clients when this returns; whether it can serve them depends on the
    /// cluster, and a line in the log says when it can.
    ///
    /// # Errors
    /// [`StartError`]. Nothing is left behind, the directory's lock included.
    pub async fn start(config: &MemberConfig, life: Lifecycle) -> Result<Self, StartError> {
        let dir = DataDir::open(&config.data_dir)?;
        let listeners = Listeners::bind(&config.listen)?;
        let addresses = listeners.client_addresses();
        let origin = dir.origin(config)?;
        if let Origin::Fresh(_) = origin {
            dir.claim(origin.identity(), &config.cluster.token)?;
        }
        announce(config, &dir, &origin);
        let metrics = Arc::new(Metrics::new());
        let engine = parts::start_engine(config, &dir, &origin, listeners.peer, &metrics, &life)?;
        let routers = parts::routers(config, &engine, metrics);
        let serving = Arc::new(Serving::new(
            &config.limits,
            &config.keepalive,
            FIRST_REQUEST,
        ));
        serve(
            &life,
            &serving,
            listeners.client,
            listeners.metrics,
            &routers,
        );
        tracing::info!(?addresses, "accepting clients");
        let waiting = engine.clone();
        life.task("readiness", async move {
            parts::ready(&waiting).await;
            tracing::info!("ready to serve client requests");
            systemd::notify_ready();
        });
        Ok(Self {
            engine,
            serving,
            life,
            addresses,
            dir,
        })
    }

    /// Where clients are accepted, with the ports that the system chose for those given as 0.
    pub fn client_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops the member: nothing acknowledged is lost, and nothing asked for in time goes unanswered.
    pub async fn stop(self, leadership: Leadership) {
        self.serving.close();
        if leadership == Leadership::HandOver {
            hand_over(&self.engine).await;
        }
        if !self.life.is_stopping() {
            answer(&self.serving).await;
        }
        self.engine.stop().await;
        self.serving.finish(GOODBYE).await;
        tracing::info!(data_dir = %self.dir.path().display(), "closed server");
    }
}

/// Begins to accept on every socket.
fn serve(
    life: &Lifecycle,
    serving: &Arc<Serving>,
    client: Vec<TcpListener>,
    metrics: Vec<TcpListener>,
    routers: &Routers,
) {
    let accept_all = |listeners: Vec<TcpListener>, router: &Router, room: usize| {
        let room = Arc::new(Semaphore::new(room));
        for listener in listeners {
            let accept = accept::accept(listener, router.clone(), room.clone(), serving.clone());
            life.task("accept", accept);
        }
    };
    accept_all(client, &routers.client, limits::client_connections());
    accept_all(metrics, &routers.metrics, METRICS_CONNECTIONS);
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
    let identity = origin.identity();
    tracing::info!(
        name = config.name,
        local_member_id = %identity.member_id,
        cluster_id = %identity.cluster_id,
        data_dir = %dir.path().display(),
        member_initialized = matches!(origin, Origin::Restart(_)),
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
