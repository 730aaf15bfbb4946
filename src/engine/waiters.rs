//! Requests that wait: for their command to be applied, or for the state to reach a log index.
//!
//! Both are bounded by who calls: every waiter belongs to one request that holds a place in the proposal
//! queue or a stream of the API layer, and leaves when the request is answered, times out or is dropped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crossbeam::queue::SegQueue;
use dashmap::DashMap;
use tokio::sync::oneshot;

use super::apply::Answer;
use super::command::RequestId;

/// The answers that this run of this member owes.
#[derive(Debug)]
pub(crate) struct Waiters {
    member: u64,
    boot: u64,
    sequence: AtomicU64,
    waiting: DashMap<u64, oneshot::Sender<Answer>>,
}

/// A place among the [`Waiters`]; leaving it (dropping) gives the place up.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waiters: &'a Waiters,
    sequence: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Waiters {
    /// No waiters yet. `boot` must differ from every earlier run of this member.
    pub(crate) fn new(member: u64, boot: u64) -> Self {
        Self {
            member,
            boot,
            sequence: AtomicU64::new(0),
            waiting: DashMap::new(),
        }
    }

    /// Takes a place and a name for a new request.
    pub(crate) fn enter(&self) -> (RequestId, Waiting<'_>) {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.insert(sequence, sender);
        let request = RequestId {
            member: self.member,
            boot: self.boot,
            sequence,
        };
        let waiting = Waiting {
            waiters: self,
            sequence,
            answer,
        };
        (request, waiting)
    }

    /// Hands an answer to its request, if it is one of this run and still waits.
    pub(crate) fn answer(&self, request: RequestId, answer: Answer) {
        if !self.owns(request) {
            return;
        }
        if let Some((_, sender)) = self.waiting.remove(&request.sequence) {
            // The receiver may have given up just now; then nobody wants the answer.
            let _ = sender.send(answer);
        }
    }

    /// Whether a request was made by this run of this member.
    pub(crate) fn owns(&self, request: RequestId) -> bool {
        request.member == self.member && request.boot == self.boot
    }

    /// Requests whose answers are owed.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Waiting<'_> {
    /// The answer; `None` if the member stops first.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.waiting.remove(&self.sequence);
    }
}

/// The applied index, and who waits for it to reach a mark.
///
/// Readers leave marks in a lock-free queue, so the apply thread never waits for one of them.
#[derive(Debug, Default)]
pub(crate) struct AppliedIndex {
    applied: AtomicU64,
    arriving: SegQueue<Mark>,
}

/// Marks that the apply thread has taken over, smallest first. Only it holds one.
#[derive(Debug, Default)]
pub(crate) struct Marks(BinaryHeap<Reverse<Mark>>);

#[derive(Debug)]
struct Mark {
    index: u64,
    reached: oneshot::Sender<()>,
}

impl PartialEq for Mark {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for Mark {}

impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Mark {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.index.cmp(&other.index)
    }
}

impl AppliedIndex {
    /// The applied index.
    pub(crate) fn get(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Moves the index forward and wakes who waited for it. Called by the apply thread alone, after the
    /// state that the index describes has been published.
    pub(crate) fn advance(&self, index: u64, marks: &mut Marks) {
        self.applied.store(index, Ordering::SeqCst);
        // With the fence in `reach`: either this sees a reader's mark, or the reader sees this index.
        fence(Ordering::SeqCst);
        while let Some(mark) = self.arriving.pop() {
            marks.0.push(Reverse(mark));
        }
        while marks.0.peek().is_some_and(|mark| mark.0.index <= index) {
            if let Some(Reverse(mark)) = marks.0.pop() {
                // The reader may have given up.
                let _ = mark.reached.send(());
            }
        }
    }

    /// Completes once `index` is applied.
    pub(crate) async fn reach(&self, index: u64) {
        if self.get() >= index {
            return;
        }
        let (reached, wait) = oneshot::channel();
        self.arriving.push(Mark { index, reached });
        fence(Ordering::SeqCst);
        if self.applied.load(Ordering::SeqCst) >= index {
            return;
        }
        // A stopped apply thread drops its marks; the caller's deadline ends the wait in any case.
        let _ = wait.await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::apply::Reply;
    use super::*;
    use crate::base::ids::Revision;

    fn answer() -> Answer {
        Answer {
            revision: Revision(5),
            reply: Ok(Reply::Done),
            applied: None,
        }
    }

    #[tokio::test]
    async fn an_answer_reaches_the_request_it_names_and_no_other_run() {
        let waiters = Waiters::new(1, 10);
        let (request, mut waiting) = waiters.enter();
        waiters.answer(RequestId { boot: 9, ..request }, answer());
        waiters.answer(
            RequestId {
                member: 2,
                ..request
            },
            answer(),
        );
        assert_eq!(waiters.len(), 1);
        waiters.answer(request, answer());
        assert_eq!(waiting.answer().await.unwrap().revision, Revision(5));
        assert_eq!(waiters.len(), 0);
    }

    #[test]
    fn leaving_gives_the_place_up() {
        let waiters = Waiters::new(1, 10);
        let (_, waiting) = waiters.enter();
        assert_eq!(waiters.len(), 1);
        drop(waiting);
        assert_eq!(waiters.len(), 0);
    }

    #[tokio::test]
    async fn marks_are_reached_in_any_order_of_arrival() {
        let applied = AppliedIndex::default();
        let mut marks = Marks::default();
        let (late, soon) = (applied.reach(9), applied.reach(3));
        tokio::pin!(late, soon);
        assert!(futures::poll!(&mut late).is_pending());
        assert!(futures::poll!(&mut soon).is_pending());
        applied.advance(5, &mut marks);
        assert!(futures::poll!(&mut soon).is_ready());
        assert!(futures::poll!(&mut late).is_pending());
        applied.advance(9, &mut marks);
        assert!(futures::poll!(&mut late).is_ready());
        applied.reach(1).await;
    }
}
