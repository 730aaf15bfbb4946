//! Comparing members with each other: whether all of them hold the same keys.
//!
//! Two members are comparable if they hash the same revision above the same compaction; the hash is that of
//! `HashKV`. Whoever differs from a majority is corrupt; while no majority agrees, whoever asks takes its own
//! data for the measure, as etcd does.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::EngineError;
use super::types::{Alarm, AlarmKind};
use super::{Engine, EngineResult};
use crate::base::codec;
use crate::base::ids::MemberId;

/// The kind of peer call that carries a [`HashCall`].
pub(super) const HASH_CALL: u16 = 8;
/// Version byte of these calls.
const CALL_VERSION: u8 = 1;
/// Between looks whether the others are connected.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

/// What a member asks of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct HashCall {
    /// The revision to hash.
    revision: i64,
    /// What the asking member had applied when it hashed: who has not got there does not compare yet.
    applied: u64,
}

/// The hash of a member, comparable with others of the same revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Hashed {
    hash: u32,
    compact_revision: i64,
}

impl Engine {
    /// Compares the members every so often while this one leads, and raises the alarm for those that differ.
    pub(super) async fn check_corruption(self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first tick is at once.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if self.led_term().is_some() {
                self.check_members().await;
            }
        }
    }

    /// Looks every so often whether there was a compaction since the last look, and compares the members after one
    /// while this one leads. etcd compares the hashes that compactions leave behind; here the keys are hashed for
    /// it, once for all compactions in between.
    pub(super) async fn check_compactions(self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut checked = self.inner.views.load().state.compact_revision();
        loop {
            ticks.tick().await;
            let compacted = self.inner.views.load().state.compact_revision();
            if compacted != checked && self.led_term().is_some() {
                self.check_members().await;
                checked = compacted;
            }
        }
    }

    async fn check_members(&self) {
        match self.corrupt_members().await {
            Ok(suspects) => self.raise_corrupt(suspects).await,
            Err(error) => tracing::warn!(%error, "the members could not be compared"),
        }
    }

    async fn raise_corrupt(&self, suspects: Vec<MemberId>) {
        for member in suspects {
            let kind = AlarmKind::Corrupt;
            let alarm = Alarm { member, kind };
            if self.inner.views.load().alarms.contains(alarm) {
                continue;
            }
            tracing::error!(%member, "the member's data differs from the others'");
            if let Err(error) = self.raise_alarm(alarm).await {
                tracing::warn!(%error, "the alarm could not be raised");
            }
        }
    }

    /// Whether this member's data differs from the others' as far as they can be asked. Waits an election timeout
    /// for them to be connected.
    ///
    /// # Errors
    /// Those of a hash.
    pub async fn is_corrupt(&self) -> EngineResult<bool> {
        let others = self.inner.members.load().members.len().saturating_sub(1);
        let all_connected = async {
            while self.connected().len() < others {
                tokio::time::sleep(CONNECT_PAUSE).await;
            }
        };
        // Those that are not there by then are not asked.
        let _ = tokio::time::timeout(self.inner.election_timeout, all_connected).await;
        let (own, hashes) = self.compare().await?;
        let members = self.inner.members.load().members.len();
        Ok(differs(self.inner.member_id, own, members, &hashes))
    }

    async fn corrupt_members(&self) -> EngineResult<Vec<MemberId>> {
        let (own, hashes) = self.compare().await?;
        let members = self.inner.members.load().members.len();
        Ok(suspects(self.inner.member_id, own, members, &hashes))
    }

    /// This member's hash, and those of the others that could be compared.
    async fn compare(&self) -> EngineResult<(Hashed, Vec<(MemberId, Hashed)>)> {
        let own = self.hash_kv(0).await?.1;
        let call = HashCall {
            revision: own.hash_revision,
            applied: self.inner.applied.get(),
        };
        let own = Hashed {
            hash: own.hash,
            compact_revision: own.compact_revision,
        };
        let others = self.connected().into_iter();
        let asked = others.map(async |id| Some((id, self.ask_hash(id, call).await?)));
        let answers = futures::future::join_all(asked).await;
        let comparable = answers.into_iter().flatten();
        let comparable =
            comparable.filter(|(_, hashed)| hashed.compact_revision == own.compact_revision);
        Ok((own, comparable.collect()))
    }

    fn connected(&self) -> Vec<MemberId> {
        let peers = self.inner.network.stats().into_iter();
        let connected = peers.filter(|peer| peer.connected_since.is_some());
        connected.map(|peer| peer.id).collect()
    }

    async fn ask_hash(&self, member: MemberId, call: HashCall) -> Option<Hashed> {
        let request = codec::encode(CALL_VERSION, &call).ok()?;
        let network = &self.inner.network;
        let patience = self.inner.request_timeout;
        let reply = network.call(member, HASH_CALL, request.into(), patience);
        match reply.await {
            Ok(reply) => codec::decode(CALL_VERSION, &reply).ok().flatten(),
            Err(error) => {
                tracing::info!(%member, %error, "the member could not be compared");
                None
            }
        }
    }

    /// Answers another member's [`HashCall`]; with nothing in it if there is nothing to compare.
    pub(super) async fn answer_hash_call(&self, request: &[u8]) -> Option<Bytes> {
        let call = codec::decode(CALL_VERSION, request).ok()?;
        let hashed = self.hash_for(call).await.ok();
        codec::encode(CALL_VERSION, &hashed).ok().map(Bytes::from)
    }

    async fn hash_for(&self, call: HashCall) -> EngineResult<Hashed> {
        let reach = self.inner.applied.reach(call.applied);
        tokio::time::timeout(self.inner.election_timeout, reach)
            .await
            .map_err(|_| EngineError::Timeout)?;
        let hashed = self.hash_kv(call.revision).await?.1;
        Ok(Hashed {
            hash: hashed.hash,
            compact_revision: hashed.compact_revision,
        })
    }
}

/// The hash that more than half of all members share.
fn majority(own: Hashed, members: usize, hashes: &[(MemberId, Hashed)]) -> Option<Hashed> {
    let mut votes: HashMap<Hashed, usize> = HashMap::from([(own, 1)]);
    for (_, hashed) in hashes {
        *votes.entry(*hashed).or_default() += 1;
    }
    let winner = votes.into_iter().find(|(_, votes)| votes * 2 > members);
    winner.map(|(hashed, _)| hashed)
}

/// The members whose data is wrong, by id.
fn suspects(
    me: MemberId,
    own: Hashed,
    members: usize,
    hashes: &[(MemberId, Hashed)],
) -> Vec<MemberId> {
    let right = majority(own, members, hashes).unwrap_or(own);
    let all = hashes.iter().copied().chain([(me, own)]);
    let mut wrong: Vec<_> = all
        .filter(|(_, hashed)| *hashed != right)
        .map(|(id, _)| id)
        .collect();
    wrong.sort_unstable();
    wrong
}

/// Whether a member may not go on with its own data: a majority has other data, or nobody knows and there is
/// somebody who has.
fn differs(me: MemberId, own: Hashed, members: usize, hashes: &[(MemberId, Hashed)]) -> bool {
    let suspects = suspects(me, own, members, hashes);
    suspects.contains(&me) || (majority(own, members, hashes).is_none() && !suspects.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: MemberId = MemberId(1);

    const fn hashed(hash: u32) -> Hashed {
        Hashed {
            hash,
            compact_revision: 5,
        }
    }

    /// Suspects of a cluster of `members`, and whether the first may go on; its hash is 7.
    fn judge(members: usize, others: &[u32]) -> (Vec<u64>, bool) {
        let ids = (2..).map(MemberId);
        let hashes: Vec<_> = ids.zip(others.iter().map(|&hash| hashed(hash))).collect();
        let suspects = suspects(ME, hashed(7), members, &hashes);
        let ids = suspects.into_iter().map(|id| id.0).collect();
        (ids, differs(ME, hashed(7), members, &hashes))
    }

    #[test]
    fn a_majority_decides_who_is_corrupt() {
        assert_eq!(judge(3, &[7, 7]), (vec![], false));
        assert_eq!(judge(3, &[7, 8]), (vec![3], false));
        assert_eq!(judge(3, &[8, 8]), (vec![1], true));
        assert_eq!(judge(5, &[8, 7, 7, 9]), (vec![2, 5], false));
    }

    #[test]
    fn without_a_majority_the_own_data_is_the_measure_and_may_be_wrong() {
        assert_eq!(judge(3, &[8, 9]), (vec![2, 3], true));
        assert_eq!(judge(3, &[8]), (vec![2], true));
        assert_eq!(judge(3, &[]), (vec![], false));
        assert_eq!(judge(1, &[]), (vec![], false));
    }
}
