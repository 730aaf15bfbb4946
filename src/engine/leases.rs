//! Leases: requests about them.
//!
//! Grants and revocations go through the log. What has to do with time is the leader's to answer
//! ([`lease_calls`](super::lease_calls)).

use super::command::Command;
use super::error::EngineError;
use super::lease_calls::LeaseCall;
use super::lessor::MAX_TTL;
use super::types::{Header, LeaseInfo};
use super::view::View;
use super::{Engine, EngineResult};
use crate::base::ids::LeaseId;
use crate::mvcc;

impl Engine {
    /// The least time to live that is granted: one and a half election timeouts, in whole seconds.
    fn min_ttl(&self) -> i64 {
        let timeout = self.inner.election_timeout.as_millis() * 3 / 2;
        i64::try_from(timeout.div_ceil(1000)).unwrap_or(i64::MAX)
    }

    /// Grants a lease; `LeaseId::NONE` lets the member choose the id. Gives the id and the granted
    /// seconds, which are raised to the minimum.
    ///
    /// # Errors
    /// [`EngineError::LeaseExists`], [`EngineError::LeaseTtlTooLarge`], and those of every command.
    pub async fn lease_grant(&self, id: LeaseId, ttl: i64) -> EngineResult<(Header, LeaseId, i64)> {
        if ttl > MAX_TTL {
            return Err(EngineError::LeaseTtlTooLarge);
        }
        let ttl = ttl.max(self.min_ttl());
        loop {
            let chosen = if id.is_none() { random_lease_id() } else { id };
            match self.propose(Command::LeaseGrant { id: chosen, ttl }).await {
                // A random id that is taken is rare, and another one will do.
                Err(EngineError::LeaseExists) if id.is_none() => {}
                Err(error) => return Err(error),
                Ok((header, _)) => return Ok((header, chosen, ttl)),
            }
        }
    }

    /// Revokes a lease and deletes its keys in one revision.
    ///
    /// # Errors
    /// [`EngineError::LeaseNotFound`], and those of every command.
    pub async fn lease_revoke(&self, id: LeaseId) -> EngineResult<Header> {
        let (header, _) = self.propose(Command::LeaseRevoke { id }).await?;
        Ok(header)
    }

    /// Renews a lease. Gives the granted seconds, or 0 if there is no such lease. Answered by the leader;
    /// other members ask it.
    ///
    /// # Errors
    /// [`EngineError::NoLeader`], [`EngineError::Timeout`].
    pub async fn lease_keep_alive(&self, id: LeaseId) -> EngineResult<(Header, i64)> {
        self.check_renewal(id).await?;
        let ttl = match self.ask_leader(LeaseCall::Renew(id.0)).await? {
            Some(found) => found.granted,
            None => 0,
        };
        Ok((self.header(), ttl))
    }

    /// What is left of a lease. Answered by the leader; other members ask it.
    ///
    /// # Errors
    /// [`EngineError::NoLeader`], [`EngineError::Timeout`].
    pub async fn lease_time_to_live(
        &self,
        id: LeaseId,
        keys: bool,
    ) -> EngineResult<(Header, LeaseInfo)> {
        let mut info = LeaseInfo {
            id,
            ttl: -1,
            granted_ttl: 0,
            keys: Vec::new(),
        };
        if let Some(found) = self.ask_leader(LeaseCall::Remaining(id.0)).await? {
            info.granted_ttl = found.granted;
            info.ttl = found.left;
            if keys {
                // The leader had applied this much when it answered: what is read here is no older.
                let reach = self.inner.applied.reach(found.applied);
                tokio::time::timeout(self.inner.request_timeout, reach)
                    .await
                    .map_err(|_| EngineError::Timeout)?;
                let read = move |engine: &Self, view: &View| {
                    let access = engine.access(view)?;
                    let keys = mvcc::lease::keys(&view.store, id)?;
                    keys.iter().try_for_each(|key| access.read_key(key))?;
                    Ok(keys)
                };
                info.keys = self.read(false, None, read).await?.1;
            }
        }
        Ok((self.header(), info))
    }

    /// Refuses to renew a lease with a key that the caller may not write.
    async fn check_renewal(&self, id: LeaseId) -> EngineResult<()> {
        if self.access(&self.inner.views.load())?.is_root() {
            return Ok(());
        }
        let check = move |engine: &Self, view: &View| {
            let access = engine.access(view)?;
            Ok(access.write_keys(mvcc::lease::keys(&view.store, id)?)?)
        };
        self.read(false, None, check).await.map(|_| ())
    }

    /// Every lease this member knows, by expiry. Whoever lists them may read all keys that are attached to any.
    ///
    /// # Errors
    /// [`AuthError`](crate::mvcc::auth::AuthError), [`EngineError::Internal`] when storage fails.
    pub async fn leases(&self) -> EngineResult<(Header, Vec<LeaseId>)> {
        if !self.access(&self.inner.views.load())?.is_root() {
            let check = |engine: &Self, view: &View| {
                let access = engine.access(view)?;
                mvcc::lease::visit_attached(&view.store, |key| Ok(access.read_key(key)?))
            };
            self.read(false, None, check).await?;
        }
        Ok((self.header(), self.inner.lessor.list()))
    }
}

/// A positive id that nobody has chosen before, most likely.
fn random_lease_id() -> LeaseId {
    LeaseId(rand::random_range(1..=i64::MAX))
}
