//! The bound on handshakes under way.
//!
//! Turning newcomers away at the bound would let anybody who opens connections and says nothing keep all
//! others out. Here the oldest handshake gives way: an honest one is over within some round trips, and thus
//! before it is the oldest of so many.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The handshakes under way on one listener.
#[derive(Debug)]
pub(super) struct Handshakes {
    most: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    begun: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

/// A handshake's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    all: &'a Handshakes,
    number: u64,
    lost: CancellationToken,
}

impl Handshakes {
    /// Allows `most` at a time.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            under_way: Mutex::default(),
        }
    }

    /// Begins a handshake; the oldest loses its place if there are too many.
    pub(super) fn begin(&self) -> Place<'_> {
        let lost = CancellationToken::new();
        let mut under_way = self.under_way.lock();
        under_way.begun += 1;
        let number = under_way.begun;
        under_way.by_age.insert(number, lost.clone());
        if under_way.by_age.len() > self.most
            && let Some((_, oldest)) = under_way.by_age.pop_first()
        {
            oldest.cancel();
        }
        Place {
            all: self,
            number,
            lost,
        }
    }
}

impl Place<'_> {
    /// Completes when the place is lost to a newer handshake.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.all.under_way.lock().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let handshakes = Handshakes::new(2);
        let first = handshakes.begin();
        let second = handshakes.begin();
        drop(second);
        let third = handshakes.begin();
        assert!(!first.lost.is_cancelled());
        let fourth = handshakes.begin();
        assert!(first.lost.is_cancelled());
        assert!(!third.lost.is_cancelled() && !fourth.lost.is_cancelled());
        drop((first, third, fourth));
        assert!(handshakes.under_way.lock().by_age.is_empty());
    }
}
