//! Read barriers: many linearizable reads share one confirmation of leadership.
//!
//! One confirmation is under way at a time. Whoever comes meanwhile shares the next, since one that began
//! before a read did proves nothing for it (invariant I2). The rounds run in a task of the runtime, so a crowd
//! of readers costs the raft thread and the apply thread one wake-up, and is woken where waking is cheap.

use tokio::sync::oneshot;

use super::error::EngineError;
use super::{Engine, EngineResult};
use crate::base::tray::Tray;
use crate::raft::ReadIndexError;

/// Readers that may wait for the next round: more than there are streams on any healthy set of connections.
const MAX_READERS: usize = 65_536;

/// Readers of the next round.
#[derive(Debug, Default)]
pub(super) struct Readers(Tray<Reader>);

/// Who waits for a round, and hears how it went.
type Reader = oneshot::Sender<EngineResult<()>>;

impl Readers {
    /// Joins the next round.
    ///
    /// # Errors
    /// [`EngineError::TooManyRequests`] if too many wait already.
    pub(super) fn join(&self) -> EngineResult<oneshot::Receiver<EngineResult<()>>> {
        let (sender, receiver) = oneshot::channel();
        let joined = self.0.leave(sender, MAX_READERS);
        joined
            .then_some(receiver)
            .ok_or(EngineError::TooManyRequests)
    }

    /// The readers of a round that begins now, those that have given up left out. Waits for the first.
    async fn next(&self) -> Vec<Reader> {
        loop {
            let mut readers = self.0.taken().await;
            readers.retain(|reader| !reader.is_closed());
            if !readers.is_empty() {
                return readers;
            }
        }
    }
}

impl Engine {
    /// Runs rounds for as long as it is polled. A round without a quorum ends when its last reader has
    /// given up.
    pub(super) async fn confirm_reads(self) {
        loop {
            let mut readers = self.inner.readers.next().await;
            let batches = &self.inner.metrics.holdfast.read_index_readers;
            batches.observe(readers.len() as f64);
            let index = tokio::select! {
                index = self.inner.node.read_index() => index.map_err(refused),
                () = all_gone(&mut readers) => continue,
            };
            // The next round need not wait until this one's index is applied.
            let engine = self.clone();
            self.inner.life.task("read-barrier", async move {
                if let Ok(index) = index {
                    engine.inner.applied.reach(index).await;
                }
                for reader in readers {
                    // A reader that has gone away needs no answer.
                    let _ = reader.send(index.clone().map(|_| ()));
                }
            });
        }
    }
}

/// Completes when nobody waits for a round any more.
async fn all_gone(readers: &mut [Reader]) {
    for reader in readers {
        reader.closed().await;
    }
}

const fn refused(error: ReadIndexError) -> EngineError {
    match error {
        ReadIndexError::LeaderChanged => EngineError::LeaderChanged,
        ReadIndexError::Overloaded => EngineError::TooManyRequests,
        ReadIndexError::Stopped => EngineError::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readers_that_wait_together_share_a_round_and_later_ones_do_not() {
        let readers = Readers::default();
        let join = || readers.join().unwrap();
        let (mut first, given_up, mut third) = (join(), join(), join());
        drop(given_up);
        let round = readers.next().await;
        let mut late = join();
        assert_eq!(round.len(), 2);
        for reader in round {
            reader.send(Ok(())).unwrap();
        }
        assert_eq!(
            (first.try_recv(), third.try_recv()),
            (Ok(Ok(())), Ok(Ok(())))
        );
        assert!(late.try_recv().is_err());
        assert_eq!(readers.next().await.len(), 1);
    }

    #[test]
    fn waiting_readers_are_bounded() {
        let readers = Readers::default();
        let waiting: Vec<_> = (0..MAX_READERS).map(|_| readers.join().unwrap()).collect();
        assert_eq!(readers.join().unwrap_err(), EngineError::TooManyRequests);
        drop(waiting);
    }

    #[tokio::test]
    async fn a_round_is_over_when_its_last_reader_has_given_up() {
        let readers = Readers::default();
        let (first, second) = (readers.join().unwrap(), readers.join().unwrap());
        let mut round = readers.next().await;
        drop(first);
        let gone = async { all_gone(&mut round).await };
        tokio::pin!(gone);
        assert!(futures::poll!(&mut gone).is_pending());
        drop(second);
        gone.await;
    }
}
