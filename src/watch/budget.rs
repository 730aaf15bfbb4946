//! A limit on bytes that several threads share.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are taken and given back, never more than a limit at a time.
#[derive(Debug)]
pub(super) struct Budget {
    taken: AtomicUsize,
    limit: usize,
}

impl Budget {
    /// Nothing is taken yet.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            limit,
        }
    }

    /// Takes `bytes`, all or nothing. Gives whether they were left.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let add = |taken: usize| {
            let sum = taken.checked_add(bytes);
            sum.filter(|&sum| sum <= self.limit)
        };
        // Only a number: nothing else is published with it.
        let taken = &self.taken;
        taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_ok()
    }

    /// Undoes [`Self::take`].
    pub(super) fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more() {
        let budget = Budget::new(10);
        assert!(budget.take(7));
        assert!(!budget.take(4));
        assert!(budget.take(3));
        assert!(budget.take(0));
        assert!(!budget.take(usize::MAX));
        budget.give_back(7);
        assert!(!budget.take(8));
        assert!(budget.take(7));
    }
}
