//! Where the peer network meets the engine: messages go to consensus, calls to whoever answers them.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::auth::Caller;
use super::corruption::HASH_CALL;
use super::lease_calls::LEASE_CALL;
use super::machine::check_received;
use super::members::Members;
use super::membership::MEMBER_CALL;
use super::{Engine, Inner};
use crate::base::ids::MemberId;
use crate::raft::transport::{CallAnswer, CallHandler, Inbox};
use crate::raft::{NodeHandle, Snapshot};

/// What the peer network delivers to.
pub(super) struct PeerInbox {
    pub(super) node: NodeHandle,
    pub(super) members: Arc<Members>,
}

impl Inbox for PeerInbox {
    fn receive(&self, from: MemberId, message: Bytes) {
        if let Err(error) = self.node.receive(from, message) {
            tracing::debug!(%from, %error, "dropped a peer message");
        }
    }

    fn receive_snapshot(&self, from: MemberId, message: Bytes, snapshot: Snapshot) -> bool {
        let outcome = check_received(&snapshot).and_then(|()| {
            let taken = self.node.receive_snapshot(from, message, snapshot);
            taken.map_err(|error| error.to_string())
        });
        match outcome {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%from, %error, "refused a snapshot");
                false
            }
        }
    }

    fn unreachable(&self, to: MemberId) {
        self.node.unreachable(to);
    }

    fn snapshot_sent(&self, to: MemberId, delivered: bool) {
        self.node.snapshot_sent(to, delivered);
    }

    fn removed(&self, by: MemberId) {
        tracing::warn!(%by, "told by a peer that this member has been removed from the cluster");
        self.members.hear_of_removal();
    }
}

/// Answers other members' calls. Holds the engine weakly: the engine holds the network.
pub(super) struct PeerCalls(pub(super) Weak<Inner>);

impl CallHandler for PeerCalls {
    fn handle(&self, _from: MemberId, kind: u16, request: Bytes) -> CallAnswer {
        let engine = self.0.upgrade().map(|inner| Engine {
            inner,
            caller: Caller::MEMBER,
        });
        Box::pin(async move {
            let engine = engine.ok_or("stopping")?;
            let answer = match kind {
                LEASE_CALL => engine.answer_lease_bytes(&request).await,
                MEMBER_CALL => engine.answer_member_call(&request).await,
                HASH_CALL => engine.answer_hash_call(&request).await,
                _ => None,
            };
            answer.ok_or_else(|| format!("call kind {kind} is not served here"))
        })
    }
}
