//! A controller at work: creates, updates, deletes, reads and lists, all chosen by a seed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use super::apiserver::{Apiserver, ROOT, Written};
use super::claims::{Ledger, Shown};

/// What controllers contend for, and how many of each there are at most.
pub const RESOURCES: [(&str, usize); 3] = [("pods", 300), ("configmaps", 60), ("secrets", 12)];
/// Nodes' leases; each worker renews its own.
pub const LEASES: &str = "leases";
/// Objects that expire.
pub const EVENTS: &str = "events";
const EVENT_TTL: Duration = Duration::from_secs(5);
/// kube-apiserver takes a new lease after so many objects (or when it would expire too early).
const EVENTS_PER_LEASE: usize = 20;
/// Between two calls, so that a small machine has time for the servers.
const PAUSE: Duration = Duration::from_millis(4);
/// How often an update is tried anew before the controller gives the object up.
const ATTEMPTS: usize = 8;

pub struct Worker {
    number: usize,
    api: Apiserver,
    random: StdRng,
    /// Makes every value another.
    sequence: usize,
    /// The newest version of each object that this worker knows of; may be stale, like a cache.
    known: BTreeMap<String, i64>,
    lease: Option<(i64, usize)>,
}

impl Worker {
    pub fn new(number: usize, seed: u64, api: Apiserver) -> Self {
        Self {
            number,
            api,
            random: StdRng::seed_from_u64(seed.wrapping_mul(1000) + number as u64),
            sequence: 0,
            known: BTreeMap::new(),
            lease: None,
        }
    }

    /// Works until it is told to stop.
    pub async fn run(mut self) -> Ledger {
        while !self.api.shared.stop.load(Ordering::Relaxed) {
            self.step().await;
            sleep(PAUSE).await;
        }
        self.api.ledger
    }

    async fn step(&mut self) {
        let (resource, objects) = RESOURCES[self.random.random_range(0..RESOURCES.len())];
        let name = self.random.random_range(0..objects);
        let key = format!("{ROOT}{resource}/default/object-{name:03}");
        match self.random.random_range(0..100) {
            0..45 => self.reconcile(&key).await,
            45..55 => self.remove(&key).await,
            55..65 => self.renew_lease().await,
            65..73 => self.record_event().await,
            73..88 => drop(self.api.get(&key, 0).await),
            88..91 => self.get_at_known(&key).await,
            91..94 => self.list(resource).await,
            94..96 => self.stream(resource).await,
            96..97 => self.api.survey(resource, Shown::Keys).await,
            97..98 => self.api.survey(resource, Shown::Nothing).await,
            _ => self.api.probe().await,
        }
    }

    /// A value that no other write has, of a size that objects have.
    fn value(&mut self) -> String {
        self.sequence += 1;
        let size = self.random.random_range(100..1500);
        let (number, sequence) = (self.number, self.sequence);
        format!("worker {number} write {sequence} {}", "v".repeat(size))
    }

    /// Sees to it that the object is there, in a new state.
    async fn reconcile(&mut self, key: &str) {
        for _ in 0..ATTEMPTS {
            let value = self.value();
            let written = match self.known.get(key).copied() {
                None => self.api.create(key, &value, 0).await,
                Some(expected) => self.api.update(key, expected, &value).await,
            };
            match written {
                Written::Done(version) => {
                    self.known.insert(key.into(), version);
                    return;
                }
                Written::Refused(Some(found)) => {
                    self.known.insert(key.into(), found.modified);
                }
                // It exists (a creation tells no more), or it does no longer, or nobody knows.
                Written::Refused(None) | Written::Unknown => self.look(key).await,
            }
        }
    }

    async fn look(&mut self, key: &str) {
        match self.api.get(key, 0).await {
            Some(Some(found)) => self.known.insert(key.into(), found.modified),
            _ => self.known.remove(key),
        };
    }

    async fn remove(&mut self, key: &str) {
        let Some(expected) = self.known.remove(key) else {
            return self.look(key).await;
        };
        if let Written::Refused(Some(found)) = self.api.delete(key, expected).await {
            self.known.insert(key.into(), found.modified);
        }
    }

    async fn renew_lease(&mut self) {
        let key = format!("{ROOT}{LEASES}/kube-node-lease/node-{}", self.number);
        self.reconcile(&key).await;
    }

    async fn record_event(&mut self) {
        let lease = self.lease.filter(|(_, uses)| *uses < EVENTS_PER_LEASE);
        let lease = match lease {
            Some(lease) => lease,
            None => match self.api.lease(EVENT_TTL).await {
                Some(lease) => (lease, 0),
                None => return,
            },
        };
        self.lease = Some((lease.0, lease.1 + 1));
        let value = self.value();
        let key = format!("{ROOT}{EVENTS}/{}/{:08}", self.number, self.sequence);
        self.api.create(&key, &value, lease.0).await;
    }

    async fn get_at_known(&mut self, key: &str) {
        if let Some(&version) = self.known.get(key) {
            // Nothing if it is compacted by now.
            self.api.get(key, version).await;
        }
    }

    async fn list(&mut self, resource: &str) {
        let limit = [7, 50, 500][self.random.random_range(0..3)];
        if let Some((_, objects)) = self.api.list(resource, limit).await {
            let versions = objects
                .into_iter()
                .map(|(key, state)| (key, state.modified));
            self.known.extend(versions);
        }
    }

    async fn stream(&mut self, resource: &str) {
        if self.api.shared.streams {
            self.api.stream(resource).await;
        } else {
            self.api.survey(resource, Shown::Nothing).await;
        }
    }
}
