//! An end for what costs do not count.
//!
//! Values are shared, so a short expression can build one that has itself in itself many times over; to compare or print it
//! would take for ever, though the release's costs count its top only. Steps through values are counted here for each
//! evaluation, far above what any budget pays for otherwise.

use std::cell::Cell;

const STEPS: u64 = if cfg!(test) { 500_000 } else { 20_000_000 };
/// Items that one list, and bytes that one text, may have.
pub(super) const MAX_ITEMS: usize = 1_000_000;
pub(super) const MAX_BYTES: usize = 64 << 20;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(STEPS) };
}

/// Before an evaluation.
pub(super) fn refill() {
    LEFT.set(STEPS);
}

/// One step; false if there are none left.
pub(super) fn burn() -> bool {
    let left = LEFT.get();
    LEFT.set(left.saturating_sub(1));
    left > 0
}
