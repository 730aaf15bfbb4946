//! The core step by step: three members whose messages the test carries by hand.

mod durability;
mod messages;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use raft::eraftpb::{Message, MessageType};

use super::*;
use crate::raft::configuration::{Change, ChangeKind};
use crate::raft::log::{FaultyDisk, LogOptions, Writer};
use crate::raft::start;
use crate::raft::types::{Committed, Role};

const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 4096,
    cache_bytes: 4096,
};

/// A core whose writes are durable at once unless held back.
struct Member {
    core: Core,
    writer: Writer,
    /// Batches that the disk has not finished, while it is slow.
    stuck: Option<Vec<(Vec<Batch>, Option<u64>)>>,
    committed: Vec<Committed>,
    reads: Vec<ReadOutcome>,
    wanted: Vec<u64>,
    /// Whether the state machine reports at once what it was given.
    applies: bool,
}

impl Member {
    fn new(id: u64, voters: &[u64]) -> Self {
        Self::with(Settings::small(id), voters)
    }

    fn with(settings: Settings, voters: &[u64]) -> Self {
        let disk: Arc<FaultyDisk> = Arc::new(FaultyDisk::new());
        let restored = AppliedState {
            configuration: Configuration {
                voters: voters.to_vec(),
                ..Configuration::default()
            },
            ..AppliedState::default()
        };
        Self {
            core: start::prepare(disk.clone(), OPTIONS, settings, &restored).unwrap(),
            writer: Writer::new(disk),
            stuck: None,
            committed: Vec::new(),
            reads: Vec::new(),
            wanted: Vec::new(),
            applies: true,
        }
    }

    /// Does what the core asks for, and gives what it sends.
    fn act(&mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        while let Some(output) = self.core.ready().unwrap() {
            sent.extend(output.messages);
            self.committed.extend(output.committed);
            self.reads.extend(output.reads);
            self.wanted.extend(output.make_snapshot);
            if let Some(stuck) = &mut self.stuck {
                stuck.push((output.batches, output.number));
            } else {
                self.write(output.batches, output.number);
            }
            if let (true, Some(last)) = (self.applies, self.committed.last()) {
                self.core.applied(last.index);
            }
        }
        sent
    }

    fn write(&mut self, batches: Vec<Batch>, number: Option<u64>) {
        self.writer.run(batches).unwrap();
        if let Some(number) = number {
            self.core.persisted(number);
        }
    }

    /// Lets the disk finish what it was given.
    fn unstick(&mut self) -> Vec<Message> {
        for (batches, number) in self.stuck.take().unwrap() {
            self.write(batches, number);
        }
        self.act()
    }

    /// Lets the disk finish the first of what it was given.
    fn finish_one(&mut self) -> Vec<Message> {
        let mut stuck = self.stuck.take().unwrap();
        let (batches, number) = stuck.remove(0);
        self.write(batches, number);
        self.stuck = Some(stuck);
        self.act()
    }

    fn step(&mut self, message: Message) -> Vec<Message> {
        self.core.step(message, None).unwrap();
        self.act()
    }

    fn tick(&mut self, times: usize) -> Vec<Message> {
        let mut sent = Vec::new();
        for _ in 0..times {
            self.core.tick();
            sent.extend(self.act());
        }
        sent
    }

    fn commands(&self) -> Vec<Bytes> {
        let entries = self.committed.iter();
        entries.flat_map(|entry| entry.commands.clone()).collect()
    }
}

struct Cluster {
    members: BTreeMap<u64, Member>,
    wire: VecDeque<Message>,
}

impl Cluster {
    /// Three voters, the first of which leads.
    fn new() -> Self {
        let voters = [1, 2, 3];
        let members = voters.map(|id| (id, Member::new(id, &voters)));
        let mut cluster = Self {
            members: members.into(),
            wire: VecDeque::new(),
        };
        cluster.elect(1);
        cluster
    }

    fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).unwrap()
    }

    fn elect(&mut self, id: u64) {
        let sent = self.member(id).tick(20);
        self.wire.extend(sent);
        self.deliver_all();
        assert_eq!(self.member(id).core.status().role, Role::Leader);
    }

    /// Carries messages until there are none. Gives those that `keep` wants for itself.
    fn deliver(&mut self, mut keep: impl FnMut(&Message) -> bool) -> Vec<Message> {
        let mut kept = Vec::new();
        while let Some(message) = self.wire.pop_front() {
            if keep(&message) {
                kept.push(message);
            } else if let Some(member) = self.members.get_mut(&message.to) {
                let sent = member.step(message);
                self.wire.extend(sent);
            }
        }
        kept
    }

    fn deliver_all(&mut self) {
        self.deliver(|_| false);
    }

    fn act(&mut self, id: u64) {
        let sent = self.member(id).act();
        self.wire.extend(sent);
    }

    fn put(&mut self, id: u64, command: &'static str) {
        self.member(id)
            .core
            .propose(Bytes::from_static(command.as_bytes()));
        self.act(id);
        self.deliver_all();
    }

    fn change(&mut self, id: u64, changes: &[(u64, ChangeKind)]) {
        let base = self.member(id).core.configuration().changed_at;
        let proposed = self.member(id).core.propose_change(&change(base, changes));
        assert_eq!(proposed, Ok(()));
        self.act(id);
    }
}

/// A change that was decided on the membership of this index.
fn change(base: u64, steps: &[(u64, ChangeKind)]) -> ProposedChange {
    let step = |&(member, kind)| Change {
        member: MemberId(member),
        kind,
    };
    ProposedChange {
        steps: steps.iter().map(step).collect(),
        base,
        attachment: Bytes::from_static(b"why"),
    }
}

fn is(kind: MessageType) -> impl Fn(&Message) -> bool {
    move |message| message.get_msg_type() == kind
}

#[test]
fn an_only_voter_leads_at_once() {
    let mut alone = Member::new(1, &[1]);
    alone.act();
    assert_eq!(alone.core.status().role, Role::Leader);
    alone.core.read(7);
    alone.core.propose(Bytes::from_static(b"a"));
    alone.act();
    assert_eq!(alone.commands(), ["a"]);
    assert_eq!(alone.reads.len(), 1);
    assert!(matches!(alone.reads[0], (7, Ok(2..))));
}

#[test]
fn commands_that_wait_together_share_entries() {
    let mut alone = Member::new(1, &[1]);
    alone.act();
    let before = alone.committed.len();
    for _ in 0..1000 {
        alone.core.propose(Bytes::from(vec![1; 100]));
    }
    alone.core.propose(Bytes::from(vec![2; 300 << 10]));
    alone.core.propose(Bytes::from(vec![3; 10]));
    alone.act();
    let sizes: Vec<_> = alone.committed[before..]
        .iter()
        .map(|entry| entry.commands.len())
        .collect();
    assert_eq!(sizes, [1000, 1, 1]);
}

#[test]
fn entries_are_acknowledged_only_when_they_are_durable() {
    let mut cluster = Cluster::new();
    cluster.member(2).stuck = Some(Vec::new());
    cluster.member(3).stuck = Some(Vec::new());
    cluster.put(1, "a");
    assert!(cluster.member(1).commands().is_empty());
    // A heartbeat promises nothing and is answered without waiting for the disk.
    let beats = cluster.member(1).tick(1);
    cluster.wire.extend(beats);
    let answers = cluster.deliver(is(MessageType::MsgHeartbeatResponse));
    assert_eq!(answers.len(), 2);
    let sent = cluster.member(2).unstick();
    cluster.wire.extend(sent);
    cluster.deliver_all();
    assert_eq!(cluster.member(1).commands(), ["a"]);
}

#[test]
fn a_leader_sends_before_its_own_disk_is_done_and_counts_itself_after() {
    let mut cluster = Cluster::new();
    cluster.member(1).stuck = Some(Vec::new());
    cluster.member(3).stuck = Some(Vec::new());
    cluster.put(1, "a");
    assert!(cluster.member(1).commands().is_empty());
    let sent = cluster.member(1).unstick();
    cluster.wire.extend(sent);
    cluster.deliver_all();
    assert_eq!(cluster.member(1).commands(), ["a"]);
}

#[test]
fn a_vote_is_sent_only_when_it_is_durable() {
    let mut cluster = Cluster::new();
    let sent = cluster.member(2).tick(20);
    cluster.member(3).tick(20);
    cluster.member(3).stuck = Some(Vec::new());
    cluster
        .wire
        .extend(sent.into_iter().filter(|message| message.to == 3));
    cluster.deliver(|message| message.to == 1);
    // The answer to the first round promised nothing; the vote of the second does.
    assert_eq!(cluster.member(2).core.status().role, Role::Candidate);
    let sent = cluster.member(3).unstick();
    let votes = sent
        .iter()
        .filter(|message| is(MessageType::MsgRequestVoteResponse)(message));
    assert_eq!(votes.count(), 1);
    cluster.wire.extend(sent);
    cluster.deliver(|message| message.to == 1);
    assert_eq!(cluster.member(2).core.status().role, Role::Leader);
}

/// Builds the situation of etcd issue 20418 out of a repeated request: a leader that was deposed without
/// knowing it has a read of its own waiting, sees an old request again, and then gets a late answer to
/// the heartbeat of that request's first round.
fn deposed_leader_gets_late_answer(guarded: bool) -> Vec<ReadOutcome> {
    let mut cluster = Cluster::new();
    if !guarded {
        cluster.member(1).core.accept_repeated_requests();
    }
    cluster.member(2).core.read(1);
    cluster.act(2);
    let mut requests = Vec::new();
    let mut late = Vec::new();
    let mut kept = cluster.deliver(|message| {
        requests.extend(is(MessageType::MsgReadIndex)(message).then(|| message.clone()));
        is(MessageType::MsgHeartbeatResponse)(message) && message.from == 3
    });
    late.append(&mut kept);
    assert_eq!(cluster.member(2).reads.len(), 1);
    // The others elect a leader that commits a write, unknown to the first.
    for id in [2, 3] {
        let sent = cluster.member(id).tick(20);
        cluster.wire.extend(sent);
        cluster.deliver(|message| message.to == 1);
    }
    let leader = if cluster.member(2).core.status().role == Role::Leader {
        2
    } else {
        3
    };
    assert_eq!(cluster.member(leader).core.status().role, Role::Leader);
    cluster
        .member(leader)
        .core
        .propose(Bytes::from_static(b"new"));
    cluster.act(leader);
    cluster.deliver(|message| message.to == 1);
    assert_eq!(cluster.member(leader).commands(), ["new"]);
    // A read that begins now must not be served by the old leader.
    cluster.member(1).core.read(2);
    cluster.member(1).act();
    for message in requests.into_iter().chain(late) {
        cluster.member(1).step(message);
    }
    std::mem::take(&mut cluster.member(1).reads)
}

#[test]
fn a_repeated_read_request_confirms_nothing() {
    let unguarded = deposed_leader_gets_late_answer(false);
    assert!(
        matches!(unguarded.as_slice(), [(2, Ok(_))]),
        "the hole is there"
    );
    assert_eq!(deposed_leader_gets_late_answer(true), []);
}

#[test]
fn reads_wait_for_a_leader_and_fail_when_theirs_is_replaced() {
    let mut cluster = Cluster::new();
    cluster.member(3).core.read(1);
    cluster.act(3);
    cluster.wire.clear();
    cluster.member(1).core.transfer_leader(MemberId(2));
    cluster.act(1);
    cluster.deliver_all();
    assert_eq!(cluster.member(2).core.status().role, Role::Leader);
    assert_eq!(
        cluster.member(3).reads,
        [(1, Err(ReadIndexError::LeaderChanged))]
    );
    let mut lonely = Member::new(9, &[8, 9]);
    lonely.core.read(5);
    lonely.tick(5);
    assert_eq!(lonely.reads, []);
}

#[test]
fn a_read_that_came_too_early_is_asked_again_at_the_first_commit_of_the_term() {
    let mut cluster = Cluster::new();
    cluster.member(1).stuck = Some(Vec::new());
    cluster.member(3).stuck = Some(Vec::new());
    let sent = cluster.member(2).tick(20);
    cluster.member(3).tick(20);
    cluster.wire.extend(sent);
    cluster.deliver(|message| message.to == 1);
    let sent = cluster.member(3).unstick();
    cluster.wire.extend(sent);
    // The new leader's first entry reaches nobody yet.
    let appends = cluster.deliver(|message| message.to == 1 || is(MessageType::MsgAppend)(message));
    assert_eq!(cluster.member(2).core.status().role, Role::Leader);
    let leader_knows = Message {
        msg_type: MessageType::MsgHeartbeat as i32,
        from: 2,
        to: 3,
        term: cluster.member(2).core.status().term,
        ..Message::default()
    };
    cluster.member(3).step(leader_knows);
    cluster.member(3).core.read(1);
    cluster.act(3);
    cluster.deliver_all();
    assert_eq!(cluster.member(3).reads, []);
    cluster
        .wire
        .extend(appends.into_iter().filter(|message| message.to == 3));
    cluster.deliver(|message| message.to == 1);
    assert!(matches!(cluster.member(3).reads.as_slice(), [(1, Ok(_))]));
}

/// A member refuses a snapshot whose configuration does not have it. Offered again and again, it would
/// never join.
#[test]
fn a_snapshot_made_before_a_member_joined_is_not_for_it() {
    let mut cluster = Cluster {
        members: [(1, Member::new(1, &[1])), (2, Member::new(2, &[]))].into(),
        wire: VecDeque::new(),
    };
    cluster.act(1);
    for _ in 0..100 {
        cluster.put(
            1,
            "a command long enough that a few of them fill a segment of the log",
        );
    }
    let made = |core: &Core| Snapshot {
        state: AppliedState {
            index: core.last_applied(),
            term: core.status().term,
            configuration: (*core.configuration()).clone(),
        },
        dir: "nowhere".into(),
    };
    let leader = cluster.member(1);
    leader.core.flushed(leader.core.last_applied());
    leader.core.snapshot_made(Ok(made(&leader.core)));
    cluster.change(1, &[(2, ChangeKind::Learner)]);
    let is_snapshot = is(MessageType::MsgSnapshot);
    let mut beat = || {
        let sent = cluster.member(1).tick(1);
        cluster.wire.extend(sent);
        cluster.deliver(&is_snapshot)
    };
    assert_eq!(beat(), []);
    assert_eq!(beat(), []);
    let leader = cluster.member(1);
    assert_eq!(leader.wanted.len(), 1);
    leader.core.snapshot_made(Ok(made(&leader.core)));
    let sent = leader.tick(1);
    cluster.wire.extend(sent);
    assert_eq!(cluster.deliver(is_snapshot).len(), 1);
}

/// The peer would wait for ever for a message that cannot be sent, so the leader must know that it was not.
#[test]
fn a_snapshot_that_was_replaced_before_it_was_sent_counts_as_failed() {
    let mut cluster = Cluster {
        members: [(1, Member::new(1, &[1])), (2, Member::new(2, &[]))].into(),
        wire: VecDeque::new(),
    };
    cluster.act(1);
    cluster.change(1, &[(2, ChangeKind::Learner)]);
    cluster.put(1, "a");
    let leader = cluster.member(1);
    let made = |core: &Core, index: u64| Snapshot {
        state: AppliedState {
            index,
            term: core.status().term,
            configuration: (*core.configuration()).clone(),
        },
        dir: format!("{index}").into(),
    };
    let last = leader.core.last_applied();
    leader.core.snapshot_made(Ok(made(&leader.core, last - 1)));
    let beats = leader.tick(1);
    for beat in beats {
        for answer in cluster.member(2).step(beat) {
            cluster.member(1).core.step(answer, None).unwrap();
        }
    }
    let is_snapshot = is(MessageType::MsgSnapshot);
    let in_snapshot = |core: &Core| core.progress().iter().any(|peer| peer.in_snapshot);
    let leader = cluster.member(1);
    assert!(in_snapshot(&leader.core));
    leader.core.snapshot_made(Ok(made(&leader.core, last)));
    assert!(!leader.act().iter().any(&is_snapshot));
    assert!(!in_snapshot(&leader.core));
    let sent = leader.tick(1);
    cluster.wire.extend(sent);
    let sent = cluster.deliver(is_snapshot);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].get_snapshot().get_metadata().index, last);
}

/// raft-rs drops what is of an older term, and with it the only news of a commit that there may be.
#[test]
fn a_rejection_of_an_older_term_still_tells_what_is_committed() {
    let mut cluster = Cluster::new();
    cluster.member(1).core.propose(Bytes::from_static(b"a"));
    cluster.act(1);
    let appends: Vec<_> = cluster.wire.drain(..).collect();
    for message in appends {
        let to = message.to;
        cluster.member(to).step(message);
    }
    let entry = cluster.member(2).core.log().last();
    assert!(cluster.member(2).core.committed() < entry.index);
    // The second is sent into a new term, as by a leader that hands over.
    let timeout = Message {
        msg_type: MessageType::MsgTimeoutNow as i32,
        from: 1,
        to: 2,
        term: entry.term,
        ..Message::default()
    };
    cluster.member(2).step(timeout);
    assert!(cluster.member(2).core.status().term > entry.term);
    let rejection = Message {
        msg_type: MessageType::MsgRequestPreVoteResponse as i32,
        from: 1,
        to: 2,
        term: entry.term,
        reject: true,
        commit: entry.index,
        commit_term: entry.term,
        ..Message::default()
    };
    cluster.member(2).step(rejection);
    assert_eq!(cluster.member(2).core.committed(), entry.index);
    assert_eq!(cluster.member(2).commands(), ["a"]);
}

/// A command has about 70 bytes: 1,000 bytes are no more than 14 of them, besides what shares their segment.
#[test]
fn the_log_is_kept_for_followers_by_entries_and_by_bytes() {
    for (catchup_entries, catchup_bytes, kept) in [
        (1000, 1 << 20, 100..=101),
        (1000, 1000, 10..=70),
        (40, 1 << 20, 40..=97),
    ] {
        let settings = Settings {
            catchup_entries,
            catchup_bytes,
            ..Settings::small(1)
        };
        let mut member = Member::with(settings, &[1]);
        member.tick(20);
        for _ in 0..100 {
            let command = b"a command long enough that a few of them fill a segment of the log";
            member.core.propose(Bytes::from_static(command));
            member.act();
        }
        let last = member.core.log().last().index;
        member.core.flushed(last);
        member.tick(1);
        let left = last - member.core.log().base().index;
        assert!(
            kept.contains(&left),
            "{left} of {catchup_entries}, {catchup_bytes}"
        );
    }
}

/// Released raft-rs follows an old rejection below what the peer has acknowledged, finds the log cut
/// there, and wants a snapshot that nobody needs (raft-rs issue 555).
#[test]
fn an_old_rejection_after_the_log_was_cut_asks_for_no_snapshot() {
    let mut cluster = Cluster::new();
    let command = "a command long enough that a few of them fill a segment of the log";
    for _ in 0..100 {
        cluster.put(1, command);
    }
    let term = cluster.member(1).core.status().term;
    let leader = cluster.member(1);
    // The peer is being probed again, from behind what it has acknowledged.
    leader.core.unreachable(MemberId(2));
    let last = leader.core.log().last().index;
    leader.core.flushed(last);
    leader.tick(1);
    let base = leader.core.log().base().index;
    assert!(base > 50, "{base}");
    for (rejected, hint) in [(20, 10), (last, 10), (last, 0)] {
        let rejection = Message {
            msg_type: MessageType::MsgAppendResponse as i32,
            from: 2,
            to: 1,
            term,
            index: rejected,
            reject: true,
            reject_hint: hint,
            log_term: 1,
            ..Message::default()
        };
        let sent = cluster.member(1).step(rejection);
        assert!(!sent.iter().any(is(MessageType::MsgSnapshot)));
        assert!(cluster.member(1).wanted.is_empty());
    }
    cluster.put(1, "after");
    let beats = cluster.member(1).tick(2);
    cluster.wire.extend(beats);
    cluster.deliver_all();
    assert_eq!(cluster.member(2).commands().last().unwrap(), "after");
}

#[test]
fn a_removed_leader_steps_down_with_entries_under_way() {
    let mut cluster = Cluster::new();
    cluster.change(1, &[(1, ChangeKind::Remove)]);
    for _ in 0..3 {
        cluster
            .member(1)
            .core
            .propose(Bytes::from_static(b"behind the removal"));
        cluster.act(1);
    }
    cluster.deliver_all();
    let beats = cluster.member(1).tick(1);
    cluster.wire.extend(beats);
    cluster.deliver_all();
    assert_ne!(cluster.member(1).core.status().role, Role::Leader);
    let leader = [2, 3]
        .into_iter()
        .find(|id| cluster.members[id].core.status().role == Role::Leader);
    cluster.put(leader.unwrap(), "after");
    for id in [2, 3] {
        assert_eq!(cluster.member(id).commands().last().unwrap(), "after");
        assert_eq!(cluster.member(id).core.configuration().voters, [2, 3]);
    }
}

/// An only voter wins its election in the moment it stands, and raft-rs insists that its log is written
/// by then.
#[test]
fn nobody_stands_for_election_on_an_unwritten_log() {
    let voters = [1, 2];
    let mut cluster = Cluster {
        members: voters.map(|id| (id, Member::new(id, &voters))).into(),
        wire: VecDeque::new(),
    };
    cluster.elect(1);
    cluster.change(1, &[(1, ChangeKind::Remove)]);
    let removal: Vec<_> = cluster.wire.drain(..).collect();
    cluster
        .member(1)
        .core
        .propose(Bytes::from_static(b"behind the removal"));
    cluster.act(1);
    let behind: Vec<_> = cluster.wire.drain(..).collect();
    let mut farewell = Vec::new();
    for message in removal {
        for answer in cluster.member(2).step(message) {
            farewell.extend(cluster.member(1).step(answer));
        }
    }
    // The removal is on both disks and committed; the second learns of it after it got the other entry,
    // which its disk does not finish.
    cluster.member(2).stuck = Some(Vec::new());
    for message in behind.into_iter().chain(farewell) {
        cluster.member(2).step(message);
    }
    cluster.member(2).tick(40);
    assert_eq!(cluster.member(2).core.configuration().voters, [2]);
    assert_eq!(cluster.member(2).core.status().role, Role::Follower);
    cluster.member(2).unstick();
    cluster.member(2).tick(20);
    assert_eq!(cluster.member(2).core.status().role, Role::Leader);
}

#[test]
fn an_impossible_change_changes_nothing_and_blocks_nothing() {
    let mut alone = Cluster {
        members: [(1, Member::new(1, &[1]))].into(),
        wire: VecDeque::new(),
    };
    alone.act(1);
    alone.change(1, &[(1, ChangeKind::Remove)]);
    assert_eq!(
        alone.member(1).committed.last().unwrap().configuration,
        None
    );
    assert_eq!(alone.member(1).core.configuration().voters, [1]);
    alone.change(1, &[(2, ChangeKind::Learner)]);
    assert_eq!(alone.member(1).core.configuration().learners, [2]);
}

/// Of two changes that were decided on the same membership only the first takes place.
#[test]
fn a_change_that_was_decided_on_another_membership_is_void() {
    let mut alone = Cluster {
        members: [(1, Member::new(1, &[1]))].into(),
        wire: VecDeque::new(),
    };
    alone.act(1);
    let add = |base, id| change(base, &[(id, ChangeKind::Learner)]);
    for (base, id) in [(0, 2), (0, 3), (99, 3)] {
        assert_eq!(alone.member(1).core.propose_change(&add(base, id)), Ok(()));
        // Until it is applied there is room for no other.
        let early = alone.member(1).core.propose_change(&add(base, 4));
        assert_eq!(early, Err(ChangeError::Busy));
        alone.act(1);
        let entry = alone.member(1).committed.last().unwrap().clone();
        assert_eq!(entry.attachment.as_deref(), Some(&b"why"[..]));
        let changed = entry.configuration.map(|new| new.changed_at);
        assert_eq!(changed, (id == 2).then_some(entry.index));
    }
    let configuration = alone.member(1).core.configuration();
    assert_eq!(configuration.learners, [2]);
    let next = add(configuration.changed_at, 3);
    assert_eq!(alone.member(1).core.propose_change(&next), Ok(()));
    alone.act(1);
    assert_eq!(alone.member(1).core.configuration().learners, [2, 3]);
}

/// What only changes something that consensus does not know of counts as a change all the same.
#[test]
fn a_change_of_nobodys_part_is_one() {
    let mut cluster = Cluster::new();
    cluster.change(1, &[(2, ChangeKind::Voter)]);
    cluster.deliver_all();
    let changed = cluster.member(1).core.configuration();
    assert_eq!(changed.voters, [1, 2, 3]);
    assert!(changed.changed_at > 1);
    cluster.put(1, "after");
    assert_eq!(cluster.member(2).core.configuration(), changed);
}

#[test]
fn only_a_leader_proposes_changes() {
    let mut cluster = Cluster::new();
    let leave = change(0, &[(3, ChangeKind::Remove)]);
    let refused = cluster.member(2).core.propose_change(&leave);
    assert_eq!(refused, Err(ChangeError::NotLeader));
}

#[test]
fn a_joint_change_ends_by_itself() {
    let mut cluster = Cluster::new();
    let changes = [(3, ChangeKind::Learner), (2, ChangeKind::Remove)];
    cluster.change(1, &changes);
    cluster.deliver_all();
    for _ in 0..5 {
        let beats = cluster.member(1).tick(1);
        cluster.wire.extend(beats);
        cluster.deliver_all();
    }
    let configuration = cluster.member(1).core.configuration();
    assert_eq!(configuration.voters, [1]);
    assert_eq!(configuration.learners, [3]);
    assert!(configuration.voters_outgoing.is_empty());
    cluster.put(1, "after");
    assert_eq!(cluster.member(3).commands(), ["after"]);
    assert_eq!(cluster.member(3).core.configuration(), configuration);
}

#[test]
fn a_slow_state_machine_is_not_given_more_than_it_can_hold() {
    let mut alone = Member::new(1, &[1]);
    alone.applies = false;
    alone.act();
    let total = 3 * backlog::MAX_ENTRIES;
    for number in 0..total {
        alone
            .core
            .propose(Bytes::from(number.to_le_bytes().to_vec()));
        alone.act();
    }
    assert!(alone.core.is_overloaded());
    assert_eq!(alone.committed.len() as u64, backlog::MAX_ENTRIES);
    while (alone.committed.len() as u64) < total + 1 {
        let given = alone.committed.last().unwrap().index;
        alone.core.applied(given);
        alone.act();
        assert!(alone.committed.last().unwrap().index > given);
    }
    let expected: Vec<_> = (0..total)
        .map(|number| number.to_le_bytes().to_vec())
        .collect();
    assert_eq!(alone.commands(), expected);
    alone.core.applied(alone.committed.last().unwrap().index);
    assert!(!alone.core.is_overloaded());
}

/// More is left in the log than is fetched at a time, and the next entry is committed meanwhile.
#[test]
fn what_was_left_in_the_log_goes_before_what_is_new() {
    let mut alone = Member::new(1, &[1]);
    alone.applies = false;
    alone.act();
    let propose = |alone: &mut Member, len| {
        alone.core.propose(Bytes::from(vec![1; len]));
        alone.act();
    };
    for _ in 0..backlog::MAX_ENTRIES {
        propose(&mut alone, 1);
    }
    for _ in 0..44 {
        propose(&mut alone, 256 << 10);
    }
    alone.core.applied(alone.committed.last().unwrap().index);
    propose(&mut alone, 1);
    let first = alone.committed[0].index;
    let indexes: Vec<_> = alone.committed.iter().map(|entry| entry.index).collect();
    let consecutive: Vec<_> = (first..first + indexes.len() as u64).collect();
    assert_eq!(indexes, consecutive);
    assert_eq!(indexes.last(), Some(&alone.core.log().last().index));
}

#[test]
fn a_leader_that_knows_of_lost_entries_stops_the_member() {
    let mut cluster = Cluster::new();
    let (term, last) = {
        let core = &cluster.member(2).core;
        (core.status().term, core.log().last().index)
    };
    let beat = |from, term| Message {
        msg_type: MessageType::MsgHeartbeat as i32,
        from,
        to: 2,
        term,
        commit: last + 1,
        ..Message::default()
    };
    // From someone who is not known to lead this is no proof.
    assert!(cluster.member(2).step(beat(3, term + 1)).is_empty());
    let outcome = cluster.member(2).core.step(beat(1, term), None);
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("acknowledged by this member"), "{error}");
}

#[test]
fn acknowledgements_of_entries_that_do_not_exist_are_ignored() {
    let mut cluster = Cluster::new();
    let core = &cluster.member(1).core;
    let claim = Message {
        msg_type: MessageType::MsgAppendResponse as i32,
        from: 2,
        to: 1,
        term: core.status().term,
        index: core.log().last().index + 100,
        ..Message::default()
    };
    let before = cluster.member(1).core.progress();
    cluster.member(1).step(claim);
    assert_eq!(cluster.member(1).core.progress(), before);
}

#[test]
fn proposals_wait_for_a_leader_and_are_dropped_when_none_comes() {
    let mut member = Member::new(1, &[1, 2, 3]);
    member.act();
    assert!(!member.core.accepts_proposals());
    member.core.propose(Bytes::from_static(b"too late"));
    member.tick(LEADERLESS_TICKS + 1);
    assert!(member.core.proposals.is_empty());
}

#[test]
fn what_arrives_while_rounds_are_under_way_shares_the_next_one() {
    let mut cluster = Cluster::new();
    let first = cluster.member(1).core.log().last().index;
    for command in ["a", "b"] {
        cluster
            .member(1)
            .core
            .propose(Bytes::from_static(command.as_bytes()));
        cluster.act(1);
    }
    assert!(!cluster.member(1).core.accepts_proposals());
    for command in ["c", "d", "e"] {
        cluster
            .member(1)
            .core
            .propose(Bytes::from_static(command.as_bytes()));
        cluster.act(1);
    }
    assert_eq!(cluster.member(1).core.log().last().index, first + 2);
    cluster.deliver_all();
    for id in [1, 2, 3] {
        let member = cluster.member(id);
        assert_eq!(member.commands(), ["a", "b", "c", "d", "e"]);
        assert_eq!(member.committed.last().unwrap().index, first + 3);
    }
    assert!(cluster.member(1).core.accepts_proposals());
}

#[test]
fn what_followers_forward_shares_the_leaders_entries() {
    let mut cluster = Cluster::new();
    let first = cluster.member(1).core.log().last().index;
    for (id, command) in [(2, "a"), (3, "b"), (2, "c"), (3, "d")] {
        cluster
            .member(id)
            .core
            .propose(Bytes::from_static(command.as_bytes()));
        cluster.act(id);
    }
    let mut forwarded = cluster.deliver(is(MessageType::MsgPropose));
    forwarded.sort_by_key(|message| message.from);
    assert_eq!(forwarded.len(), 4);
    for message in forwarded {
        cluster.member(1).core.step(message, None).unwrap();
    }
    cluster.act(1);
    cluster.deliver_all();
    for id in [1, 2, 3] {
        let member = cluster.member(id);
        assert_eq!(member.commands(), ["a", "c", "b", "d"]);
        assert_eq!(member.committed.last().unwrap().index, first + 1);
    }
}

#[test]
fn a_follower_goes_on_although_what_it_forwarded_was_lost() {
    let mut cluster = Cluster::new();
    for command in ["a", "b"] {
        cluster
            .member(2)
            .core
            .propose(Bytes::from_static(command.as_bytes()));
        cluster.act(2);
    }
    assert_eq!(cluster.deliver(is(MessageType::MsgPropose)).len(), 2);
    assert!(!cluster.member(2).core.accepts_proposals());
    let sent = cluster.member(2).tick(1);
    cluster.wire.extend(sent);
    assert!(cluster.member(2).core.accepts_proposals());
    cluster.put(2, "c");
    assert_eq!(cluster.member(3).commands(), ["c"]);
}

#[test]
fn followers_hear_at_once_what_is_committed_and_only_once() {
    let mut cluster = Cluster::new();
    cluster.member(1).core.propose(Bytes::from_static(b"a"));
    cluster.act(1);
    let mut appends = 0;
    cluster.deliver(|message| {
        appends += usize::from(message.get_msg_type() == MessageType::MsgAppend);
        false
    });
    // To each of two followers one with the entry and one with the commit index.
    assert_eq!(appends, 4);
    assert_eq!(cluster.member(2).commands(), ["a"]);
    assert_eq!(cluster.member(3).commands(), ["a"]);
}

#[test]
fn a_round_carries_the_commit_index_of_the_one_before() {
    let mut cluster = Cluster::new();
    for command in ["a", "b", "c"] {
        cluster
            .member(1)
            .core
            .propose(Bytes::from_static(command.as_bytes()));
        cluster.act(1);
    }
    let mut empty = 0;
    cluster.deliver(|message| {
        let append = message.get_msg_type() == MessageType::MsgAppend;
        empty += usize::from(append && message.entries.is_empty());
        false
    });
    assert_eq!(cluster.member(2).commands(), ["a", "b", "c"]);
    // The commit of "a" opens the round of "c" and travels with it; those of "b" and "c" go alone.
    assert_eq!(empty, 4);
}
