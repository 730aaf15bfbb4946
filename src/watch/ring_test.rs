use bytes::Bytes;
use proptest::prelude::*;

use super::ring::*;
use crate::base::change::{Change, ChangeKind};
use crate::base::ids::{ChangeId, Revision};

fn change(revision: i64, sub: u32, size: usize) -> Change {
    Change {
        id: ChangeId::new(Revision(revision), sub),
        kind: ChangeKind::Put,
        key: Bytes::from_static(b"k"),
        event: vec![0; size].into(),
        prev_at: size,
    }
}

fn limits(segment_slots: usize, segments: usize) -> RingLimits {
    RingLimits {
        segment_slots,
        segments,
        bytes: 1 << 20,
    }
}

/// Everything from the cursor on, as (revision, sub); `None` stands for being lapped.
fn drain(ring: &Ring, cursor: &mut Cursor) -> Vec<Option<(i64, u32)>> {
    let published = ring.published();
    let mut seen = Vec::new();
    loop {
        match cursor.peek(ring, published) {
            Next::Entry(Entry::Change(change)) => {
                seen.push(Some((change.id.revision.get(), change.id.sub)));
            }
            Next::Entry(Entry::Jump(revision)) => seen.push(Some((revision.get(), u32::MAX))),
            Next::Lapped => seen.push(None),
            Next::End => return seen,
        }
        if seen.last() == Some(&None) {
            return seen;
        }
        cursor.advance();
    }
}

#[test]
fn a_follower_sees_everything_across_segments() {
    let (mut writer, ring) = RingWriter::new(limits(2, 100), Revision(1));
    let (mut cursor, revision) = ring.head();
    assert_eq!(revision, Revision(1));
    writer.publish([change(2, 0, 0), change(2, 1, 0), change(3, 0, 0)]);
    assert_eq!(
        drain(&ring, &mut cursor),
        [Some((2, 0)), Some((2, 1)), Some((3, 0))]
    );
    writer.publish([change(4, 0, 0)]);
    assert_eq!(drain(&ring, &mut cursor), [Some((4, 0))]);
    assert_eq!(ring.head().1, Revision(4));
}

#[test]
fn a_reader_behind_the_oldest_segment_is_lapped() {
    let (mut writer, ring) = RingWriter::new(limits(2, 2), Revision(1));
    let (mut cursor, _) = ring.head();
    for revision in 2..=4 {
        writer.publish([change(revision, 0, 0)]);
    }
    // The cursor still holds its own segment, whose only change it sees before the gap.
    writer.publish([change(5, 0, 0), change(6, 0, 0), change(7, 0, 0)]);
    assert_eq!(drain(&ring, &mut cursor), [Some((2, 0)), None]);
    assert!(ring.seek(Revision(3)).is_none());
}

#[test]
fn one_batch_larger_than_the_ring_is_published_whole() {
    let (mut writer, ring) = RingWriter::new(limits(2, 2), Revision(1));
    writer.publish((0..9).map(|sub| change(2, sub, 0)));
    assert_eq!(ring.head().1, Revision(2));
    // Its beginning is gone, so no cursor may start inside it.
    assert!(ring.seek(Revision(2)).is_none());
    let mut after = ring.seek(Revision(3)).unwrap();
    assert_eq!(drain(&ring, &mut after), []);
    writer.publish([change(3, 0, 0)]);
    assert_eq!(drain(&ring, &mut after), [Some((3, 0))]);
}

#[test]
fn a_jump_hides_what_was_before() {
    let (mut writer, ring) = RingWriter::new(limits(4, 4), Revision(1));
    let (mut cursor, _) = ring.head();
    writer.publish([change(2, 0, 0)]);
    writer.jump(Revision(50));
    assert_eq!(ring.head().1, Revision(50));
    assert_eq!(
        drain(&ring, &mut cursor),
        [Some((2, 0)), Some((50, u32::MAX))]
    );
    assert!(ring.seek(Revision(2)).is_none());
    assert!(ring.seek(Revision(50)).is_none());
    assert!(ring.seek(Revision(51)).is_some());
}

#[test]
fn large_changes_close_segments_and_leave_by_bytes() {
    let bytes = 64 << 10;
    let small = RingLimits {
        segment_slots: 1024,
        segments: 100,
        bytes,
    };
    let (mut writer, ring) = RingWriter::new(small, Revision(1));
    for revision in 2..100 {
        writer.publish([change(revision, 0, 8 << 10)]);
        let kept = (2..=revision).filter(|&from| ring.seek(Revision(from)).is_some());
        let kept = kept.count() * (8 << 10);
        assert!(kept <= bytes, "{kept} bytes kept");
        assert!(revision < 10 || kept >= bytes / 2, "{kept} bytes kept");
    }
}

proptest! {
    /// A late subscriber gets exactly the changes from its revision on, or is refused.
    #[test]
    fn seeking_agrees_with_the_list_of_changes(
        slots in 1_usize..6,
        segments in 1_usize..5,
        batches in prop::collection::vec(prop::collection::vec(1_u32..5, 0..4), 0..12),
    ) {
        let (mut writer, ring) = RingWriter::new(limits(slots, segments), Revision(1));
        let mut all = Vec::new();
        let mut revision = 1;
        for batch in batches {
            let mut changes = Vec::new();
            for size in batch {
                revision += 1;
                for sub in 0..size {
                    changes.push(change(revision, sub, 0));
                    all.push((revision, sub));
                }
            }
            writer.publish(changes);
        }
        let mut reached = false;
        for from in 2..=revision + 2 {
            let cursor = ring.seek(Revision(from));
            prop_assert!(cursor.is_some() || !reached, "coverage has a hole at {}", from);
            let Some(mut cursor) = cursor else { continue };
            reached = true;
            let wanted: Vec<_> = all.iter().filter(|(r, _)| *r >= from).map(|&c| Some(c)).collect();
            prop_assert_eq!(drain(&ring, &mut cursor), wanted);
        }
        prop_assert!(reached, "the revision after the last is always served");
    }
}

#[test]
fn what_is_kept_is_told() {
    let (mut writer, ring) = RingWriter::new(limits(2, 3), Revision(1));
    assert_eq!(ring.kept(), (1, 0));
    writer.publish([change(2, 0, 100)]);
    assert_eq!(ring.kept(), (2, 0), "nothing is closed yet");
    for revision in 3..=20 {
        writer.publish([change(revision, 0, 100)]);
    }
    let (changes, bytes) = ring.kept();
    assert!((4..=6).contains(&changes), "{changes}");
    let closed = 2 * 2 * change(2, 0, 100).weight();
    assert_eq!(bytes, closed);
}
