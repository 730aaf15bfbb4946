//! How far each peer has come, as the leader sees it.

use raft::{ProgressState, StateRole};

use super::Core;
use crate::base::ids::MemberId;

/// The leader's view of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerProgress {
    /// The member.
    pub member: MemberId,
    /// The highest index that is known to be on its disk.
    pub matched: u64,
    /// Whether it was heard of in the last election timeout.
    pub active: bool,
    /// Whether it is being sent a snapshot.
    pub in_snapshot: bool,
}

impl Core {
    /// The members in order of their ids; empty unless this member leads.
    pub(crate) fn progress(&self) -> Vec<PeerProgress> {
        let raft = &self.raw.raft;
        if raft.state != StateRole::Leader {
            return Vec::new();
        }
        let mut peers: Vec<_> = raft
            .prs()
            .iter()
            .map(|(&id, peer)| PeerProgress {
                member: MemberId(id),
                matched: peer.matched,
                active: peer.recent_active || id == raft.id,
                in_snapshot: peer.state == ProgressState::Snapshot,
            })
            .collect();
        peers.sort_unstable_by_key(|peer| peer.member);
        peers
    }
}
