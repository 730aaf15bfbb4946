use crossbeam::channel;

use super::*;
use crate::base::range::KeyRange;
use crate::watch::ring::{RingLimits, RingWriter};
use crate::watch::testing::{MemoryHistory, change};

fn interest() -> Interest {
    Interest {
        range: KeyRange::all(),
        prev_kv: true,
        no_put: false,
        no_delete: false,
    }
}

/// A ring of `segments` segments of two changes each, with revisions 2 to `last` of two changes each.
fn ring(segments: usize, last: i64) -> (RingWriter, Arc<Ring>) {
    let limits = RingLimits {
        segment_slots: 2,
        segments,
        bytes: 1 << 20,
    };
    let (mut writer, ring) = RingWriter::new(limits, Revision(1));
    for revision in 2..=last {
        writer.publish((0..2).map(|sub| change(revision, sub, "k", Some(b"v"), true)));
    }
    (writer, ring)
}

const WHOLE: Budget = entries(usize::MAX);

const fn entries(entries: usize) -> Budget {
    Budget {
        entries,
        bytes: PAGE_BYTES,
    }
}

fn covered(page: Option<Page>) -> Option<(usize, i64)> {
    page.map(|page| (page.events, page.next.get()))
}

#[test]
fn pages_of_the_ring_stop_between_revisions() {
    let (_writer, ring) = ring(100, 9);
    let read = |from, upto, budget| {
        covered(from_ring(
            &ring,
            &interest(),
            Revision(from),
            Revision(upto),
            budget,
        ))
    };
    assert_eq!(read(2, 9, WHOLE), Some((16, 10)));
    assert_eq!(read(4, 7, WHOLE), Some((8, 8)));
    assert_eq!(
        read(4, 9, entries(3)),
        Some((4, 6)),
        "the third change is followed by its sibling"
    );
    assert_eq!(read(9, 9, entries(1)), Some((2, 10)));
}

#[test]
fn what_the_ring_does_not_have_is_not_half_given() {
    let (mut writer, ring) = ring(3, 9);
    assert!(from_ring(&ring, &interest(), Revision(2), Revision(9), WHOLE).is_none());
    writer.jump(Revision(50));
    let page = from_ring(&ring, &interest(), Revision(9), Revision(50), WHOLE);
    assert!(page.is_none(), "the jump hides what was before");
    let page = from_ring(&ring, &interest(), Revision(51), Revision(50), WHOLE);
    assert_eq!(covered(page), None, "no progress is no page");
}

#[test]
fn being_lapped_while_reading_gives_the_whole_revisions_before() {
    let (mut writer, ring) = ring(3, 3);
    let interest = interest();
    let from = |revision| {
        let cursor = ring.seek(Revision(revision)).unwrap();
        (cursor, Builder::new(&interest, Revision(revision)))
    };
    let (cursor, page) = from(2);
    let published = ring.published();
    for revision in 4..10 {
        writer.publish((0..2).map(|sub| change(revision, sub, "k", Some(b"v"), true)));
    }
    // The held segment ends after the first change of revision 2: with the start, it had one place.
    let lapped = page.collect(&ring, cursor, published, Revision(3), WHOLE);
    assert_eq!(covered(lapped), None);
}

#[test]
fn a_jump_while_reading_ends_the_page_before_it() {
    let (mut writer, ring) = ring(100, 3);
    let interest = interest();
    let cursor = ring.seek(Revision(2)).unwrap();
    let page = Builder::new(&interest, Revision(2));
    // The cursor's segment is not full, so it is followed into the jump.
    writer.publish([change(4, 0, "k", Some(b"v"), true)]);
    let late = ring.seek(Revision(4)).unwrap();
    writer.jump(Revision(50));
    let late_page = Builder::new(&interest, Revision(4));
    let published = ring.published();
    let read = late_page.collect(&ring, late, published, Revision(50), WHOLE);
    assert_eq!(covered(read), Some((1, 5)));
    // One that has to cross what the jump dropped is lapped inside revision 2.
    let read = page.collect(&ring, cursor, published, Revision(50), WHOLE);
    assert_eq!(covered(read), None);
}

#[test]
fn a_page_cut_off_inside_a_revision_gives_the_whole_ones_before() {
    let interest = interest();
    let mut page = Builder::new(&interest, Revision(5));
    assert_eq!(page.cut(), Revision(4), "nothing read, nothing covered");
    for (revision, sub) in [(5, 0), (5, 1), (6, 0)] {
        page.add(&change(revision, sub, "k", Some(b"v"), true));
    }
    let next = page.cut();
    assert_eq!(covered(Some(page.finish(next))), Some((2, 6)));
}

#[test]
fn history_that_does_not_advance_is_an_error_and_not_a_loop() {
    struct Stuck;
    impl History for Stuck {
        fn changes(
            &self,
            _: &KeyRange,
            from: Revision,
            _: Revision,
            _: usize,
            _: usize,
        ) -> Result<crate::watch::HistoryPage, HistoryError> {
            Ok(crate::watch::HistoryPage {
                changes: Vec::new(),
                next: from,
            })
        }
        fn compacted(&self) -> Revision {
            Revision::ZERO
        }
    }
    let (_writer, ring) = ring(1, 9);
    let (_, jobs) = channel::bounded(1);
    let reader = Reader {
        ring,
        history: Arc::new(Stuck),
        jobs,
    };
    let page = reader.read(&interest(), Revision(2), Revision(9), PAGE_BYTES);
    assert!(matches!(page, Err(HistoryError::Storage(_))));
}

#[test]
fn the_compacted_revision_itself_is_read_from_history() {
    let history = Arc::new(MemoryHistory::default());
    history.add(&[change(9, 0, "k", Some(b"v"), true)]);
    history.compact(9);
    let (_writer, ring) = ring(100, 9);
    let (_, jobs) = channel::bounded(1);
    let reader = Reader {
        ring,
        history,
        jobs,
    };
    let at = reader
        .read(&interest(), Revision(9), Revision(9), PAGE_BYTES)
        .unwrap();
    let without_prev = change(9, 0, "k", Some(b"v"), false);
    assert_eq!(&at.body[2..], without_prev.event_bytes(true));
    let below = reader.read(&interest(), Revision(8), Revision(9), PAGE_BYTES);
    assert_eq!(below, Err(HistoryError::Compacted(Revision(9))));
}
