//! The check of recovery: any segment files, of which the log takes what is sound or refuses them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use raft::eraftpb::Entry;

use super::record::{self, Kind, Place, Record};
use super::segment::{self, Header, Position};
use super::{Disk, FileDisk, Hard, Log, LogOptions, Writer};
use crate::base::fuzzing::Script;

const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 1024,
    // Entries are read back from the disk.
    cache_bytes: 0,
};

/// Blank bytes behind the records of a segment.
const ROOM: usize = 256;

/// Opens a log whose segments are bytes of the script as they are, or records that the script describes,
/// with checksums that match. What opens can be read as a whole, goes on, and is the same when it is
/// opened again.
pub fn log(data: &[u8], scratch: &Path) {
    pieces(data);
    let dir = scratch.join("log");
    // Nothing is there the first time.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("scratch space is writable");
    write_segments(&mut Script::new(data), &dir);
    let Some(mut log) = open(&dir) else {
        return;
    };
    let before = entries(&log);
    let last = Position {
        index: log.last().index + 1,
        term: log.last().term.max(log.hard().term),
    };
    let entry = Entry {
        index: last.index,
        term: last.term,
        data: data.into(),
        ..Entry::default()
    };
    let hard = log.hard();
    let batch = log.append(1, vec![entry], hard);
    let mut writer = Writer::new(disk(&dir));
    writer.run(vec![batch]).expect("scratch space is writable");
    let log = open(&dir).expect("what was opened and written to opens again");
    assert_eq!(log.last(), last);
    assert_eq!(log.hard(), hard);
    let mut after = entries(&log);
    let added = after.pop().expect("an entry was added");
    assert_eq!((added.data.as_slice(), after), (data, before));
}

/// Reads the bytes by themselves, as a header and as a record.
fn pieces(data: &[u8]) {
    if let Ok(header) = Header::decode(data, 1) {
        let again = Header::decode(&header.encode(), 1);
        assert_eq!(again, Ok(header));
    }
    let place = Place {
        segment: 1,
        offset: 0,
    };
    if let Ok((record, len)) = record::decode(data, place) {
        let mut bytes = Vec::new();
        record::encode(&mut bytes, place, &record);
        assert_eq!(record::decode(&bytes, place), Ok((record, len)));
        let _ = record.hard();
    }
}

fn disk(dir: &Path) -> Arc<dyn Disk> {
    Arc::new(FileDisk::open(dir, false).expect("scratch space is readable"))
}

fn open(dir: &Path) -> Option<Log> {
    Log::open(disk(dir), OPTIONS).ok()
}

/// Every entry of a log. They follow each other without gaps and their terms never fall.
fn entries(log: &Log) -> Vec<Entry> {
    let (base, last) = (log.base(), log.last());
    let entries = log.entries(base.index + 1, last.index + 1, u64::MAX);
    let entries = entries.expect("recovery has read them");
    let mut before = base;
    for entry in &entries {
        assert_eq!(entry.index, before.index + 1);
        assert!(entry.term >= before.term);
        assert_eq!(log.term(entry.index), Some(entry.term));
        before = Position {
            index: entry.index,
            term: entry.term,
        };
    }
    assert_eq!(before, last);
    assert!(log.hard().commit <= last.index);
    entries
}

fn write_segments(script: &mut Script<'_>, dir: &Path) {
    let sealed = script.flag();
    let mut previous_end = 0;
    for number in 1..=1 + u64::from(script.byte() % 3) {
        let mut image = if sealed {
            image(script, number, previous_end)
        } else {
            script.long_bytes().to_vec()
        };
        previous_end = image.len() as u64;
        image.resize(image.len() + ROOM, 0);
        let path = dir.join(format!("{number:016x}.seg"));
        fs::write(path, image).expect("scratch space is writable");
    }
}

/// A segment as the script describes it, in the form that the writer gives it.
fn image(script: &mut Script<'_>, number: u64, previous_end: u64) -> Vec<u8> {
    let flags = script.byte();
    let header = Header {
        number,
        base: Position {
            index: script.number(),
            term: script.number(),
        },
        reset: flags & 1 == 1,
        previous_end: if flags & 2 == 2 {
            script.number()
        } else {
            previous_end
        },
        hard: Hard {
            term: script.number(),
            vote: script.number(),
            commit: script.number(),
        },
    };
    let mut image = header.encode().to_vec();
    for _ in 0..script.byte() % 16 {
        put_record(script, number, &mut image);
    }
    image
}

fn put_record(script: &mut Script<'_>, segment: u64, image: &mut Vec<u8>) {
    let kind = match script.byte() % 8 {
        0 => Kind::ConfChange,
        1 => Kind::ConfChangeV2,
        2 => Kind::HardState,
        _ => Kind::Normal,
    };
    let record = Record {
        kind,
        synced: script.number() as u32,
        term: script.number(),
        index: script.number(),
        payload: script.bytes(),
    };
    let offset = image.len() as u64;
    record::encode(image, Place { segment, offset }, &record);
    // A write that was torn, in a few cases.
    if script.byte() == 0xff {
        image.truncate(
            image
                .len()
                .saturating_sub(record::ALIGN)
                .max(segment::HEADER),
        );
    }
}
