//! Answers on their way from the apply thread to the requests that wait for them.
//!
//! A run of entries answers many requests at once. Waking each from the apply thread would cost a lock and
//! often a system call each, on the one thread that everything waits for. So the thread leaves the run's answers
//! here and rings once; a task within the runtime hands them out, where waking is a push to a local queue.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::apply::Answer;
use super::command::RequestId;
use super::waiters::Waiters;

/// What is to be handed out. Bounded by the requests that wait: nobody else is answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    ready: Mutex<Vec<(RequestId, Answer)>>,
    bell: Notify,
}

impl Answers {
    /// Leaves the answers of one run.
    pub(crate) fn leave(&self, mut answers: Vec<(RequestId, Answer)>) {
        if answers.is_empty() {
            return;
        }
        let mut ready = self.ready.lock();
        if ready.is_empty() {
            *ready = answers;
        } else {
            ready.append(&mut answers);
        }
        drop(ready);
        self.bell.notify_one();
    }

    /// Hands out what was left.
    pub(crate) fn hand_out(&self, waiters: &Waiters) {
        let ready = std::mem::take(&mut *self.ready.lock());
        for (request, answer) in ready {
            waiters.answer(request, answer);
        }
    }

    /// Hands out whatever is left, for as long as it is polled.
    pub(crate) async fn hand_out_always(&self, waiters: &Waiters) {
        loop {
            self.bell.notified().await;
            self.hand_out(waiters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::apply::Reply;
    use super::*;
    use crate::base::ids::Revision;

    #[tokio::test]
    async fn every_request_gets_its_own_answer() {
        let (answers, waiters) = (Answers::default(), Waiters::new(1, 1));
        let (first, mut first_waits) = waiters.enter();
        let (second, mut second_waits) = waiters.enter();
        let answer = |revision| Answer {
            revision: Revision(revision),
            reply: Ok(Reply::Done),
        };
        answers.leave(vec![(second, answer(2))]);
        answers.leave(vec![(first, answer(3))]);
        let both = async { (first_waits.answer().await, second_waits.answer().await) };
        tokio::select! {
            () = answers.hand_out_always(&waiters) => {}
            (first, second) = both => {
                assert_eq!((first, second), (Some(answer(3)), Some(answer(2))));
            }
        }
    }
}
