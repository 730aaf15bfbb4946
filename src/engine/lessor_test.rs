//! Deadlines of leases, with time as a number.

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
