//! Nodes with real threads, real files and an in-process transport.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::{Node, NodeConfig, NodeHandle};
use crate::base::ids::MemberId;
use crate::base::shutdown::Lifecycle;
use crate::raft::types::*;
use crate::raft::{
    Change, ChangeError, ChangeKind, ProposeError, ProposedChange, ReadIndexError, ReceiveError,
    TransferError,
};

/// What a toy state machine knows: the commands that were applied.
#[derive(Debug, Clone, Default)]
struct World {
    state: AppliedState,
    commands: Vec<Bytes>,
}

/// A state machine that applies at once and keeps its state in memory; snapshots are kept in `saved`.
struct Machine {
    shared: Arc<Member>,
}

/// One member with everything that the test looks at.
struct Member {
    id: MemberId,
    world: Mutex<World>,
    changed: Condvar,
    handle: OnceLock<NodeHandle>,
    network: Arc<Network>,
    installed: Mutex<usize>,
    paused: Mutex<bool>,
}

#[derive(Default)]
struct Network {
    members: Mutex<HashMap<MemberId, Arc<Member>>>,
    saved: Mutex<HashMap<std::path::PathBuf, World>>,
    cut: Mutex<Vec<MemberId>>,
}

impl StateMachine for Machine {
    fn apply(&mut self, entries: Vec<Committed>) {
        let mut paused = self.shared.paused.lock();
        while *paused {
            self.shared.changed.wait(&mut paused);
        }
        drop(paused);
        let mut world = self.shared.world.lock();
        for entry in entries {
            assert_eq!(entry.index, world.state.index.max(1) + 1);
            world.state.index = entry.index;
            world.state.term = entry.term;
            world.commands.extend(entry.commands);
            if let Some(configuration) = entry.configuration {
                world.state.configuration = configuration;
            }
        }
        let index = world.state.index;
        drop(world);
        self.shared.changed.notify_all();
        if let Some(handle) = self.shared.handle.get() {
            handle.applied(index);
            handle.flushed(index);
        }
    }

    fn install(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let world = self.shared.network.saved.lock()[&snapshot.dir].clone();
        assert_eq!(world.state, snapshot.state);
        *self.shared.world.lock() = world;
        *self.shared.installed.lock() += 1;
        self.shared.changed.notify_all();
        Ok(())
    }

    fn make_snapshot(&mut self, index: u64) {
        let world = self.shared.world.lock().clone();
        assert!(world.state.index >= index);
        let dir = std::env::temp_dir().join(format!("{:p}-{}", self.shared, world.state.index));
        let state = world.state.clone();
        self.shared.network.saved.lock().insert(dir.clone(), world);
        let handle = self.shared.handle.get().unwrap();
        handle.snapshot_made(Ok(Snapshot { state, dir }));
    }

    fn status_changed(&mut self, _status: &Status) {
        self.shared.changed.notify_all();
    }
}

struct Wire {
    from: MemberId,
    network: Arc<Network>,
}

impl Wire {
    fn peer(&self, to: MemberId) -> Option<NodeHandle> {
        let cut = self.network.cut.lock();
        if cut.contains(&to) || cut.contains(&self.from) {
            return None;
        }
        let peer = self.network.members.lock().get(&to).cloned()?;
        peer.handle.get().cloned()
    }
}

impl Transport for Wire {
    fn send(&self, to: MemberId, messages: Vec<Bytes>) {
        for message in messages {
            if let Some(peer) = self.peer(to) {
                let _ = peer.receive(self.from, message);
            }
        }
    }

    fn send_snapshot(&self, to: MemberId, message: Bytes, snapshot: Arc<Snapshot>) {
        let sent = self
            .peer(to)
            .map(|peer| peer.receive_snapshot(self.from, message, (*snapshot).clone()));
        let me = self.network.members.lock()[&self.from].clone();
        let handle = me.handle.get().unwrap();
        handle.snapshot_sent(to, matches!(sent, Some(Ok(()))));
    }
}

fn configuration(voters: &[u64]) -> Configuration {
    Configuration {
        voters: voters.to_vec(),
        ..Configuration::default()
    }
}

fn settings(id: u64, dir: &Path) -> NodeConfig {
    NodeConfig {
        tick: Duration::from_millis(10),
        segment_bytes: 4096,
        snapshot_catchup_entries: 10,
        ..NodeConfig::new(MemberId(id), dir.join(id.to_string()))
    }
}

fn start(
    network: &Arc<Network>,
    config: NodeConfig,
    world: World,
    life: &Lifecycle,
) -> Arc<Member> {
    let member = Arc::new(Member {
        id: config.id,
        world: Mutex::new(world.clone()),
        changed: Condvar::new(),
        handle: OnceLock::new(),
        network: Arc::clone(network),
        installed: Mutex::default(),
        paused: Mutex::default(),
    });
    let machine = Box::new(Machine {
        shared: Arc::clone(&member),
    });
    let wire = Arc::new(Wire {
        from: config.id,
        network: Arc::clone(network),
    });
    let handle = Node::start(config, world.state, machine, wire, life).unwrap();
    member.handle.set(handle).unwrap();
    network
        .members
        .lock()
        .insert(member.id, Arc::clone(&member));
    member
}

fn new_world(voters: &[u64]) -> World {
    World {
        state: AppliedState {
            configuration: configuration(voters),
            ..AppliedState::default()
        },
        ..World::default()
    }
}

impl Member {
    fn node(&self) -> &NodeHandle {
        self.handle.get().unwrap()
    }

    fn wait(&self, mut done: impl FnMut(&World) -> bool) {
        let mut world = self.world.lock();
        while !done(&world) {
            // Wakes now and then to look at what has no condition variable.
            self.changed.wait_for(&mut world, Duration::from_millis(20));
        }
    }

    fn put(&self, command: &'static str) {
        self.node()
            .propose(Bytes::from_static(command.as_bytes()))
            .unwrap();
    }

    fn wait_for(&self, command: &'static str) {
        self.wait(|world| world.commands.iter().any(|known| known == command));
    }
}

fn leader(members: &[Arc<Member>]) -> Arc<Member> {
    loop {
        for member in members {
            if member.node().status().role == Role::Leader {
                return Arc::clone(member);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn an_only_voter_serves_and_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let network = Arc::new(Network::default());
    let life = Lifecycle::new();
    let member = start(&network, settings(1, dir.path()), new_world(&[1]), &life);
    member.put("a");
    member.put("b");
    member.wait_for("b");
    let read = member.node().read_index().await.unwrap();
    assert!(read >= 3, "{read}");
    assert_eq!(member.node().status().role, Role::Leader);
    member.node().stop().await;
    assert_eq!(
        member.node().propose(Bytes::new()),
        Err(ProposeError::Stopped)
    );
    assert_eq!(
        member.node().read_index().await,
        Err(ReadIndexError::Stopped)
    );

    // The state machine forgot everything: the log is its memory.
    let life = Lifecycle::new();
    let member = start(&network, settings(1, dir.path()), new_world(&[1]), &life);
    member.wait_for("b");
    assert_eq!(member.world.lock().commands, ["a", "b"]);
    member.node().stop().await;
    assert_eq!(life.failure(), None);
}

#[tokio::test]
async fn three_members_agree_and_reads_on_followers_see_writes() {
    let dir = tempfile::tempdir().unwrap();
    let network = Arc::new(Network::default());
    let life = Lifecycle::new();
    let members: Vec<_> = (1..=3)
        .map(|id| {
            start(
                &network,
                settings(id, dir.path()),
                new_world(&[1, 2, 3]),
                &life,
            )
        })
        .collect();
    let leader = leader(&members);
    leader.put("a");
    leader.wait_for("a");
    let written = leader.world.lock().state.index;
    for member in &members {
        let read = member.node().read_index().await.unwrap();
        assert!(read >= written);
        member.wait(|world| world.state.index >= read);
        assert_eq!(member.world.lock().commands, ["a"]);
    }
    let follower = members
        .iter()
        .find(|member| member.id != leader.id)
        .unwrap();
    follower.put("b");
    leader.wait_for("b");
    assert_eq!(
        follower.node().transfer_leader(leader.id),
        Err(TransferError::NotLeader)
    );
    assert_eq!(
        leader.node().transfer_leader(MemberId(9)),
        Err(TransferError::NotVoter)
    );
    leader.node().transfer_leader(follower.id).unwrap();
    let mut status = follower.node().subscribe();
    status
        .wait_for(|status| status.role == Role::Leader)
        .await
        .unwrap();
    // A leader that stops hands over instead of leaving the others to find out.
    follower.node().stop().await;
    let rest: Vec<_> = members
        .iter()
        .filter(|member| member.id != follower.id)
        .cloned()
        .collect();
    let next = self::leader(&rest);
    next.put("c");
    next.wait_for("c");
    life.stop();
    assert_eq!(life.failure(), None);
}

#[tokio::test]
async fn a_member_that_joins_is_sent_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let network = Arc::new(Network::default());
    let life = Lifecycle::new();
    let first = start(&network, settings(1, dir.path()), new_world(&[1]), &life);
    for _ in 0..200 {
        first.put("some command that fills segments so that the log is cut");
    }
    first.put("last");
    first.wait_for("last");
    let second = start(&network, settings(2, dir.path()), new_world(&[]), &life);
    let join = |kind| {
        let step = Change {
            member: MemberId(2),
            kind,
        };
        ProposedChange {
            steps: vec![step],
            base: first.node().configuration().changed_at,
            attachment: Bytes::from_static(b"join"),
        }
    };
    let proposed = first.node().propose_change(join(ChangeKind::Learner));
    assert_eq!(proposed.await, Ok(()));
    second.wait_for("last");
    assert!(*second.installed.lock() >= 1);
    second.wait(|_| second.node().status().role == Role::Learner);
    first.wait(|_| {
        first
            .node()
            .progress()
            .iter()
            .any(|peer| peer.member.0 == 2 && !peer.in_snapshot)
    });
    let refused = second.node().propose_change(join(ChangeKind::Voter)).await;
    assert_eq!(refused, Err(ChangeError::NotLeader));
    let proposed = first.node().propose_change(join(ChangeKind::Voter));
    assert_eq!(proposed.await, Ok(()));
    second.wait(|world| world.state.configuration.voters == [1, 2]);
    second.put("from the second");
    first.wait_for("from the second");
    second.wait_for("from the second");
    assert!(first.world.lock().commands == second.world.lock().commands);
    let changed = second.world.lock().state.configuration.clone();
    assert_eq!(*first.node().configuration(), changed);
    assert!(changed.changed_at > 1 && changed.learners.is_empty());
    second.node().stop().await;
    first.node().stop().await;
    assert_eq!(life.failure(), None);
}

#[tokio::test]
async fn a_slow_state_machine_costs_refusals_and_not_memory() {
    let dir = tempfile::tempdir().unwrap();
    let network = Arc::new(Network::default());
    let life = Lifecycle::new();
    let config = NodeConfig {
        segment_bytes: 8 << 20,
        fsync: false,
        ..settings(1, dir.path())
    };
    let member = start(&network, config, new_world(&[1]), &life);
    *member.paused.lock() = true;
    let big = Bytes::from(vec![7; 1 << 20]);
    let mut accepted = 0;
    let refused = loop {
        match member.node().propose(big.clone()) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, ProposeError::Overloaded);
    assert!(accepted < 1000, "{accepted}");
    *member.paused.lock() = false;
    member.changed.notify_all();
    member.wait(|world| world.commands.len() == accepted);
    while member.node().propose(Bytes::from_static(b"after")).is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    member.wait_for("after");
    member.node().stop().await;
    assert_eq!(life.failure(), None);
}

#[tokio::test]
async fn bad_messages_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let network = Arc::new(Network::default());
    let life = Lifecycle::new();
    let member = start(&network, settings(1, dir.path()), new_world(&[1]), &life);
    let node = member.node();
    let receive = |bytes: &'static [u8]| node.receive(MemberId(2), Bytes::from_static(bytes));
    assert!(matches!(receive(&[0xff]), Err(ReceiveError::Invalid(_))));
    // A heartbeat from 3 to 1, handed in for 2.
    let misdirected = receive(&[8, 8, 16, 1, 24, 3, 32, 1]);
    assert_eq!(
        misdirected,
        Err(ReceiveError::Misdirected { from: 3, to: 1 })
    );
    // A heartbeat from 2 to 1 with a snapshot that it is not about.
    let snapshot = Snapshot {
        state: AppliedState::default(),
        dir: dir.path().join("none"),
    };
    let heartbeat = Bytes::from_static(&[8, 8, 16, 1, 24, 2, 32, 1]);
    assert_eq!(
        node.receive_snapshot(MemberId(2), heartbeat, snapshot),
        Err(ReceiveError::SnapshotMismatch)
    );
    // More than a message to a follower can carry.
    let huge = Bytes::from(vec![0; crate::raft::transport::MAX_MESSAGE]);
    assert_eq!(node.propose(huge), Err(ProposeError::TooLarge));
    node.stop().await;
    assert_eq!(life.failure(), None);
}

#[tokio::test]
async fn a_failing_disk_stops_the_member() {
    let dir = tempfile::tempdir().unwrap();
    let network = Arc::new(Network::default());
    let life = Lifecycle::new();
    let member = start(&network, settings(1, dir.path()), new_world(&[1]), &life);
    member.put("a");
    member.wait_for("a");
    // The next segment cannot be created where the directory is gone.
    std::fs::remove_dir_all(dir.path().join("1")).unwrap();
    while !life.is_stopping() {
        let _ = member.node().propose(Bytes::from(vec![0; 1000]));
        std::thread::sleep(Duration::from_millis(1));
    }
    let failure = life.failure().unwrap();
    assert!(
        failure.contains("cannot create raft log segment"),
        "{failure}"
    );
    member.node().stop().await;
}
