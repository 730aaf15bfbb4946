//! Loom's doubles of what `watch::sync` gives the ring.

use std::time::Duration;

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
pub(crate) use loom::thread::{Thread, current as current_thread};

/// An atomic pointer to shared data. What the ring asks of `ArcSwap` is that a load gives what some
/// store put there, and that whoever loads it sees what the storing thread did before.
pub(crate) struct Shared<T>(loom::sync::RwLock<Arc<T>>);

impl<T> Shared<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self(loom::sync::RwLock::new(value))
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        self.0
            .read()
            .expect("loom's locks are not poisoned")
            .clone()
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        *self.0.write().expect("loom's locks are not poisoned") = value;
    }
}

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

/// A sleep that nothing but an unpark ends, so that a lost wake-up is a deadlock.
pub(crate) fn park(_timeout: Option<Duration>) {
    loom::thread::park();
}
