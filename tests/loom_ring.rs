//! The ring and the wake-up protocol under loom: every interleaving, and every value that the memory
//! model lets a load return.
//!
//! The sources under test are compiled a second time here, against the doubles in `sync`.

use bytes::Bytes;
use holdfast::base;
use holdfast::base::change::{Change, ChangeKind};
use holdfast::base::ids::{ChangeId, Revision};
use loom::thread;

#[path = "loom/sync.rs"]
mod sync;

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

#[path = "loom/models.rs"]
mod models;

#[test]
fn readers_see_whole_batches_or_nothing() {
    models::readers_see_whole_batches_or_nothing();
}

#[test]
fn a_follower_crosses_segments_in_order() {
    models::a_follower_crosses_segments_in_order();
}

#[test]
fn a_late_subscriber_gets_all_or_is_lapped() {
    models::a_late_subscriber_gets_all_or_is_lapped();
}

#[test]
fn the_head_is_found_while_segments_are_dropped() {
    models::the_head_is_found_while_segments_are_dropped();
}

#[test]
fn no_wake_up_is_lost() {
    models::no_wake_up_is_lost();
}

#[test]
fn a_deep_sleeper_wakes_when_called() {
    models::a_deep_sleeper_wakes_when_called();
}

#[test]
fn a_follower_leaves_a_segment_that_is_closed_early() {
    models::a_follower_leaves_a_segment_that_is_closed_early();
}
