//! Answers on their way from the apply thread to the requests that wait for them.
//!
//! A run of entries answers many requests at once. Waking each from the apply thread would cost a lock and
//! often a system call each, on the one thread that everything waits for. So the thread leaves the run's answers
//! here and rings once; a task within the runtime hands them out, where waking is a push to a local queue.

use super::apply::Answer;
use super::command::RequestId;
use super::waiters::Waiters;
use crate::base::tray::Tray;

/// What is to be handed out. Bounded by the requests that wait: nobody else is answered.
#[derive(Debug, Default)]
pub(crate) struct Answers(Tray<(RequestId, Answer)>);

impl Answers {
    /// Leaves the answers of one run.
    pub(crate) fn leave(&self, answers: Vec<(RequestId, Answer)>) {
        self.0.leave_all(answers);
    }

    /// Hands out what was left.
    pub(crate) fn hand_out(&self, waiters: &Waiters) {
        hand_out(self.0.take(), waiters);
    }

    /// Hands out whatever is left, for as long as it is polled.
    pub(crate) async fn hand_out_always(&self, waiters: &Waiters) {
        loop {
            hand_out(self.0.taken().await, waiters);
        }
    }
}

fn hand_out(answers: Vec<(RequestId, Answer)>, waiters: &Waiters) {
    for (request, answer) in answers {
        waiters.answer(request, answer);
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
            applied: None,
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
