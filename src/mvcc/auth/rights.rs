//! The keys that roles allow to read and to write, and whether some roles together allow a whole range.
//!
//! Each role has its permissions merged into intervals, once for all its users. A user's roles are joined when
//! it asks: from the start of the range, as far as one of them reaches, and on from there.

use bytes::Bytes;

use super::command::Permission;
use crate::base::range::KeyRange;

/// Keys that a role allows to read, and keys that it allows to write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) read: Intervals,
    pub(super) write: Intervals,
}

impl Rights {
    /// What these permissions amount to together.
    pub(super) fn of(permissions: &[Permission]) -> Self {
        let (mut read, mut write) = (Vec::new(), Vec::new());
        for permission in permissions {
            let interval = Interval::of(&permission.range);
            if permission.kind.reads() {
                read.push(interval.clone());
            }
            if permission.kind.writes() {
                write.push(interval);
            }
        }
        Self {
            read: Intervals::merged(read),
            write: Intervals::merged(write),
        }
    }
}

/// Consecutive keys in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Interval {
    begin: Bytes,
    /// Exclusive; `None` reaches to the end.
    end: Option<Bytes>,
}

impl Interval {
    fn of(range: &KeyRange) -> Self {
        Self {
            begin: range.start.clone(),
            end: range.upper_bound(),
        }
    }
}

/// Intervals in order, with a gap between any two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Intervals(Vec<Interval>);

impl Intervals {
    /// Joins what overlaps or touches.
    fn merged(mut intervals: Vec<Interval>) -> Self {
        intervals.retain(|interval| {
            interval
                .end
                .as_ref()
                .is_none_or(|end| *end > interval.begin)
        });
        intervals.sort_unstable_by(|a, b| a.begin.cmp(&b.begin));
        let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
        for next in intervals {
            match merged.last_mut() {
                Some(last) if last.end.as_ref().is_none_or(|end| *end >= next.begin) => {
                    last.end = later(last.end.take(), next.end);
                }
                _ => merged.push(next),
            }
        }
        Self(merged)
    }

    /// How far the interval that holds `key` reaches, if one does.
    fn reach(&self, key: &[u8]) -> Option<Reach<'_>> {
        let behind = self.0.partition_point(|interval| interval.begin <= key);
        let interval = self.0.get(behind.checked_sub(1)?)?;
        match &interval.end {
            None => Some(Reach::End),
            Some(end) if end.as_ref() > key => Some(Reach::Before(end)),
            Some(_) => None,
        }
    }
}

/// How far an interval reaches; the order is that of the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach<'a> {
    Before(&'a [u8]),
    End,
}

impl<'a> Reach<'a> {
    fn of(end: Option<&'a Bytes>) -> Self {
        match end {
            Some(end) => Self::Before(end),
            None => Self::End,
        }
    }
}

/// Whether every key of the range lies in one of the sets. A range that is inverted selects nothing, and is
/// judged by the keys between its bounds.
pub(super) fn cover<'a>(
    sets: &(impl Iterator<Item = &'a Intervals> + Clone),
    range: &KeyRange,
) -> bool {
    let upper = range.upper_bound();
    let after_start = KeyRange::point(range.start.clone()).upper_bound();
    let (mut from, end) = match &upper {
        Some(end) if *end <= range.start => (end.as_ref(), after_start.as_ref()),
        upper => (range.start.as_ref(), upper.as_ref()),
    };
    let end = Reach::of(end);
    loop {
        match sets.clone().filter_map(|set| set.reach(from)).max() {
            Some(reach) if reach >= end => return true,
            Some(Reach::Before(further)) => from = further,
            Some(Reach::End) | None => return false,
        }
    }
}

/// `None` is the end.
fn later(a: Option<Bytes>, b: Option<Bytes>) -> Option<Bytes> {
    Some(a?.max(b?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mvcc::auth::PermissionKind;

    /// Keys of up to two letters of a small alphabet, and everything a client can name with them.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            prop_oneof![Just(0_u8), Just(b'a'), Just(b'b'), Just(0xff)],
            1..3,
        )
    }

    fn range() -> impl Strategy<Value = KeyRange> {
        let end = prop_oneof![Just(Vec::new()), Just(vec![0]), key()];
        (key(), end).prop_map(|(key, end)| KeyRange::from_wire(key.into(), end.into()))
    }

    fn kind() -> impl Strategy<Value = PermissionKind> {
        prop_oneof![
            Just(PermissionKind::Read),
            Just(PermissionKind::Write),
            Just(PermissionKind::ReadWrite)
        ]
    }

    fn permissions() -> impl Strategy<Value = Vec<Permission>> {
        let one = (kind(), range()).prop_map(|(kind, range)| Permission { kind, range });
        proptest::collection::vec(one, 0..8)
    }

    /// Every key that tells two of the ranges above apart: one letter more than they have, so that what lies
    /// between two bounds and behind the last one is there too.
    fn universe() -> Vec<Vec<u8>> {
        let letters = [0, 1, b'a', b'b', b'c', 0xff];
        let mut keys: Vec<Vec<u8>> = vec![Vec::new()];
        let mut longest = keys.clone();
        for _ in 0..3 {
            longest = longest
                .iter()
                .flat_map(|key| letters.map(|letter| [key.as_slice(), &[letter]].concat()))
                .collect();
            keys.extend(longest.iter().cloned());
        }
        keys
    }

    proptest! {
        /// The plain rule: each key of the range lies in some permission.
        #[test]
        fn a_range_is_permitted_if_each_of_its_keys_is(
            permissions in permissions(),
            roles_of in 1_usize..4,
            asked in range(),
        ) {
            let roles: Vec<_> = permissions.chunks(roles_of).map(Rights::of).collect();
            let allowed = |wanted: fn(PermissionKind) -> bool| {
                let kinds = || permissions.iter().filter(|p| wanted(p.kind));
                let mut keys = universe().into_iter().filter(|key| asked.contains(key)).peekable();
                keys.peek().is_some() && keys.all(|key| kinds().any(|p| p.range.contains(&key)))
            };
            if asked.is_empty() {
                // Names no key; whether it may be asked for makes no difference to what is told.
                return Ok(());
            }
            let reads = cover(&roles.iter().map(|role| &role.read), &asked);
            prop_assert_eq!(reads, allowed(PermissionKind::reads));
            let writes = cover(&roles.iter().map(|role| &role.write), &asked);
            prop_assert_eq!(writes, allowed(PermissionKind::writes));
        }

        #[test]
        fn the_order_of_permissions_does_not_matter(
            permissions in permissions(),
            seed: u64,
        ) {
            let mut shuffled = permissions.clone();
            shuffled.rotate_left((seed % 8) as usize % permissions.len().max(1));
            prop_assert_eq!(Rights::of(&permissions), Rights::of(&shuffled));
        }
    }

    /// Whether readers of these ranges may read another one, whether one role has them or several.
    fn may_read(
        granted: &[(&'static str, &'static str)],
        key: &'static str,
        end: &'static str,
    ) -> bool {
        let permissions: Vec<_> = granted
            .iter()
            .map(|(key, end)| Permission {
                kind: PermissionKind::Read,
                range: KeyRange::from_wire((*key).into(), (*end).into()),
            })
            .collect();
        let asked = KeyRange::from_wire(key.into(), end.into());
        let together = Rights::of(&permissions);
        let apart: Vec<_> = permissions.chunks(1).map(Rights::of).collect();
        let in_one = cover(&std::iter::once(&together.read), &asked);
        assert_eq!(cover(&apart.iter().map(|role| &role.read), &asked), in_one);
        assert!(!cover(&std::iter::once(&together.write), &asked));
        in_one
    }

    #[test]
    fn what_touches_is_one_and_what_has_a_gap_is_two() {
        let touching = [("b", "d"), ("a", "b"), ("d", "")];
        assert!(may_read(&touching, "a", "d\0"));
        assert!(!may_read(&touching, "a", "d\x01"));
        assert!(!may_read(&[("a", ""), ("b", "c")], "a", "c"));
        assert!(!may_read(&[], "a", ""));
    }

    /// GHSA-xg4h-6gfc-h4m8: a range without an upper bound is not its first key.
    #[test]
    fn an_open_range_needs_an_open_permission() {
        assert!(!may_read(&[("a", "")], "a", "\0"));
        assert!(!may_read(&[("a", "\u{7f}")], "a", "\0"));
        assert!(may_read(&[("a", "\0")], "a", "\0"));
        assert!(may_read(&[("b", "\0"), ("a", "b")], "a", "\0"));
    }

    #[test]
    fn an_inverted_range_must_name_nothing_outside() {
        let known = [("b", "d")];
        assert!(!may_read(&known, "c", "a"));
        assert!(!may_read(&known, "e", "c"));
        assert!(may_read(&known, "cz", "c"));
    }
}
