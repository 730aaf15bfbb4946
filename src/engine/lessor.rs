//! Lease deadlines.
//!
//! Which leases exist is replicated state; when they end is the leader's business alone. Every member
//! keeps the list, and a new leader gives every lease its full time again, plus one election timeout for
//! renewals that the old leader granted last: a lease may end late, never early (etcd's rule).
//!
//! With checkpoints a leader has recorded every so often what is left of long leases, and a new one goes on
//! from there. So that no lease ends early, one that is renewed first has its full time recorded again, and is
//! not renewed at all while a checkpoint of it is under way.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::command::LeaseCheckpoint;
use crate::base::ids::LeaseId;
use crate::storage::records::LeaseRecord;

/// How long a revocation that was proposed may take before it is proposed again.
const REVOKE_RETRY: Duration = Duration::from_secs(3);

/// The leases and their deadlines. The lock is held for map operations only; the apply thread takes it
/// for runs that grant or revoke.
#[derive(Debug, Default)]
pub(crate) struct Lessor {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    leases: HashMap<LeaseId, Lease>,
    /// Leases by when to look at them next: their deadline, or the retry of a revocation. Only on the leader.
    agenda: BTreeSet<(Instant, LeaseId)>,
    /// Leases by when to record what is left of them. Only on the leader.
    checkpoints: BTreeSet<(Instant, LeaseId)>,
    /// How often to do so; `None` is never.
    checkpoint_interval: Option<Duration>,
    /// The term in which this member leads.
    leading: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    ttl: i64,
    /// What a checkpoint left of it; `None` is all.
    remaining: Option<i64>,
    /// Where the lease stands on the agenda.
    due: Option<Instant>,
    /// When it ends; later than `due` never, earlier once its revocation has been proposed.
    deadline: Option<Instant>,
    /// Where it stands among the checkpoints.
    checkpoint: Option<Instant>,
    /// Whether a checkpoint of it is under way.
    checkpointing: bool,
}

/// How a renewal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The lease has these seconds again.
    Renewed(i64),
    /// There is no such lease, or it has ended and only waits for its revocation to be applied.
    Missing,
    /// A checkpoint of it is under way: to be tried again.
    Later,
    /// A checkpoint shortened it: its full time has to be recorded before it is tried again.
    Shortened,
}

impl Lessor {
    /// Begins with the leases that the store holds; none has a deadline until this member leads.
    pub(crate) fn new(
        leases: &[(LeaseId, LeaseRecord)],
        now: Instant,
        checkpoint_interval: Option<Duration>,
    ) -> Self {
        let lessor = Self::default();
        lessor.inner.lock().checkpoint_interval = checkpoint_interval;
        lessor.replace(leases, now);
        lessor
    }

    /// Takes the leases of a newly installed store.
    pub(crate) fn replace(&self, leases: &[(LeaseId, LeaseRecord)], now: Instant) {
        let mut inner = self.inner.lock();
        inner.leases.clear();
        inner.agenda.clear();
        inner.checkpoints.clear();
        for &(id, record) in leases {
            inner.add(id, record, now);
        }
    }

    /// Takes over what an applied run granted and revoked.
    pub(crate) fn change(&self, granted: &[(LeaseId, i64)], revoked: &[LeaseId], now: Instant) {
        let mut inner = self.inner.lock();
        for id in revoked {
            inner.remove(*id);
        }
        for &(id, ttl) in granted {
            inner.add(id, LeaseRecord::new(ttl), now);
        }
    }

    /// Takes over the checkpoints of an applied run; 0 is that a lease has all of its time again.
    pub(crate) fn checkpointed(&self, checkpoints: &[(LeaseId, i64)]) {
        if checkpoints.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        for (id, remaining) in checkpoints {
            if let Some(lease) = inner.leases.get_mut(id) {
                lease.remaining = Some(*remaining).filter(|remaining| *remaining > 0);
            }
        }
    }

    /// This member leads now, in `term`: every lease gets what its last checkpoint left of it, or its full time
    /// again, plus `extend`.
    pub(crate) fn lead(&self, term: u64, now: Instant, extend: Duration) {
        let mut inner = self.inner.lock();
        inner.leading = Some(term);
        let left = |lease: &Lease| seconds(lease.remaining.unwrap_or(lease.ttl)) + extend;
        let all: Vec<_> = inner.leases.iter().map(|(id, l)| (*id, left(l))).collect();
        for (id, left) in all {
            inner.schedule(id, now, left);
        }
    }

    /// This member no longer leads: deadlines mean nothing here.
    pub(crate) fn follow(&self) {
        let mut inner = self.inner.lock();
        inner.leading = None;
        inner.agenda.clear();
        inner.checkpoints.clear();
        for lease in inner.leases.values_mut() {
            lease.due = None;
            lease.deadline = None;
            lease.checkpoint = None;
            lease.checkpointing = false;
        }
    }

    /// The term in which this member decides about deadlines, if it does.
    pub(crate) fn leads(&self) -> Option<u64> {
        self.inner.lock().leading
    }

    /// Restarts a lease's time.
    pub(crate) fn renew(&self, id: LeaseId, now: Instant) -> Renewal {
        let mut inner = self.inner.lock();
        let Some(lease) = inner.leases.get(&id).copied() else {
            return Renewal::Missing;
        };
        if lease.deadline.is_some_and(|deadline| deadline <= now) {
            return Renewal::Missing;
        }
        if lease.checkpointing {
            return Renewal::Later;
        }
        if lease.remaining.is_some() {
            return Renewal::Shortened;
        }
        inner.schedule(id, now, seconds(lease.ttl));
        Renewal::Renewed(lease.ttl)
    }

    /// What is left of up to `most` leases whose turn it is. Until [`Self::settle`] they are not renewed.
    pub(crate) fn checkpoint(&self, now: Instant, most: usize) -> Option<LeaseCheckpoint> {
        let mut inner = self.inner.lock();
        let term = inner.leading?;
        let due = inner.checkpoints.iter().take_while(|(at, _)| *at <= now);
        let due: Vec<_> = due.take(most).map(|(_, id)| *id).collect();
        let remaining = due.into_iter().filter_map(|id| {
            let left = inner.begin_checkpoint(id, now)?;
            Some((id, left))
        });
        let remaining: Vec<_> = remaining.collect();
        (!remaining.is_empty()).then_some(LeaseCheckpoint { term, remaining })
    }

    /// A checkpoint is no longer under way. Of one that may be applied yet, or not, the worse is assumed: that
    /// it shortened the leases.
    pub(crate) fn settle(&self, checkpoint: &LeaseCheckpoint, answered: bool) {
        let mut inner = self.inner.lock();
        if inner.leading != Some(checkpoint.term) {
            return;
        }
        for (id, left) in &checkpoint.remaining {
            if let Some(lease) = inner.leases.get_mut(id) {
                lease.checkpointing = false;
                if !answered {
                    lease.remaining = Some(*left);
                }
            }
        }
    }

    /// Granted and remaining seconds of a lease; `None` if there is no such lease.
    pub(crate) fn remaining(&self, id: LeaseId, now: Instant) -> Option<(i64, i64)> {
        let inner = self.inner.lock();
        let lease = inner.leases.get(&id)?;
        let left = lease.deadline.map_or(lease.ttl, |deadline| {
            i64::try_from(deadline.saturating_duration_since(now).as_secs()).unwrap_or(i64::MAX)
        });
        Some((lease.ttl, left))
    }

    /// Up to `most` leases whose time is up. Each is given again after [`REVOKE_RETRY`] unless it is gone.
    pub(crate) fn expired(&self, now: Instant, most: usize) -> Vec<LeaseId> {
        let mut inner = self.inner.lock();
        let due: Vec<_> = inner
            .agenda
            .iter()
            .take_while(|(due, _)| *due <= now)
            .take(most)
            .map(|(_, id)| *id)
            .collect();
        for id in &due {
            inner.look_again(*id, now + REVOKE_RETRY);
        }
        due
    }

    /// Every lease, by deadline where there is one, then by id.
    pub(crate) fn list(&self) -> Vec<LeaseId> {
        let inner = self.inner.lock();
        let mut ids: Vec<_> = inner
            .leases
            .iter()
            .map(|(id, l)| (l.deadline, *id))
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }
}

impl Inner {
    fn add(&mut self, id: LeaseId, record: LeaseRecord, now: Instant) {
        let LeaseRecord { ttl, remaining } = record;
        let lease = Lease {
            ttl,
            remaining,
            due: None,
            deadline: None,
            checkpoint: None,
            checkpointing: false,
        };
        self.leases.insert(id, lease);
        self.schedule(id, now, seconds(remaining.unwrap_or(ttl)));
    }

    fn remove(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else {
            return;
        };
        if let Some(due) = lease.due {
            self.agenda.remove(&(due, id));
        }
        if let Some(at) = lease.checkpoint {
            self.checkpoints.remove(&(at, id));
        }
    }

    /// Lets a lease end after `left`, if this member decides about that.
    fn schedule(&mut self, id: LeaseId, now: Instant, left: Duration) {
        if self.leading.is_some() {
            self.look_again(id, now + left);
            if let Some(lease) = self.leases.get_mut(&id) {
                lease.deadline = Some(now + left);
            }
            self.plan_checkpoint(id, now, left);
        }
    }

    /// Plans the next checkpoint of a lease that outlives it.
    fn plan_checkpoint(&mut self, id: LeaseId, now: Instant, left: Duration) {
        let Some(interval) = self.checkpoint_interval else {
            return;
        };
        if let Some(lease) = self.leases.get_mut(&id) {
            let next = (left > interval).then_some(now + interval);
            if let Some(old) = std::mem::replace(&mut lease.checkpoint, next) {
                self.checkpoints.remove(&(old, id));
            }
            self.checkpoints.extend(next.map(|at| (at, id)));
        }
    }

    /// The seconds left of a lease whose checkpoint is due, if some are left and some are over.
    fn begin_checkpoint(&mut self, id: LeaseId, now: Instant) -> Option<i64> {
        let lease = *self.leases.get(&id)?;
        let left = lease.deadline?.saturating_duration_since(now);
        self.plan_checkpoint(id, now, left);
        // Rounded up: a lease may end late, never early.
        let whole = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let rest = i64::try_from(whole).unwrap_or(i64::MAX);
        let lease = self.leases.get_mut(&id)?;
        lease.checkpointing = (1..lease.ttl).contains(&rest);
        lease.checkpointing.then_some(rest)
    }

    fn look_again(&mut self, id: LeaseId, due: Instant) {
        if let Some(lease) = self.leases.get_mut(&id) {
            if let Some(old) = lease.due.replace(due) {
                self.agenda.remove(&(old, id));
            }
            self.agenda.insert((due, id));
        }
    }
}

/// etcd's largest time to live, in seconds. An `Instant` can carry it.
pub(super) const MAX_TTL: i64 = 9_000_000_000;

/// Seconds of a granted lease as a duration. Larger grants are refused where they are asked for, so one
/// that is found here comes from a damaged record; it must not end the process.
fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl.min(MAX_TTL)).unwrap_or(0))
}

#[cfg(test)]
#[path = "lessor_test.rs"]
mod tests;
