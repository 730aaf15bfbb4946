//! Layouts a and a': the latest record of each key, and events in revision order.
//!
//! An event is stored as the revision it replaced, a varint, followed by the encoded `mvccpb.Event`. With
//! the previous key-value inside (a), every read at or above the compacted revision needs only events
//! above it, so that files of older events may go unread. Without (a'), a previous key-value is the event
//! that was replaced, wherever that is, and gone if it is compacted.

use std::{
    path::Path,
    sync::Arc,
    sync::atomic::{AtomicI64, Ordering},
};

use holdfast::base::wire::{FieldReader, put_varint};
use rocksdb::{
    BoundColumnFamily, DBPinnableSlice, ReadOptions, WriteBatch, compaction_filter::Decision,
};

use super::{
    Answer, History, Layout, List, Previous, Result, Tuning, Write,
    event::{body_view, put_event, put_listed, put_watched, put_watched_with, view},
    store::{KEYS, REVISIONS, Store},
};

pub(crate) struct CurrentEvent {
    store: Store,
    compacted: Arc<AtomicI64>,
    previous_in_event: bool,
}

type Family<'a> = Arc<BoundColumnFamily<'a>>;

impl CurrentEvent {
    pub(crate) fn open(directory: &Path, tuning: &Tuning, previous_in_event: bool) -> Result<Self> {
        let compacted = Arc::new(AtomicI64::new(0));
        let bound = Arc::clone(&compacted);
        let store = Store::open(directory, tuning, |options, blocks| {
            blocks.set_whole_key_filtering(true);
            options.set_memtable_whole_key_filtering(true);
            options.set_compaction_filter("tombstones", move |_, _, record: &[u8]| {
                let old = bound.load(Ordering::Relaxed);
                match body_view(record) {
                    Ok(body) if body.meta.version == 0 && body.meta.mod_revision.0 <= old => {
                        Decision::Remove
                    }
                    _ => Decision::Keep,
                }
            });
        })?;
        Ok(Self {
            store,
            compacted,
            previous_in_event,
        })
    }

    fn event<'a>(
        &'a self,
        events: &Family<'a>,
        revision: i64,
    ) -> Result<Option<DBPinnableSlice<'a>>> {
        Ok(self.store.db().get_pinned_cf(events, event_key(revision))?)
    }

    /// Appends the body that a key had at a revision below its `latest` one: follows the replaced
    /// revisions down to the event that replaced it.
    fn put_version(
        &self,
        events: &Family<'_>,
        mut changed: i64,
        at: i64,
        answer: &mut Answer,
    ) -> Result<()> {
        loop {
            let Some(record) = self.event(events, changed)? else {
                answer.lost += 1;
                return Ok(());
            };
            let (replaced, event) = split(&record)?;
            if replaced > at {
                changed = replaced;
                continue;
            }
            if self.previous_in_event {
                let event = view(event)?;
                put_if_live(answer, event.key, event.previous.unwrap_or_default())?;
            } else if replaced != 0 {
                let Some(record) = self.event(events, replaced)? else {
                    answer.lost += 1;
                    return Ok(());
                };
                let event = view(split(&record)?.1)?;
                put_if_live(answer, event.key, event.body)?;
            }
            return Ok(());
        }
    }

    /// Appends a watched event whose previous key-value is the body of the event it replaced.
    fn put_chained(
        &self,
        events: &Family<'_>,
        event: &[u8],
        replaced: i64,
        answer: &mut Answer,
    ) -> Result<()> {
        let key = view(event)?.key;
        match self.event(events, replaced)? {
            Some(record) => {
                let body = view(split(&record)?.1)?.body;
                if body_view(body)?.meta.version == 0 {
                    put_watched(&mut answer.buffer, event);
                } else {
                    put_watched_with(&mut answer.buffer, event, key, body);
                }
            }
            None => {
                answer.lost += 1;
                put_watched(&mut answer.buffer, event);
            }
        }
        Ok(())
    }
}

impl Layout for CurrentEvent {
    fn store(&self) -> &Store {
        &self.store
    }

    fn previous(&self, writes: &[Write<'_>]) -> Result<Vec<Previous>> {
        let family = self.store.family(KEYS)?;
        writes
            .iter()
            .map(|write| {
                let Some(record) = self.store.db().get_pinned_cf(&family, write.key)? else {
                    return Ok(Previous::default());
                };
                let meta = body_view(&record)?.meta;
                let body = if self.previous_in_event {
                    record.to_vec()
                } else {
                    Vec::new()
                };
                Ok(Previous {
                    replaced: meta.mod_revision.0,
                    meta,
                    body,
                })
            })
            .collect()
    }

    fn record(
        &self,
        batch: &mut WriteBatch,
        write: &Write<'_>,
        previous: &Previous,
        body: &[u8],
    ) -> Result<()> {
        batch.put_cf(&self.store.family(KEYS)?, write.key, body);
        let mut event =
            Vec::with_capacity(body.len() + previous.body.len() + 2 * write.key.len() + 32);
        put_varint(&mut event, previous.replaced as u64);
        let with = (self.previous_in_event && previous.meta.version != 0)
            .then_some(previous.body.as_slice());
        put_event(&mut event, write.value.is_none(), write.key, body, with);
        batch.put_cf(
            &self.store.family(REVISIONS)?,
            event_key(write.revision),
            event,
        );
        Ok(())
    }

    fn get(&self, key: &[u8], into: &mut Vec<u8>) -> Result<bool> {
        let record = self
            .store
            .db()
            .get_pinned_cf(&self.store.family(KEYS)?, key)?;
        let Some(record) = record else {
            return Ok(false);
        };
        into.extend_from_slice(&record);
        Ok(body_view(&record)?.meta.version != 0)
    }

    fn list(&self, list: &List, answer: &mut Answer) -> Result<()> {
        let events = self.store.family(REVISIONS)?;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(list.to.as_slice());
        let mut records = self
            .store
            .db()
            .raw_iterator_cf_opt(&self.store.family(KEYS)?, options);
        records.seek(&list.from);
        while let Some((key, record)) = records.item().filter(|_| answer.items < list.limit) {
            match (list.at, body_view(record)?.meta.mod_revision.0) {
                (Some(at), changed) if changed > at => {
                    self.put_version(&events, changed, at, answer)?;
                }
                _ => put_if_live(answer, key, record)?,
            }
            records.next();
        }
        answer.send();
        Ok(records.status()?)
    }

    fn history(&self, history: &History, answer: &mut Answer) -> Result<()> {
        let events = self.store.family(REVISIONS)?;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(event_key(history.to + 1));
        let mut records = self.store.db().raw_iterator_cf_opt(&events, options);
        records.seek(event_key(history.from));
        while let Some(record) = records.value() {
            let (replaced, event) = split(record)?;
            let parts = view(event)?;
            if parts.key.starts_with(&history.prefix) {
                if !history.with_previous {
                    put_watched(&mut answer.buffer, &event[..parts.cut]);
                } else if self.previous_in_event || replaced == 0 {
                    put_watched(&mut answer.buffer, event);
                } else {
                    self.put_chained(&events, event, replaced, answer)?;
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

/// Appends a listed key-value unless it is a tombstone or nothing.
fn put_if_live(answer: &mut Answer, key: &[u8], body: &[u8]) -> Result<()> {
    if body_view(body)?.meta.version != 0 {
        put_listed(&mut answer.buffer, key, body);
        answer.end_item();
    }
    Ok(())
}

/// Revision and sub-revision; the load makes one change a revision.
fn event_key(revision: i64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&revision.to_be_bytes());
    key
}

fn split(record: &[u8]) -> Result<(i64, &[u8])> {
    let mut reader = FieldReader::new(record);
    let replaced = reader.varint()?;
    Ok((replaced as i64, reader.rest()))
}
