//! etcd's rules, one by one.

use super::*;

const ME: MemberId = MemberId(1);

fn member(id: u64, started: bool, is_learner: bool) -> Member {
    Member {
        id,
        name: if started {
            format!("m{id}")
        } else {
            String::new()
        },
        peer_urls: vec![format!("http://h:{id}")],
        is_learner,
        ..Member::default()
    }
}

/// Voters with these ids that have all started.
fn voters(ids: &[u64]) -> Membership {
    let members = ids.iter().map(|&id| member(id, true, false)).collect();
    Membership::new(members, vec![77], 9)
}

fn with(mut membership: Membership, other: Member) -> Membership {
    membership.change(MemberChange::Add(other));
    membership
}

/// How long the others are connected, by id; who is not named is not.
struct View {
    connected: Vec<(u64, Duration)>,
    strict: bool,
    progress: Vec<PeerProgress>,
}

const LONG: Duration = HEALTH_WINDOW;
const SHORT: Duration = Duration::from_secs(4);

impl View {
    fn connected(connected: &[(u64, Duration)]) -> Self {
        Self {
            connected: connected.to_vec(),
            strict: true,
            progress: Vec::new(),
        }
    }

    fn check(&self, change: &MemberChange, membership: &Membership) -> Result<(), MemberRefusal> {
        let now = crate::base::clock::now() + Duration::from_secs(3600);
        let surroundings = Surroundings {
            me: ME,
            strict: self.strict,
            max_learners: 1,
            connected: |id: MemberId| {
                let found = self.connected.iter().find(|(known, _)| *known == id.0);
                found.map(|(_, since)| now - *since)
            },
            now,
        };
        surroundings.check(change, membership, &self.progress)
    }
}

fn add(id: u64, is_learner: bool) -> MemberChange {
    MemberChange::Add(member(id, false, is_learner))
}

#[test]
fn adding_needs_voters_that_have_started_and_are_in_touch() {
    let healthy = View::connected(&[(2, LONG), (3, LONG)]);
    let three = voters(&[1, 2, 3]);
    assert_eq!(healthy.check(&add(4, false), &three), Ok(()));
    assert_eq!(healthy.check(&add(4, true), &three), Ok(()));
    for connected in [&[(2, LONG)][..], &[(2, LONG), (3, SHORT)]] {
        let view = View::connected(connected);
        let refused = Err(MemberRefusal::Unhealthy);
        assert_eq!(view.check(&add(4, false), &three), refused);
        assert_eq!(view.check(&add(4, true), &three), refused);
        let lax = View {
            strict: false,
            ..view
        };
        assert_eq!(lax.check(&add(4, false), &three), Ok(()));
    }
}

#[test]
fn a_member_that_has_not_started_makes_room_for_no_other() {
    let view = View::connected(&[(2, LONG), (3, LONG)]);
    assert_eq!(view.check(&add(2, false), &voters(&[1])), Ok(()));
    let two = with(voters(&[1]), member(2, false, false));
    let refused = Err(MemberRefusal::NotEnoughStarted);
    assert_eq!(view.check(&add(3, false), &two), refused);
    let three = with(voters(&[1, 2]), member(3, false, false));
    assert_eq!(view.check(&add(4, false), &three), refused);
    assert_eq!(view.check(&add(4, true), &three), Ok(()));
    // Two of three have started, and would be two of two without the third.
    assert_eq!(view.check(&MemberChange::Remove(3), &three), Ok(()));
    assert_eq!(view.check(&MemberChange::Remove(2), &three), refused);
    let lax = View {
        strict: false,
        ..view
    };
    assert_eq!(lax.check(&add(3, false), &two), Ok(()));
}

#[test]
fn who_comes_must_be_new() {
    let view = View::connected(&[(2, LONG)]);
    let two = voters(&[1, 2]);
    assert_eq!(
        view.check(&add(2, false), &two),
        Err(MemberRefusal::IdExists)
    );
    assert_eq!(
        view.check(&add(77, false), &two),
        Err(MemberRefusal::IdExists)
    );
    let twin = Member {
        peer_urls: vec!["http://new:1".into(), "http://h:2".into()],
        ..member(5, false, false)
    };
    let nobody = MemberChange::Add(member(0, false, false));
    assert_eq!(view.check(&nobody, &two), Err(MemberRefusal::IdExists));
    let refused = view.check(&MemberChange::Add(twin), &two);
    assert_eq!(refused, Err(MemberRefusal::UrlExists));
    let learning = with(two, member(3, false, true));
    assert_eq!(
        view.check(&add(4, true), &learning),
        Err(MemberRefusal::TooManyLearners)
    );
    assert_eq!(view.check(&add(4, false), &learning), Ok(()));
}

#[test]
fn removing_keeps_a_quorum_in_touch() {
    let three = voters(&[1, 2, 3]);
    let one_down = View::connected(&[(2, LONG)]);
    let remove = MemberChange::Remove;
    // The one that is down can go; who is left cannot spare another.
    assert_eq!(one_down.check(&remove(3), &three), Ok(()));
    assert_eq!(
        one_down.check(&remove(2), &three),
        Err(MemberRefusal::Unhealthy)
    );
    assert_eq!(
        one_down.check(&remove(1), &three),
        Err(MemberRefusal::Unhealthy)
    );
    let lax = View {
        strict: false,
        ..one_down
    };
    assert_eq!(lax.check(&remove(2), &three), Ok(()));
    let healthy = View::connected(&[(2, LONG), (3, LONG)]);
    assert_eq!(healthy.check(&remove(1), &three), Ok(()));
    assert_eq!(
        healthy.check(&remove(9), &three),
        Err(MemberRefusal::NotFound)
    );
    assert_eq!(
        healthy.check(&remove(77), &three),
        Err(MemberRefusal::NotFound)
    );
    let learning = with(voters(&[1]), member(2, false, true));
    assert_eq!(healthy.check(&remove(2), &learning), Ok(()));
}

#[test]
fn the_last_voter_stays_whatever_the_rules() {
    let alone = with(voters(&[1]), member(2, true, true));
    for strict in [true, false] {
        let view = View {
            strict,
            ..View::connected(&[(2, LONG)])
        };
        let refused = view.check(&MemberChange::Remove(1), &alone);
        assert_eq!(refused, Err(MemberRefusal::NotEnoughStarted));
    }
}

#[test]
fn an_update_takes_nobodys_url() {
    let view = View::connected(&[]);
    let two = voters(&[1, 2]);
    let update = |id, url: &str| MemberChange::Update {
        id,
        peer_urls: vec![url.into()],
    };
    assert_eq!(view.check(&update(2, "http://new:1"), &two), Ok(()));
    assert_eq!(view.check(&update(2, "http://h:2"), &two), Ok(()));
    assert_eq!(
        view.check(&update(2, "http://h:1"), &two),
        Err(MemberRefusal::UrlExists)
    );
    assert_eq!(
        view.check(&update(9, "http://h:1"), &two),
        Err(MemberRefusal::NotFound)
    );
}

#[test]
fn a_learner_votes_once_it_has_caught_up() {
    let progress = |learner: u64| {
        let at = |id, matched| PeerProgress {
            member: MemberId(id),
            matched,
            active: true,
            in_snapshot: false,
        };
        vec![at(1, 1000), at(2, learner)]
    };
    let view = |learner| View {
        progress: progress(learner),
        ..View::connected(&[])
    };
    let membership = with(voters(&[1]), member(2, false, true));
    let promote = |id| MemberChange::Promote(id);
    assert_eq!(view(900).check(&promote(2), &membership), Ok(()));
    let behind = Err(MemberRefusal::NotInSync);
    assert_eq!(view(899).check(&promote(2), &membership), behind);
    assert_eq!(View::connected(&[]).check(&promote(2), &membership), behind);
    assert_eq!(
        view(900).check(&promote(1), &membership),
        Err(MemberRefusal::NotLearner)
    );
    assert_eq!(
        view(900).check(&promote(3), &membership),
        Err(MemberRefusal::NotFound)
    );
    // It would be the second of three to have started.
    let started = with(membership, member(3, false, false));
    assert_eq!(view(900).check(&promote(2), &started), Ok(()));
    let more = with(started, member(4, false, false));
    assert_eq!(
        view(900).check(&promote(2), &more),
        Err(MemberRefusal::NotEnoughStarted)
    );
}
