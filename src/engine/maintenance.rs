//! Compaction, hashes, backups, leader transfer: what an operator asks of a member.

use std::sync::Arc;

use super::command::Command;
use super::error::EngineError;
use super::types::{Consistency, Header, KvHash, Member, MemberStatus, MinorVersion};
use super::{Engine, EngineResult};
use crate::base::clock;
use crate::base::ids::{MemberId, Revision};
use crate::base::metrics::Raised;
use crate::mvcc;
use crate::raft::TransferError;

impl Engine {
    /// Discards history below `revision`. With `physical`, also waits until this member has removed it.
    ///
    /// # Errors
    /// [`EngineError::Compacted`], [`EngineError::FutureRevision`], and those of every command.
    pub async fn compact(&self, revision: i64, physical: bool) -> EngineResult<Header> {
        let (header, _) = self.propose(Command::Compact { revision }).await?;
        if physical {
            let mut removed = self.inner.removed.subscribe();
            removed
                .wait_for(|removed| removed.get() >= revision)
                .await
                .map_err(|_| EngineError::Stopped)?;
        }
        Ok(header)
    }

    /// The members, by id.
    ///
    /// # Errors
    /// As a read of the given consistency.
    pub async fn members(&self, consistency: Consistency) -> EngineResult<(Header, Vec<Member>)> {
        self.settle(consistency).await?;
        Ok((self.header(), self.inner.members.load().members.clone()))
    }

    /// What this member says of itself. Never waits.
    ///
    /// # Errors
    /// None today; the signature leaves room for a store that must be asked.
    pub fn status(&self) -> EngineResult<MemberStatus> {
        let status = self.inner.node.status();
        let (store, downgrade) = {
            let view = self.inner.views.load();
            (Arc::clone(&view.store), view.downgrade)
        };
        Ok(MemberStatus {
            header: self.header(),
            db_size: store.disk_size(),
            db_size_in_use: store.live_size(),
            leader: status.leader,
            raft_index: status.commit,
            raft_applied_index: self.inner.applied.get(),
            is_learner: self.is_learner(),
            downgrade,
        })
    }

    /// Records that the cluster is to be taken back to a release, or with `None` that it is not.
    ///
    /// # Errors
    /// [`EngineError::DowngradeInProgress`] if it is being taken back already, and those of every command.
    pub async fn set_downgrade(&self, target: Option<MinorVersion>) -> EngineResult<Header> {
        let (header, _) = self.propose(Command::Downgrade(target)).await?;
        Ok(header)
    }

    /// Hash of the kept revisions up to `revision` (0 is the current one).
    ///
    /// # Errors
    /// [`EngineError::Compacted`], [`EngineError::FutureRevision`].
    pub async fn hash_kv(&self, revision: i64) -> EngineResult<(Header, KvHash)> {
        let at = (revision > 0).then_some(Revision(revision));
        let began = clock::now();
        let hashed = self.read(false, at, move |_, view| {
            let hash = mvcc::hash::hash_kv(&view.store, view.state, revision)?;
            Ok(KvHash {
                hash,
                compact_revision: view.state.compacted.map_or(-1, Revision::get),
                hash_revision: at.unwrap_or(view.state.revision).get(),
            })
        });
        let hashed = hashed.await?;
        self.inner.metrics.mvcc.hash_rev_duration.since(began);
        Ok(hashed)
    }

    /// Hash over all replicated state: the same on members that have applied the same.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when storage fails.
    pub async fn hash(&self) -> EngineResult<(Header, u32)> {
        let began = clock::now();
        let hashed = self.read(false, None, |_, view| mvcc::hash_state(&view.store));
        let (header, (hash, state)) = hashed.await?;
        self.inner.metrics.mvcc.hash_duration.since(began);
        // The store may be ahead of the view that it was found through.
        let revision = state.revision;
        Ok((Header { revision, ..header }, hash))
    }

    /// Asks storage to rewrite itself and waits for it. Reads and writes go on meanwhile.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when storage fails.
    pub async fn defragment(&self) -> EngineResult<()> {
        let store = Arc::clone(&self.inner.views.load().store);
        let metrics = Arc::clone(&self.inner.metrics);
        let quota = Arc::clone(&self.inner.quota);
        self.blocking(move || {
            let _inflight = Raised::new(&metrics.disk.defrags);
            let began = clock::now();
            store
                .compact_all()
                .map_err(|error| EngineError::Internal(error.to_string()))?;
            metrics.disk.defrag.since(began);
            quota.measure(&store);
            Ok(())
        })
        .await
    }

    /// Hands leadership to another member and waits until it has it.
    ///
    /// # Errors
    /// [`EngineError::NotLeader`], [`EngineError::BadTransferee`], [`EngineError::TransferTimeout`].
    pub async fn move_leader(&self, target: MemberId) -> EngineResult<()> {
        if self.inner.node.leader() != self.inner.member_id {
            return Err(EngineError::NotLeader);
        }
        if target == self.inner.member_id {
            return Ok(());
        }
        if !self.inner.members.is_voter(target.0) {
            return Err(EngineError::BadTransferee);
        }
        self.inner
            .node
            .transfer_leader(target)
            .map_err(|error| match error {
                TransferError::NotLeader => EngineError::NotLeader,
                TransferError::NotVoter => EngineError::BadTransferee,
                TransferError::Stopped => EngineError::Stopped,
            })?;
        let mut statuses = self.inner.node.subscribe();
        let done = statuses.wait_for(|status| status.leader == target);
        match tokio::time::timeout(self.inner.request_timeout, done).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(EngineError::Stopped),
            Err(_) => Err(EngineError::TransferTimeout),
        }
    }
}
