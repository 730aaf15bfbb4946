//! That the audit would notice what it is for.

use std::time::{Duration, Instant};

use super::audit::Audit;
use super::claims::{Chain, Change, Claim, Ledger, Listing, Segment, Shown, State, What, Write};

/// A small soak in which everything is right: a key is created at 2, updated at 3, deleted at 4, and one with
/// a lease comes at 5 and expires at 6.
struct Record {
    history: Vec<Change>,
    ledger: Ledger,
    segment: Segment,
}

const LEASE: i64 = 7;

fn state(created: i64, modified: i64, version: i64, lease: i64) -> State {
    State {
        created,
        modified,
        version,
        lease,
        value: modified as u64,
    }
}

fn write(key: &str, expected: i64, value: Option<u64>, lease: i64) -> Write {
    Write {
        key: key.into(),
        expected,
        value,
        lease,
    }
}

impl Record {
    fn sound() -> Self {
        let start = Instant::now();
        let (first, second) = (state(2, 2, 1, 0), state(2, 3, 2, 0));
        let leased = state(5, 5, 1, LEASE);
        let changes = [
            (2, "/a", None, Some(first)),
            (3, "/a", Some(first), Some(second)),
            (4, "/a", Some(second), None),
            (5, "/b", None, Some(leased)),
            (6, "/b", Some(leased), None),
        ];
        let history: Vec<_> = changes
            .map(|(revision, key, before, after)| Change {
                revision,
                key: key.into(),
                before,
                after,
                heard: start + Duration::from_secs(u64::try_from(revision).unwrap()),
            })
            .into();
        let listing = Listing {
            from: "/".into(),
            end: "0".into(),
            limit: 0,
            shown: Shown::Whole,
            digest: Listing::digest_of(Shown::Whole, 0, [("/a", &second)].into_iter()),
            count: 1,
        };
        let claims = [
            (2, What::Wrote(write("/a", 0, Some(2), 0))),
            (3, What::Wrote(write("/a", 2, Some(3), 0))),
            (3, What::Listed(listing)),
            (
                3,
                What::Refused(write("/a", 2, Some(99), 0), Some(Some(second))),
            ),
            (4, What::Wrote(write("/a", 3, None, 0))),
            (5, What::Read("/a".into(), None)),
        ];
        let mut chain = Chain::default();
        history[1..].iter().for_each(|change| chain.add(change));
        Self {
            ledger: Ledger {
                claims: claims.map(|(at, what)| Claim { at, what }).into(),
                unknown: vec![write("/b", 0, Some(5), LEASE)],
                leases: vec![(LEASE, start + Duration::from_secs(6))],
            },
            segment: Segment {
                prefix: "/".into(),
                from: 2,
                until: 9,
                events: chain.events,
                digest: chain.digest,
            },
            history,
        }
    }

    fn verdict(&self) -> Result<(), String> {
        Audit {
            history: &self.history,
            ledgers: std::slice::from_ref(&self.ledger),
            segments: std::slice::from_ref(&self.segment),
        }
        .check()
    }
}

#[test]
fn a_sound_record_passes() {
    assert_eq!(Record::sound().verdict(), Ok(()));
}

#[test]
fn every_kind_of_fault_is_noticed() {
    type Fault = fn(&mut Record);
    let faults: [(&str, Fault); 12] = [
        ("a lost write", |r| {
            drop(r.history.drain(2..));
            r.segment.until = 3;
        }),
        ("a write at another revision", |r| r.ledger.claims[1].at = 4),
        ("two that swapped the same version", |r| {
            let claim = Claim {
                at: 3,
                what: What::Wrote(write("/a", 2, Some(98), 0)),
            };
            r.ledger.claims.push(claim);
        }),
        ("a swap on another version", |r| {
            r.ledger.claims[1].what = What::Wrote(write("/a", 1, Some(3), 0));
        }),
        ("a stale list", |r| r.ledger.claims[2].at = 2),
        ("a wrong count", |r| {
            if let What::Listed(listing) = &mut r.ledger.claims[2].what {
                listing.count = 2;
            }
        }),
        ("a refusal without a reason", |r| r.ledger.claims[3].at = 2),
        ("a refusal that shows another object", |r| {
            let found = Some(Some(state(2, 2, 1, 0)));
            r.ledger.claims[3].what = What::Refused(write("/a", 2, Some(99), 0), found);
        }),
        ("a deleted key that is read", |r| {
            let found = Some(state(2, 3, 2, 0));
            r.ledger.claims[5].what = What::Read("/a".into(), found);
        }),
        ("an event out of nothing", |r| r.ledger.unknown.clear()),
        ("a lease that ends too early", |r| {
            r.ledger.leases[0].1 += Duration::from_secs(1);
        }),
        ("an event that a watcher missed", |r| r.segment.events -= 1),
    ];
    for (name, fault) in faults {
        let mut record = Record::sound();
        fault(&mut record);
        assert!(record.verdict().is_err(), "{name} goes unnoticed");
    }
}
