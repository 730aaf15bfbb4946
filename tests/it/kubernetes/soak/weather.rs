//! Which errors are excused, where and when.
//!
//! Excused is what etcd gives as well: the connections to a member that was stopped break; while the leader is
//! away, or an election runs, nobody can serve. Everything else fails the test, whenever it comes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast::etcd::pb::etcdserverpb::StatusRequest;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::harness::Client;

/// How long after an error a member must know of the election that explains it.
const ELECTION_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// How a call or a stream ended without an answer.
#[derive(Debug)]
pub enum Failure {
    Refused(Status),
    /// Took longer than a client waits.
    Late,
    /// The server ended the stream in good order.
    Ended,
}

impl Failure {
    /// Its name in the report, if it is an error that a stop may cause.
    fn excusable(&self) -> Option<String> {
        match self {
            Self::Late => Some("no answer in time".into()),
            Self::Ended => Some("stream ended".into()),
            Self::Refused(status) if is_transport(status) => Some("connection lost".into()),
            Self::Refused(status) => {
                let known = (status.code(), status.message());
                let known = ELECTIONS.contains(&known);
                known.then(|| status.message().to_owned())
            }
        }
    }
}

/// What etcd answers while it has no leader, loses it, or stops.
const ELECTIONS: [(Code, &str); 6] = [
    (Code::Unavailable, "etcdserver: leader changed"),
    (Code::Unavailable, "etcdserver: no leader"),
    (Code::Unavailable, "etcdserver: server stopped"),
    (Code::Unavailable, "etcdserver: request timed out"),
    (
        Code::Unavailable,
        "etcdserver: request timed out, possibly due to previous leader failure",
    ),
    (
        Code::Unavailable,
        "etcdserver: request timed out, possibly due to connection lost",
    ),
];

/// Whether the error comes from below gRPC: what the client library says of a connection that is cut or refused.
fn is_transport(status: &Status) -> bool {
    let below = [
        "h2 protocol error",
        "protocol error: missing grpc-status trailer",
    ];
    let cut = below
        .iter()
        .any(|start| status.message().starts_with(start));
    let source = std::error::Error::source(status);
    cut || source.is_some_and(|source| source.is::<tonic::transport::Error>())
}

/// A time in which a member, or all of them, may fail.
struct Trouble {
    /// Which member; all of them without.
    member: Option<usize>,
    from: Instant,
    until: Option<Instant>,
}

/// What is going on in the cluster, as far as it excuses errors.
pub struct Weather {
    probes: Vec<Client>,
    troubles: Mutex<Vec<Trouble>>,
    /// The highest raft term that any answer told.
    term: AtomicU64,
    excused: Mutex<BTreeMap<String, usize>>,
}

impl Weather {
    pub fn new(probes: Vec<Client>) -> Self {
        Self {
            probes,
            troubles: Mutex::default(),
            term: AtomicU64::default(),
            excused: Mutex::default(),
        }
    }

    /// Calls at `member` may fail from now on; at all of them if it is the leader that goes.
    pub fn worsen(&self, member: Option<usize>) {
        self.troubles.lock().unwrap().push(Trouble {
            member,
            from: Instant::now(),
            until: None,
        });
    }

    /// All is well again.
    pub fn clear(&self) {
        for trouble in self.troubles.lock().unwrap().iter_mut() {
            trouble.until.get_or_insert_with(Instant::now);
        }
    }

    pub fn note_term(&self, term: u64) {
        self.term.fetch_max(term, Ordering::Relaxed);
    }

    pub fn term(&self) -> u64 {
        self.term.load(Ordering::Relaxed)
    }

    /// Panics unless a failure at `member` of what began at `since`, in `term`, is one that etcd would have
    /// given.
    pub async fn excuse(&self, member: usize, since: Instant, term: u64, failure: &Failure) {
        let Some(name) = failure.excusable() else {
            panic!("member {member} failed in a way that nothing excuses: {failure:?}");
        };
        let kind = if self.explains(member, since) {
            "member or leader stopped"
        } else if self.is_elected_after(term).await {
            "unasked election"
        } else {
            panic!("member {member} failed in quiet times: {failure:?}");
        };
        let mut excused = self.excused.lock().unwrap();
        *excused.entry(format!("{kind}: {name}")).or_default() += 1;
    }

    fn explains(&self, member: usize, since: Instant) -> bool {
        let troubles = self.troubles.lock().unwrap();
        troubles.iter().any(|trouble| {
            trouble.member.is_none_or(|one| one == member)
                && trouble.until.is_none_or(|until| until >= since)
                && trouble.from <= Instant::now()
        })
    }

    /// Whether somebody leads, or is to lead, in a later term: a busy machine may cost a leader its place.
    async fn is_elected_after(&self, term: u64) -> bool {
        let search = async {
            loop {
                for probe in &self.probes {
                    let status = probe.status(StatusRequest {}).await;
                    if status.is_ok_and(|status| status.raft_term > term) {
                        return;
                    }
                }
                sleep(POLL).await;
            }
        };
        timeout(ELECTION_LIMIT, search).await.is_ok()
    }

    /// What was excused, and how often.
    pub fn report(&self) -> String {
        let excused = self.excused.lock().unwrap();
        let lines = excused
            .iter()
            .map(|(name, count)| format!("\n  {count} x {name}"));
        lines.collect()
    }
}
