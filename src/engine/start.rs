//! Building a member's engine from its directory, and taking it down again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::bounded;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::apply::Applier;
use super::auth::{Auth, Caller};
use super::background::{Compactor, Flusher};
use super::backup::backup_permits;
use super::barrier::Readers;
use super::command::Command;
use super::config::EngineConfig;
use super::lessor::Lessor;
use super::machine::{Machine, SnapshotMaker};
use super::members::{Members, Membership};
use super::membership::go_on_alone;
use super::peers::{PeerCalls, PeerInbox};
use super::quota::Quota;
use super::request_times::RequestTimes;
use super::slow::SlowLog;
use super::state_dir::{StateDir, StateDirError};
use super::stopwatch::Stopwatch;
use super::types::Member;
use super::view::{StoreHistory, View, Views};
use super::waiters::{AppliedIndex, Marks, Waiters};
use super::{Engine, EngineResult, Inner, meta};
use crate::base::clock;
use crate::base::handover;
use crate::base::ids::{MemberId, Revision};
use crate::base::metrics::Metrics;
use crate::base::shutdown::Lifecycle;
use crate::mvcc::{self, Session};
use crate::raft::transport::PeerNetwork;
use crate::raft::{AppliedState, Configuration, Node};
use crate::storage::Store;
use crate::watch::Hub;

/// Batches of committed entries that wait for the apply thread. Above the consensus layer's own bound of
/// unapplied entries, so that handing over never blocks the raft thread.
const APPLY_QUEUE: usize = 1 << 14;
/// Compactions that wait; only the newest counts.
const COMPACTION_QUEUE: usize = 16;
/// Pause before a member tries again to publish its name and client URLs.
const PUBLISH_RETRY: Duration = Duration::from_millis(500);

/// Why an engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state does not open.
    #[error(transparent)]
    State(#[from] StateDirError),
    /// The state opens but does not read.
    #[error("{0}")]
    Unreadable(String),
    /// The log does not open, or consensus does not start.
    #[error(transparent)]
    Raft(#[from] crate::raft::RaftError),
    /// The directory belongs to a cluster that this member is not part of.
    #[error("member {0} is not a member of the cluster whose data the directory holds")]
    NotAMember(MemberId),
    /// The directory is that of a member that was removed.
    #[error(
        "member {0} has been permanently removed from the cluster: remove its data directory to join again as \
         a new member"
    )]
    Removed(MemberId),
    /// There is no state to begin a cluster from.
    #[error(
        "--force-new-cluster: the member has received no data yet that a cluster could go on with"
    )]
    NothingToForce,
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Engine {
    /// Opens the member's directory and starts its threads. `network` must not deliver anything before
    /// this returns; it is attached here. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(
        config: &EngineConfig,
        network: &Arc<PeerNetwork>,
        metrics: &Arc<Metrics>,
        life: &Lifecycle,
    ) -> Result<Self, StartError> {
        let (state_dir, store) = StateDir::open(
            config.data_dir.join("state"),
            config.store.clone(),
            life.clone(),
        )?;
        let mut restored = restore(&store, config)?;
        if config.force_new_cluster {
            restored = go_on_alone(&store, config.member_id, restored)?;
        }
        let membership = meta::membership(&store).map_err(unreadable)?;
        belongs(config.member_id, &membership)?;
        let leases = mvcc::lease::list(&store).map_err(unreadable)?;
        let first = View::of(Arc::new(store)).map_err(unreadable)?;
        let state = first.state;
        let quota = Arc::new(Quota::new(config.quota_bytes));
        quota.measure(&first.store);
        metrics.show_alarms(first.alarms.labels());
        let auth = Auth::new(&config.auth);

        let (tasks, task_queue) = handover::bounded(APPLY_QUEUE);
        let (snapshots, snapshot_queue) = bounded(1);
        let (compactions, compaction_queue) = bounded(COMPACTION_QUEUE);
        let log_bytes = Arc::new(AtomicU64::new(0));
        let largest_round = Arc::new(AtomicUsize::new(0));
        let term = Arc::new(AtomicU64::new(restored.term));
        let machine = Machine {
            tasks,
            snapshots,
            log_bytes: Arc::clone(&log_bytes),
            largest_round: Arc::clone(&largest_round),
            term: Arc::clone(&term),
            leader: MemberId::NONE,
            metrics: Arc::clone(metrics),
        };
        let boot = rand::random::<u64>();
        let applied_index = restored.index;
        let learners = restored.configuration.learners.clone();
        let node = Node::start(
            config.node(metrics, boot),
            restored,
            Box::new(machine),
            Arc::clone(network) as Arc<_>,
            life,
        )?;

        let views = Arc::new(Views::new(first, metrics.mvcc.open_reads.clone()));
        let (hub, publisher) = Hub::start(
            config.hub(Arc::clone(&term)),
            Arc::new(StoreHistory(Arc::clone(&views))),
            life,
            state.revision,
        )?;
        let applied = Arc::new(AppliedIndex::default());
        let mut marks = Marks::default();
        applied.advance(applied_index, &mut marks);
        let (removed, _) = watch::channel(Revision::ZERO);
        let inner = Arc::new(Inner {
            cluster_id: config.cluster_id,
            member_id: config.member_id,
            heartbeat: config.heartbeat,
            election_timeout: config.election_timeout(),
            request_timeout: super::propose::REQUEST_BASE_TIMEOUT + config.election_timeout() * 2,
            max_request_bytes: config.max_request_bytes,
            views: Arc::clone(&views),
            counts: mvcc::CountCache::new(),
            auth: Arc::clone(&auth),
            waiters: Arc::new(Waiters::new(config.member_id.0, boot)),
            answers: Arc::default(),
            readers: Readers::default(),
            applied: Arc::clone(&applied),
            lessor: Arc::new(Lessor::new(
                &leases,
                clock::now(),
                config.lease_checkpoint_interval,
            )),
            members: Arc::new(Members::new(config.member_id, membership)),
            slow: Arc::new(SlowLog::new(config.slow)),
            requests: RequestTimes::new(&metrics.server),
            member_turn: tokio::sync::Mutex::new(()),
            strict_reconfig: config.strict_reconfig,
            max_learners: config.max_learners,
            quota: Arc::clone(&quota),
            node: node.clone(),
            hub,
            largest_round,
            term,
            network: Arc::clone(network),
            published: CancellationToken::new(),
            removed: removed.clone(),
            backups: backup_permits(),
            backup_root: config.data_dir.join("backups"),
            backup_number: AtomicU64::new(0),
            metrics: Arc::clone(metrics),
            life: life.clone(),
            threads: Mutex::new(Vec::new()),
        });
        prepare_scratch(config)?;

        let applier = Applier {
            views: Arc::clone(&views),
            auth,
            waiters: Arc::clone(&inner.waiters),
            answers: Arc::clone(&inner.answers),
            applied: Arc::clone(&applied),
            publisher,
            lessor: Arc::clone(&inner.lessor),
            members: Arc::clone(&inner.members),
            network: Arc::clone(network),
            quota: Arc::clone(&quota),
            node: node.clone(),
            compactions: compactions.clone(),
            state_dir,
            marks,
            recent: mvcc::Recent::default(),
            learners,
            stopwatch: Stopwatch::new(metrics.server.applies(&Command::OPERATIONS)),
            slow: Arc::clone(&inner.slow),
            metrics: Arc::clone(metrics),
        };
        let maker = SnapshotMaker {
            views: Arc::clone(&views),
            node: node.clone(),
            root: config.data_dir.join("snapshots"),
            copies: metrics.disk.backend_snapshot.clone(),
        };
        let compactor = Compactor {
            views: Arc::clone(&views),
            removed,
            quota: Arc::clone(&quota),
            metrics: metrics.mvcc.clone(),
            life: life.clone(),
        };
        let flusher = Flusher {
            views,
            applied,
            log_bytes,
            node: node.clone(),
            quota,
            flushes: metrics.disk.state_flush.clone(),
            life: life.clone(),
        };
        if let Some(compacted) = state.compacted {
            // What an earlier run compacted but may not have removed.
            let _ = compactions.try_send(compacted);
        }
        let apply_life = life.clone();
        inner.threads.lock().extend([
            life.thread("apply", move || applier.run(&task_queue, &apply_life))?,
            life.thread("snapshots", move || maker.run(&snapshot_queue))?,
            life.thread("compactor", move || compactor.run(&compaction_queue))?,
            life.thread("flusher", move || flusher.run())?,
        ]);
        let engine = Self {
            inner,
            caller: Caller::MEMBER,
        };
        // As the store has them: flags may have become stale.
        let members = engine.inner.members.load();
        network.update_peers(&members.peers(), &members.departed());
        network.set_handler(Arc::new(PeerCalls(Arc::downgrade(&engine.inner))));
        network.attach(Arc::new(PeerInbox {
            node,
            members: Arc::clone(&engine.inner.members),
        }));
        engine.spawn_tasks(config);
        Ok(engine)
    }

    fn spawn_tasks(&self, config: &EngineConfig) {
        let life = &self.inner.life;
        let Inner {
            answers, waiters, ..
        } = &*self.inner;
        let (answers, waiters) = (Arc::clone(answers), Arc::clone(waiters));
        life.task("answers", async move {
            answers.hand_out_always(&waiters).await;
        });
        life.task("watch-wakes", self.inner.hub.wake_readers());
        life.task("read-rounds", self.clone().confirm_reads());
        life.task("token-expiry", self.clone().sweep_tokens());
        life.task("lease-role", self.clone().follow_role());
        life.task("lease-expiry", self.clone().expire_leases());
        life.task("lease-checkpoints", self.clone().checkpoint_leases());
        life.task("quota", self.clone().watch_quota());
        if let Some(interval) = config.corrupt_check_interval {
            life.task("corrupt-check", self.clone().check_corruption(interval));
        }
        if let Some(interval) = config.compact_check_interval {
            life.task("compact-check", self.clone().check_compactions(interval));
        }
        let me = Member {
            id: config.member_id.0,
            name: config.name.clone(),
            client_urls: config.client_urls.clone(),
            ..Member::default()
        };
        life.task(
            "auto-compaction",
            self.clone().auto_compact(config.auto_compaction),
        );
        life.task("departure", self.clone().leave_when_removed());
        life.task("publish-member", self.clone().publish_member(me));
    }

    /// Tells the cluster this member's name and client URLs, until it has been heard.
    async fn publish_member(self, me: Member) {
        let known = |member: &Member| {
            member.id == me.id && member.name == me.name && member.client_urls == me.client_urls
        };
        while !self.inner.members.load().members.iter().any(known) {
            if let Err(error) = self.propose(Command::PublishMember(me.clone())).await {
                tracing::debug!(%error, "publishing this member's name failed; trying again");
                tokio::time::sleep(PUBLISH_RETRY).await;
            }
        }
        self.inner.published.cancel();
        tracing::info!(name = %me.name, client_urls = ?me.client_urls, "published this member to the cluster");
    }

    /// Hands leadership over, ends the threads, and flushes what is applied. The listeners must be closed
    /// before; requests that still wait are answered with [`EngineError::Stopped`](super::EngineError).
    pub async fn stop(&self) {
        self.inner.node.stop().await;
        self.inner.life.stop();
        let engine = self.clone();
        let finish = move || -> EngineResult<()> {
            let threads: Vec<JoinHandle<()>> = std::mem::take(&mut *engine.inner.threads.lock());
            for thread in threads {
                // A panic has been reported by the lifecycle.
                let _ = thread.join();
            }
            let store = Arc::clone(&engine.inner.views.load().store);
            store
                .flush()
                .map_err(|error| super::EngineError::Internal(error.to_string()))
        };
        if let Err(error) = self.blocking(finish).await {
            tracing::error!(%error, "last flush failed; the log is replayed at the next start");
        }
    }
}

/// Refuses a member that has no place in the cluster whose data it has.
fn belongs(me: MemberId, membership: &Membership) -> Result<(), StartError> {
    if membership.get(me.0).is_some() {
        Ok(())
    } else if membership.removed.contains(&me.0) {
        Err(StartError::Removed(me))
    } else {
        Err(StartError::NotAMember(me))
    }
}

/// Where the state stands, after writing the first records of a new directory.
fn restore(store: &Store, config: &EngineConfig) -> Result<AppliedState, StartError> {
    if let Some(state) = meta::applied_state(store).map_err(unreadable)? {
        return Ok(state);
    }
    if config.joining {
        // Only to be known meanwhile: the state that this member is sent brings its own.
        return begin(store, &config.initial_members, Configuration::default());
    }
    let (learners, voters): (Vec<_>, Vec<_>) = config
        .initial_members
        .iter()
        .partition(|member| member.is_learner);
    let configuration = Configuration {
        voters: voters.iter().map(|member| member.id).collect(),
        learners: learners.iter().map(|member| member.id).collect(),
        ..Configuration::default()
    };
    begin(store, &config.initial_members, configuration)
}

/// Writes the first records of a new directory.
fn begin(
    store: &Store,
    members: &[Member],
    configuration: Configuration,
) -> Result<AppliedState, StartError> {
    let mut session = Session::begin(store, mvcc::load_state(store).map_err(unreadable)?);
    meta::put_configuration(&mut session, &configuration).map_err(unreadable)?;
    meta::put_members(&mut session, members, &[]).map_err(unreadable)?;
    let first = session.finish();
    store.write(first.batch).map_err(unreadable)?;
    store.flush().map_err(unreadable)?;
    Ok(AppliedState {
        configuration,
        ..AppliedState::default()
    })
}

/// Directories whose content no restart needs: emptied, then made.
fn prepare_scratch(config: &EngineConfig) -> std::io::Result<()> {
    for name in ["snapshots", "backups"] {
        let dir = config.data_dir.join(name);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
    }
    Ok(())
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> StartError {
    StartError::Unreadable(error.to_string())
}
