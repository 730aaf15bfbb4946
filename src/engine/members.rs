//! The cluster's members as this member's applied state has them.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::types::Member;
use crate::base::ids::MemberId;

/// The member list, swapped by the apply thread and read without a lock.
#[derive(Debug)]
pub(crate) struct Members(ArcSwap<Vec<Member>>);

impl Members {
    /// Begins with what the store holds, or with the initial cluster.
    pub(crate) fn new(members: Vec<Member>) -> Self {
        Self(ArcSwap::from_pointee(sorted(members)))
    }

    /// The members, sorted by id.
    pub(crate) fn list(&self) -> Arc<Vec<Member>> {
        self.0.load_full()
    }

    /// Whether `id` is a member with a vote.
    pub(crate) fn is_voter(&self, id: u64) -> bool {
        self.0
            .load()
            .iter()
            .any(|member| member.id == id && !member.is_learner)
    }

    /// The members with a vote.
    pub(crate) fn voters(&self) -> Vec<MemberId> {
        let members = self.0.load();
        let voters = members.iter().filter(|member| !member.is_learner);
        voters.map(|member| MemberId(member.id)).collect()
    }

    /// Takes a new list.
    pub(crate) fn replace(&self, members: Vec<Member>) {
        self.0.store(Arc::new(sorted(members)));
    }
}

fn sorted(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_by_key(|member| member.id);
    members
}
