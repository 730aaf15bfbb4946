//! Which groups of watchers want a key: the cost of a change does not depend on those that do not.
//!
//! Kubernetes watches single keys and directories (`/registry/pods/`, `/registry/pods/default/`); both
//! are one hash probe, the latter one for each `/` of the key. Other ranges are in an interval tree, and
//! those of everything in a list. Owned by one dispatcher, so there are no locks.

use std::collections::HashMap;

use bytes::Bytes;
use smallvec::SmallVec;

use super::interval::Intervals;
use crate::base::range::{KeyRange, RangeEnd, prefix_end};

/// Group ids at one key or directory; almost always one, because equal interests share a group.
type Ids = SmallVec<[usize; 2]>;
/// Keys are chosen by clients and hashed for every change: a fast hash with a seed for each process.
type Keyed = HashMap<Bytes, Ids, foldhash::fast::RandomState>;

/// See the module comment.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: Keyed,
    directories: Keyed,
    intervals: Intervals,
    everything: Vec<usize>,
}

/// How a range is looked up.
enum Kind {
    Exact,
    Directory,
    Interval,
    Everything,
}

impl Index {
    /// Adds a group with a range that is not empty.
    pub(super) fn insert(&mut self, range: &KeyRange, id: usize) {
        match kind(range) {
            Kind::Exact => self.exact.entry(range.start.clone()).or_default().push(id),
            Kind::Directory => {
                let ids = self.directories.entry(range.start.clone());
                ids.or_default().push(id);
            }
            Kind::Interval => {
                self.intervals
                    .insert(range.start.clone(), range.upper_bound(), id);
            }
            Kind::Everything => self.everything.push(id),
        }
    }

    /// Removes a group that [`Self::insert`] added.
    pub(super) fn remove(&mut self, range: &KeyRange, id: usize) {
        match kind(range) {
            Kind::Exact => remove_from(&mut self.exact, &range.start, id),
            Kind::Directory => remove_from(&mut self.directories, &range.start, id),
            Kind::Interval => self.intervals.remove(&range.start, id),
            Kind::Everything => self.everything.retain(|&other| other != id),
        }
    }

    /// Calls `visit` with each group whose range contains `key`, once.
    pub(super) fn visit(&self, key: &[u8], mut visit: impl FnMut(usize)) {
        if let Some(ids) = self.exact.get(key) {
            ids.iter().copied().for_each(&mut visit);
        }
        if !self.directories.is_empty() {
            self.visit_directories(key, &mut visit);
        }
        self.intervals.visit(key, &mut visit);
        self.everything.iter().copied().for_each(visit);
    }

    fn visit_directories(&self, key: &[u8], visit: &mut impl FnMut(usize)) {
        let slashes = key.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        let directories = slashes.filter_map(|(at, _)| key.get(..=at));
        for ids in directories.filter_map(|directory| self.directories.get(directory)) {
            ids.iter().copied().for_each(&mut *visit);
        }
    }
}

fn kind(range: &KeyRange) -> Kind {
    match &range.end {
        RangeEnd::Point => Kind::Exact,
        // A zero byte is the smallest key there is.
        RangeEnd::Unbounded if matches!(range.start.as_ref(), [] | [0]) => Kind::Everything,
        RangeEnd::Before(end)
            if range.start.ends_with(b"/") && prefix_end(&range.start).as_ref() == Some(end) =>
        {
            Kind::Directory
        }
        RangeEnd::Before(_) | RangeEnd::Unbounded => Kind::Interval,
    }
}

fn remove_from(map: &mut Keyed, key: &Bytes, id: usize) {
    if let Some(ids) = map.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keys over a small alphabet, so that they nest and touch.
    fn key() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(prop::sample::select(vec![b'/', b'a', b'b', 0, 0xff]), 1..6)
            .prop_map(Bytes::from)
    }

    fn range() -> impl Strategy<Value = KeyRange> {
        prop_oneof![
            key().prop_map(KeyRange::point),
            key().prop_map(KeyRange::prefix),
            key().prop_map(|key| KeyRange::prefix([&key, &b"/"[..]].concat().into())),
            (key(), key()).prop_map(|(a, b)| KeyRange::from_wire(a, b)),
            key().prop_map(|key| KeyRange::from_wire(key, Bytes::from_static(b"\0"))),
            Just(KeyRange::all()),
            Just(KeyRange::from_wire(
                Bytes::from_static(b"\0"),
                Bytes::from_static(b"\0")
            )),
        ]
        .prop_filter("empty ranges are refused before", |range| !range.is_empty())
    }

    proptest! {
        #[test]
        fn finds_exactly_the_ranges_that_contain_a_key(
            ranges in prop::collection::vec(range(), 0..20),
            removed in prop::collection::vec(any::<bool>(), 20),
            keys in prop::collection::vec(key(), 1..20),
        ) {
            let mut index = Index::default();
            for (id, range) in ranges.iter().enumerate() {
                index.insert(range, id);
            }
            for (id, range) in ranges.iter().enumerate().filter(|(id, _)| removed[*id]) {
                index.remove(range, id);
            }
            for key in keys {
                let mut found = Vec::new();
                index.visit(&key, |id| found.push(id));
                found.sort_unstable();
                let wanted: Vec<_> = (0..ranges.len())
                    .filter(|&id| !removed[id] && ranges[id].contains(&key))
                    .collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn nothing_is_left_behind() {
        let mut index = Index::default();
        for range in [
            KeyRange::point(Bytes::from_static(b"a")),
            KeyRange::prefix(Bytes::from_static(b"a/")),
        ] {
            index.insert(&range, 1);
            index.remove(&range, 1);
        }
        assert!(index.exact.is_empty() && index.directories.is_empty());
    }
}
