//! The one place that decides who calls and whether a call is for them, whichever way it is served.
//!
//! What a call demands is a table by path; what is not in it is for root, so that a call that somebody forgot is
//! refused and not open. Which keys a caller may touch is decided with the data, in the engine: handlers pass on
//! who calls ([`caller`]), and whatever they do on behalf of nobody is refused there.

use futures::future::BoxFuture;
use tonic::{Request, Status};

use crate::engine::{Acting, Caller, Credentials, Demand, Engine};
use crate::etcd::identity;

/// Lets calls in.
pub(super) trait Doorkeeper: Send + Sync {
    /// Whether callers are looked at.
    fn is_guarded(&self) -> bool;

    /// Who calls, if the call is for them.
    fn admit(
        &self,
        credentials: Credentials,
        demand: Demand,
    ) -> BoxFuture<'static, Result<Caller, Status>>;
}

impl Doorkeeper for Engine {
    fn is_guarded(&self) -> bool {
        Self::is_guarded(self)
    }

    fn admit(
        &self,
        credentials: Credentials,
        demand: Demand,
    ) -> BoxFuture<'static, Result<Caller, Status>> {
        let engine = self.clone();
        Box::pin(async move {
            if demand == Demand::Open {
                // A token that has ended must not keep anybody from getting a new one.
                return Ok(Caller::NOBODY);
            }
            let caller = engine.identify(credentials).await?;
            Self::admit(&engine, &caller, demand)?;
            Ok(caller)
        })
    }
}

/// What a call demands of its caller.
pub(super) fn demand(path: &str) -> Demand {
    match path {
        // Watches are refused one by one, in the stream.
        "/etcdserverpb.Auth/Authenticate"
        | "/etcdserverpb.Auth/AuthStatus"
        | "/etcdserverpb.Watch/Watch"
        | "/grpc.health.v1.Health/Check"
        | "/grpc.health.v1.Health/Watch" => Demand::Open,
        "/etcdserverpb.KV/Range"
        | "/etcdserverpb.KV/RangeStream"
        | "/etcdserverpb.KV/Put"
        | "/etcdserverpb.KV/DeleteRange"
        | "/etcdserverpb.KV/Txn"
        | "/etcdserverpb.Lease/LeaseGrant"
        | "/etcdserverpb.Lease/LeaseRevoke"
        | "/etcdserverpb.Lease/LeaseKeepAlive"
        | "/etcdserverpb.Lease/LeaseTimeToLive"
        | "/etcdserverpb.Lease/LeaseLeases"
        | "/etcdserverpb.Cluster/MemberList"
        | "/etcdserverpb.Maintenance/Alarm"
        | "/etcdserverpb.Maintenance/Status"
        | "/etcdserverpb.Auth/UserGet"
        | "/etcdserverpb.Auth/RoleGet" => Demand::User,
        _ if path.starts_with("/v3lockpb.") || path.starts_with("/v3electionpb.") => Demand::User,
        _ => Demand::Root,
    }
}

/// Who makes a call; `None` if callers were not looked at when it came in.
pub(super) fn caller<T>(request: &Request<T>) -> Option<&Caller> {
    request.extensions().get()
}

/// What a call carries to say who makes it, for those that ask again while they last.
pub(super) fn credentials<T>(request: &Request<T>) -> Credentials {
    identity::credentials(request.metadata().as_ref(), request.extensions())
}

/// The store on behalf of whoever has these credentials now.
pub(super) async fn acting_now<'a>(
    engine: &'a Engine,
    credentials: &Credentials,
) -> Result<Acting<'a>, Status> {
    if !engine.is_guarded() {
        return Ok(engine.acting(None));
    }
    let caller = engine.identify(credentials.clone()).await?;
    Ok(engine.acting(Some(&caller)))
}

/// Refuses all but root a part of a call that others may make too.
pub(super) fn root_only<T>(engine: &Engine, request: &Request<T>) -> Result<(), Status> {
    let caller = caller(request).unwrap_or(&Caller::NOBODY);
    Ok(Engine::admit(engine, caller, Demand::Root)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::metrics::Metrics;
    use crate::etcd::grpc::methods::Methods;

    /// A call that is added to the port and not to the table is for root.
    #[test]
    fn what_nobody_thought_of_is_for_root() {
        for path in [
            "/etcdserverpb.Maintenance/Snapshot",
            "/etcdserverpb.Cluster/MemberAdd",
            "/etcdserverpb.Auth/UserAdd",
            "/etcdserverpb.KV/Compact",
            "/etcdserverpb.KV/New",
            "/new.Service/Call",
            "",
        ] {
            assert_eq!(demand(path), Demand::Root, "{path}");
        }
        assert_eq!(demand("/v3lockpb.Lock/Lock"), Demand::User);
    }

    #[test]
    fn only_these_are_open_to_nobody() {
        let methods = Methods::new(&Metrics::new(), false, None);
        let mut open: Vec<_> = methods
            .paths()
            .filter(|path| demand(path) == Demand::Open)
            .collect();
        open.sort_unstable();
        let expected = [
            "/etcdserverpb.Auth/AuthStatus",
            "/etcdserverpb.Auth/Authenticate",
            "/etcdserverpb.Watch/Watch",
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
        ];
        assert_eq!(open, expected);
    }
}
