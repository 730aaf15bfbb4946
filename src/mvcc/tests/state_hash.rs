//! The hash over everything: what changes it, and what must not.

use super::{Fixture, leased, put};
use crate::base::ids::LeaseId;
use crate::mvcc::{Session, hash, hash_state};
use crate::storage::MetaKey;

fn hash_of(fixture: &Fixture) -> u32 {
    let (hash, state) = hash_state(fixture.store()).unwrap();
    assert_eq!(state, fixture.state);
    hash
}

#[test]
fn every_replicated_record_counts() {
    let mut fixture = Fixture::new();
    let commands: [fn(&mut Session<'_>); 8] = [
        |session| drop(session.put(&put("a", "1")).unwrap()),
        |session| drop(session.put(&put("a", "1")).unwrap()),
        |session| session.lease_grant(LeaseId(1), 60).unwrap(),
        |session| drop(session.put(&leased("b", 1)).unwrap()),
        |session| drop(session.lease_revoke(LeaseId(1)).unwrap()),
        |session| session.compact(2).unwrap(),
        |session| session.put_meta(MetaKey::Members, b"members".to_vec()),
        |session| session.put_meta(MetaKey::Alarms, b"alarms".to_vec()),
    ];
    let mut hashes = vec![hash_of(&fixture)];
    for command in commands {
        fixture.run(command);
        hashes.push(hash_of(&fixture));
    }
    let distinct: std::collections::HashSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len(), "{hashes:x?}");
}

/// Why there is a hash besides that of the key space.
#[test]
fn a_lease_without_keys_is_seen_here_alone() {
    let mut fixture = Fixture::new();
    fixture.put("a", "1");
    let both = |fixture: &Fixture| {
        let keys = hash::hash_kv(fixture.store(), fixture.state, 0).unwrap();
        (keys, hash_of(fixture))
    };
    let before = both(&fixture);
    fixture.run(|session| session.lease_grant(LeaseId(1), 60).unwrap());
    let after = both(&fixture);
    assert_eq!(before.0, after.0);
    assert_ne!(before.1, after.1);
}

#[test]
fn what_a_member_has_for_itself_does_not_count() {
    let mut fixture = Fixture::new();
    fixture.put("a", "1");
    let before = hash_of(&fixture);
    for key in [MetaKey::Applied, MetaKey::Identity] {
        fixture.run(|session| session.put_meta(key, b"other".to_vec()));
    }
    assert_eq!(hash_of(&fixture), before);
}

#[test]
fn removal_from_disk_makes_no_difference() {
    let mut fixture = Fixture::new();
    for key in ["a", "b", "a", "c"] {
        fixture.put(key, "1");
    }
    let died = fixture.delete("b");
    fixture.put("a", "2");
    fixture.delete("c");
    fixture.compact(died.0);
    let before = hash_of(&fixture);
    fixture.collect_garbage();
    assert_eq!(hash_of(&fixture), before);
    fixture.reopen();
    assert_eq!(hash_of(&fixture), before);
}
