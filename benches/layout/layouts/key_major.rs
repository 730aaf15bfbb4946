//! Layouts b and c: every version under its key, newest first, and beside it either a log of keys (b) or
//! full events (c) in revision order.
//!
//! Old versions go in a compaction filter that meets the versions of a key newest first and drops those
//! which a newer one at or below the compacted revision hides. Tombstones stay: an older version may be
//! in a file outside the compaction. (Taking them away costs a range deletion each, which is not measured.)

use std::{
    ffi::CStr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use rocksdb::{
    CompactionDecision as Decision, DBRawIterator, ReadOptions, SliceTransform, WriteBatch,
    compaction_filter::CompactionFilter,
    compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory},
};

use super::{
    Answer, History, Layout, List, Previous, Result, Tuning, Write,
    event::{body_view, put_event, put_listed, put_watched, put_watched_with, view},
    store::{KEYS, REVISIONS, Store},
};

/// Bytes of the inverted revision at the end of a key.
const REVISION: usize = 8;
/// Versions to step over before a seek is cheaper.
const STEPS: usize = 3;

pub(crate) struct KeyMajor {
    store: Store,
    compacted: Arc<AtomicI64>,
    full_events: bool,
}

impl KeyMajor {
    pub(crate) fn open(directory: &Path, tuning: &Tuning, full_events: bool) -> Result<Self> {
        let compacted = Arc::new(AtomicI64::new(0));
        let bound = Arc::clone(&compacted);
        let store = Store::open(directory, tuning, |options, blocks| {
            blocks.set_whole_key_filtering(false);
            options.set_prefix_extractor(SliceTransform::create("key", key_part, None));
            options.set_compaction_filter_factory(VersionFilters(bound));
        })?;
        Ok(Self {
            store,
            compacted,
            full_events,
        })
    }

    /// An iterator that stays within the versions of the key it seeks, through the prefix filter.
    fn versions(&self) -> Result<DBRawIterator<'_>> {
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        Ok(self
            .store
            .db()
            .raw_iterator_cf_opt(&self.store.family(KEYS)?, options))
    }

    /// The change of `key` at `revision` as an encoded event without its previous key-value.
    fn event_of(versions: &mut DBRawIterator<'_>, key: &[u8], revision: i64) -> Result<Vec<u8>> {
        versions.seek(version_key(key, revision));
        let body = versions.value().ok_or("a logged version is missing")?;
        let mut event = Vec::with_capacity(key.len() + body.len() + 32);
        put_event(
            &mut event,
            body_view(body)?.meta.version == 0,
            key,
            body,
            None,
        );
        Ok(event)
    }

    /// Appends an event with the version that `versions` stands on, if that is one and alive.
    fn put_with(
        versions: &DBRawIterator<'_>,
        event: &[u8],
        key: &[u8],
        answer: &mut Answer,
    ) -> Result<()> {
        match versions.value() {
            Some(body) if body_view(body)?.meta.version != 0 => {
                put_watched_with(&mut answer.buffer, event, key, body);
            }
            _ => put_watched(&mut answer.buffer, event),
        }
        Ok(())
    }

    /// From any version of a key to the first version of the next key.
    fn skip_versions(records: &mut DBRawIterator<'_>, prefix: &[u8]) {
        for _ in 0..STEPS {
            records.next();
            if records.key().is_none_or(|key| key_part(key) != prefix) {
                return;
            }
        }
        let mut end = prefix.to_vec();
        end.extend_from_slice(&[0xff; REVISION]);
        records.seek(end);
        if records.key().is_some_and(|key| key_part(key) == prefix) {
            records.next();
        }
    }
}

impl Layout for KeyMajor {
    fn store(&self) -> &Store {
        &self.store
    }

    fn previous(&self, writes: &[Write<'_>]) -> Result<Vec<Previous>> {
        let mut versions = self.versions()?;
        writes
            .iter()
            .map(|write| {
                versions.seek(version_key(write.key, i64::MAX));
                let Some(record) = versions.value() else {
                    versions.status()?;
                    return Ok(Previous::default());
                };
                let meta = body_view(record)?.meta;
                Ok(Previous {
                    replaced: meta.mod_revision.0,
                    meta,
                    body: Vec::new(),
                })
            })
            .collect()
    }

    fn record(
        &self,
        batch: &mut WriteBatch,
        write: &Write<'_>,
        _: &Previous,
        body: &[u8],
    ) -> Result<()> {
        batch.put_cf(
            &self.store.family(KEYS)?,
            version_key(write.key, write.revision),
            body,
        );
        let mut event = Vec::new();
        if self.full_events {
            event.reserve(body.len() + write.key.len() + 32);
            put_event(&mut event, write.value.is_none(), write.key, body, None);
        } else {
            event.extend_from_slice(write.key);
        }
        batch.put_cf(
            &self.store.family(REVISIONS)?,
            log_key(write.revision),
            event,
        );
        Ok(())
    }

    fn get(&self, key: &[u8], into: &mut Vec<u8>) -> Result<bool> {
        let mut versions = self.versions()?;
        versions.seek(version_key(key, i64::MAX));
        let Some(record) = versions.value() else {
            return Ok(false);
        };
        into.extend_from_slice(record);
        Ok(body_view(record)?.meta.version != 0)
    }

    fn list(&self, list: &List, answer: &mut Answer) -> Result<()> {
        let at = list.at.unwrap_or(i64::MAX);
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.set_iterate_upper_bound(escape(&list.to));
        let mut records = self
            .store
            .db()
            .raw_iterator_cf_opt(&self.store.family(KEYS)?, options);
        records.seek(escape(&list.from));
        let mut prefix = Vec::new();
        while let Some(key) = records.key().filter(|_| answer.items < list.limit) {
            prefix.clear();
            prefix.extend_from_slice(key_part(key));
            if revision_part(key) > at {
                seek_version(&mut records, &prefix, at);
            }
            let Some((key, body)) = records.item().filter(|(key, _)| key_part(key) == prefix)
            else {
                continue;
            };
            if body_view(body)?.meta.version != 0 {
                put_listed(&mut answer.buffer, &unescape(key_part(key)), body);
                answer.end_item();
            }
            Self::skip_versions(&mut records, &prefix);
        }
        answer.send();
        Ok(records.status()?)
    }

    fn history(&self, history: &History, answer: &mut Answer) -> Result<()> {
        let mut versions = self.versions()?;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(log_key(history.to + 1));
        let mut records = self
            .store
            .db()
            .raw_iterator_cf_opt(&self.store.family(REVISIONS)?, options);
        records.seek(log_key(history.from));
        while let Some((log, record)) = records.item() {
            let revision = i64::from_be_bytes(log[..8].try_into()?);
            let key = if self.full_events {
                view(record)?.key
            } else {
                record
            };
            if key.starts_with(&history.prefix) {
                if self.full_events && !history.with_previous {
                    put_watched(&mut answer.buffer, record);
                } else if self.full_events {
                    versions.seek(version_key(key, revision - 1));
                    Self::put_with(&versions, record, key, answer)?;
                } else {
                    let event = Self::event_of(&mut versions, key, revision)?;
                    if history.with_previous {
                        versions.next();
                        Self::put_with(&versions, &event, key, answer)?;
                    } else {
                        put_watched(&mut answer.buffer, &event);
                    }
                }
                answer.end_item();
            }
            records.next();
        }
        answer.send();
        Ok(records.status()?)
    }

    fn compact(&self, revision: i64) -> Result<()> {
        self.compacted.store(revision, Ordering::Relaxed);
        self.store.drop_history(revision)
    }

    fn reclaim(&self) -> Result<()> {
        self.store.rewrite_keys()
    }
}

/// Makes a filter for each compaction.
struct VersionFilters(Arc<AtomicI64>);

impl CompactionFilterFactory for VersionFilters {
    type Filter = VersionFilter;

    fn create(&mut self, _: CompactionFilterContext) -> VersionFilter {
        VersionFilter {
            compacted: self.0.load(Ordering::Relaxed),
            key: Vec::new(),
            hidden: false,
        }
    }

    fn name(&self) -> &CStr {
        c"versions"
    }
}

/// Drops the versions that no read at or above the compacted revision can see.
struct VersionFilter {
    compacted: i64,
    key: Vec<u8>,
    /// Whether a version of `key` at or below the compacted revision has been met.
    hidden: bool,
}

impl CompactionFilter for VersionFilter {
    fn filter(&mut self, _: u32, key: &[u8], _: &[u8]) -> Decision {
        if revision_part(key) > self.compacted {
            return Decision::Keep;
        }
        if self.hidden && self.key == key_part(key) {
            return Decision::Remove;
        }
        self.hidden = true;
        self.key.clear();
        self.key.extend_from_slice(key_part(key));
        Decision::Keep
    }

    fn name(&self) -> &CStr {
        c"versions"
    }
}

/// From the newest version of a key to the newest at or below `at`: a few steps, then a seek.
fn seek_version(records: &mut DBRawIterator<'_>, prefix: &[u8], at: i64) {
    for _ in 0..STEPS {
        records.next();
        if records
            .key()
            .is_none_or(|key| key_part(key) != prefix || revision_part(key) <= at)
        {
            return;
        }
    }
    let mut key = prefix.to_vec();
    key.extend_from_slice(&(!at).to_be_bytes());
    records.seek(key);
}

fn version_key(key: &[u8], revision: i64) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len() + 2 + REVISION);
    escape_into(&mut stored, key);
    stored.extend_from_slice(&[0, 1]);
    stored.extend_from_slice(&(!revision as u64).to_be_bytes());
    stored
}

fn log_key(revision: i64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&revision.to_be_bytes());
    key
}

fn key_part(stored: &[u8]) -> &[u8] {
    stored.split_at(stored.len().saturating_sub(REVISION)).0
}

fn revision_part(stored: &[u8]) -> i64 {
    let tail = stored.last_chunk::<REVISION>().copied().unwrap_or_default();
    !u64::from_be_bytes(tail) as i64
}

/// A key without its end mark, as the bound of a range.
fn escape(key: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(key.len());
    escape_into(&mut escaped, key);
    escaped
}

fn escape_into(into: &mut Vec<u8>, key: &[u8]) {
    for &byte in key {
        into.push(byte);
        if byte == 0 {
            into.push(0xff);
        }
    }
}

fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(escaped.len());
    let mut bytes = escaped[..escaped.len() - 2].iter();
    while let Some(&byte) = bytes.next() {
        key.push(byte);
        if byte == 0 {
            bytes.next();
        }
    }
    key
}
