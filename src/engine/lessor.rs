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
        let lessor = Lessor::new(&[(A, LeaseRecord::new(5))], start, None);
        assert!(lessor.expired(start + second(100), 10).is_empty());
        lessor.lead(1, start, second(1));
        assert!(lessor.expired(start + second(5), 10).is_empty());
        assert_eq!(lessor.expired(start + second(6), 10), [A]);
        lessor.follow();
        assert!(lessor.expired(start + second(100), 10).is_empty());
    }

    #[test]
    fn renewal_restarts_the_time_but_not_after_the_end() {
        let start = clock::now();
        let lessor = Lessor::default();
        lessor.lead(1, start, Duration::ZERO);
        lessor.change(&[(A, 5)], &[], start);
        assert_eq!(lessor.renew(A, start + second(4)), Renewal::Renewed(5));
        assert_eq!(lessor.remaining(A, start + second(4)), Some((5, 5)));
        assert!(lessor.expired(start + second(8), 10).is_empty());
        assert_eq!(lessor.renew(A, start + second(9)), Renewal::Missing);
        assert_eq!(lessor.renew(B, start), Renewal::Missing);
    }

    #[test]
    fn a_stuck_revocation_is_tried_again_until_it_is_applied() {
        let start = clock::now();
        let lessor = Lessor::default();
        lessor.lead(1, start, Duration::ZERO);
        lessor.change(&[(A, 1), (B, 1)], &[], start);
        assert_eq!(lessor.expired(start + second(1), 1).len(), 1);
        assert_eq!(lessor.expired(start + second(1), 10).len(), 1);
        assert!(lessor.expired(start + second(2), 10).is_empty());
        assert_eq!(lessor.expired(start + second(4), 10).len(), 2);
        assert_eq!(lessor.renew(A, start + second(4)), Renewal::Missing);
        lessor.change(&[], &[A, B], start);
        assert!(lessor.expired(start + second(100), 10).is_empty());
        assert!(lessor.list().is_empty());
    }

    #[test]
    fn an_impossible_time_to_live_ends_late_or_at_once() {
        let start = clock::now();
        let lessor = Lessor::default();
        lessor.lead(1, start, Duration::ZERO);
        lessor.change(&[(A, i64::MAX), (B, i64::MIN)], &[], start);
        assert_eq!(lessor.expired(start, 10), [B]);
        assert_eq!(
            lessor.renew(A, start + second(1)),
            Renewal::Renewed(i64::MAX)
        );
    }

    #[test]
    fn leases_are_listed_by_deadline() {
        let start = clock::now();
        let lessor = Lessor::default();
        lessor.lead(1, start, Duration::ZERO);
        lessor.change(&[(A, 9), (B, 3)], &[], start);
        assert_eq!(lessor.list(), [B, A]);
    }

    const INTERVAL: Duration = Duration::from_secs(10);

    /// A leader of term 3 with lease A of 60 seconds, which keeps checkpoints.
    fn checkpointing(start: Instant) -> Lessor {
        let lessor = Lessor::new(&[(A, LeaseRecord::new(60))], start, Some(INTERVAL));
        lessor.lead(3, start, Duration::ZERO);
        lessor
    }

    #[test]
    fn a_new_leader_goes_on_from_the_last_checkpoint() {
        let start = clock::now();
        let first = checkpointing(start);
        assert_eq!(first.checkpoint(start + second(9), 10), None);
        let checkpoint = first.checkpoint(start + Duration::from_millis(10_500), 10);
        let checkpoint = checkpoint.unwrap();
        assert_eq!(
            (checkpoint.term, &*checkpoint.remaining),
            (3, &[(A, 50)][..])
        );
        let record = LeaseRecord {
            ttl: 60,
            remaining: Some(50),
        };
        let later = start + second(20);
        let second_leader = Lessor::new(&[(A, record)], later, Some(INTERVAL));
        second_leader.lead(4, later, second(1));
        assert_eq!(second_leader.remaining(A, later), Some((60, 51)));
        assert!(second_leader.expired(later + second(50), 10).is_empty());
        assert_eq!(second_leader.expired(later + second(51), 10), [A]);
    }

    #[test]
    fn a_lease_is_not_renewed_while_it_is_shorter_for_others() {
        let start = clock::now();
        let lessor = checkpointing(start);
        let at = start + second(10);
        let checkpoint = lessor.checkpoint(at, 10).unwrap();
        assert_eq!(lessor.renew(A, at), Renewal::Later);
        lessor.checkpointed(&checkpoint.remaining);
        lessor.settle(&checkpoint, true);
        assert_eq!(lessor.renew(A, at), Renewal::Shortened);
        lessor.checkpointed(&[(A, 0)]);
        assert_eq!(lessor.renew(A, at), Renewal::Renewed(60));
        // The next one counts from the renewal.
        assert_eq!(lessor.checkpoint(at + second(9), 10), None);
        assert!(lessor.checkpoint(at + second(10), 10).is_some());
    }

    #[test]
    fn a_checkpoint_without_an_answer_counts_as_applied() {
        let start = clock::now();
        let lessor = checkpointing(start);
        let checkpoint = lessor.checkpoint(start + second(10), 10).unwrap();
        lessor.settle(&checkpoint, false);
        assert_eq!(lessor.renew(A, start + second(11)), Renewal::Shortened);
    }

    #[test]
    fn short_leases_and_followers_have_no_checkpoints() {
        let start = clock::now();
        let lessor = checkpointing(start);
        lessor.change(&[(B, 10)], &[A], start);
        assert_eq!(lessor.checkpoint(start + second(10), 10), None);
        lessor.change(&[(A, 60)], &[], start);
        lessor.follow();
        assert_eq!(lessor.checkpoint(start + second(50), 10), None);
        let never = Lessor::new(&[(A, LeaseRecord::new(60))], start, None);
        never.lead(1, start, Duration::ZERO);
        assert_eq!(never.checkpoint(start + second(50), 10), None);
    }

    #[test]
    fn checkpoints_are_taken_a_few_at_a_time_and_again() {
        let start = clock::now();
        let lessor = checkpointing(start);
        lessor.change(&[(B, 60)], &[], start);
        let ids = |at: u64, most: usize| -> Vec<(LeaseId, i64)> {
            let checkpoint = lessor.checkpoint(start + second(at), most);
            checkpoint.map_or_else(Vec::new, |checkpoint| checkpoint.remaining)
        };
        assert_eq!(ids(10, 1), [(A, 50)]);
        assert_eq!(ids(10, 1), [(B, 50)]);
        assert_eq!(ids(10, 1), []);
        assert_eq!(ids(20, 9), [(A, 40), (B, 40)]);
        assert_eq!(ids(55, 9), [(A, 5), (B, 5)]);
        assert_eq!(ids(59, 9), [], "too little is left for another one");
    }
}
