//! Keeps a repeated complaint from filling the log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long the same complaint stays silent after it was logged.
const QUIET: Duration = Duration::from_secs(30);

/// Lets a text through when it is new or has been quiet for a while.
#[derive(Debug, Default)]
pub(crate) struct LogGate {
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    text: String,
    at: Instant,
    hidden: u64,
}

impl LogGate {
    /// How many repetitions were kept back if `text` is to be logged now; `None` to stay silent.
    pub(crate) fn pass(&self, text: &str, now: Instant) -> Option<u64> {
        let mut slot = self.last.lock();
        if let Some(last) = slot.as_mut()
            && last.text == text
            && now.saturating_duration_since(last.at) < QUIET
        {
            last.hidden += 1;
            return None;
        }
        let hidden = slot.take().map_or(0, |last| last.hidden);
        *slot = Some(Last {
            text: text.to_owned(),
            at: now,
            hidden: 0,
        });
        Some(hidden)
    }

    /// Forgets: the trouble is over, the next complaint is news.
    pub(crate) fn reset(&self) {
        self.last.lock().take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    #[test]
    fn repetitions_are_counted_and_news_passes() {
        let gate = LogGate::default();
        let start = clock::now();
        assert_eq!(gate.pass("refused", start), Some(0));
        assert_eq!(gate.pass("refused", start), None);
        assert_eq!(gate.pass("refused", start), None);
        assert_eq!(gate.pass("refused", start + QUIET), Some(2));
        assert_eq!(gate.pass("timeout", start + QUIET), Some(0));
        gate.reset();
        assert_eq!(gate.pass("timeout", start + QUIET), Some(0));
    }
}
