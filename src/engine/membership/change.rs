//! What the log carries of a change of the members, beside the step that consensus takes.

use serde::{Deserialize, Serialize};

use crate::base::codec::{self, CodecError};
use crate::engine::command::RequestId;
use crate::engine::members::Membership;
use crate::engine::types::Member;
use crate::raft::{Change, ChangeKind};

/// The version byte of attachments.
const VERSION: u8 = 1;

/// A change of the members. The order of variants is the wire format: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MemberChange {
    /// A member comes, as a voter or a learner.
    Add(Member),
    /// A member leaves.
    Remove(u64),
    /// A member is reached elsewhere.
    Update {
        /// Whom it concerns.
        id: u64,
        /// Where its peers reach it from now on; sorted.
        peer_urls: Vec<String>,
    },
    /// A learner gets a vote.
    Promote(u64),
}

/// A change with the request it belongs to: the attachment of a change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    /// Whose answer it is.
    pub(crate) request: RequestId,
    /// What happens to the members.
    pub(crate) change: MemberChange,
}

impl Attachment {
    /// The bytes for the log.
    pub(crate) fn encode(&self) -> Result<bytes::Bytes, CodecError> {
        codec::encode(VERSION, self).map(bytes::Bytes::from)
    }

    /// Reads the log's bytes back.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(VERSION, bytes)
    }
}

impl MemberChange {
    /// Whom it concerns.
    pub(crate) const fn member(&self) -> u64 {
        match self {
            Self::Add(member) => member.id,
            Self::Remove(id) | Self::Promote(id) | Self::Update { id, .. } => *id,
        }
    }

    /// What it means for consensus. Where a member is reached means nothing there, but it must be decided on
    /// the present membership like everything else, so it is a step that changes nobody's part.
    pub(crate) fn step(&self, membership: &Membership) -> Change {
        let learner = match self {
            Self::Add(member) => member.is_learner,
            Self::Update { id, .. } => membership.get(*id).is_some_and(|member| member.is_learner),
            Self::Remove(_) | Self::Promote(_) => false,
        };
        let kind = match self {
            Self::Remove(_) => ChangeKind::Remove,
            _ if learner => ChangeKind::Learner,
            _ => ChangeKind::Voter,
        };
        Change {
            member: crate::base::ids::MemberId(self.member()),
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_an_attachment() {
        let attachment = Attachment {
            request: RequestId {
                member: 1,
                boot: 2,
                sequence: 3,
            },
            change: MemberChange::Promote(9),
        };
        let bytes = attachment.encode().unwrap();
        let mut expected = vec![1];
        for word in [1_u64, 2, 3] {
            expected.extend(word.to_le_bytes());
        }
        expected.extend(3_u32.to_le_bytes());
        expected.extend(9_u64.to_le_bytes());
        assert_eq!(bytes, expected);
        assert_eq!(Attachment::decode(&bytes).unwrap(), attachment);
        assert!(Attachment::decode(&bytes[1..]).is_err());
    }

    #[test]
    fn an_update_leaves_everyone_their_part() {
        let member = |id, is_learner| Member {
            id,
            is_learner,
            ..Member::default()
        };
        let membership = Membership::new(vec![member(1, false), member(2, true)], Vec::new(), 0);
        let update = |id| MemberChange::Update {
            id,
            peer_urls: Vec::new(),
        };
        assert_eq!(update(1).step(&membership).kind, ChangeKind::Voter);
        assert_eq!(update(2).step(&membership).kind, ChangeKind::Learner);
        let promote = MemberChange::Promote(2).step(&membership);
        assert_eq!((promote.member.0, promote.kind), (2, ChangeKind::Voter));
    }
}
