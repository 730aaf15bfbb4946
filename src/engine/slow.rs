//! Requests and runs of commands that took long, in the log, with what their time went to; and the same stages
//! in the traces of calls, however long they took.
//!
//! Everything is measured with clock readings that are taken anyway, and nothing is put into words before it
//! is known to be slow. Keys are shown, cut off where they are long; values are not. A member that is slow
//! throughout writes a few lines a second, and how many more there would have been.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::command::Command;
use super::error::EngineError;
use crate::base::range::{KeyRange, RangeEnd};
use crate::base::trace;

/// Lines in a second.
const LINES: u32 = 10;

/// Bytes of a key that are shown.
const SHOWN: usize = 64;

/// What counts as slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowLimits {
    /// For applying commands, and for reads (`--warning-apply-duration`).
    pub apply: Duration,
    /// For a request as a whole (`--warning-unary-request-duration`).
    pub request: Duration,
}

impl Default for SlowLimits {
    /// etcd's.
    fn default() -> Self {
        Self {
            apply: Duration::from_millis(100),
            request: Duration::from_millis(300),
        }
    }
}

/// Writes the log.
#[derive(Debug)]
pub struct SlowLog {
    limits: SlowLimits,
    pace: Mutex<Pace>,
}

/// When a run of commands was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Its evaluation began.
    pub(crate) began: Instant,
    /// Its outcome was visible.
    pub(crate) ended: Instant,
}

/// A run of commands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) times: Applied,
    /// All was evaluated and nothing written.
    pub(super) evaluated: Instant,
    /// The log index of its last entry.
    pub(super) index: u64,
    pub(super) commands: usize,
}

/// When a read went on.
#[derive(Debug, Clone, Copy)]
pub struct ReadTimes {
    /// It was asked for.
    pub began: Instant,
    /// The state was fresh enough.
    pub settled: Instant,
    /// It was read.
    pub ended: Instant,
}

/// When a command went on.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProposalTimes {
    /// It was asked for.
    pub(super) began: Instant,
    /// A leader was known, if that took waiting.
    pub(super) led: Option<Instant>,
}

impl SlowLog {
    pub(super) fn new(limits: SlowLimits) -> Self {
        let pace = Mutex::new(Pace::default());
        Self { limits, pace }
    }

    /// A run was applied. Tells whether it was slow.
    pub(super) fn run(&self, run: &Run) -> bool {
        let Applied { began, ended } = run.times;
        let took = ended.saturating_duration_since(began);
        if took <= self.limits.apply {
            return false;
        }
        if let Some(withheld) = self.pace.lock().admit(ended) {
            tracing::warn!(
                ?took,
                expected_duration = ?self.limits.apply,
                prefix = "",
                request = %format_args!("{} commands up to index {}", run.commands, run.index),
                evaluate = ?run.evaluated.saturating_duration_since(began),
                write = ?ended.saturating_duration_since(run.evaluated),
                withheld,
                "apply request took too long"
            );
        }
        true
    }

    /// A read has ended. `prefix` is etcd's word for its kind, `count` the keys that it found.
    pub fn read(
        &self,
        times: ReadTimes,
        prefix: &str,
        request: impl fmt::Display,
        outcome: Result<u64, &EngineError>,
    ) {
        trace::stage("read index", times.began, times.settled);
        trace::stage("range", times.settled, times.ended);
        let took = times.ended.saturating_duration_since(times.began);
        if took <= self.limits.apply {
            return;
        }
        let Some(withheld) = self.pace.lock().admit(times.ended) else {
            return;
        };
        let (response, error) = match outcome {
            Ok(count) => (format!("range_response_count:{count}"), String::new()),
            Err(error) => (String::new(), error.to_string()),
        };
        tracing::warn!(
            ?took,
            expected_duration = ?self.limits.apply,
            prefix,
            %request,
            response,
            error,
            read_index = ?times.settled.saturating_duration_since(times.began),
            range = ?times.ended.saturating_duration_since(times.settled),
            withheld,
            "apply request took too long"
        );
    }

    /// A command was answered.
    pub(super) fn answered(&self, what: &Summary, times: ProposalTimes, applied: Applied) {
        let led = times.led.unwrap_or(times.began);
        trace::stage("leader", times.began, led);
        trace::stage("raft", led, applied.began);
        trace::stage("apply", applied.began, applied.ended);
        let took = applied.ended.saturating_duration_since(times.began);
        if took <= self.limits.request {
            return;
        }
        let Some(withheld) = self.pace.lock().admit(applied.ended) else {
            return;
        };
        tracing::warn!(
            ?took,
            expected_duration = ?self.limits.request,
            request = %what,
            leader = ?led.saturating_duration_since(times.began),
            raft = ?applied.began.saturating_duration_since(led),
            apply = ?applied.ended.saturating_duration_since(applied.began),
            withheld,
            "request took too long"
        );
    }

    /// A command was given up at `now`.
    pub(super) fn given_up(
        &self,
        what: &Summary,
        times: ProposalTimes,
        now: Instant,
        error: &EngineError,
    ) {
        trace::stage("raft", times.led.unwrap_or(times.began), now);
        let Some(withheld) = self.pace.lock().admit(now) else {
            return;
        };
        tracing::warn!(
            took = ?now.saturating_duration_since(times.began),
            expected_duration = ?self.limits.request,
            request = %what,
            %error,
            withheld,
            "request took too long"
        );
    }
}

/// Lets so many lines through in a second.
#[derive(Debug, Default)]
struct Pace {
    second: Option<Instant>,
    said: u32,
    withheld: u64,
}

impl Pace {
    /// Lets a line through, with the number of those that were not since the last one.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let over =
            |second: Instant| now.saturating_duration_since(second) >= Duration::from_secs(1);
        if self.second.is_none_or(over) {
            self.second = Some(now);
            self.said = 0;
        }
        if self.said >= LINES {
            self.withheld += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.withheld))
    }
}

/// What is kept of a command, to be told if it turns out slow. Copied: it must not keep the buffer, value
/// and all, in which the command was received.
#[derive(Debug)]
pub(super) struct Summary {
    operation: &'static str,
    key: Option<KeyHead>,
    range_end: Option<KeyHead>,
    size: usize,
}

impl Summary {
    /// `size` is [`Command::request_size`].
    pub(super) fn of(command: &Command, size: usize) -> Self {
        let (key, range_end) = match command {
            Command::Put(op) => (Some(KeyHead::of(&op.key)), None),
            Command::Delete(op) => (Some(KeyHead::of(&op.range.start)), end_of(&op.range)),
            _ => (None, None),
        };
        Self {
            operation: Command::OPERATIONS
                .get(command.operation())
                .unwrap_or(&"command"),
            key,
            range_end,
            size,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(key) = &self.key {
            f.write_str(" ")?;
            write_range(f, key, self.range_end.as_ref())?;
        }
        write!(f, " size:{}", self.size)
    }
}

/// A range in the words of etcd's log.
#[derive(Debug)]
pub struct Shown<'a>(pub &'a KeyRange);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, &KeyHead::of(&self.0.start), end_of(self.0).as_ref())
    }
}

fn write_range(
    f: &mut fmt::Formatter<'_>,
    key: &KeyHead,
    range_end: Option<&KeyHead>,
) -> fmt::Result {
    write!(f, "key:{key}")?;
    range_end.map_or(Ok(()), |end| write!(f, " range_end:{end}"))
}

/// The end of a range as a request has it.
fn end_of(range: &KeyRange) -> Option<KeyHead> {
    match &range.end {
        RangeEnd::Point => None,
        RangeEnd::Before(end) => Some(KeyHead::of(end)),
        RangeEnd::Unbounded => Some(KeyHead::of(b"\0")),
    }
}

/// The begin of a key.
#[derive(Debug)]
struct KeyHead {
    bytes: SmallVec<[u8; SHOWN]>,
    more: bool,
}

impl KeyHead {
    fn of(key: &[u8]) -> Self {
        let (bytes, rest) = key.split_at_checked(SHOWN).unwrap_or((key, &[]));
        Self {
            bytes: SmallVec::from_slice(bytes),
            more: !rest.is_empty(),
        }
    }
}

impl fmt::Display for KeyHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.more { "..." } else { "" };
        write!(f, "\"{}{more}\"", self.bytes.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::clock;
    use crate::base::ids::LeaseId;
    use crate::mvcc::ops::PutOp;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_tells_of_the_rest() {
        let mut pace = Pace::default();
        let now = clock::now();
        let admitted = (0..25).filter(|_| pace.admit(now).is_some()).count();
        assert_eq!(admitted, LINES as usize);
        assert_eq!(pace.admit(now + Duration::from_millis(999)), None);
        assert_eq!(pace.admit(now + Duration::from_secs(1)), Some(16));
        assert_eq!(pace.admit(now + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn only_what_is_over_the_limit_is_slow() {
        let log = SlowLog::new(SlowLimits::default());
        let began = clock::now();
        let run = |took: u64| Run {
            times: Applied {
                began,
                ended: began + Duration::from_millis(took),
            },
            evaluated: began,
            index: 5,
            commands: 1,
        };
        assert!(!log.run(&run(100)));
        assert!(log.run(&run(101)));
    }

    #[test]
    fn summaries_show_keys_and_no_values() {
        let put = |key: &'static [u8]| {
            let op = PutOp {
                key: Bytes::from_static(key),
                value: Bytes::from_static(b"secret"),
                lease: LeaseId::NONE,
                prev_kv: false,
                ignore_value: false,
                ignore_lease: false,
            };
            let put = Command::Put(op);
            Summary::of(&put, put.request_size()).to_string()
        };
        assert_eq!(put(b"a\0\"b"), "Put key:\"a\\x00\\\"b\" size:33");
        let long = put(&[b'k'; 500]);
        assert!(long.len() < 120 && long.contains("k...\""), "{long}");
        let barrier = Summary::of(&Command::Barrier, 29).to_string();
        assert_eq!(barrier, "Alarm size:29");
        let range = KeyRange::prefix(Bytes::from_static(b"ab"));
        assert_eq!(Shown(&range).to_string(), "key:\"ab\" range_end:\"ac\"");
        assert_eq!(
            Shown(&KeyRange::all()).to_string(),
            "key:\"\" range_end:\"\\x00\""
        );
    }
}
