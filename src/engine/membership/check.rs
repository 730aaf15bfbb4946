//! Which changes of the members are refused: etcd's rules, as functions of what the leader sees.
//!
//! The strict ones (`--strict-reconfig-check`) keep a change from costing the quorum: members that never
//! started or are out of touch are as good as dead, and a change must not make them too many.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::change::MemberChange;
use crate::base::ids::MemberId;
use crate::engine::members::Membership;
use crate::engine::types::Member;
use crate::raft::PeerProgress;

/// A member counts as connected after it has been so for this long.
pub(super) const HEALTH_WINDOW: Duration = Duration::from_secs(5);

/// A learner is in sync when its log has this share of the leader's, in hundredths.
const IN_SYNC: u128 = 90;

/// Why a change of the members is refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberRefusal {
    /// No member has that id, or none has it any more.
    NotFound,
    /// The id is taken.
    IdExists,
    /// Another member has one of the URLs.
    UrlExists,
    /// It is a voter already.
    NotLearner,
    /// Its log is too far behind the leader's.
    NotInSync,
    /// There are as many learners as there may be.
    TooManyLearners,
    /// Too few of the voters that there would be have ever started.
    NotEnoughStarted,
    /// Too few voters are in touch.
    Unhealthy,
}

impl MemberRefusal {
    /// The refusal in etcd's words: part of its API, and of its metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "etcdserver: member not found",
            Self::IdExists => "etcdserver: member ID already exist",
            Self::UrlExists => "etcdserver: Peer URLs already exists",
            Self::NotLearner => "etcdserver: can only promote a learner member",
            Self::NotInSync => {
                "etcdserver: can only promote a learner member which is in sync with leader"
            }
            Self::TooManyLearners => "etcdserver: too many learner members in cluster",
            Self::NotEnoughStarted => {
                "etcdserver: re-configuration failed due to not enough started members"
            }
            Self::Unhealthy => "etcdserver: unhealthy cluster",
        }
    }
}

impl std::fmt::Display for MemberRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for MemberRefusal {}

/// What is known around the membership.
pub(super) struct Surroundings<C> {
    /// The member that decides.
    pub(super) me: MemberId,
    /// Whether the strict rules are in force.
    pub(super) strict: bool,
    /// Learners that there may be at a time.
    pub(super) max_learners: usize,
    /// Since when a member is connected to this one.
    pub(super) connected: C,
    /// The time now.
    pub(super) now: Instant,
}

impl<C: Fn(MemberId) -> Option<Instant>> Surroundings<C> {
    /// Refuses what etcd would refuse of a cluster in this state, its leader's progress being `progress`.
    pub(super) fn check(
        &self,
        change: &MemberChange,
        membership: &Membership,
        progress: &[PeerProgress],
    ) -> Result<(), MemberRefusal> {
        self.check_health(change, membership)?;
        match change {
            MemberChange::Add(member) => self.check_add(member, membership),
            MemberChange::Remove(id) => check_remove(*id, membership),
            MemberChange::Update { id, peer_urls } => {
                known(*id, membership)?;
                check_urls(*id, peer_urls, membership)
            }
            MemberChange::Promote(id) => self.check_promote(*id, membership, progress),
        }
    }

    /// The strict rules that need nobody's progress: also asked where there is no leader to decide.
    pub(super) fn check_health(
        &self,
        change: &MemberChange,
        membership: &Membership,
    ) -> Result<(), MemberRefusal> {
        if !self.strict {
            return Ok(());
        }
        match change {
            MemberChange::Add(member) => {
                if !member.is_learner && !enough_started_to_add(membership) {
                    return Err(MemberRefusal::NotEnoughStarted);
                }
                let connected = |member: &Member| self.is_connected(member.id);
                if !membership.voters().all(connected) {
                    return Err(MemberRefusal::Unhealthy);
                }
                Ok(())
            }
            MemberChange::Remove(id) => self.check_health_without(*id, membership),
            MemberChange::Update { .. } | MemberChange::Promote(_) => Ok(()),
        }
    }

    fn check_health_without(&self, id: u64, membership: &Membership) -> Result<(), MemberRefusal> {
        let member = known(id, membership)?;
        if member.is_learner {
            return Ok(());
        }
        let rest = || membership.voters().filter(|member| member.id != id);
        let (voters, started) = (rest().count(), rest().filter(|m| is_started(m)).count());
        if started < voters / 2 + 1 {
            return Err(MemberRefusal::NotEnoughStarted);
        }
        // One that is down is no part of the quorum that there is.
        if id != self.me.0 && (self.connected)(MemberId(id)).is_none() {
            return Ok(());
        }
        let connected = membership.voters().filter(|m| self.is_connected(m.id));
        if connected.count() < 2 + voters / 2 {
            return Err(MemberRefusal::Unhealthy);
        }
        Ok(())
    }

    fn check_add(&self, member: &Member, membership: &Membership) -> Result<(), MemberRefusal> {
        let id = member.id;
        if id == 0 || membership.get(id).is_some() || membership.removed.contains(&id) {
            return Err(MemberRefusal::IdExists);
        }
        check_urls(id, &member.peer_urls, membership)?;
        let learners = membership.members.len() - membership.voters().count();
        if member.is_learner && learners >= self.max_learners {
            return Err(MemberRefusal::TooManyLearners);
        }
        Ok(())
    }

    fn check_promote(
        &self,
        id: u64,
        membership: &Membership,
        progress: &[PeerProgress],
    ) -> Result<(), MemberRefusal> {
        if !known(id, membership)?.is_learner {
            return Err(MemberRefusal::NotLearner);
        }
        let matched = |id: u64| {
            let peer = progress.iter().find(|peer| peer.member.0 == id);
            u128::from(peer.map_or(0, |peer| peer.matched))
        };
        // A leader that has no progress of its own yet cannot tell.
        let own = matched(self.me.0);
        if own == 0 || matched(id) * 100 < own * IN_SYNC {
            return Err(MemberRefusal::NotInSync);
        }
        // The learner counts as started: its log shows that it is.
        let started = membership.voters().filter(|m| is_started(m)).count() + 1;
        let voters = membership.voters().count() + 1;
        if self.strict && started < voters / 2 + 1 {
            return Err(MemberRefusal::NotEnoughStarted);
        }
        Ok(())
    }

    fn is_connected(&self, id: u64) -> bool {
        let since = || (self.connected)(MemberId(id));
        id == self.me.0
            || since().is_some_and(|at| self.now.saturating_duration_since(at) >= HEALTH_WINDOW)
    }
}

/// A member that has published its name has run.
const fn is_started(member: &Member) -> bool {
    !member.name.is_empty()
}

fn known(id: u64, membership: &Membership) -> Result<&Member, MemberRefusal> {
    membership.get(id).ok_or(MemberRefusal::NotFound)
}

fn check_urls(id: u64, urls: &[String], membership: &Membership) -> Result<(), MemberRefusal> {
    let mut others = membership.members.iter().filter(|member| member.id != id);
    if others.any(|other| other.peer_urls.iter().any(|url| urls.contains(url))) {
        return Err(MemberRefusal::UrlExists);
    }
    Ok(())
}

/// Whatever the rules, somebody has to be left to vote.
fn check_remove(id: u64, membership: &Membership) -> Result<(), MemberRefusal> {
    known(id, membership)?;
    if membership.voters().all(|member| member.id == id) {
        return Err(MemberRefusal::NotEnoughStarted);
    }
    Ok(())
}

fn enough_started_to_add(membership: &Membership) -> bool {
    let voters = membership.voters().count() + 1;
    let started = membership.voters().filter(|m| is_started(m)).count();
    // A cluster of one that is to grow again: there is no other way to have it.
    (started == 1 && voters == 2) || started > voters / 2
}

#[cfg(test)]
#[path = "check_test.rs"]
mod tests;
