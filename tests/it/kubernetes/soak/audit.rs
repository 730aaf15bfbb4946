//! Whether the history explains everything that clients were told, and they everything that happened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::time::Instant;

use super::claims::{Chain, Change, Claim, Digest, Ledger, Listing, Segment, State, What, Write};

/// A soak's record.
pub struct Audit<'a> {
    /// All events, in order.
    pub history: &'a [Change],
    pub ledgers: &'a [Ledger],
    pub segments: &'a [Segment],
}

type Verdict = Result<(), String>;

impl Audit<'_> {
    /// Every write that was acknowledged is in the history once, at its revision, on the version that it
    /// required; every answer shows the state at its revision; every event was asked for by somebody; every
    /// watcher heard all events once and in order.
    pub fn check(&self) -> Verdict {
        Origins::of(self.ledgers).check(self.history)?;
        self.check_claims()?;
        self.segments
            .iter()
            .try_for_each(|segment| self.check_segment(segment))
    }

    fn check_claims(&self) -> Verdict {
        let ledgers = self.ledgers.iter();
        let mut claims: Vec<_> = ledgers.flat_map(|ledger| &ledger.claims).collect();
        claims.sort_by_key(|claim| claim.at);
        let mut replay = Replay::default();
        let mut rest = self.history;
        for claim in claims {
            let due = rest.partition_point(|change| change.revision <= claim.at);
            let (now, later) = rest.split_at(due);
            now.iter().try_for_each(|change| replay.apply(change))?;
            rest = later;
            replay.check(claim)?;
        }
        rest.iter().try_for_each(|change| replay.apply(change))
    }

    fn check_segment(&self, segment: &Segment) -> Verdict {
        let start = self
            .history
            .partition_point(|change| change.revision <= segment.from);
        let mut due = Chain::default();
        let between = self.history[start..]
            .iter()
            .take_while(|change| change.revision <= segment.until);
        for change in between.filter(|change| change.key.starts_with(&segment.prefix)) {
            due.add(change);
        }
        let heard = Chain {
            events: segment.events,
            digest: segment.digest,
        };
        if due == heard {
            Ok(())
        } else {
            Err(format!("heard other events than {due:?}: {segment:?}"))
        }
    }
}

/// Who may have caused an event.
struct Origins<'a> {
    /// Values are unique, so they name the write.
    puts: HashMap<Digest, &'a Write>,
    deletions: HashSet<(&'a str, i64)>,
    leases: HashMap<i64, Instant>,
}

impl<'a> Origins<'a> {
    fn of(ledgers: &'a [Ledger]) -> Self {
        let acknowledged = |claim: &'a Claim| match &claim.what {
            What::Wrote(write) => Some(write),
            _ => None,
        };
        let writes = ledgers.iter().flat_map(|ledger| {
            let known = ledger.claims.iter().filter_map(acknowledged);
            known.chain(&ledger.unknown)
        });
        let (puts, deletions): (Vec<_>, Vec<_>) = writes.partition(|write| write.value.is_some());
        let deletion = |write: &&'a Write| (write.key.as_str(), write.expected);
        Self {
            puts: puts
                .into_iter()
                .filter_map(|write| Some((write.value?, write)))
                .collect(),
            deletions: deletions.iter().map(deletion).collect(),
            leases: ledgers
                .iter()
                .flat_map(|ledger| ledger.leases.iter().copied())
                .collect(),
        }
    }

    fn check(&self, history: &[Change]) -> Verdict {
        let mut seen = HashSet::new();
        for change in history {
            let expected = change.before.map_or(0, |state| state.modified);
            let explained = match change.after {
                Some(state) => {
                    let is_first = seen.insert(state.value);
                    let origin = self.puts.get(&state.value);
                    is_first
                        && origin.is_some_and(|write| {
                            let due = (change.key.as_str(), expected, state.lease);
                            due == (write.key.as_str(), write.expected, write.lease)
                        })
                }
                None => {
                    self.deletions.contains(&(change.key.as_str(), expected))
                        || self.has_expired(change)
                }
            };
            if !explained {
                return Err(format!("nobody did this, or not so: {change:?}"));
            }
        }
        Ok(())
    }

    fn has_expired(&self, change: &Change) -> bool {
        let lease = change.before.map_or(0, |state| state.lease);
        let due = self.leases.get(&lease);
        due.is_some_and(|&due| change.heard >= due)
    }
}

/// The state as the history goes on.
#[derive(Default)]
struct Replay {
    objects: BTreeMap<String, State>,
    /// The last change of each key of the revision that was applied last.
    latest: Vec<Change>,
}

impl Replay {
    fn apply(&mut self, change: &Change) -> Verdict {
        let revision = change.revision;
        if self.latest.first().is_some_and(|l| l.revision != revision) {
            self.latest.clear();
        }
        let before = self.objects.remove(&change.key);
        let due = change.after.map(|state| State {
            created: before.map_or(revision, |before| before.created),
            modified: revision,
            version: before.map_or(0, |before| before.version) + 1,
            ..state
        });
        if before != change.before || change.after != due {
            return Err(format!("not what was there before {before:?}: {change:?}"));
        }
        if let Some(state) = change.after {
            self.objects.insert(change.key.clone(), state);
        }
        self.latest.push(change.clone());
        Ok(())
    }

    fn check(&self, claim: &Claim) -> Verdict {
        let holds = match &claim.what {
            What::Wrote(write) => self.has_just_made(claim.at, write),
            What::Refused(write, found) => {
                let there = self.objects.get(&write.key).copied();
                there.map_or(0, |state| state.modified) != write.expected
                    && found.is_none_or(|found| found == there)
            }
            What::Read(key, found) => self.objects.get(key) == found.as_ref(),
            What::Listed(listing) => self.shows(listing),
        };
        if holds {
            Ok(())
        } else {
            Err(format!("does not hold at its revision: {claim:?}"))
        }
    }

    fn has_just_made(&self, revision: i64, write: &Write) -> bool {
        self.latest.iter().any(|change| {
            change.revision == revision
                && change.key == write.key
                && change.before.map_or(0, |state| state.modified) == write.expected
                && change.after.map(|state| state.value) == write.value
        })
    }

    fn shows(&self, listing: &Listing) -> bool {
        let (from, end) = (listing.from.as_str(), listing.end.as_str());
        let range = (Bound::Included(from), Bound::Excluded(end));
        let objects = || {
            let objects = self.objects.range::<str, _>(range);
            objects.map(|(key, state)| (key.as_str(), state))
        };
        let digest = Listing::digest_of(listing.shown, listing.limit, objects());
        (digest, objects().count()) == (listing.digest, listing.count)
    }
}
