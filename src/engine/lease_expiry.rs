//! The leader's tasks around the end of leases: who decides about deadlines, and what is revoked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Engine;
use super::command::Command;
use crate::base::clock;
use crate::mvcc::auth::Actor;
use crate::raft::Role;

/// How often the leader looks for leases whose time is up (etcd's pace).
const EXPIRY_INTERVAL: Duration = Duration::from_millis(500);
/// Leases revoked per look (etcd's pace: 1000 a second).
const EXPIRED_PER_LOOK: usize = 500;
/// Leases of which a look records what is left.
const CHECKPOINTED_PER_LOOK: usize = 1000;
/// Revocations under way at once.
const PARALLEL_REVOKES: usize = 16;

impl Engine {
    /// Revokes leases whose time is up, for as long as this member leads.
    pub(super) async fn expire_leases(self) {
        let permits = Arc::new(Semaphore::new(PARALLEL_REVOKES));
        let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for id in self.inner.lessor.expired(clock::now(), EXPIRED_PER_LOOK) {
                self.inner.metrics.lease.expired.inc();
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return;
                };
                let engine = self.clone();
                self.inner.life.task("revoke-lease", async move {
                    // A revocation that fails is tried again when the lessor offers the lease again.
                    if let Err(error) = engine.propose(Command::LeaseRevoke { id }).await {
                        tracing::debug!(lease = id.0, %error, "revocation of an expired lease failed");
                    }
                    drop(permit);
                });
            }
        }
    }

    /// Records what is left of long leases, for as long as this member leads.
    pub(super) async fn checkpoint_leases(self) {
        let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let due = self
                .inner
                .lessor
                .checkpoint(clock::now(), CHECKPOINTED_PER_LOOK);
            if let Some(checkpoint) = due {
                let command = Command::LeaseCheckpoint(checkpoint.clone());
                let answered = self.replicate(&Actor::Member, command).await;
                self.inner.lessor.settle(&checkpoint, answered.is_ok());
            }
        }
    }

    /// Keeps the lessor in step with this member's role.
    pub(super) async fn follow_role(self) {
        let mut statuses = self.inner.node.subscribe();
        let mut led_term = None;
        loop {
            let (role, term) = {
                let status = statuses.borrow_and_update();
                (status.role, status.term)
            };
            match (role, led_term) {
                (Role::Leader, led) if led != Some(term) => {
                    // A new leader knows every lease only once it has applied all that was committed before
                    // its term, which a read barrier shows. If it fails, the role may have changed.
                    if self.read_barrier().await.is_ok() && self.led_term() == Some(term) {
                        led_term = Some(term);
                        self.inner
                            .lessor
                            .lead(term, clock::now(), self.inner.election_timeout);
                    } else {
                        tokio::time::sleep(self.inner.heartbeat / 2).await;
                    }
                    continue;
                }
                (Role::Leader, _) => {}
                (_, Some(_)) => {
                    led_term = None;
                    self.inner.lessor.follow();
                }
                (_, None) => {}
            }
            if statuses.changed().await.is_err() {
                return;
            }
        }
    }
}
