//! The parts that a member is made of, and how they are begun and ended. `server` decides when.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

use super::data_dir::{DataDir, Origin};
use super::error::StartError;
use crate::base::ids::MemberId;
use crate::base::shutdown::Lifecycle;
use crate::config::MemberConfig;
use crate::engine::{Consistency, Engine, EngineError, Member};

/// The version of etcd whose API is served, as clients and operators are told.
pub(super) const ETCD_VERSION: &str = "3.6.5";

/// What the member answers with.
#[derive(Debug, Clone)]
pub(super) struct Routers {
    /// gRPC and HTTP for clients.
    pub(super) client: Router,
    /// Metrics and health.
    pub(super) metrics: Router,
}

/// Opens the store and joins the cluster. Returns once the state on disk is readable; a leader may still
/// have to be found.
///
/// # Errors
/// [`StartError::Store`] when the state does not open.
pub(super) async fn start_engine(
    _config: &MemberConfig,
    _dir: &DataDir,
    _origin: &Origin,
    _peers: Vec<TcpListener>,
    _life: &Lifecycle,
) -> Result<Engine, StartError> {
    Ok(Engine {})
}

/// The pages and services over the store.
pub(super) fn routers(_config: &MemberConfig, _engine: &Engine) -> Routers {
    Routers {
        client: Router::new(),
        metrics: Router::new(),
    }
}

/// Completes once this member has served a linearizable read, however long that takes.
pub(super) async fn ready(engine: &Engine) {
    /// Between attempts that failed at once.
    const PAUSE: Duration = Duration::from_millis(50);
    while engine.read_barrier().await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
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
