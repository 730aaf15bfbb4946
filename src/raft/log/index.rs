//! Where each entry of the log lies, and its term.

use std::collections::VecDeque;

use super::record::Place;
use super::segment::Position;

/// Place and term of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Where its record begins.
    pub(super) place: Place,
    /// Length of its payload.
    pub(super) len: u32,
    /// Its term.
    pub(super) term: u64,
}

/// The entries of the log by index, without gaps.
#[derive(Debug, Default)]
pub(super) struct Index {
    base: Position,
    slots: VecDeque<Slot>,
}

impl Index {
    /// An empty log that goes on after `base`.
    pub(super) const fn after(base: Position) -> Self {
        Self {
            base,
            slots: VecDeque::new(),
        }
    }

    /// The position before the first entry.
    pub(super) const fn base(&self) -> Position {
        self.base
    }

    /// The last position: of the last entry, or the base if there are no entries.
    pub(super) fn last(&self) -> Position {
        match self.slots.back() {
            Some(slot) => Position {
                index: self.base.index + self.slots.len() as u64,
                term: slot.term,
            },
            None => self.base,
        }
    }

    /// The entry at `index`.
    pub(super) fn slot(&self, index: u64) -> Option<&Slot> {
        let at = index.checked_sub(self.base.index + 1)?;
        self.slots.get(usize::try_from(at).ok()?)
    }

    /// The term at `index`, which may be the base's.
    pub(super) fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.slot(index).map(|slot| slot.term)
    }

    /// The lowest index, not below the base, after which the entries up to `index` have at most `bytes` bytes.
    pub(super) fn reach_back(&self, index: u64, bytes: u64) -> u64 {
        let (mut at, mut left) = (index, bytes);
        while let Some(slot) = self.slot(at)
            && let Some(rest) = left.checked_sub(slot.len.into())
        {
            (at, left) = (at - 1, rest);
        }
        at
    }

    /// Adds the entry after the last.
    pub(super) fn push(&mut self, slot: Slot) {
        self.slots.push_back(slot);
    }

    /// Forgets the entries after `index`.
    pub(super) fn truncate(&mut self, index: u64) {
        let keep = index.saturating_sub(self.base.index);
        self.slots
            .truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    /// Forgets the entries up to `base`.
    pub(super) fn compact(&mut self, base: Position) {
        let drop = base.index.saturating_sub(self.base.index) as usize;
        self.slots.drain(..drop.min(self.slots.len()));
        self.base = base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries after index 10, by length and term.
    fn index_of(entries: [(u32, u64); 4]) -> Index {
        let mut index = Index::after(Position { index: 10, term: 1 });
        for (len, term) in entries {
            let place = Place {
                segment: 1,
                offset: 0,
            };
            index.push(Slot { place, len, term });
        }
        index
    }

    fn filled() -> Index {
        index_of([(0, 1), (0, 1), (0, 2), (0, 3)])
    }

    #[test]
    fn terms_are_known_from_the_base_to_the_last() {
        let index = filled();
        let terms: Vec<_> = (9..=15).map(|at| index.term(at)).collect();
        assert_eq!(
            terms,
            [None, Some(1), Some(1), Some(1), Some(2), Some(3), None]
        );
        assert!(index.slot(10).is_none());
        assert_eq!(index.last(), Position { index: 14, term: 3 });
    }

    #[test]
    fn reaching_back_ends_with_the_bytes_or_at_the_base() {
        let index = index_of([(5, 1), (0, 1), (3, 1), (4, 1)]);
        let reached = [0, 3, 4, 6, 7, 11, 12, 100].map(|bytes| index.reach_back(14, bytes));
        assert_eq!(reached, [14, 14, 13, 13, 11, 11, 10, 10]);
        assert_eq!(index.reach_back(13, 3), 11);
        assert_eq!((index.reach_back(10, 9), index.reach_back(20, 9)), (10, 20));
    }

    #[test]
    fn both_ends_are_cut() {
        let mut index = filled();
        index.truncate(13);
        index.compact(Position { index: 12, term: 1 });
        assert_eq!(index.last(), Position { index: 13, term: 2 });
        assert_eq!(index.term(11), None);
        index.truncate(12);
        assert_eq!(index.last(), index.base());
    }
}
