//! The protocols of `src/watch/ring.rs` and `src/watch/wake.rs`, each with as few threads and steps as
//! show it.

use super::ring::{Cursor, Entry, Next, Ring, RingLimits, RingWriter};
use super::sync::Arc;
use super::*;

/// Interleavings with at most this many involuntary switches between threads. Bugs of protocols this
/// small need one or two; each more multiplies the time.
const PREEMPTIONS: usize = 3;

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.check(body);
}

fn change(revision: i64, sub: u32) -> Change {
    Change {
        id: ChangeId::new(Revision(revision), sub),
        kind: ChangeKind::Put,
        key: Bytes::new(),
        event: Bytes::new(),
        prev_at: 0,
    }
}

fn ring(segment_slots: usize, segments: usize) -> (RingWriter, Arc<Ring>) {
    let limits = RingLimits {
        segment_slots,
        segments,
        bytes: 1 << 20,
    };
    RingWriter::new(limits, Revision(1))
}

/// What a reader finds until the end of what is published; `None` if it was lapped.
fn drain(ring: &Ring, cursor: &mut Cursor) -> Option<Vec<(i64, u32)>> {
    let published = ring.published();
    let mut seen = Vec::new();
    loop {
        match cursor.peek(ring, published) {
            Next::Entry(Entry::Change(change)) => {
                seen.push((change.id.revision.get(), change.id.sub));
            }
            Next::Entry(Entry::Jump(revision)) => seen.push((revision.get(), u32::MAX)),
            Next::End => return Some(seen),
            Next::Lapped => return None,
        }
        cursor.advance();
    }
}

/// Slot against `published`: a reader never touches a slot that is being written, and sees whole
/// batches only.
pub(crate) fn readers_see_whole_batches_or_nothing() {
    model(|| {
        let (mut writer, ring) = ring(4, 2);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let ring = ring.clone();
                thread::spawn(move || {
                    let (mut cursor, revision) = ring.head();
                    let seen = drain(&ring, &mut cursor).expect("nothing is dropped");
                    let wanted: &[_] = if revision == Revision(1) {
                        &[(2, 0), (2, 1)]
                    } else {
                        &[]
                    };
                    assert!(seen.is_empty() || seen == wanted, "{revision} {seen:?}");
                })
            })
            .collect();
        writer.publish([change(2, 0), change(2, 1)]);
        for reader in readers {
            reader.join().expect("a model's thread does not panic");
        }
        assert_eq!(ring.head().1, Revision(2));
    });
}

/// Segment hand-over: a follower crosses from a segment that the writer closes meanwhile into the next
/// one, with no change left out and none read twice.
pub(crate) fn a_follower_crosses_segments_in_order() {
    model(|| {
        let (mut writer, ring) = ring(2, 4);
        let (mut cursor, _) = ring.head();
        let reader = thread::spawn(move || {
            let mut seen = drain(&ring, &mut cursor).expect("nothing is dropped");
            seen.extend(drain(&ring, &mut cursor).expect("nothing is dropped"));
            let all = [(2, 0), (3, 0), (3, 1)];
            assert!(all.starts_with(&seen), "{seen:?}");
            assert_ne!(seen.len(), 2, "a batch is seen in part");
        });
        writer.publish([change(2, 0)]);
        writer.publish([change(3, 0), change(3, 1)]);
        reader.join().expect("a model's thread does not panic");
    });
}

/// A segment that is closed before it is full: nothing is looked for in the slots that stay empty.
pub(crate) fn a_follower_leaves_a_segment_that_is_closed_early() {
    model(|| {
        let (mut writer, ring) = ring(4, 4);
        let (mut cursor, _) = ring.head();
        let reader = thread::spawn(move || {
            let seen = drain(&ring, &mut cursor).expect("a held segment is not lapped");
            assert!([(2, 0), (9, u32::MAX)].starts_with(&seen), "{seen:?}");
        });
        writer.publish([change(2, 0)]);
        writer.jump(Revision(9));
        reader.join().expect("a model's thread does not panic");
    });
}

/// Directory swap against a late subscriber: a ring of one segment drops what the subscriber looks for.
/// It gets everything from its revision on, or is told that it cannot.
pub(crate) fn a_late_subscriber_gets_all_or_is_lapped() {
    model(|| {
        let (mut writer, ring) = ring(1, 1);
        let reader = {
            let ring = ring.clone();
            thread::spawn(move || {
                let Some(mut cursor) = ring.seek(Revision(2)) else {
                    return;
                };
                if let Some(seen) = drain(&ring, &mut cursor) {
                    assert!([(2, 0), (3, 0)].starts_with(&seen), "{seen:?}");
                }
            })
        };
        writer.publish([change(2, 0)]);
        writer.publish([change(3, 0)]);
        reader.join().expect("a model's thread does not panic");
        assert!(ring.seek(Revision(2)).is_none());
        assert!(ring.seek(Revision(3)).is_some());
    });
}

/// The head is found while the writer drops the segments around it, and is never older than what was
/// published before the search began.
pub(crate) fn the_head_is_found_while_segments_are_dropped() {
    model(|| {
        let (mut writer, ring) = ring(1, 1);
        let reader = {
            let ring = ring.clone();
            thread::spawn(move || {
                let (mut cursor, revision) = ring.head();
                assert!((1..=2).contains(&revision.get()) || revision == Revision(9));
                let later = ring.head().1;
                assert!(later >= revision);
                drop(drain(&ring, &mut cursor));
            })
        };
        writer.publish([change(2, 0)]);
        writer.jump(Revision(9));
        reader.join().expect("a model's thread does not panic");
        assert_eq!(ring.head().1, Revision(9));
    });
}

/// Wake-up: announce, look again, sleep, against publish, look for a sleeper. A lost wake-up leaves the
/// sleeper parked for ever, which loom reports as a deadlock.
pub(crate) fn no_wake_up_is_lost() {
    model(|| {
        let (mut writer, ring) = ring(4, 2);
        let wake = Arc::new(wake::Wake::new());
        let (mut cursor, _) = ring.head();
        let sleeper = {
            let wake = wake.clone();
            thread::spawn(move || {
                let mut seen = Vec::new();
                while seen.len() < 2 {
                    wake.arm(false);
                    if cursor.is_at(ring.published()) {
                        wake.sleep(None);
                    } else {
                        wake.disarm();
                    }
                    seen.extend(drain(&ring, &mut cursor).expect("nothing is dropped"));
                }
            })
        };
        for revision in [2, 3] {
            writer.publish([change(revision, 0)]);
            wake.hint();
        }
        sleeper.join().expect("a model's thread does not panic");
    });
}

/// A deep sleeper is not disturbed by what is published, and is woken by a call.
pub(crate) fn a_deep_sleeper_wakes_when_called() {
    model(|| {
        let wake = Arc::new(wake::Wake::new());
        let mail = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let sleeper = {
            let (wake, mail) = (wake.clone(), mail.clone());
            thread::spawn(move || {
                while !mail.load(sync::Ordering::Acquire) {
                    wake.arm(true);
                    if mail.load(sync::Ordering::Acquire) {
                        wake.disarm();
                    } else {
                        wake.sleep(None);
                    }
                }
            })
        };
        wake.hint();
        mail.store(true, sync::Ordering::Release);
        wake.call();
        sleeper.join().expect("a model's thread does not panic");
    });
}
