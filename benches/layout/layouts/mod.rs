//! The layouts under test, behind one trait, over one set of RocksDB options.

mod current_event;
mod event;
mod key_major;
mod store;

use std::{fmt, path::Path, sync::Arc};

use holdfast::base::kv::KvMeta;
use rocksdb::WriteBatch;

pub(crate) use current_event::CurrentEvent;
pub(crate) use key_major::KeyMajor;
pub(crate) use store::Tuning;

/// A benchmark stops at the first error, whatever it is.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Which layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// `current` and `event`, the previous key-value inside the event.
    A,
    /// `current` and `event`, the previous key-value read from the event that was replaced.
    Chained,
    /// Key-major versions and a log of keys.
    B,
    /// Key-major versions and full events.
    C,
}

impl Name {
    /// In the order of the turns.
    pub(crate) const ALL: [Self; 4] = [Self::A, Self::Chained, Self::B, Self::C];

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.to_string() == text)
    }

    pub(crate) fn open(self, directory: &Path, tuning: &Tuning) -> Result<Arc<dyn Layout>> {
        Ok(match self {
            Self::A => Arc::new(CurrentEvent::open(directory, tuning, true)?),
            Self::Chained => Arc::new(CurrentEvent::open(directory, tuning, false)?),
            Self::B => Arc::new(KeyMajor::open(directory, tuning, false)?),
            Self::C => Arc::new(KeyMajor::open(directory, tuning, true)?),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::Chained => "a'",
            Self::B => "b",
            Self::C => "c",
        })
    }
}

/// One change at its revision; no value means deletion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) revision: i64,
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

/// What a key held before a change.
#[derive(Debug, Default)]
pub(crate) struct Previous {
    /// Revision of the record that the change replaces, be it a tombstone; 0 if there is none.
    pub(crate) replaced: i64,
    /// The numbers; version 0 if the key held nothing.
    pub(crate) meta: KvMeta,
    /// The encoded body, for layouts that store it again.
    pub(crate) body: Vec<u8>,
}

/// A list: the first `limit` keys of `from..to`, now or at a revision.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
    pub(crate) limit: usize,
    pub(crate) at: Option<i64>,
}

/// A watcher that catches up: the changes of `from..=to` under a prefix.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) prefix: Vec<u8>,
    pub(crate) with_previous: bool,
}

/// Where answers are spliced: a buffer that is sent and reused when it has grown to a frame.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) buffer: Vec<u8>,
    /// Bytes of the frames before.
    pub(crate) sent: usize,
    /// Key-values or events in the answer.
    pub(crate) items: usize,
    /// Events whose previous key-value could not be found though there was one.
    pub(crate) lost: usize,
    /// Checksum over everything, if it is wanted.
    pub(crate) checksum: Option<u32>,
}

impl Answer {
    /// Bytes that go out together.
    const FRAME: usize = 64 << 10;

    pub(crate) fn checked() -> Self {
        Self {
            checksum: Some(0),
            ..Self::default()
        }
    }

    /// Ends an item; sends the buffer if it is a full frame.
    pub(crate) fn end_item(&mut self) {
        self.items += 1;
        if self.buffer.len() >= Self::FRAME {
            self.send();
        }
    }

    /// Sends what is left.
    pub(crate) fn send(&mut self) {
        if let Some(sum) = self.checksum {
            self.checksum = Some(crc32c::crc32c_append(sum, &self.buffer));
        }
        self.sent += self.buffer.len();
        self.buffer.clear();
    }
}

/// A way to keep current values and history in RocksDB.
pub(crate) trait Layout: Send + Sync {
    /// The database, for flushing, waiting and measuring.
    fn store(&self) -> &store::Store;

    /// What the keys of one batch hold; no key occurs twice.
    fn previous(&self, writes: &[Write<'_>]) -> Result<Vec<Previous>>;

    /// Adds a change to a batch. `body` is the new encoded body.
    fn record(
        &self,
        batch: &mut WriteBatch,
        write: &Write<'_>,
        previous: &Previous,
        body: &[u8],
    ) -> Result<()>;

    /// Appends the latest body of a key, if it holds one.
    fn get(&self, key: &[u8], into: &mut Vec<u8>) -> Result<bool>;

    /// Answers a list.
    fn list(&self, list: &List, answer: &mut Answer) -> Result<()>;

    /// Answers a watcher's catch-up.
    fn history(&self, history: &History, answer: &mut Answer) -> Result<()>;

    /// What etcd calls compaction: history below `revision` may go. Returns without rewriting anything.
    fn compact(&self, revision: i64) -> Result<()>;

    /// Rewrites what must be rewritten to give the space of compacted history back now.
    fn reclaim(&self) -> Result<()>;
}
