//! Changes of the log as plain disk operations, decided by the raft thread and carried out elsewhere.

use super::Hard;
use super::record::{self, Place, Record};
use super::segment::{self, Header, Position, Segment};

/// One operation on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// Writes records.
    Write {
        /// Into this segment,
        segment: u64,
        /// at this offset,
        offset: u64,
        /// these bytes.
        bytes: Vec<u8>,
    },
    /// Makes a segment durable before anything else happens.
    Sync {
        /// The segment.
        segment: u64,
    },
    /// Creates a segment and writes its beginning.
    Create {
        /// Its number.
        segment: u64,
        /// Its size.
        len: u64,
        /// Header and first records.
        bytes: Vec<u8>,
    },
    /// Gives up a segment.
    Remove {
        /// The segment.
        segment: u64,
    },
}

/// Operations that belong together, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Batch {
    /// The operations.
    pub(crate) ops: Vec<Op>,
    /// Whether someone waits for the batch to be durable.
    pub(crate) sync: bool,
}

impl Batch {
    /// Bytes that this batch writes.
    pub(crate) fn bytes(&self) -> usize {
        let len = |op: &Op| match op {
            Op::Write { bytes, .. } | Op::Create { bytes, .. } => bytes.len(),
            Op::Sync { .. } | Op::Remove { .. } => 0,
        };
        self.ops.iter().map(len).sum()
    }
}

/// Lays records out in the last segment and begins new ones as needed.
#[derive(Debug)]
pub(super) struct Plan {
    /// The segments that this plan adds to the log, the first being the one that was open before.
    pub(super) segments: Vec<Segment>,
    ops: Vec<Op>,
    open: Segment,
    pending: Vec<u8>,
    synced: u32,
    segment_bytes: u64,
}

impl Plan {
    /// A plan that goes on at the end of `open`, of which `synced` bytes are durable.
    pub(super) fn new(open: Segment, synced: u64, segment_bytes: u64) -> Self {
        Self {
            segments: Vec::new(),
            ops: Vec::new(),
            open,
            pending: Vec::new(),
            synced: synced as u32,
            segment_bytes,
        }
    }

    /// The segment that the next record goes to, if it has room.
    pub(super) const fn open(&self) -> &Segment {
        &self.open
    }

    /// Whether a record with a payload of `len` fits in the open segment.
    pub(super) const fn fits(&self, len: usize) -> bool {
        self.open.end + record::record_len(len) as u64 <= self.open.len
    }

    /// Appends a record and gives its place.
    pub(super) fn put(&mut self, record: &Record<'_>) -> Place {
        let place = self.place();
        let record = Record {
            synced: self.synced,
            ..*record
        };
        let before = self.pending.len();
        record::encode(&mut self.pending, place, &record);
        self.open.end += (self.pending.len() - before) as u64;
        place
    }

    /// Appends a hard state, in a new segment if there is no room.
    pub(super) fn put_hard(&mut self, hard: Hard, last: Position) {
        if self.fits(size_of::<u64>()) {
            let place = self.place();
            record::encode_hard(&mut self.pending, place, hard, self.synced);
            self.open.end += record::hard_len() as u64;
        } else {
            self.rotate(last, hard, 0);
        }
    }

    const fn place(&self) -> Place {
        Place {
            segment: self.open.number,
            offset: self.open.end,
        }
    }

    /// Begins a new segment after `base` that has room for a payload of `room` bytes. The old one is
    /// synced first: that a segment exists proves that those before it are complete.
    pub(super) fn rotate(&mut self, base: Position, hard: Hard, room: usize) {
        self.flush();
        self.ops.push(Op::Sync {
            segment: self.open.number,
        });
        let header = Header {
            number: self.open.number + 1,
            base,
            reset: false,
            previous_end: self.open.end,
            hard,
        };
        self.begin(&header, room);
    }

    /// Begins a segment in which the log starts anew after `base`, and makes it durable.
    pub(super) fn reset(&mut self, base: Position, hard: Hard) {
        self.flush();
        let header = Header {
            number: self.open.number + 1,
            base,
            reset: true,
            previous_end: 0,
            hard,
        };
        self.begin(&header, 0);
        self.ops.push(Op::Sync {
            segment: self.open.number,
        });
    }

    /// Gives up a segment after all that was planned before.
    pub(super) fn remove(&mut self, segment: u64) {
        self.flush();
        self.ops.push(Op::Remove { segment });
    }

    fn begin(&mut self, header: &Header, room: usize) {
        self.segments.push(self.open);
        let (bytes, open) = first_bytes(header, room, self.segment_bytes);
        self.open = open;
        self.synced = 0;
        self.ops.push(Op::Create {
            segment: open.number,
            len: open.len,
            bytes,
        });
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let bytes = std::mem::take(&mut self.pending);
            self.ops.push(Op::Write {
                segment: self.open.number,
                offset: self.open.end - bytes.len() as u64,
                bytes,
            });
        }
    }

    /// The operations, and the segments of the log from the formerly open one on.
    pub(super) fn finish(mut self, sync: bool) -> (Batch, Vec<Segment>) {
        self.flush();
        self.segments.push(self.open);
        let batch = Batch {
            ops: self.ops,
            sync,
        };
        (batch, self.segments)
    }
}

/// How a new segment begins, with room for a payload of `room` bytes, and what is then known of it.
pub(super) fn first_bytes(header: &Header, room: usize, segment_bytes: u64) -> (Vec<u8>, Segment) {
    let end = segment::HEADER as u64;
    let segment = Segment {
        number: header.number,
        base: header.base,
        end,
        len: segment_bytes.max(end + record::record_len(room) as u64),
    };
    (header.encode().to_vec(), segment)
}
