//! The compactor of an apiserver: of several, one wins each round and compacts what is old.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::apiserver::Apiserver;
use crate::harness::*;

const KEY: &str = "compact_rev_key";
/// kube-apiserver's is five minutes.
const ROUND: Duration = Duration::from_secs(3);

/// The rounds that somebody has won.
pub type Won = Arc<Mutex<BTreeSet<i64>>>;

pub struct Compactor {
    pub api: Apiserver,
    /// How far watchers have come: what they have yet to hear must stay.
    pub positions: Vec<Arc<AtomicI64>>,
    pub won: Won,
    /// The version of the key as this compactor believes it to be.
    version: i64,
    /// What is to be compacted in the next round that it wins.
    previous: i64,
}

impl Compactor {
    pub fn new(api: Apiserver, positions: &[Arc<AtomicI64>], won: &Won) -> Self {
        Self {
            api,
            positions: positions.to_vec(),
            won: Arc::clone(won),
            version: 0,
            previous: 0,
        }
    }

    /// Works until it is told to stop.
    pub async fn run(mut self) {
        while !self.api.shared.stop.load(Ordering::Relaxed) {
            self.round().await;
            sleep(ROUND).await;
        }
    }

    async fn round(&mut self) {
        let request = txn(
            vec![cmp::version(KEY, cmp::Result::Equal, self.version)],
            vec![op::put(KEY, self.previous.to_string())],
            vec![op::get(KEY)],
        );
        // Without an answer the next round finds out.
        let Some(answer) = self.api.txn(request).await else {
            return;
        };
        if answer.succeeded {
            let is_first = self.won.lock().unwrap().insert(self.version);
            assert!(is_first, "two have won round {}", self.version);
            self.version += 1;
            if self.previous > 0 {
                self.api.compact(self.previous).await;
            }
        } else {
            self.version = answer::range(&answer, 0).kvs[0].version();
        }
        let positions = self.positions.iter();
        let positions = positions.map(|position| position.load(Ordering::Relaxed));
        self.previous = positions.min().unwrap_or_default();
    }
}
