//! Calls under way to one peer: many at once over one stream, told apart by number.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::error::CallError;
use super::frame::Outcome;

/// Calls to one peer that wait for an answer at most. Each holds a request of at most a frame, which the
/// outbox bounds in bytes, and a few words here.
const MAX_WAITING: usize = 4096;

type Answer = Result<Bytes, CallError>;

/// The waiting callers, by call number.
#[derive(Debug, Default)]
pub(super) struct Calls {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    /// Whether the call has left for the socket: from then on its outcome is unknown if it is lost.
    sent: bool,
}

/// One caller's place; gives it up when dropped.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    calls: &'a Calls,
    pub(super) id: u64,
    pub(super) answer: oneshot::Receiver<Answer>,
}

impl Calls {
    /// A place for one more call.
    pub(super) fn begin(&self) -> Result<Ticket<'_>, CallError> {
        let mut state = self.state.lock();
        if state.waiting.len() >= MAX_WAITING {
            return Err(CallError::Overloaded);
        }
        state.last += 1;
        let id = state.last;
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting {
            answer: sender,
            sent: false,
        };
        state.waiting.insert(id, waiting);
        Ok(Ticket {
            calls: self,
            id,
            answer,
        })
    }

    /// Notes that a call is being written; false if its caller has gone and it need not be.
    pub(super) fn mark_sent(&self, id: u64) -> bool {
        let mut state = self.state.lock();
        state
            .waiting
            .get_mut(&id)
            .map(|call| call.sent = true)
            .is_some()
    }

    /// Hands an answer to its caller; one that nobody waits for is dropped.
    pub(super) fn answered(&self, id: u64, outcome: Outcome, body: Bytes) {
        let waiting = self.state.lock().waiting.remove(&id);
        if let Some(call) = waiting {
            let _ = call.answer.send(to_answer(outcome, body));
        }
    }

    /// Ends every call: the connection is gone.
    pub(super) fn fail_all(&self) {
        let waiting = std::mem::take(&mut self.state.lock().waiting);
        for call in waiting.into_values() {
            let error = if call.sent {
                CallError::Lost
            } else {
                CallError::Unreachable
            };
            let _ = call.answer.send(Err(error));
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.calls.state.lock().waiting.remove(&self.id);
    }
}

fn to_answer(outcome: Outcome, body: Bytes) -> Answer {
    match outcome {
        Outcome::Answered => Ok(body),
        Outcome::Failed => Err(CallError::Failed(
            String::from_utf8_lossy(&body).into_owned(),
        )),
        Outcome::TimedOut => Err(CallError::TimedOut),
        Outcome::Overloaded => Err(CallError::Overloaded),
        Outcome::Unhandled => Err(CallError::NotReady),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_tells_what_may_have_happened() {
        let calls = Calls::default();
        let mut sent = calls.begin().unwrap();
        let mut unsent = calls.begin().unwrap();
        assert!(calls.mark_sent(sent.id));
        calls.fail_all();
        assert_eq!(sent.answer.try_recv(), Ok(Err(CallError::Lost)));
        assert_eq!(unsent.answer.try_recv(), Ok(Err(CallError::Unreachable)));
    }

    #[test]
    fn a_caller_that_left_costs_nothing_more() {
        let calls = Calls::default();
        let id = calls.begin().unwrap().id;
        assert!(!calls.mark_sent(id));
        calls.answered(id, Outcome::Answered, Bytes::new());
        assert!(calls.state.lock().waiting.is_empty());
    }

    #[test]
    fn waiting_callers_are_bounded() {
        let calls = Calls::default();
        let tickets: Vec<_> = (0..MAX_WAITING).map(|_| calls.begin().unwrap()).collect();
        assert_eq!(calls.begin().unwrap_err(), CallError::Overloaded);
        drop(tickets);
        assert!(calls.begin().is_ok());
    }
}
