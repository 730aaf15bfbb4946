//! raft-rs logs through slog; this hands its records to tracing.

use std::fmt::Write;

use slog::{Drain, KV, Level, Logger, Never, OwnedKVList, Record};

/// A logger whose records become tracing events. What raft-rs calls "info" is elections and snapshots.
pub(super) fn logger() -> Logger {
    Logger::root(ToTracing, slog::o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        match record.level() {
            Level::Critical | Level::Error => {
                tracing::error!(target: "raft", "{}", line(record, values));
            }
            Level::Warning => tracing::warn!(target: "raft", "{}", line(record, values)),
            Level::Info => tracing::info!(target: "raft", "{}", line(record, values)),
            Level::Debug => tracing::debug!(target: "raft", "{}", line(record, values)),
            Level::Trace => tracing::trace!(target: "raft", "{}", line(record, values)),
        }
        Ok(())
    }
}

/// The message followed by the record's own values. Only called when someone listens.
fn line(record: &Record<'_>, values: &OwnedKVList) -> String {
    let mut line = Line(record.msg().to_string());
    // The values are best effort: a record without them is still worth having.
    let _ = record.kv().serialize(record, &mut line);
    let _ = values.serialize(record, &mut line);
    line.0
}

struct Line(String);

impl slog::Serializer for Line {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        write!(self.0, " {key}={value}")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_message_and_values() {
        struct Check;
        impl Drain for Check {
            type Ok = ();
            type Err = Never;
            fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
                assert_eq!(line(record, values), "became leader term=3 raft_id=1");
                Ok(())
            }
        }
        let logger = Logger::root(Check, slog::o!("raft_id" => 1));
        slog::info!(logger, "became leader"; "term" => 3);
    }
}
