//! What peers send: how large it gets, and that nothing that passes the checks ends the process.

use prost011::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::raft::wire;

#[test]
fn a_follower_far_behind_is_sent_messages_of_bounded_size() {
    let mut cluster = Cluster::new();
    cluster.member(1).core.unreachable(MemberId(3));
    for _ in 0..40 {
        let command = Bytes::from(vec![7; 200 << 10]);
        cluster.member(1).core.propose(command);
        cluster.act(1);
        cluster.deliver(|message| message.to == 3);
    }
    assert_eq!(cluster.member(1).commands().len(), 40);
    let beats = cluster.member(1).tick(1);
    cluster.wire.extend(beats);
    let mut largest = 0;
    cluster.deliver(|message| {
        let size = message.entries.iter().map(|entry| entry.data.len()).sum();
        largest = largest.max(size);
        false
    });
    assert_eq!(cluster.member(3).commands().len(), 40);
    assert!((400 << 10..=settings::MAX_APPEND as usize).contains(&largest));
}

#[test]
fn a_transfer_asked_of_a_leader_that_was_deposed_troubles_nobody() {
    let mut cluster = Cluster::new();
    cluster.member(1).core.transfer_leader(MemberId(2));
    cluster.act(1);
    cluster.deliver_all();
    assert_eq!(cluster.member(1).core.status().role, Role::Follower);
    // As if it had been asked while it led.
    cluster.member(1).core.transfer_leader(MemberId(3));
    assert_eq!(cluster.member(1).act(), []);
    cluster.member(2).core.transfer_leader(MemberId(3));
    cluster.act(2);
    cluster.deliver_all();
    assert_eq!(cluster.member(3).core.status().role, Role::Leader);
}

/// Any message of the kind that peers send, with numbers from around those of a small cluster.
fn any_message(rng: &mut StdRng, to: u64) -> Message {
    let kinds = [
        MessageType::MsgPropose,
        MessageType::MsgAppend,
        MessageType::MsgAppendResponse,
        MessageType::MsgRequestVote,
        MessageType::MsgRequestVoteResponse,
        MessageType::MsgSnapshot,
        MessageType::MsgHeartbeat,
        MessageType::MsgHeartbeatResponse,
        MessageType::MsgTimeoutNow,
        MessageType::MsgReadIndex,
        MessageType::MsgReadIndexResp,
        MessageType::MsgRequestPreVote,
        MessageType::MsgRequestPreVoteResponse,
    ];
    let kind = kinds[rng.random_range(0..kinds.len())];
    let forwarded = matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex);
    let (index, log_term) = (rng.random_range(0..9), rng.random_range(0..4));
    let mut message = Message {
        msg_type: kind as i32,
        from: rng.random_range(1..5),
        to,
        term: if forwarded { 0 } else { rng.random_range(1..6) },
        index,
        log_term,
        commit: rng.random_range(0..9),
        commit_term: rng.random_range(0..4),
        reject: rng.random(),
        reject_hint: rng.random_range(0..9),
        ..Message::default()
    };
    let entry = |index, term, data| Entry {
        index,
        term,
        data,
        ..Default::default()
    };
    match kind {
        MessageType::MsgAppend => {
            let term = log_term.max(1) + rng.random_range(0..2);
            let after = index + 1..index + 1 + rng.random_range(0..4);
            message.entries = after.map(|at| entry(at, term, Vec::new())).collect();
        }
        MessageType::MsgPropose if rng.random() => {
            message.entries = vec![any_change(rng)];
        }
        MessageType::MsgPropose => message.entries = vec![entry(0, 0, Vec::new())],
        MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => {
            let context = (0..24).map(|at| u8::from(at % 8 == 7) * rng.random_range(1..5));
            message.entries = vec![entry(0, 0, context.collect())];
        }
        MessageType::MsgSnapshot => {
            let voters = [vec![1, 2, 3], vec![1], vec![2, 3]];
            let meta = message.mut_snapshot().mut_metadata();
            (meta.index, meta.term) = (index.max(1), log_term.max(1));
            meta.mut_conf_state().voters = voters[rng.random_range(0..3)].clone();
        }
        _ => {}
    }
    message
}

fn any_change(rng: &mut StdRng) -> Entry {
    let kinds = [ChangeKind::Voter, ChangeKind::Learner, ChangeKind::Remove];
    let changes: Vec<_> = (0..rng.random_range(0..3))
        .map(|_| Change {
            member: MemberId(rng.random_range(1..5)),
            kind: kinds[rng.random_range(0..3)],
        })
        .collect();
    Entry {
        entry_type: EntryType::EntryConfChangeV2 as i32,
        data: configuration::to_raft_change(&changes).encode_to_vec(),
        ..Default::default()
    }
}

/// raft-rs trusts its peers and ends the process when they contradict themselves. What `wire` and `guard`
/// let through must not, in whatever state the member is and whoever it comes from.
#[test]
fn no_message_that_passes_the_checks_ends_the_process() {
    let mut passed = 0;
    for seed in 0..400 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut cluster = Cluster::new();
        cluster.put(1, "a");
        let id = rng.random_range(1..4);
        let member = cluster.member(id);
        for _ in 0..60 {
            let message = any_message(&mut rng, id);
            let Ok(message) = wire::decode(&wire::encode(&message)) else {
                continue;
            };
            passed += 1;
            let snapshot = message.snapshot.as_ref().map(|snapshot| {
                let meta = snapshot.get_metadata();
                Snapshot {
                    state: AppliedState {
                        index: meta.index,
                        term: meta.term,
                        configuration: Configuration::from_raft(meta.get_conf_state()),
                    },
                    dir: std::path::PathBuf::from(format!("{passed}")),
                }
            });
            // A member that learns that it lost entries stops.
            if member.core.step(message, snapshot).is_err() {
                break;
            }
            if rng.random_bool(0.8) {
                member.act();
            }
            if rng.random_bool(0.2) {
                member.tick(rng.random_range(1..20));
            }
        }
    }
    assert!(passed > 5000, "{passed}");
}
