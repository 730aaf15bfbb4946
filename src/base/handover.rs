//! A bounded queue from one thread to another, whose receiver sleeps as soon as the queue is empty.
//!
//! A channel's own receiver spins and yields for a while first, in the hope that the next item is near. Where
//! items are as far apart as syncs of a disk, and threads are more than cores, each yield only hands the core
//! back and forth. Here an item costs its sender one wake-up if the receiver sleeps, and a flag if it does not.
//!
//! No item is overlooked: the sender rings after it has put the item in, and a bell that rings while the
//! receiver is awake keeps it from sleeping the next time.

use crossbeam::channel;
use crossbeam::sync::{Parker, Unparker};

/// The end that puts items in. The other end hears when it is dropped.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    // Dropped before the bell rings for the last time.
    items: channel::Sender<T>,
    bell: Bell,
}

/// The end that takes items out.
#[derive(Debug)]
pub(crate) struct Receiver<T> {
    items: channel::Receiver<T>,
    parker: Parker,
}

/// The other end is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end is gone")]
pub(crate) struct Gone;

#[derive(Debug)]
struct Bell(Unparker);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

/// A queue that holds `most` items.
pub(crate) fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, items) = channel::bounded(most);
    let parker = Parker::new();
    let bell = Bell(parker.unparker().clone());
    let sender = Sender {
        items: sender,
        bell,
    };
    (sender, Receiver { items, parker })
}

impl<T> Sender<T> {
    /// Puts an item in; waits while the queue is full.
    ///
    /// # Errors
    /// [`Gone`].
    pub(crate) fn send(&self, item: T) -> Result<(), Gone> {
        self.items.send(item).map_err(|_| Gone)?;
        self.bell.0.unpark();
        Ok(())
    }

    /// How many items are in the queue.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

impl<T> Receiver<T> {
    /// The oldest item; sleeps until there is one.
    ///
    /// # Errors
    /// [`Gone`], once the queue is empty.
    pub(crate) fn recv(&self) -> Result<T, Gone> {
        loop {
            match self.items.try_recv() {
                Ok(item) => return Ok(item),
                Err(channel::TryRecvError::Disconnected) => return Err(Gone),
                Err(channel::TryRecvError::Empty) => self.parker.park(),
            }
        }
    }

    /// The oldest item, if there is one.
    pub(crate) fn try_recv(&self) -> Option<T> {
        self.items.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn every_item_arrives_in_order_and_then_the_end() {
        for capacity in [1, 7, 1000] {
            let (sender, receiver) = bounded(capacity);
            let sending = thread::spawn(move || {
                for number in 0..5_000 {
                    sender.send(number).unwrap();
                    if number % 97 == 0 {
                        // The receiver empties the queue and sleeps.
                        thread::yield_now();
                    }
                }
            });
            let received: Vec<i32> = std::iter::from_fn(|| receiver.recv().ok()).collect();
            sending.join().unwrap();
            assert_eq!(received, (0..5_000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_item_at_a_time_wakes_a_receiver_that_sleeps() {
        let (there, here) = bounded(1);
        let (back, answers) = bounded(1);
        let echo = thread::spawn(move || {
            while let Ok(item) = here.recv() {
                back.send(item).unwrap();
            }
        });
        for number in 0..2_000 {
            there.send(number).unwrap();
            assert_eq!(answers.recv(), Ok(number));
        }
        drop(there);
        assert_eq!(answers.recv(), Err(Gone));
        echo.join().unwrap();
    }

    #[test]
    fn what_was_put_in_before_the_end_is_not_lost() {
        let (sender, receiver) = bounded(2);
        sender.send('a').unwrap();
        sender.send('b').unwrap();
        assert_eq!(sender.len(), 2);
        drop(sender);
        assert_eq!(receiver.try_recv(), Some('a'));
        assert_eq!(receiver.recv(), Ok('b'));
        assert_eq!(receiver.try_recv(), None);
        assert_eq!(receiver.recv(), Err(Gone));
    }

    #[test]
    fn a_sender_hears_that_nobody_receives() {
        let (sender, receiver) = bounded(1);
        drop(receiver);
        assert_eq!(sender.send(1), Err(Gone));
    }
}
