//! The membership is part of the state: each configuration follows from the one before by an entry of the
//! log that was decided on it, shares a quorum with it, and is what whoever has applied that entry has.

use std::collections::{BTreeMap, BTreeSet};

use crate::raft::types::{AppliedState, Committed, Configuration};

/// The configurations by the index of the entry that brought them.
#[derive(Debug, Default)]
pub(in crate::raft::sim) struct Membership {
    changes: BTreeMap<u64, Configuration>,
    promotions: u64,
}

impl Membership {
    /// A member hands an entry to its state machine. Members come by at different times.
    pub(in crate::raft::sim) fn hands_over(&mut self, entry: &Committed) -> Result<(), String> {
        let Some(new) = &entry.configuration else {
            return Ok(());
        };
        if new.changed_at != entry.index {
            return Err(format!("membership: entry {} brings {new:?}", entry.index));
        }
        let newest = self.changes.keys().next_back().copied().unwrap_or(0);
        if entry.index <= newest {
            return Ok(());
        }
        if let Some(old) = self.changes.get(&newest) {
            share_a_quorum(old, new)?;
            let promoted = |id: &&u64| new.voters.contains(id);
            self.promotions += old.learners.iter().filter(promoted).count() as u64;
        }
        // Proposers attach what they have decided on; the end of a joint phase has no proposer.
        let base = entry
            .attachment
            .as_deref()
            .and_then(|bytes| bytes.first_chunk::<8>());
        if base.is_some_and(|base| u64::from_le_bytes(*base) != newest) {
            return Err(format!(
                "membership: {entry:?} was not decided on that of {newest}"
            ));
        }
        self.changes.insert(entry.index, new.clone());
        Ok(())
    }

    /// How many learners became voters.
    pub(in crate::raft::sim) const fn promotions(&self) -> u64 {
        self.promotions
    }

    /// A member starts from this state, or has been sent it.
    pub(in crate::raft::sim) fn restored(
        &self,
        member: u64,
        state: &AppliedState,
    ) -> Result<(), String> {
        let before = self.changes.range(..=state.index).next_back();
        let expected = before.map_or(0, |(index, _)| *index);
        let found = &state.configuration;
        let same = before.is_none_or(|(_, configuration)| configuration == found);
        if found.changed_at == expected && same {
            return Ok(());
        }
        Err(format!(
            "membership: member {member} at {} has {found:?} and not that of {expected}",
            state.index
        ))
    }
}

/// Whether every two quorums, one of each, have a voter in common. Enough for that: one half of the one is a
/// half of the other, or differs from it by one voter.
fn share_a_quorum(old: &Configuration, new: &Configuration) -> Result<(), String> {
    let halves = |configuration: &Configuration| {
        [&configuration.voters, &configuration.voters_outgoing]
            .into_iter()
            .filter(|half| !half.is_empty())
            .map(|half| half.iter().copied().collect::<BTreeSet<u64>>())
            .collect::<Vec<_>>()
    };
    let close = |a: &BTreeSet<u64>, b: &BTreeSet<u64>| a.symmetric_difference(b).count() <= 1;
    let (old_halves, new_halves) = (halves(old), halves(new));
    let shared = old_halves
        .iter()
        .any(|a| new_halves.iter().any(|b| close(a, b)));
    if shared {
        return Ok(());
    }
    Err(format!("membership: {old:?} is followed by {new:?}"))
}
