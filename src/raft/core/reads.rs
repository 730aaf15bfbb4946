//! Linearizable reads: many waiters, one confirmation at a time (invariant I2).
//!
//! A round asks the leader for an index and its proof of leadership. While one is under way everything
//! that arrives waits for the next. raft-rs tells rounds apart by their context alone, and an answer to
//! an earlier use of a context would release a later one without proof (etcd issue 20418). So a context
//! is never used twice: it is made of the member, its boot epoch and a counter, and a round that is
//! tried again gets a new one.

use super::super::wire::READ_CONTEXT;

/// Waiters that were handed in together; the driver knows who they are.
pub(crate) type Ticket = u64;

/// The context of one attempt.
pub(super) type Context = [u8; READ_CONTEXT];

/// An attempt under way.
#[derive(Debug)]
struct Round {
    context: Context,
    tickets: Vec<Ticket>,
    /// Whom it was sent to.
    leader: u64,
    /// Ticks since it was sent.
    age: usize,
}

/// The reads of this member.
#[derive(Debug)]
pub(super) struct Reads {
    member: u64,
    epoch: u64,
    counter: u64,
    retry_ticks: usize,
    waiting: Vec<Ticket>,
    round: Option<Round>,
    #[cfg(test)]
    frozen: bool,
}

impl Reads {
    /// No reads yet. `epoch` must differ at every start of the member.
    pub(super) const fn new(member: u64, epoch: u64, retry_ticks: usize) -> Self {
        Self {
            member,
            epoch,
            counter: 0,
            retry_ticks,
            waiting: Vec::new(),
            round: None,
            #[cfg(test)]
            frozen: false,
        }
    }

    /// Takes in waiters.
    pub(super) fn add(&mut self, ticket: Ticket) {
        self.waiting.push(ticket);
    }

    /// The ticket under which others wait for the next round, if there are any. Who joins them costs
    /// nothing here, however long there is no leader to ask.
    pub(super) fn waiting(&self) -> Option<Ticket> {
        self.waiting.last().copied()
    }

    /// Starts a round if there are waiters and none is under way. Gives the context to ask with.
    pub(super) fn start(&mut self, leader: u64) -> Option<Context> {
        if self.round.is_some() || self.waiting.is_empty() {
            return None;
        }
        let tickets = std::mem::take(&mut self.waiting);
        Some(self.begin(tickets, leader))
    }

    /// Gives up the attempt under way, so that [`Self::start`] makes another, with everyone who waits.
    pub(super) fn retry(&mut self) {
        if let Some(round) = self.round.take() {
            let later = std::mem::replace(&mut self.waiting, round.tickets);
            self.waiting.extend(later);
        }
    }

    /// Counts a tick. An attempt without an answer for too long is given up.
    pub(super) fn tick(&mut self) {
        let Some(round) = &mut self.round else {
            return;
        };
        round.age += 1;
        if round.age >= self.retry_ticks {
            self.retry();
        }
    }

    /// Takes the answer to an attempt. Gives those who may read at its index; nobody if the attempt is
    /// not the one under way.
    pub(super) fn answered(&mut self, context: &[u8]) -> Option<Vec<Ticket>> {
        let round = self.round.take_if(|round| round.context == context)?;
        Some(round.tickets)
    }

    /// Hears who leads now. As in etcd, waiters whose attempt went to another leader fail; they are told
    /// at once rather than after a timeout. Those not asked for yet just wait for the new one.
    pub(super) fn leader_is(&mut self, leader: u64) -> Option<Vec<Ticket>> {
        let round = self
            .round
            .take_if(|round| leader != 0 && round.leader != leader)?;
        Some(round.tickets)
    }

    fn begin(&mut self, tickets: Vec<Ticket>, leader: u64) -> Context {
        self.counter += 1;
        #[cfg(test)]
        if self.frozen {
            self.counter = 1;
        }
        let context = encode(self.member, self.epoch, self.counter);
        self.round = Some(Round {
            context,
            tickets,
            leader,
            age: 0,
        });
        context
    }

    /// Breaks the rule of this module, for tests that show what it is good for.
    #[cfg(test)]
    pub(super) fn reuse_contexts(&mut self) {
        self.frozen = true;
    }
}

fn encode(member: u64, epoch: u64, counter: u64) -> Context {
    let mut context = [0; READ_CONTEXT];
    let (head, tail) = context.split_at_mut(8);
    head.copy_from_slice(&member.to_be_bytes());
    tail.copy_from_slice(&(u128::from(epoch) << 64 | u128::from(counter)).to_be_bytes());
    context
}

/// Epochs of one member that are remembered: enough for restarts while old messages are still about.
const EPOCHS: usize = 4;

/// Refuses read requests that a leader has seen before.
///
/// A request that the network delivers again uses its context again. On a leader that was deposed without
/// knowing it, late acknowledgements of the first delivery would confirm the second, and release every
/// request queued before it.
#[derive(Debug, Default)]
pub(super) struct SeenReads {
    newest: Vec<(u64, Vec<(u64, u64)>)>,
    #[cfg(test)]
    blind: bool,
}

impl SeenReads {
    /// Whether this is the first sight of a request of `from`. Requests of one epoch come in order;
    /// one that was overtaken counts as seen, and its sender tries again.
    pub(super) fn is_new(&mut self, from: u64, context: &[u8]) -> bool {
        let Some((member, epoch, counter)) = decode(context) else {
            return false;
        };
        if member != from {
            return false;
        }
        #[cfg(test)]
        if self.blind {
            return true;
        }
        let epochs = self.epochs(from);
        match epochs.iter_mut().find(|(known, _)| *known == epoch) {
            Some((_, newest)) if *newest >= counter => false,
            Some((_, newest)) => {
                *newest = counter;
                true
            }
            None => {
                if epochs.len() == EPOCHS {
                    epochs.remove(0);
                }
                epochs.push((epoch, counter));
                true
            }
        }
    }

    /// Breaks the rule of this type, for tests that show what it is good for.
    #[cfg(test)]
    pub(super) const fn forget_everything(&mut self) {
        self.blind = true;
    }

    fn epochs(&mut self, member: u64) -> &mut Vec<(u64, u64)> {
        let at = match self.newest.iter().position(|(known, _)| *known == member) {
            Some(at) => at,
            None => {
                self.newest.push((member, Vec::new()));
                self.newest.len() - 1
            }
        };
        &mut self.newest.get_mut(at).expect("found or just added").1
    }
}

fn decode(context: &[u8]) -> Option<(u64, u64, u64)> {
    let (member, rest) = context.split_first_chunk::<8>()?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let counter = <[u8; 8]>::try_from(rest).ok()?;
    Some((
        u64::from_be_bytes(*member),
        u64::from_be_bytes(*epoch),
        u64::from_be_bytes(counter),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_during_a_round_share_the_next() {
        let mut reads = Reads::new(1, 7, 5);
        reads.add(1);
        assert_eq!(reads.waiting(), Some(1));
        let first = reads.start(9).unwrap();
        assert_eq!(reads.waiting(), None);
        reads.add(2);
        reads.add(3);
        assert_eq!(reads.waiting(), Some(3));
        assert_eq!(reads.start(9), None);
        assert_eq!(reads.answered(&first), Some(vec![1]));
        assert_eq!(reads.answered(&first), None);
        let second = reads.start(9).unwrap();
        assert_ne!(first, second);
        assert_eq!(reads.answered(&second), Some(vec![2, 3]));
    }

    #[test]
    fn a_round_without_answer_is_tried_with_a_new_context() {
        let mut reads = Reads::new(1, 7, 2);
        reads.add(1);
        let first = reads.start(9).unwrap();
        reads.tick();
        assert_eq!(reads.start(9), None);
        reads.add(2);
        reads.tick();
        let second = reads.start(9).unwrap();
        assert_ne!(first, second);
        assert_eq!(reads.answered(&first), None);
        assert_eq!(reads.answered(&second), Some(vec![1, 2]));
    }

    #[test]
    fn only_the_round_under_way_fails_with_its_leader() {
        let mut reads = Reads::new(1, 7, 5);
        reads.add(1);
        reads.start(9).unwrap();
        reads.add(2);
        assert_eq!(reads.leader_is(0), None);
        assert_eq!(reads.leader_is(9), None);
        assert_eq!(reads.leader_is(8), Some(vec![1]));
        assert_eq!(reads.leader_is(8), None);
        assert!(reads.start(8).is_some());
    }

    #[test]
    fn a_request_is_new_once() {
        let mut seen = SeenReads::default();
        assert!(seen.is_new(1, &encode(1, 5, 1)));
        assert!(!seen.is_new(1, &encode(1, 5, 1)));
        assert!(seen.is_new(1, &encode(1, 5, 3)));
        assert!(!seen.is_new(1, &encode(1, 5, 2)));
        assert!(seen.is_new(2, &encode(2, 5, 1)));
        assert!(!seen.is_new(2, &encode(1, 5, 4)));
        assert!(seen.is_new(1, &encode(1, 4, 1)));
        assert!(!seen.is_new(1, &encode(1, 5, 3)));
        assert!(!seen.is_new(1, b"short"));
    }
}
