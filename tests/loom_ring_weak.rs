//! Shows that the models of `loom_ring.rs` would notice a weaker ring: the same sources and the same
//! models, but the store of `published` is `Relaxed`, and loom must object.

use bytes::Bytes;
use holdfast::base;
use holdfast::base::change::{Change, ChangeKind};
use holdfast::base::ids::{ChangeId, Revision};
use loom::thread;

#[path = "loom/sync.rs"]
mod strong;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "only what the models need is used"
)]
#[path = "../src/watch/ring.rs"]
mod ring;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "only what the models need is used"
)]
#[path = "../src/watch/wake.rs"]
mod wake;

#[allow(dead_code, reason = "one of the models is run here")]
#[path = "loom/models.rs"]
mod models;

/// The doubles, weakened.
mod sync {
    pub(crate) use super::strong::{
        Arc, AtomicU8, Ordering, Shared, Thread, UnsafeCell, current_thread, fence, park,
    };

    /// An atomic whose stores order nothing.
    #[derive(Debug)]
    pub(crate) struct AtomicU64(super::strong::AtomicU64);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self(super::strong::AtomicU64::new(value))
        }

        pub(crate) fn load(&self, ordering: Ordering) -> u64 {
            self.0.load(ordering)
        }

        pub(crate) fn store(&self, value: u64, _: Ordering) {
            self.0.store(value, Ordering::Relaxed);
        }
    }
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_relaxed_store_of_published_is_noticed() {
    models::readers_see_whole_batches_or_nothing();
}
