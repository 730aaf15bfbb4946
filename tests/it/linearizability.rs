//! Is there an order of the operations that explains what every client saw?
//!
//! Wing and Gong's search, with Lowe's memory of configurations already tried. Each key is a register of
//! its own, so each history is checked by itself: linearizability is local (Herlihy and Wing). An
//! operation whose outcome is unknown may take effect at any time after it was called, or never.

use std::collections::HashSet;

/// The content of a register; values of one history are written once only.
pub type Value = Option<u64>;

/// What a client asked and, if known, what it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Write(u64),
    Read(Value),
    /// Replaced `expected` by `new`.
    Swap {
        expected: Value,
        new: u64,
    },
}

/// One operation; times are any monotonic count.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub called: u64,
    /// `None` if the outcome is unknown.
    pub returned: Option<u64>,
    pub action: Action,
}

/// Whether the history of one register is linearizable from an empty register.
pub fn is_linearizable(history: &[Operation]) -> bool {
    let mut operations = relevant(history);
    operations.sort_by_key(|operation| operation.called);
    has_order(&operations)
}

/// Leaves out what cannot matter: reads without an answer, and writes of unknown outcome whose value
/// nobody ever saw (an order that holds them still holds without them).
fn relevant(history: &[Operation]) -> Vec<Operation> {
    let seen: HashSet<u64> = history.iter().filter_map(seen_value).collect();
    let matters = |operation: &&Operation| {
        operation.returned.is_some()
            || match operation.action {
                Action::Read(_) => false,
                Action::Write(new) | Action::Swap { new, .. } => seen.contains(&new),
            }
    };
    history.iter().filter(matters).copied().collect()
}

fn seen_value(operation: &Operation) -> Option<u64> {
    match operation.action {
        Action::Write(_) => None,
        Action::Read(value) => operation.returned.and(value),
        Action::Swap { expected, .. } => expected,
    }
}

/// Which operations have taken effect: all below `all_below`, and those in `also`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Done {
    all_below: usize,
    also: Vec<usize>,
}

impl Done {
    fn contains(&self, index: usize) -> bool {
        index < self.all_below || self.also.contains(&index)
    }

    fn with(&self, index: usize) -> Self {
        let mut done = self.clone();
        let at = done.also.partition_point(|&other| other < index);
        done.also.insert(at, index);
        while done.also.first() == Some(&done.all_below) {
            done.also.remove(0);
            done.all_below += 1;
        }
        done
    }
}

/// Searches depth first, with a stack of its own: a history may be long.
fn has_order(operations: &[Operation]) -> bool {
    let mut tried = HashSet::new();
    let mut open = vec![(Done::default(), None)];
    while let Some((done, value)) = open.pop() {
        let Some(candidates) = candidates(operations, &done) else {
            return true;
        };
        for index in candidates {
            let after = step(operations[index].action, value);
            let next = after.map(|after| (done.with(index), after));
            open.extend(next.filter(|next| tried.insert(next.clone())));
        }
    }
    false
}

/// The operations that may be next, latest first: those called before any open one returned. `None` if
/// nothing must follow any more.
fn candidates(operations: &[Operation], done: &Done) -> Option<Vec<usize>> {
    let open = || (done.all_below..operations.len()).filter(|&index| !done.contains(index));
    let first_return = open()
        .filter_map(|index| operations[index].returned)
        .min()?;
    let may_be_next = |&index: &usize| operations[index].called <= first_return;
    let mut candidates: Vec<_> = open().take_while(may_be_next).collect();
    candidates.reverse();
    Some(candidates)
}

/// The register after the action, or `None` if the action cannot happen at `value`.
fn step(action: Action, value: Value) -> Option<Value> {
    match action {
        Action::Write(new) => Some(Some(new)),
        Action::Read(seen) => (seen == value).then_some(value),
        Action::Swap { expected, new } => (expected == value).then_some(Some(new)),
    }
}

#[cfg(test)]
mod tests {
    use super::Action::{Read, Swap, Write};
    use super::*;

    fn at(called: u64, returned: u64, action: Action) -> Operation {
        Operation {
            called,
            returned: Some(returned),
            action,
        }
    }

    fn unknown(called: u64, action: Action) -> Operation {
        Operation {
            called,
            returned: None,
            action,
        }
    }

    #[test]
    fn good_histories_are_accepted() {
        let swap = |expected, new| Swap { expected, new };
        let good: [&[Operation]; 9] = [
            &[],
            &[
                at(1, 2, Read(None)),
                at(3, 4, Write(1)),
                at(5, 6, Read(Some(1))),
            ],
            // Concurrent with the write, a read may see either state.
            &[
                at(1, 9, Write(1)),
                at(2, 3, Read(None)),
                at(4, 5, Read(Some(1))),
            ],
            // Concurrent writes take effect in either order.
            &[
                at(1, 5, Write(1)),
                at(1, 5, Write(2)),
                at(6, 7, Read(Some(1))),
            ],
            // A lost answer may have had an effect, late ...
            &[
                unknown(1, Write(1)),
                at(2, 3, Read(None)),
                at(4, 5, Read(Some(1))),
            ],
            // ... or none.
            &[
                unknown(1, Write(1)),
                at(2, 3, Read(None)),
                at(4, 5, Read(None)),
            ],
            &[
                at(1, 2, swap(None, 1)),
                at(3, 4, swap(Some(1), 2)),
                at(5, 6, Read(Some(2))),
            ],
            &[unknown(1, swap(None, 1)), at(2, 3, swap(Some(1), 2))],
            &[
                at(1, 2, Write(1)),
                unknown(3, Read(None)),
                at(4, 5, Read(Some(1))),
            ],
        ];
        for (number, history) in good.iter().enumerate() {
            assert!(is_linearizable(history), "history {number}");
        }
    }

    #[test]
    fn bad_histories_are_rejected() {
        let swap = |expected, new| Swap { expected, new };
        let bad: [&[Operation]; 9] = [
            // A stale read.
            &[
                at(1, 2, Write(1)),
                at(3, 4, Write(2)),
                at(5, 6, Read(Some(1))),
            ],
            // A lost write.
            &[at(1, 2, Write(1)), at(3, 4, Read(None))],
            // A value from nowhere.
            &[at(1, 2, Read(Some(1)))],
            // A value from the future.
            &[at(1, 2, Read(Some(1))), at(3, 4, Write(1))],
            // A value that was seen and then not.
            &[
                at(1, 9, Write(1)),
                at(2, 3, Read(Some(1))),
                at(4, 5, Read(None)),
            ],
            // Two winners.
            &[at(1, 5, swap(None, 1)), at(1, 5, swap(None, 2))],
            // A lost answer that took effect, and then did not.
            &[
                unknown(1, Write(1)),
                at(2, 3, Read(Some(1))),
                at(4, 5, Read(None)),
            ],
            // A lost answer that took effect before it was asked.
            &[at(1, 2, Read(Some(1))), unknown(3, Write(1))],
            // Two reads that disagree on the order of two writes.
            &[
                at(1, 9, Write(1)),
                at(1, 9, Write(2)),
                at(2, 3, Read(Some(1))),
                at(4, 5, Read(Some(2))),
                at(6, 7, Read(Some(1))),
            ],
        ];
        for (number, history) in bad.iter().enumerate() {
            assert!(!is_linearizable(history), "history {number}");
        }
    }

    #[test]
    fn a_long_history_is_decided() {
        let mut history = vec![at(0, 25, Write(0))];
        for n in 0..2000 {
            let next = n + 1;
            history.push(at(10 * next, 10 * next + 25, Write(next)));
            history.push(at(10 * n + 26, 10 * n + 28, Read(Some(next))));
        }
        assert!(is_linearizable(&history));
        history.push(at(1_000_000, 1_000_001, Read(Some(3))));
        assert!(!is_linearizable(&history));
    }
}
