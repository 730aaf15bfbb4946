//! Membership: translation between our [`Configuration`] and raft's, and what makes one valid.

use std::collections::BTreeSet;

use bytes::Bytes;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
};

use super::types::Configuration;
use crate::base::ids::MemberId;

/// What happens to a member in a change of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Joins as a voter, or is promoted to one.
    Voter,
    /// Joins without a vote, or is demoted.
    Learner,
    /// Leaves.
    Remove,
}

/// One step of a change of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whom it concerns.
    pub member: MemberId,
    /// What happens.
    pub kind: ChangeKind,
}

/// A change as it is proposed.
///
/// It takes place only if the membership is still the one that it was decided on: whatever was checked
/// then still holds. So two proposers, an old leader and a new one, cannot undo each other's checks, and a
/// proposal that is repeated takes place once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedChange {
    /// The steps; several go through a joint phase. One that makes a voter of a voter, or a learner of a
    /// learner, changes nobody's part, and still counts as a change of the membership.
    pub steps: Vec<Change>,
    /// [`Configuration::changed_at`] of the membership that it was decided on.
    pub base: u64,
    /// What the state machine is to know of it; see [`Committed`](super::Committed).
    pub attachment: Bytes,
}

impl ProposedChange {
    /// Raft's form. More than one step goes through a joint phase that ends by itself.
    pub(super) fn to_raft(&self) -> ConfChangeV2 {
        let mut context = self.base.to_le_bytes().to_vec();
        context.extend_from_slice(&self.attachment);
        ConfChangeV2 {
            context,
            ..to_raft_change(&self.steps)
        }
    }
}

/// What a committed change was decided on, and its attachment. `None` for one that nobody decided on: the
/// end of a joint phase, which the protocol proposes by itself.
pub(super) fn decided_on(change: &ConfChangeV2) -> Option<(u64, Bytes)> {
    let (base, attachment) = change.context.split_first_chunk::<8>()?;
    let attachment = Bytes::copy_from_slice(attachment);
    Some((u64::from_le_bytes(*base), attachment))
}

pub(super) fn to_raft_change(changes: &[Change]) -> ConfChangeV2 {
    let single = |change: &Change| ConfChangeSingle {
        node_id: change.member.0,
        change_type: match change.kind {
            ChangeKind::Voter => ConfChangeType::AddNode,
            ChangeKind::Learner => ConfChangeType::AddLearnerNode,
            ChangeKind::Remove => ConfChangeType::RemoveNode,
        } as i32,
    };
    ConfChangeV2 {
        transition: ConfChangeTransition::Auto as i32,
        changes: changes.iter().map(single).collect(),
        ..ConfChangeV2::default()
    }
}

impl Configuration {
    /// Whether the member votes, in either half of a joint configuration.
    pub fn is_voter(&self, member: MemberId) -> bool {
        self.voters.contains(&member.0) || self.voters_outgoing.contains(&member.0)
    }

    /// Whether the member receives the log without a vote.
    pub fn is_learner(&self, member: MemberId) -> bool {
        self.learners.contains(&member.0)
    }

    /// Whether the member is part of the cluster in any way.
    pub fn contains(&self, member: MemberId) -> bool {
        self.is_voter(member) || self.is_learner(member)
    }

    /// Whether nobody votes: a member that has not joined yet.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    pub(super) fn to_raft(&self) -> ConfState {
        ConfState {
            voters: self.voters.clone(),
            learners: self.learners.clone(),
            voters_outgoing: self.voters_outgoing.clone(),
            learners_next: self.learners_next.clone(),
            auto_leave: self.auto_leave,
        }
    }

    /// Sorted, so that members with the same configuration have the same bytes (invariant I7).
    pub(super) fn from_raft(state: &ConfState) -> Self {
        let sorted = |ids: &[u64]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        Self {
            voters: sorted(&state.voters),
            learners: sorted(&state.learners),
            voters_outgoing: sorted(&state.voters_outgoing),
            learners_next: sorted(&state.learners_next),
            auto_leave: state.auto_leave,
            changed_at: 0,
        }
    }

    /// The same configuration, changed by the entry at `index`.
    pub(super) const fn changed_by(mut self, index: u64) -> Self {
        self.changed_at = index;
        self
    }
}

/// Whether raft can restore this configuration. It panics on one that it cannot.
pub(super) fn is_valid(state: &ConfState) -> bool {
    let (Some(voters), Some(learners), Some(outgoing), Some(next)) = (
        distinct(&state.voters),
        distinct(&state.learners),
        distinct(&state.voters_outgoing),
        distinct(&state.learners_next),
    ) else {
        return false;
    };
    let joint = !outgoing.is_empty();
    !voters.is_empty()
        && learners.is_disjoint(&voters)
        && learners.is_disjoint(&outgoing)
        && next.is_subset(&outgoing)
        && next.is_disjoint(&voters)
        && (joint || !state.auto_leave)
}

/// The ids as a set, or `None` if one is zero or there twice.
fn distinct(ids: &[u64]) -> Option<BTreeSet<u64>> {
    let set: BTreeSet<u64> = ids.iter().copied().filter(|&id| id != 0).collect();
    (set.len() == ids.len()).then_some(set)
}

#[cfg(test)]
mod tests {
    use raft::storage::MemStorage;
    use raft::{Config, RawNode};

    use super::*;

    fn state(voters: &[u64], learners: &[u64], outgoing: &[u64], next: &[u64]) -> ConfState {
        ConfState {
            voters: voters.to_vec(),
            learners: learners.to_vec(),
            voters_outgoing: outgoing.to_vec(),
            learners_next: next.to_vec(),
            auto_leave: !outgoing.is_empty(),
        }
    }

    #[test]
    fn a_change_carries_what_it_was_decided_on() {
        let proposed = ProposedChange {
            steps: vec![Change {
                member: MemberId(4),
                kind: ChangeKind::Learner,
            }],
            base: 77,
            attachment: Bytes::from_static(b"who"),
        };
        let change = proposed.to_raft();
        assert_eq!(change.changes.len(), 1);
        let attached = (77, Bytes::from_static(b"who"));
        assert_eq!(decided_on(&change), Some(attached));
        assert_eq!(decided_on(&ConfChangeV2::default()), None);
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(is_valid(&state(&[1, 2], &[3], &[], &[])));
        assert!(is_valid(&state(&[1, 2], &[5], &[1, 4], &[4])));
        for bad in [
            state(&[], &[1], &[], &[]),
            state(&[1, 1], &[], &[], &[]),
            state(&[0], &[], &[], &[]),
            state(&[1], &[1], &[], &[]),
            state(&[1], &[2], &[2], &[]),
            state(&[1], &[], &[], &[2]),
            state(&[1], &[], &[1], &[1]),
            ConfState {
                auto_leave: true,
                ..state(&[1], &[], &[], &[])
            },
        ] {
            assert!(!is_valid(&bad), "{bad:?}");
        }
    }

    /// Raft ends the process on a configuration that it cannot restore, so everything that passes here
    /// must be one that it can. Every combination of roles of three members is tried.
    #[test]
    fn raft_accepts_what_is_valid() {
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let mut valid = 0;
        for roles in 0_u32..1 << 13 {
            let with = |role: u32| -> Vec<u64> {
                (0..3)
                    .filter(|member| roles >> (4 * member + role) & 1 == 1)
                    .map(|member| u64::from(member) + 1)
                    .collect()
            };
            let state = ConfState {
                auto_leave: roles >> 12 == 1,
                ..state(&with(0), &with(1), &with(2), &with(3))
            };
            if is_valid(&state) {
                valid += 1;
                let config = Config {
                    id: 1,
                    ..Config::default()
                };
                let storage = MemStorage::new_with_conf_state(state);
                assert!(RawNode::new(&config, storage, &logger).is_ok());
            }
        }
        assert!(valid > 100, "{valid}");
    }
}
