//! The check of what the log and other members say of changes of the members.

use std::collections::BTreeSet;

use super::calls::{CALL_VERSION, Outcome};
use super::change::{Attachment, MemberChange};
use super::check::Surroundings;
use crate::base::clock;
use crate::base::codec;
use crate::base::ids::MemberId;
use crate::engine::members::Membership;
use crate::engine::types::Member;

/// Reads bytes as an attachment of the log, as a call and as the answer to one. What is read is written as the
/// same bytes; a change that passes the checks leaves a membership that can go on.
pub fn members(data: &[u8]) {
    if let Ok(attachment) = Attachment::decode(data) {
        let again = attachment.encode().expect("it was as large before");
        assert_eq!(again, data);
        carry_out(&attachment.change);
    }
    if let Ok(change) = codec::decode::<MemberChange>(CALL_VERSION, data) {
        carry_out(&change);
    }
    if let Ok(outcome) = codec::decode::<Outcome>(CALL_VERSION, data) {
        let again = codec::encode(CALL_VERSION, &outcome).expect("it was as large before");
        assert_eq!(again, data);
    }
}

fn carry_out(change: &MemberChange) {
    for strict in [true, false] {
        let mut membership = three();
        assert_eq!(change.step(&membership).member.0, change.member());
        let surroundings = Surroundings {
            me: MemberId(1),
            strict,
            max_learners: 2,
            connected: |_| None,
            now: clock::now(),
        };
        let check = surroundings.check(change, &membership, &[]);
        membership.change(change.clone());
        let ids: BTreeSet<u64> = membership.members.iter().map(|member| member.id).collect();
        assert_eq!(ids.len(), membership.members.len());
        assert!(membership.members.is_sorted_by_key(|member| member.id));
        if check.is_ok() {
            assert!(membership.voters().count() > 0);
            assert!(!ids.contains(&0));
            assert!(membership.removed.iter().all(|id| !ids.contains(id)));
        }
    }
}

/// Two voters, a learner, and one that has left.
fn three() -> Membership {
    let member = |id| Member {
        id,
        name: format!("m{id}"),
        peer_urls: vec![format!("http://h:{id}")],
        is_learner: id == 3,
        ..Member::default()
    };
    Membership::new((1..=3).map(member).collect(), vec![9], 5)
}
