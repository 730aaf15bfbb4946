//! Wakes a sleeping thread without a lock and without waking one that is awake.
//!
//! The sleeper announces itself ([`Wake::arm`]), looks for work once more, and only then parks. The
//! notifier makes its work visible, and only then looks whether somebody sleeps. Each side has a
//! sequentially consistent fence between its write and its read, so at least one of them sees the
//! other's write: either the sleeper finds the work or the notifier finds the sleeper (the store-buffer
//! litmus test). The state only changes by read-modify-writes, so what a late notifier does to it is ordered
//! before the next announcement. `tests/loom_ring.rs` models it.
//!
//! A busy thread costs its notifiers one fence and one load of a line that nobody writes.

use std::sync::OnceLock;
use std::time::Duration;

use super::sync::{AtomicU8, Ordering, Thread, current_thread, fence, park};

const AWAKE: u8 = 0;
/// Any notification wakes.
const ASLEEP: u8 = 1;
/// Only [`Wake::call`] wakes.
const DEEP: u8 = 2;

/// The bell of one thread.
#[derive(Debug)]
pub(crate) struct Wake {
    state: AtomicU8,
    sleeper: OnceLock<Thread>,
}

impl Wake {
    /// A bell that no thread owns yet.
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(AWAKE),
            sleeper: OnceLock::new(),
        }
    }

    /// Announces that the calling thread, always the same one, is about to sleep. It must then look for
    /// work once more before [`Self::sleep`]. With `deep`, [`Self::hint`] does not wake it.
    pub(crate) fn arm(&self, deep: bool) {
        self.sleeper.get_or_init(current_thread);
        let state = if deep { DEEP } else { ASLEEP };
        // Release: whoever finds the sleeper here also finds its thread handle.
        self.state.swap(state, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// Takes the announcement back: there is work after all, or the sleep is over.
    pub(crate) fn disarm(&self) {
        self.state.swap(AWAKE, Ordering::Relaxed);
    }

    /// Sleeps until a notification since [`Self::arm`], for at most `timeout`. May return early.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        park(timeout);
        self.disarm();
    }

    /// Wakes the thread unless it sleeps deep or is awake. The caller has made its work visible.
    pub(crate) fn hint(&self) {
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) == ASLEEP {
            self.unpark();
        }
    }

    /// Wakes the thread if it sleeps at all. The caller has made its work visible.
    pub(crate) fn call(&self) {
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) != AWAKE {
            self.unpark();
        }
    }

    fn unpark(&self) {
        // Of many notifiers one pays for the system call.
        if self.state.swap(AWAKE, Ordering::AcqRel) != AWAKE
            && let Some(sleeper) = self.sleeper.get()
        {
            sleeper.unpark();
        }
    }
}
