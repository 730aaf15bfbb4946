//! What many leave and one takes away.
//!
//! Whoever takes is woken once for everything that is there, however many have left something: where a thread
//! that everything waits for meets a crowd of requests, a wake-up for each item would cost more than the item.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A list under a lock that is held for moments only, and a bell for the one who empties it.
#[derive(Debug)]
pub(crate) struct Tray<T> {
    items: Mutex<Vec<T>>,
    bell: Notify,
}

impl<T> Default for Tray<T> {
    fn default() -> Self {
        Self {
            items: Mutex::default(),
            bell: Notify::new(),
        }
    }
}

impl<T> Tray<T> {
    /// Leaves an item unless `limit` are there. Gives whether it was left.
    pub(crate) fn leave(&self, item: T, limit: usize) -> bool {
        let mut items = self.items.lock();
        let fits = items.len() < limit;
        if fits {
            items.push(item);
        }
        let is_first = fits && items.len() == 1;
        drop(items);
        self.ring_if(is_first);
        fits
    }

    /// Leaves items, however many are there.
    pub(crate) fn leave_all(&self, mut more: Vec<T>) {
        let mut items = self.items.lock();
        let was_empty = items.is_empty();
        if was_empty {
            std::mem::swap(&mut *items, &mut more);
        } else {
            items.append(&mut more);
        }
        let is_first = was_empty && !items.is_empty();
        drop(items);
        self.ring_if(is_first);
    }

    /// Takes what is there.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.items.lock())
    }

    /// Takes what is there, or waits until there is something. For one taker at a time.
    pub(crate) async fn taken(&self) -> Vec<T> {
        loop {
            let items = self.take();
            if !items.is_empty() {
                return items;
            }
            self.bell.notified().await;
        }
    }

    /// Rings for the first item only: whoever hears it takes all.
    fn ring_if(&self, is_first: bool) {
        if is_first {
            self.bell.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn one_bell_is_for_all_that_is_there_and_none_is_missed() {
        let tray = Tray::default();
        for round in 0..3 {
            let taken = tray.taken();
            tokio::pin!(taken);
            assert!(poll!(&mut taken).is_pending());
            assert!(tray.leave(round, 9));
            tray.leave_all(vec![round + 1, round + 2]);
            assert_eq!(taken.await, [round, round + 1, round + 2]);
        }
        tray.leave_all(Vec::new());
        tray.leave_all(vec![7]);
        assert!(tray.leave(8, 2));
        assert_eq!(tray.taken().await, [7, 8]);
        assert!(poll!(std::pin::pin!(tray.taken())).is_pending());
    }

    #[test]
    fn what_is_beyond_the_limit_is_not_left() {
        let tray = Tray::default();
        assert!(tray.leave('a', 1));
        assert!(!tray.leave('b', 1));
        assert_eq!(tray.take(), ['a']);
        assert!(tray.leave('c', 1));
    }
}
