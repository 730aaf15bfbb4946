//! A network that loses, delays, repeats and reorders, and that falls apart in any way.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::StdRng;

/// How bad the network is.
#[derive(Debug, Clone, Default)]
pub(super) struct Network {
    /// Pairs `(from, to)` that do not reach each other in this direction.
    cut: BTreeSet<(u64, u64)>,
    /// Chance of losing a message.
    pub(super) loss: f64,
    /// Chance of delivering a message a second time, much later.
    pub(super) repeat: f64,
    /// Chance of a long delay.
    pub(super) stall: f64,
}

impl Network {
    /// When a message sent now arrives: never, once or twice. In milliseconds from now.
    pub(super) fn delays(&self, from: u64, to: u64, rng: &mut StdRng) -> Vec<u64> {
        if self.cut.contains(&(from, to)) || rng.random_bool(self.loss) {
            return Vec::new();
        }
        let stalled = rng.random_bool(self.stall);
        let first = if stalled {
            rng.random_range(50..3000)
        } else {
            rng.random_range(1..15)
        };
        let mut delays = vec![first];
        if rng.random_bool(self.repeat) {
            delays.push(first + rng.random_range(0..4000));
        }
        delays
    }

    /// Cuts what lies between `side` and the others, or one direction of it.
    pub(super) fn split(&mut self, side: &BTreeSet<u64>, all: &[u64], rng: &mut StdRng) {
        let (out, back) = [(true, true), (true, false), (false, true)][rng.random_range(0..3)];
        for &inner in side {
            for outer in all.iter().copied().filter(|id| !side.contains(id)) {
                if out {
                    self.cut.insert((inner, outer));
                }
                if back {
                    self.cut.insert((outer, inner));
                }
            }
        }
    }

    /// Mends all cuts.
    pub(super) fn join(&mut self) {
        self.cut.clear();
    }
}
