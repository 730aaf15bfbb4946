//! Lease deadlines.
//!
//! Which leases exist is replicated state; when they end is the leader's business alone. Every member
//! keeps the list, and a new leader gives every lease its full time again, plus one election timeout for
//! renewals that the old leader granted last: a lease may end late, never early (etcd's rule).

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::base::ids::LeaseId;

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
    leading: bool,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    ttl: i64,
    /// Where the lease stands on the agenda.
    due: Option<Instant>,
    /// When it ends; later than `due` never, earlier once its revocation has been proposed.
    deadline: Option<Instant>,
}

impl Lessor {
    /// Begins with the leases that the store holds; none has a deadline until this member leads.
    pub(crate) fn new(leases: &[(LeaseId, i64)], now: Instant) -> Self {
        let lessor = Self::default();
        lessor.replace(leases, now);
        lessor
    }

    /// Takes the leases of a newly installed store.
    pub(crate) fn replace(&self, leases: &[(LeaseId, i64)], now: Instant) {
        let mut inner = self.inner.lock();
        inner.leases.clear();
        inner.agenda.clear();
        for &(id, ttl) in leases {
            inner.grant(id, ttl, now);
        }
    }

    /// Takes over what an applied run granted and revoked.
    pub(crate) fn change(&self, granted: &[(LeaseId, i64)], revoked: &[LeaseId], now: Instant) {
        let mut inner = self.inner.lock();
        for id in revoked {
            inner.remove(*id);
        }
        for &(id, ttl) in granted {
            inner.grant(id, ttl, now);
        }
    }

    /// This member leads now: every lease gets its full time again plus `extend`.
    pub(crate) fn lead(&self, now: Instant, extend: Duration) {
        let mut inner = self.inner.lock();
        inner.leading = true;
        let all: Vec<_> = inner.leases.iter().map(|(id, l)| (*id, l.ttl)).collect();
        for (id, ttl) in all {
            inner.schedule(id, now + seconds(ttl) + extend);
        }
    }

    /// This member no longer leads: deadlines mean nothing here.
    pub(crate) fn follow(&self) {
        let mut inner = self.inner.lock();
        inner.leading = false;
        inner.agenda.clear();
        for lease in inner.leases.values_mut() {
            lease.due = None;
            lease.deadline = None;
        }
    }

    /// Whether this member decides about deadlines.
    pub(crate) fn leads(&self) -> bool {
        self.inner.lock().leading
    }

    /// Restarts a lease's time and gives its seconds. `None` if there is no such lease, or it has ended and
    /// only waits for its revocation to be applied.
    pub(crate) fn renew(&self, id: LeaseId, now: Instant) -> Option<i64> {
        let mut inner = self.inner.lock();
        let lease = *inner.leases.get(&id)?;
        if lease.deadline.is_some_and(|deadline| deadline <= now) {
            return None;
        }
        inner.schedule(id, now + seconds(lease.ttl));
        Some(lease.ttl)
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
    fn grant(&mut self, id: LeaseId, ttl: i64, now: Instant) {
        let lease = Lease {
            ttl,
            due: None,
            deadline: None,
        };
        self.leases.insert(id, lease);
        if self.leading {
            self.schedule(id, now + seconds(ttl));
        }
    }

    fn remove(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.remove(&id)
            && let Some(due) = lease.due
        {
            self.agenda.remove(&(due, id));
        }
    }

    fn schedule(&mut self, id: LeaseId, deadline: Instant) {
        if self.leading {
            self.look_again(id, deadline);
            if let Some(lease) = self.leases.get_mut(&id) {
                lease.deadline = Some(deadline);
            }
        }
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
mod tests {
    use super::*;
    use crate::base::clock;

    const A: LeaseId = LeaseId(1);
    const B: LeaseId = LeaseId(2);

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn only_a_leader_lets_leases_end() {
        let start = clock::now();
        let lessor = Lessor::new(&[(A, 5)], start);
        assert!(lessor.expired(start + second(100), 10).is_empty());
        lessor.lead(start, second(1));
        assert!(lessor.expired(start + second(5), 10).is_empty());
        assert_eq!(lessor.expired(start + second(6), 10), [A]);
        lessor.follow();
        assert!(lessor.expired(start + second(100), 10).is_empty());
    }

    #[test]
    fn renewal_restarts_the_time_but_not_after_the_end() {
        let start = clock::now();
        let lessor = Lessor::default();
        lessor.lead(start, Duration::ZERO);
        lessor.change(&[(A, 5)], &[], start);
        assert_eq!(lessor.renew(A, start + second(4)), Some(5));
        assert_eq!(lessor.remaining(A, start + second(4)), Some((5, 5)));
        assert!(lessor.expired(start + second(8), 10).is_empty());
        assert_eq!(lessor.renew(A, start + second(9)), None);
        assert_eq!(lessor.renew(B, start), None);
    }

    #[test]
    fn a_stuck_revocation_is_tried_again_until_it_is_applied() {
        let start = clock::now();
        let lessor = Lessor::default();
        lessor.lead(start, Duration::ZERO);
        lessor.change(&[(A, 1), (B, 1)], &[], start);
        assert_eq!(lessor.expired(start + second(1), 1).len(), 1);
        assert_eq!(lessor.expired(start + second(1), 10).len(), 1);
        assert!(lessor.expired(start + second(2), 10).is_empty());
        assert_eq!(lessor.expired(start + second(4), 10).len(), 2);
        assert_eq!(lessor.renew(A, start + second(4)), None);
        lessor.change(&[], &[A, B], start);
        assert!(lessor.expired(start + second(100), 10).is_empty());
        assert!(lessor.list().is_empty());
    }

    #[test]
    fn an_impossible_time_to_live_ends_late_or_at_once() {
        let start = clock::now();
        let lessor = Lessor::default();
        lessor.lead(start, Duration::ZERO);
        lessor.change(&[(A, i64::MAX), (B, i64::MIN)], &[], start);
        assert_eq!(lessor.expired(start, 10), [B]);
        assert_eq!(lessor.renew(A, start + second(1)), Some(i64::MAX));
    }

    #[test]
    fn leases_are_listed_by_deadline() {
        let start = clock::now();
        let lessor = Lessor::default();
        lessor.lead(start, Duration::ZERO);
        lessor.change(&[(A, 9), (B, 3)], &[], start);
        assert_eq!(lessor.list(), [B, A]);
    }
}
