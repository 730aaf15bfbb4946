//! The newest entries of the log in memory, bounded in bytes.
//!
//! Raft asks for an entry right after it was handed over, before it is written; and followers that keep
//! up are always served from here. Only entries that can be read back from the disk are let go.

use std::collections::VecDeque;

use raft::eraftpb::Entry;

/// A run of consecutive entries that ends with the last of the log.
#[derive(Debug)]
pub(super) struct Cache {
    entries: VecDeque<Entry>,
    bytes: usize,
    limit: usize,
}

/// What an entry costs in memory, roughly.
pub(super) fn weight(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.data.len()
}

impl Cache {
    /// An empty cache that keeps about `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    /// Adds the entry that now is the last of the log.
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
    }

    /// Forgets the entry at `index` and all after it.
    pub(super) fn truncate(&mut self, index: u64) {
        while self.entries.back().is_some_and(|last| last.index >= index) {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= weight(&entry);
            }
        }
    }

    /// Forgets entries up to `index`, as they are no longer part of the log.
    pub(super) fn compact(&mut self, index: u64) {
        while self
            .entries
            .front()
            .is_some_and(|first| first.index <= index)
        {
            self.pop_front();
        }
    }

    /// Lets go of the oldest entries while there are too many bytes, but of none above `durable`.
    pub(super) fn shrink(&mut self, durable: u64) {
        while self.bytes > self.limit
            && self
                .entries
                .front()
                .is_some_and(|first| first.index <= durable)
        {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= weight(&entry);
        }
    }

    /// The index from which on entries are here; `None` when the cache is empty.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.index)
    }

    /// The entries from `low` on, which must not be below [`Self::first`].
    pub(super) fn from(&self, low: u64) -> impl Iterator<Item = &Entry> {
        let skip = self.first().map_or(0, |first| low.saturating_sub(first));
        self.entries.iter().skip(skip as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(limit: usize) -> Cache {
        let mut cache = Cache::new(limit);
        for index in 1..=10 {
            cache.push(Entry {
                index,
                data: vec![0; 100],
                ..Entry::default()
            });
        }
        cache
    }

    fn indexes(cache: &Cache, low: u64) -> Vec<u64> {
        cache.from(low).map(|entry| entry.index).collect()
    }

    #[test]
    fn only_durable_entries_are_let_go() {
        let mut cache = filled(0);
        cache.shrink(4);
        assert_eq!(cache.first(), Some(5));
        assert_eq!(indexes(&cache, 8), [8, 9, 10]);
        cache.shrink(10);
        assert_eq!((cache.first(), cache.bytes), (None, 0));
    }

    #[test]
    fn both_ends_are_cut() {
        let mut cache = filled(usize::MAX);
        cache.truncate(8);
        cache.compact(3);
        assert_eq!(indexes(&cache, 4), [4, 5, 6, 7]);
        cache.truncate(1);
        assert_eq!((cache.first(), cache.bytes), (None, 0));
    }
}
