//! Changes of the members: who may come, leave, move and vote.
//!
//! Whichever member is asked, the leader decides: it alone knows how far a learner has come, and one place
//! to decide makes one order of decisions. It checks a change against the membership that it has applied and
//! proposes it together with the index of that membership; the log lets only that one follow on it
//! (`raft::ProposedChange`). So what was checked holds where the change takes place, whoever led meanwhile.

mod calls;
mod change;
mod check;
mod departure;
mod force;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

pub(crate) use change::{Attachment, MemberChange};
pub use check::MemberRefusal;

pub(super) use calls::MEMBER_CALL;
pub(super) use force::go_on_alone;

use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use self::calls::{Changed, Outcome};
use self::check::Surroundings;
use super::apply::{Answer, Reply};
use super::error::EngineError;
use super::types::{Header, Member};
use super::{Engine, EngineResult};
use crate::base::clock;
use crate::base::identity::id_of;
use crate::base::ids::MemberId;
use crate::raft::{ChangeError, ProposedChange};

impl Engine {
    /// Adds a member with these peer URLs, valid and sorted, and gives it with all members. It has to be
    /// started after that.
    ///
    /// # Errors
    /// [`EngineError::Membership`] for what etcd refuses, and the errors of every replicated command.
    pub async fn member_add(
        &self,
        peer_urls: Vec<String>,
        is_learner: bool,
    ) -> EngineResult<(Header, Member, Vec<Member>)> {
        let id = new_id(&peer_urls, clock::unix_time());
        let member = Member {
            id,
            peer_urls,
            is_learner,
            ..Member::default()
        };
        let change = MemberChange::Add(member.clone());
        let (header, members) = self.change_members(change).await?;
        Ok((header, member, members))
    }

    /// Removes a member, which stops, and gives the others.
    ///
    /// # Errors
    /// As [`Self::member_add`].
    pub async fn member_remove(&self, id: u64) -> EngineResult<(Header, Vec<Member>)> {
        self.change_members(MemberChange::Remove(id)).await
    }

    /// Records where a member is reached by its peers, valid URLs and sorted.
    ///
    /// # Errors
    /// As [`Self::member_add`].
    pub async fn member_update(
        &self,
        id: u64,
        peer_urls: Vec<String>,
    ) -> EngineResult<(Header, Vec<Member>)> {
        let change = MemberChange::Update { id, peer_urls };
        self.change_members(change).await
    }

    /// Gives a learner a vote.
    ///
    /// # Errors
    /// As [`Self::member_add`].
    pub async fn member_promote(&self, id: u64) -> EngineResult<(Header, Vec<Member>)> {
        self.change_members(MemberChange::Promote(id)).await
    }

    /// Whether this member has no vote, and so serves next to nothing. Costs nothing to ask.
    pub fn is_learner(&self) -> bool {
        self.inner.members.is_learner()
    }

    /// Gives the members now, for as long as it is kept; it does not keep the store open.
    pub fn member_list(&self) -> impl Fn() -> Vec<Member> + Send + Sync + use<> {
        let members = std::sync::Arc::clone(&self.inner.members);
        move || members.load().members.clone()
    }

    async fn change_members(&self, change: MemberChange) -> EngineResult<(Header, Vec<Member>)> {
        let changed = self.have_changed(change).await?;
        // Whoever asks this member next finds the change. If it is this one that left, it may never come.
        let reach = self.inner.applied.reach(changed.index);
        let _ = tokio::time::timeout(self.inner.election_timeout, reach).await;
        Ok((self.header(), changed.members))
    }

    /// Decides on a change as the leader and carries it out, before `deadline`.
    async fn change_as_leader(&self, change: &MemberChange, deadline: Instant) -> Outcome {
        let outcome = self.try_change_as_leader(change, deadline).await;
        if let (MemberChange::Promote(_), Outcome::Refused(refusal)) = (change, &outcome) {
            let failures = &self.inner.metrics.server;
            failures.promotion_failed(refusal.reason());
        }
        outcome
    }

    async fn try_change_as_leader(&self, change: &MemberChange, deadline: Instant) -> Outcome {
        // Before anything that waits: a leader without its quorum can still say why not.
        if self.is_unhealthy_for(change) {
            return Outcome::Refused(MemberRefusal::Unhealthy);
        }
        let until = tokio::time::Instant::from_std(deadline);
        let Ok(_turn) = timeout_at(until, self.inner.member_turn.lock()).await else {
            return Outcome::TimedOut;
        };
        // What an earlier leader left under way is applied after this.
        match timeout_at(until, self.read_barrier()).await {
            Ok(Ok(())) => {}
            Ok(Err(EngineError::LeaderChanged)) => return Outcome::NotLeader,
            Ok(Err(EngineError::Stopped)) => return Outcome::Stopped,
            Ok(Err(_)) | Err(_) => return Outcome::TimedOut,
        }
        while clock::now() < deadline {
            match self.decide(change, until).await {
                Some(outcome) => return outcome,
                None => tokio::time::sleep(self.inner.heartbeat / 2).await,
            }
        }
        Outcome::TimedOut
    }

    /// Checks a change, proposes it and waits for it. `None` if it must be decided on anew.
    async fn decide(&self, change: &MemberChange, until: tokio::time::Instant) -> Option<Outcome> {
        let membership = self.inner.members.load();
        let progress = self.inner.node.progress();
        let check = self.surroundings().check(change, &membership, &progress);
        if let Err(refusal) = check {
            return Some(Outcome::Refused(refusal));
        }
        let (request, mut waiting) = self.inner.waiters.enter();
        let attachment = Attachment {
            request,
            change: change.clone(),
        };
        let Ok(attachment) = attachment.encode() else {
            return Some(Outcome::TimedOut);
        };
        let proposed = ProposedChange {
            steps: vec![change.step(&membership)],
            base: membership.changed_at,
            attachment,
        };
        match self.inner.node.propose_change(proposed).await {
            Ok(()) => {}
            Err(ChangeError::Busy) => return None,
            Err(ChangeError::NotLeader) => return Some(Outcome::NotLeader),
            Err(ChangeError::Stopped) => return Some(Outcome::Stopped),
        }
        match timeout_at(until, waiting.answer()).await {
            Ok(Some(answer)) => self.changed(&answer),
            Ok(None) => Some(Outcome::Stopped),
            Err(_) => Some(Outcome::TimedOut),
        }
    }

    /// What an applied change came to; `None` if another came first.
    fn changed(&self, answer: &Answer) -> Option<Outcome> {
        match answer.reply {
            Ok(Reply::Membership { changed_at: None }) => None,
            Ok(Reply::Membership {
                changed_at: Some(index),
            }) => {
                let members = self.inner.members.load().members.clone();
                Some(Outcome::Changed(Changed { index, members }))
            }
            _ => Some(Outcome::TimedOut),
        }
    }

    /// Whether too few members are in touch for a change. All else that there is to check needs a membership
    /// that is known to be the newest.
    fn is_unhealthy_for(&self, change: &MemberChange) -> bool {
        let membership = self.inner.members.load();
        let check = self.surroundings().check_health(change, &membership);
        check == Err(MemberRefusal::Unhealthy)
    }

    fn surroundings(&self) -> Surroundings<impl Fn(MemberId) -> Option<Instant> + use<>> {
        let peers = self.inner.network.stats();
        Surroundings {
            me: self.inner.member_id,
            strict: self.inner.strict_reconfig,
            max_learners: self.inner.max_learners,
            connected: move |id| {
                let peer = peers.iter().find(|peer| peer.id == id)?;
                peer.connected_since
            },
            now: clock::now(),
        }
    }
}

/// The id of a member that is added now: etcd's rule for those that are not there from the start. The time
/// makes it another each time, so that who was removed never comes back under its old id.
fn new_id(peer_urls: &[String], now: Duration) -> u64 {
    let seconds = now.as_secs().to_string();
    let urls = peer_urls.iter().map(String::as_str);
    id_of(urls.chain([seconds.as_str()])).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_urls_and_time() {
        let urls = ["http://a:1", "http://b:1"].map(str::to_owned);
        let at = |seconds| new_id(&urls, Duration::from_secs(seconds));
        assert_eq!(at(7), id_of(["http://a:1http://b:17"]));
        assert_ne!(at(7), at(8));
    }
}
