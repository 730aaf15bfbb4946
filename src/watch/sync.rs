//! What the ring and the wake-up protocol take from the machine.
//!
//! They import their atomics, cells and threads from here and from nowhere else, so that
//! `tests/loom_ring.rs` compiles the very same sources against loom's doubles.

use std::time::Duration;

pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
pub(super) use std::thread::{Thread, current as current_thread};

pub(super) use arc_swap::ArcSwap as Shared;

/// A cell whose accesses loom can see: `std::cell::UnsafeCell` behind loom's interface.
#[derive(Debug)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `read` with a pointer that may be read while nobody writes.
    pub(super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Calls `write` with a pointer that may be written while nobody else reads or writes.
    pub(super) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// Blocks this thread until it is unparked or, if given, for about `timeout`. May return early.
pub(super) fn park(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => std::thread::park_timeout(timeout),
        None => std::thread::park(),
    }
}
