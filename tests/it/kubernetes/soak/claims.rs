//! What the clients of a soak were told, kept small enough for half an hour of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use holdfast::etcd::pb::mvccpb::KeyValue;

use crate::harness::text;

/// A hash in the place of a value, or of a list of objects.
pub type Digest = u64;

pub fn digest(of: impl Hash) -> Digest {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// An object as reads and events show it, its value as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub created: i64,
    pub modified: i64,
    pub version: i64,
    pub lease: i64,
    pub value: Digest,
}

impl From<&KeyValue> for State {
    fn from(kv: &KeyValue) -> Self {
        Self {
            created: kv.create_revision(),
            modified: kv.mod_revision(),
            version: kv.version(),
            lease: kv.lease(),
            value: digest(kv.value()),
        }
    }
}

/// An event of the history.
#[derive(Debug, Clone)]
pub struct Change {
    pub revision: i64,
    pub key: String,
    pub before: Option<State>,
    /// Nothing if the key was deleted.
    pub after: Option<State>,
    /// When it was heard of.
    pub heard: Instant,
}

/// A conditional write, whatever became of it.
#[derive(Debug, Clone)]
pub struct Write {
    pub key: String,
    /// The version that it requires: 0 for none.
    pub expected: i64,
    /// What it stores; nothing for a deletion.
    pub value: Option<Digest>,
    pub lease: i64,
}

/// How much of its objects a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Whole,
    Keys,
    Nothing,
}

/// A page of a list, or a whole one.
#[derive(Debug, Clone)]
pub struct Listing {
    pub from: String,
    pub end: String,
    /// At most so many; 0 for all.
    pub limit: usize,
    pub shown: Shown,
    /// Of what was shown.
    pub digest: Digest,
    /// How many there are from `from` to `end`.
    pub count: usize,
}

impl Listing {
    /// The digest that a page of these objects has.
    pub fn digest_of<'a>(
        shown: Shown,
        limit: usize,
        objects: impl Iterator<Item = (&'a str, &'a State)>,
    ) -> Digest {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let page = objects.take(limit);
        match shown {
            Shown::Whole => digest(page.collect::<Vec<_>>()),
            Shown::Keys => digest(page.map(|(key, _)| key).collect::<Vec<_>>()),
            Shown::Nothing => digest(()),
        }
    }

    /// The digest of what a response shows.
    pub fn digest_of_page(shown: Shown, kvs: &[KeyValue]) -> Digest {
        let objects: Vec<_> = kvs
            .iter()
            .map(|kv| (text(kv.key()), State::from(kv)))
            .collect();
        Self::digest_of(shown, 0, objects.iter().map(|(key, state)| (*key, state)))
    }
}

/// Something that was true at a revision, says the server.
#[derive(Debug, Clone)]
pub struct Claim {
    pub at: i64,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// The write is what made this revision.
    Wrote(Write),
    /// The write found another version, and (unless it was a creation) this object.
    Refused(Write, Option<Option<State>>),
    Read(String, Option<State>),
    Listed(Listing),
}

/// What one client did.
#[derive(Debug, Default)]
pub struct Ledger {
    pub claims: Vec<Claim>,
    /// Writes that ended without an answer.
    pub unknown: Vec<Write>,
    /// Leases, and when they may expire at the earliest.
    pub leases: Vec<(i64, Instant)>,
}

/// What a watcher heard between two revisions.
#[derive(Debug)]
pub struct Segment {
    pub prefix: String,
    /// Without the events at this one.
    pub from: i64,
    pub until: i64,
    pub events: usize,
    pub digest: Digest,
}

/// The digest of a sequence of events, as they come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chain {
    pub events: usize,
    pub digest: Digest,
}

impl Chain {
    pub fn add(&mut self, change: &Change) {
        let Change {
            revision,
            key,
            before,
            after,
            ..
        } = change;
        self.digest = digest((self.digest, revision, key, before, after));
        self.events += 1;
    }
}
