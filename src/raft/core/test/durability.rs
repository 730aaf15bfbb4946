//! Nothing is said to others before the disk has what it says (invariant I1), batch by batch.

use super::*;

/// The highest index that the messages acknowledge.
fn acknowledged(sent: &[Message]) -> Option<u64> {
    let answers = sent
        .iter()
        .filter(|message| is(MessageType::MsgAppendResponse)(message));
    answers.map(|message| message.index).max()
}

#[test]
fn a_follower_acknowledges_only_what_the_finished_batch_holds() {
    let mut cluster = Cluster::new();
    cluster.member(2).stuck = Some(Vec::new());
    cluster.put(1, "a");
    cluster.put(1, "b");
    let last = cluster.member(1).core.log().last().index;
    assert_eq!(cluster.member(2).core.log().last().index, last);
    let sent = cluster.member(2).finish_one();
    assert_eq!(acknowledged(&sent), Some(last - 1));
    let sent = cluster.member(2).unstick();
    assert_eq!(acknowledged(&sent), Some(last));
}

#[test]
fn a_leader_counts_itself_only_for_what_the_finished_batch_holds() {
    let mut cluster = Cluster::new();
    cluster.member(1).stuck = Some(Vec::new());
    for command in ["a", "b"] {
        let command = Bytes::from_static(command.as_bytes());
        cluster.member(1).core.propose(command);
        cluster.act(1);
        cluster.deliver(|message| message.to == 3);
    }
    assert!(cluster.member(1).commands().is_empty());
    cluster.member(1).finish_one();
    assert_eq!(cluster.member(1).commands(), ["a"]);
    cluster.member(1).unstick();
    assert_eq!(cluster.member(1).commands(), ["a", "b"]);
}

/// Its own vote counts as well: lost in a crash, it could be given to another in the same term.
#[test]
fn a_candidate_asks_for_votes_only_when_its_own_is_durable() {
    let mut cluster = Cluster::new();
    cluster.member(2).stuck = Some(Vec::new());
    let sent = cluster.member(2).tick(20);
    cluster.member(3).tick(20);
    cluster
        .wire
        .extend(sent.into_iter().filter(|message| message.to == 3));
    let asks = is(MessageType::MsgRequestVote);
    assert_eq!(cluster.deliver(&asks), []);
    let term = cluster.member(2).core.log().hard().term;
    let sent = cluster.member(2).unstick();
    let asked: Vec<_> = sent.into_iter().filter(&asks).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|message| message.term == term));
}

#[test]
fn the_vote_outlives_the_log_that_a_snapshot_replaces() {
    let mut cluster = Cluster::new();
    let before = cluster.member(3).core.log().hard();
    assert_eq!(before.vote, 1);
    let state = AppliedState {
        index: 100,
        term: before.term,
        configuration: (*cluster.member(1).core.configuration()).clone(),
    };
    let mut message = Message {
        msg_type: MessageType::MsgSnapshot as i32,
        from: 1,
        to: 3,
        term: before.term,
        ..Message::default()
    };
    let meta = message.mut_snapshot().mut_metadata();
    (meta.index, meta.term) = (state.index, state.term);
    *meta.mut_conf_state() = state.configuration.to_raft();
    let dir = "nowhere".into();
    let member = cluster.member(3);
    let stepped = member.core.step(message, Some(Snapshot { state, dir }));
    stepped.unwrap();
    member.act();
    let after = member.core.log();
    assert_eq!(after.base().index, 100);
    assert_eq!((after.hard().term, after.hard().vote), (before.term, 1));
}
