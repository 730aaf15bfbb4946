//! Wakes the readers of a round of offers together.
//!
//! One task reads the streams of a connection. Woken by the first frame, it would write that frame while those
//! for its other streams are still being queued, and then again and again. And a wake-up from a thread outside
//! the runtime is often a system call. So a dispatcher leaves the readers of a whole round, and a task within
//! the runtime wakes them, where a wake-up is a push to a local queue. Without that task (it has not begun, or
//! the member stops) a dispatcher wakes them itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use crate::base::tray::Tray;

/// See the module comment.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    left: Tray<Waker>,
    /// Whether the task runs.
    handed: AtomicBool,
}

impl Wakes {
    /// Wakes readers, or leaves them to the task.
    pub(super) fn wake(&self, readers: Vec<Waker>) {
        if self.handed.load(Ordering::SeqCst) {
            self.left.leave_all(readers);
            // The task may have ended since, and then has looked here for the last time.
            if !self.handed.load(Ordering::SeqCst) {
                wake_all(self.left.take());
            }
        } else {
            wake_all(readers);
        }
    }

    /// Wakes whoever is left, for as long as it is polled.
    pub(super) async fn hand_out(self: Arc<Self>) {
        self.handed.store(true, Ordering::SeqCst);
        let task = Task(self);
        loop {
            wake_all(task.0.left.taken().await);
        }
    }
}

/// The task's part; its end leaves nobody asleep.
struct Task(Arc<Wakes>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.handed.store(false, Ordering::SeqCst);
        wake_all(self.0.left.take());
    }
}

fn wake_all(readers: Vec<Waker>) {
    readers.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use futures::poll;

    use super::*;

    #[derive(Default)]
    struct Reader(AtomicUsize);

    impl Wake for Reader {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_task_wakes_while_it_runs_and_nobody_sleeps_for_ever() {
        let reader = Arc::new(Reader::default());
        let woken = || reader.0.load(Ordering::Relaxed);
        let two = || {
            vec![
                Waker::from(Arc::clone(&reader)),
                Waker::from(Arc::clone(&reader)),
            ]
        };
        let wakes = Arc::new(Wakes::default());
        wakes.wake(two());
        assert_eq!(woken(), 2);
        let mut task = Box::pin(Arc::clone(&wakes).hand_out());
        assert!(poll!(&mut task).is_pending());
        wakes.wake(two());
        assert_eq!(woken(), 2);
        assert!(poll!(&mut task).is_pending());
        assert_eq!(woken(), 4);
        wakes.wake(two());
        drop(task);
        assert_eq!(woken(), 6);
        wakes.wake(two());
        assert_eq!(woken(), 8);
    }
}
