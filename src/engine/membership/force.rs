//! `--force-new-cluster`: one member goes on with its data as the whole cluster, after the others are lost.

use crate::base::ids::MemberId;
use crate::engine::members::Membership;
use crate::engine::meta;
use crate::engine::start::{StartError, unreadable};
use crate::mvcc::{self, Session};
use crate::raft::{AppliedState, Configuration};
use crate::storage::Store;

/// Makes the state one of which `me` is the only member, before consensus sees it. All of the log is kept: what
/// is behind the applied index may have been acknowledged, and the new cluster commits it.
///
/// # Errors
/// [`StartError::NothingToForce`] for a member that has not been sent its first state.
pub(in crate::engine) fn go_on_alone(
    store: &Store,
    me: MemberId,
    restored: AppliedState,
) -> Result<AppliedState, StartError> {
    let old = &restored.configuration;
    if old.is_empty() {
        return Err(StartError::NothingToForce);
    }
    if old.voters == [me.0] && old.voters_outgoing.is_empty() && old.learners.is_empty() {
        return Ok(restored);
    }
    let membership = meta::membership(store).map_err(unreadable)?;
    let membership = alone(me, membership);
    let configuration = Configuration {
        voters: vec![me.0],
        // No index: whatever changes of the old cluster are left in the log, they were decided on another
        // membership than this.
        changed_at: (1 << 63) | rand::random::<u64>(),
        ..Configuration::default()
    };
    let mut session = Session::begin(store, mvcc::load_state(store).map_err(unreadable)?);
    meta::put_configuration(&mut session, &configuration).map_err(unreadable)?;
    meta::put_members(&mut session, &membership.members, &membership.removed)
        .map_err(unreadable)?;
    store.write(session.finish().batch).map_err(unreadable)?;
    store.flush().map_err(unreadable)?;
    tracing::warn!(
        removed = ?membership.removed,
        "--force-new-cluster: this member goes on as the only one; start it without the flag from now on"
    );
    Ok(AppliedState {
        configuration,
        ..restored
    })
}

/// The membership without anyone else.
fn alone(me: MemberId, mut membership: Membership) -> Membership {
    let others: Vec<u64> = membership.members.iter().map(|member| member.id).collect();
    for id in others.into_iter().filter(|id| *id != me.0) {
        membership.change(super::MemberChange::Remove(id));
    }
    membership.change(super::MemberChange::Promote(me.0));
    membership
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::types::Member;
    use crate::storage::StoreOptions;

    fn member(id: u64, is_learner: bool) -> Member {
        Member {
            id,
            is_learner,
            ..Member::default()
        }
    }

    #[test]
    fn the_others_are_removed_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db"), &StoreOptions::default()).unwrap();
        let configuration = Configuration {
            voters: vec![1, 2],
            learners: vec![3],
            changed_at: 5,
            ..Configuration::default()
        };
        let mut session = Session::begin(&store, mvcc::load_state(&store).unwrap());
        meta::put_configuration(&mut session, &configuration).unwrap();
        let members = [member(1, false), member(2, false), member(3, true)];
        meta::put_members(&mut session, &members, &[9]).unwrap();
        meta::put_applied(&mut session, 7, 2).unwrap();
        store.write(session.finish().batch).unwrap();

        let restored = meta::applied_state(&store).unwrap().unwrap();
        let forced = go_on_alone(&store, MemberId(3), restored).unwrap();
        assert_eq!((forced.index, forced.term), (7, 2));
        assert_eq!(forced.configuration.voters, [3]);
        assert_eq!(meta::applied_state(&store).unwrap(), Some(forced.clone()));
        let membership = meta::membership(&store).unwrap();
        assert_eq!(membership.members, [member(3, false)]);
        assert_eq!(membership.removed, [9, 1, 2]);
        // Given again, the flag does nothing.
        let again = go_on_alone(&store, MemberId(3), forced.clone()).unwrap();
        assert_eq!(again, forced);
        let nothing = go_on_alone(&store, MemberId(3), AppliedState::default());
        assert!(matches!(nothing, Err(StartError::NothingToForce)));
    }
}
