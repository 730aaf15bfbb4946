//! Key ranges, with etcd's rules for what `key` and `range_end` select.

use std::ops::Bound;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What bounds a [`KeyRange`] from above.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RangeEnd {
    /// Exactly the start key.
    Point,
    /// Every key below this one. May be at or below the start key: then nothing is selected.
    Before(Bytes),
    /// No upper bound.
    Unbounded,
}

/// A set of consecutive keys in byte order.
///
/// The rules are those of etcd's `RangeRequest` (`key`, `range_end`): an empty end selects one key, a
/// single zero byte means "no upper bound", anything else is an exclusive upper bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    /// The first key.
    pub start: Bytes,
    /// The upper bound.
    pub end: RangeEnd,
}

impl KeyRange {
    /// The range that etcd's pair `key`, `range_end` names.
    pub fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        let end = match range_end.as_ref() {
            [] => RangeEnd::Point,
            [0] => RangeEnd::Unbounded,
            _ => RangeEnd::Before(range_end),
        };
        Self { start: key, end }
    }

    /// The second of the pair that [`Self::from_wire`] takes.
    pub fn wire_end(&self) -> Bytes {
        match &self.end {
            RangeEnd::Point => Bytes::new(),
            RangeEnd::Before(end) => end.clone(),
            RangeEnd::Unbounded => Bytes::from_static(b"\0"),
        }
    }

    /// Exactly one key.
    pub const fn point(key: Bytes) -> Self {
        Self {
            start: key,
            end: RangeEnd::Point,
        }
    }

    /// Every key there is.
    pub const fn all() -> Self {
        Self {
            start: Bytes::new(),
            end: RangeEnd::Unbounded,
        }
    }

    /// Every key that begins with `prefix`.
    pub fn prefix(prefix: Bytes) -> Self {
        let end = match prefix_end(&prefix) {
            Some(end) => RangeEnd::Before(end),
            None => RangeEnd::Unbounded,
        };
        Self { start: prefix, end }
    }

    /// Whether the range is a single key by form.
    pub const fn is_point(&self) -> bool {
        matches!(self.end, RangeEnd::Point)
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Point => key == self.start.as_ref(),
            RangeEnd::Before(end) => key >= self.start.as_ref() && key < end.as_ref(),
            RangeEnd::Unbounded => key >= self.start.as_ref(),
        }
    }

    /// Whether the range can hold no key at all.
    pub fn is_empty(&self) -> bool {
        matches!(&self.end, RangeEnd::Before(end) if end <= &self.start)
    }

    /// The exclusive upper bound in byte order, or `None` when there is none. A point's bound is its
    /// key followed by a zero byte.
    pub fn upper_bound(&self) -> Option<Bytes> {
        match &self.end {
            RangeEnd::Point => {
                let mut end = Vec::with_capacity(self.start.len() + 1);
                end.extend_from_slice(&self.start);
                end.push(0);
                Some(end.into())
            }
            RangeEnd::Before(end) => Some(end.clone()),
            RangeEnd::Unbounded => None,
        }
    }

    /// The pair of bounds for a `BTreeMap` range. Only for ranges that are not [empty](Self::is_empty):
    /// the map panics on inverted bounds.
    pub fn bounds(&self) -> (Bound<Bytes>, Bound<Bytes>) {
        let upper = match &self.end {
            RangeEnd::Point => Bound::Included(self.start.clone()),
            RangeEnd::Before(end) => Bound::Excluded(end.clone()),
            RangeEnd::Unbounded => Bound::Unbounded,
        };
        (Bound::Included(self.start.clone()), upper)
    }
}

/// The smallest key above every key that begins with `prefix`, or `None` if there is none (the prefix
/// is empty or made of 0xff bytes only).
pub fn prefix_end(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static [u8], end: &'static [u8]) -> KeyRange {
        KeyRange::from_wire(Bytes::from_static(key), Bytes::from_static(end))
    }

    #[test]
    fn wire_pairs_select_what_etcd_selects() {
        assert!(range(b"a", b"").contains(b"a"));
        assert!(!range(b"a", b"").contains(b"a\0"));
        assert!(range(b"a", b"\0").contains(b"zzz"));
        assert!(!range(b"b", b"\0").contains(b"a"));
        assert!(range(b"a", b"c").contains(b"b"));
        assert!(!range(b"a", b"c").contains(b"c"));
        assert!(range(b"c", b"a").is_empty());
        assert!(!range(b"c", b"a").contains(b"b"));
        assert!(range(b"\0", b"\0").contains(b"\0"));
        for end in [&b""[..], b"\0", b"b"] {
            assert_eq!(range(b"a", end).wire_end(), end);
        }
    }

    #[test]
    fn prefix_ends_skip_trailing_ff() {
        assert_eq!(prefix_end(b"ab").as_deref(), Some(&b"ac"[..]));
        assert_eq!(prefix_end(b"a\xff\xff").as_deref(), Some(&b"b"[..]));
        assert_eq!(prefix_end(b"\xff"), None);
        assert_eq!(prefix_end(b""), None);
        assert!(KeyRange::prefix(Bytes::from_static(b"a/")).contains(b"a/b"));
        assert!(!KeyRange::prefix(Bytes::from_static(b"a/")).contains(b"a0"));
    }

    #[test]
    fn a_point_ends_right_after_its_key() {
        assert_eq!(range(b"a", b"").upper_bound().as_deref(), Some(&b"a\0"[..]));
        assert_eq!(range(b"a", b"\0").upper_bound(), None);
    }
}
