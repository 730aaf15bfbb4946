//! The space quota: how much the state may take on disk before what makes it grow is refused.
//!
//! What counts is what `Status` calls the size of the database: the files of the state and what waits in
//! write buffers to become files ([`Store::disk_size`](crate::storage::Store::disk_size)). So the number an
//! operator sees is the one that decides, and it falls by itself: a compaction drops files of history, and
//! RocksDB or `Defragment` rewrites the others without what is dead.
//!
//! Asking for the size takes a lock of RocksDB's, so it is not asked for each request: the bytes of every
//! write are added to the size as last measured, which errs upwards only, and before anything is refused, and
//! a few times a second, the size is measured again.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::command::Command;
use crate::mvcc::ops::{Op, PutOp, Txn};
use crate::storage::Store;

/// Bytes that a key takes besides itself and its value (etcd's figure).
const KEY_OVERHEAD: u64 = 256;
/// Bytes that a lease takes (etcd's figure).
const LEASE_BYTES: u64 = 64;

/// The quota of this member and how much of it is used.
#[derive(Debug)]
pub(crate) struct Quota {
    /// In bytes; `None` is no quota.
    limit: Option<u64>,
    /// The size as last measured, and what has been written since.
    used: AtomicU64,
    /// Held while the store is asked: two corrections at once would be one too many.
    measuring: Mutex<()>,
    /// Wakes who raises the alarm.
    exceeded: Notify,
}

impl Quota {
    /// Nothing is used until the first [`Self::measure`].
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
            measuring: Mutex::new(()),
            exceeded: Notify::new(),
        }
    }

    /// Whether `store` may grow by `bytes`. What does not grow always fits.
    pub(crate) fn admits(&self, bytes: u64, store: &Store) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        let fits = |used: u64| used.saturating_add(bytes) < limit;
        let estimate_fits = || fits(self.used.load(Ordering::Relaxed));
        if bytes == 0 || estimate_fits() {
            return true;
        }
        let _measuring = self.measuring.lock();
        // Whoever waited for another's answer may make use of it.
        estimate_fits() || fits(self.correct(store))
    }

    /// Adds what a batch wrote.
    pub(crate) fn wrote(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Asks the store how large it is.
    pub(crate) fn measure(&self, store: &Store) {
        if self.limit.is_some() {
            let _measuring = self.measuring.lock();
            self.correct(store);
        }
    }

    /// Sets the estimate right and gives the size.
    fn correct(&self, store: &Store) -> u64 {
        // What is written between the two may count twice until the next time.
        let before = self.used.load(Ordering::Relaxed);
        let size = store.disk_size();
        self.used
            .fetch_add(size.wrapping_sub(before), Ordering::Relaxed);
        size
    }

    /// Says that something was written beyond the quota.
    pub(crate) fn exceed(&self) {
        self.exceeded.notify_one();
    }

    /// Completes when something was written beyond the quota.
    pub(crate) async fn exceeded(&self) {
        self.exceeded.notified().await;
    }
}

/// The bytes that a command may make the state grow by, as etcd counts them; 0 for what does not grow it.
pub(crate) fn growth(command: &Command) -> u64 {
    match command {
        Command::Put(op) => put_growth(op),
        Command::Txn(txn) => txn_growth(txn),
        Command::LeaseGrant { .. } => LEASE_BYTES,
        _ => 0,
    }
}

const fn put_growth(op: &PutOp) -> u64 {
    KEY_OVERHEAD + op.key.len() as u64 + op.value.len() as u64
}

/// The larger branch.
fn txn_growth(txn: &Txn) -> u64 {
    branch_growth(&txn.success).max(branch_growth(&txn.failure))
}

fn branch_growth(ops: &[Op]) -> u64 {
    let of = |op: &Op| match op {
        Op::Put(op) => put_growth(op),
        Op::Txn(txn) => txn_growth(txn),
        Op::Range(_) | Op::Delete(_) => 0,
    };
    ops.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::ids::LeaseId;
    use crate::mvcc::{Session, State};
    use crate::storage::StoreOptions;

    fn put(value: usize) -> PutOp {
        PutOp::new(Bytes::from_static(b"key"), vec![0; value].into())
    }

    #[test]
    fn growth_is_counted_as_etcd_does() {
        assert_eq!(growth(&Command::Put(put(10))), 256 + 3 + 10);
        let grant = Command::LeaseGrant {
            id: LeaseId(1),
            ttl: 60,
        };
        assert_eq!(growth(&grant), 64);
        let nested = Txn {
            failure: vec![Op::Put(put(0)), Op::Put(put(1))],
            ..Txn::default()
        };
        let txn = Txn {
            success: vec![Op::Put(put(100))],
            failure: vec![Op::Txn(Box::new(nested)), Op::Put(put(2))],
            ..Txn::default()
        };
        assert_eq!(growth(&Command::Txn(txn)), 3 * (256 + 3) + 3);
        assert_eq!(growth(&Command::Txn(Txn::default())), 0);
    }

    /// The estimate errs upwards; before a refusal the truth is asked for.
    #[test]
    fn what_was_written_counts_until_the_size_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let limit = store.disk_size() + (1 << 20);
        let quota = Quota::new(Some(limit));
        assert!(quota.admits(1000, &store));
        quota.wrote(10 << 20);
        assert!(quota.admits(1000, &store), "nothing is there");
        assert!(!quota.admits(2 << 20, &store));
        let mut session = Session::begin(&store, State::default());
        session.put(&put(2 << 20)).unwrap();
        store.write(session.finish().batch).unwrap();
        assert!(quota.admits(1000, &store), "not measured yet");
        quota.measure(&store);
        assert!(!quota.admits(1, &store));
        assert!(quota.admits(0, &store), "what does not grow fits always");
    }

    /// Many requests find the estimate too high at once: none of them is refused for it.
    #[test]
    fn an_estimate_that_is_too_high_refuses_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let quota = Quota::new(Some(store.disk_size() + (64 << 20)));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        quota.wrote(16 << 20);
                        assert!(quota.admits(1, &store));
                    }
                });
            }
        });
    }

    #[test]
    fn without_a_quota_everything_fits() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let quota = Quota::new(None);
        quota.wrote(u64::MAX);
        assert!(quota.admits(u64::MAX, &store));
    }
}
