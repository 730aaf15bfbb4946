//! The cluster's members as this member's applied state has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::membership::MemberChange;
use super::types::Member;
use crate::base::ids::MemberId;

/// Ids of removed members that are remembered, so that those are told so when they call. The ones removed
/// longest ago are forgotten; no id is given out twice anyway.
const MAX_REMOVED: usize = 4096;

/// Who belongs to the cluster and who did once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Membership {
    /// The members, sorted by id.
    pub(crate) members: Vec<Member>,
    /// The ids of removed members, the last removed last.
    pub(crate) removed: Vec<u64>,
    /// Index of the log entry that last changed who belongs to the cluster, as the configuration has it.
    pub(crate) changed_at: u64,
}

impl Membership {
    /// A membership of these members, as of that entry.
    pub(crate) fn new(mut members: Vec<Member>, removed: Vec<u64>, changed_at: u64) -> Self {
        members.sort_by_key(|member| member.id);
        Self {
            members,
            removed,
            changed_at,
        }
    }

    /// The member with this id.
    pub(crate) fn get(&self, id: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The members with a vote.
    pub(crate) fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_learner)
    }

    /// Carries out a change that the log says took place. It was checked against this very membership when it
    /// was proposed.
    pub(crate) fn change(&mut self, change: MemberChange) {
        match change {
            MemberChange::Add(member) => {
                self.members.retain(|other| other.id != member.id);
                self.members.push(member);
                self.members.sort_by_key(|member| member.id);
            }
            MemberChange::Remove(id) => {
                self.members.retain(|member| member.id != id);
                self.removed.push(id);
                let excess = self.removed.len().saturating_sub(MAX_REMOVED);
                self.removed.drain(..excess);
            }
            MemberChange::Update { id, peer_urls } => {
                if let Some(member) = self.get_mut(id) {
                    member.peer_urls = peer_urls;
                }
            }
            MemberChange::Promote(id) => {
                if let Some(member) = self.get_mut(id) {
                    member.is_learner = false;
                }
            }
        }
    }

    /// Records what a started member says of itself; one that is not in the list is ignored.
    pub(crate) fn publish(&mut self, started: Member) {
        if let Some(member) = self.get_mut(started.id) {
            member.name = started.name;
            member.client_urls = started.client_urls;
        }
    }

    /// The members and where they are reached.
    pub(crate) fn peers(&self) -> Vec<(MemberId, Vec<String>)> {
        let peers = self
            .members
            .iter()
            .map(|member| (MemberId(member.id), member.peer_urls.clone()));
        peers.collect()
    }

    /// The removed members.
    pub(crate) fn departed(&self) -> Vec<MemberId> {
        self.removed.iter().copied().map(MemberId).collect()
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }
}

/// The membership, swapped by the apply thread and read without a lock.
#[derive(Debug)]
pub(crate) struct Members {
    me: u64,
    current: ArcSwap<Membership>,
    /// Whether this member has no vote: asked at every call.
    learner: AtomicBool,
    removed: CancellationToken,
}

impl Members {
    /// Begins with what the store holds.
    pub(crate) fn new(me: MemberId, membership: Membership) -> Self {
        let members = Self {
            me: me.0,
            current: ArcSwap::default(),
            learner: AtomicBool::new(false),
            removed: CancellationToken::new(),
        };
        members.replace(membership);
        members
    }

    /// The membership now.
    pub(crate) fn load(&self) -> Arc<Membership> {
        self.current.load_full()
    }

    /// Whether `id` is a member with a vote.
    pub(crate) fn is_voter(&self, id: u64) -> bool {
        self.current.load().voters().any(|member| member.id == id)
    }

    /// The members with a vote.
    pub(crate) fn voters(&self) -> Vec<MemberId> {
        let membership = self.current.load();
        membership.voters().map(|m| MemberId(m.id)).collect()
    }

    /// Whether this member has no vote.
    pub(crate) fn is_learner(&self) -> bool {
        self.learner.load(Ordering::Relaxed)
    }

    /// Takes a new membership.
    pub(crate) fn replace(&self, membership: Membership) {
        let me = membership.get(self.me);
        let learner = me.is_some_and(|member| member.is_learner);
        self.learner.store(learner, Ordering::Relaxed);
        if membership.removed.contains(&self.me) {
            self.removed.cancel();
        }
        self.current.store(Arc::new(membership));
    }

    /// Hears that this member has been removed: its own state may not get to know any more.
    pub(crate) fn hear_of_removal(&self) {
        self.removed.cancel();
    }

    /// Completes when this member has been removed from the cluster.
    pub(crate) async fn removed(&self) {
        self.removed.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, is_learner: bool) -> Member {
        Member {
            id,
            peer_urls: vec![format!("http://h:{id}")],
            is_learner,
            ..Member::default()
        }
    }

    #[test]
    fn changes_are_carried_out() {
        let mut membership = Membership::new(vec![member(5, false)], Vec::new(), 0);
        membership.change(MemberChange::Add(member(3, true)));
        let ids: Vec<_> = membership.members.iter().map(|member| member.id).collect();
        assert_eq!(ids, [3, 5]);
        assert_eq!(membership.voters().count(), 1);
        membership.change(MemberChange::Promote(3));
        assert_eq!(membership.voters().count(), 2);
        let peer_urls = vec!["http://other:1".to_owned()];
        membership.change(MemberChange::Update {
            id: 3,
            peer_urls: peer_urls.clone(),
        });
        assert_eq!(membership.get(3).unwrap().peer_urls, peer_urls);
        membership.publish(Member {
            name: "three".into(),
            ..member(3, true)
        });
        let published = membership.get(3).unwrap();
        assert_eq!(published.name, "three");
        assert_eq!(published.peer_urls, peer_urls);
        assert!(!published.is_learner, "a member does not name its own part");
        membership.change(MemberChange::Remove(3));
        assert_eq!(membership.removed, [3]);
        assert_eq!(membership.members, [member(5, false)]);
    }

    #[test]
    fn those_removed_longest_ago_are_forgotten() {
        let mut membership = Membership::default();
        for id in 0..MAX_REMOVED as u64 + 2 {
            membership.change(MemberChange::Remove(id));
        }
        assert_eq!(membership.removed.len(), MAX_REMOVED);
        assert_eq!(membership.removed[0], 2);
    }

    #[tokio::test]
    async fn a_member_learns_its_own_part() {
        let membership = |learner| Membership::new(vec![member(1, learner)], Vec::new(), 0);
        let members = Members::new(MemberId(1), membership(true));
        assert!(members.is_learner());
        assert!(!members.is_voter(1));
        members.replace(membership(false));
        assert!(!members.is_learner());
        assert_eq!(members.voters(), [MemberId(1)]);
        let left = members.removed();
        tokio::pin!(left);
        assert!(futures::poll!(&mut left).is_pending());
        members.replace(Membership::new(Vec::new(), vec![1], 9));
        left.await;
    }
}
