//! Log lines as etcd's tooling expects them: objects with zap's keys, or text for people.
//!
//! An object has `level`, `ts`, `caller`, `msg` and then the event's fields, whose names have dashes as in
//! etcd's own lines (`local-member-id`).

mod outputs;
mod rotation;

use std::fmt::{self, Write as _};
use std::io;
use std::time::Duration;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::outputs::Outputs;
use crate::base::clock;
use crate::config::{LogConfig, LogFormat, LogLevel};

/// Directs all events of the process to where the configuration says. A second call changes nothing.
///
/// # Errors
/// When a file cannot be opened.
pub(super) fn init(config: &LogConfig) -> io::Result<()> {
    let outputs = Outputs::open(config)?;
    let format = config.format.unwrap_or(if outputs.are_terminals() {
        LogFormat::Console
    } else {
        LogFormat::Json
    });
    let layer = tracing_subscriber::fmt::layer()
        .event_format(LineFormat(format))
        .with_writer(outputs);
    let registry = tracing_subscriber::registry().with(filter(config.level));
    // It fails if there has been a call before.
    let _ = registry.with(layer).try_init();
    Ok(())
}

/// Our own events from `level` on; of the libraries only what may concern an operator.
fn filter(level: LogLevel) -> Targets {
    let (own, libraries) = match level {
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    Targets::new()
        .with_default(libraries)
        .with_target(env!("CARGO_CRATE_NAME"), own)
}

/// Writes one event as one line.
struct LineFormat(LogFormat);

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::new(self.0);
        event.record(&mut fields);
        let time = timestamp(clock::unix_time());
        let level = event.metadata().level();
        match self.0 {
            LogFormat::Json => writeln!(
                out,
                "{{\"level\":\"{}\",\"ts\":\"{time}\",\"caller\":{},\"msg\":{}{}}}",
                level_name(level),
                json(&caller(event)),
                json(&fields.message),
                fields.rest
            ),
            LogFormat::Console => writeln!(
                out,
                "{time} {:5} {}{}",
                level_name(level),
                fields.message,
                fields.rest
            ),
        }
    }
}

fn level_name(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// The place in the source, as `server/mod.rs:42`.
fn caller(event: &Event<'_>) -> String {
    let metadata = event.metadata();
    let file = metadata.file().unwrap_or_else(|| metadata.target());
    let file = file.strip_prefix("src/").unwrap_or(file);
    format!("{file}:{}", metadata.line().unwrap_or(0))
}

/// The message, and the other fields rendered one after the other.
struct Fields {
    format: LogFormat,
    message: String,
    rest: String,
}

impl Fields {
    const fn new(format: LogFormat) -> Self {
        Self {
            format,
            message: String::new(),
            rest: String::new(),
        }
    }

    fn value<T: Serialize + fmt::Display + ?Sized>(&mut self, field: &Field, value: &T) {
        if field.name() == "message" {
            self.message = value.to_string();
            return;
        }
        let name = field.name().replace('_', "-");
        // Writing to a string does not fail.
        let _ = match self.format {
            LogFormat::Json => write!(self.rest, ",{}:{}", json(&name), json(value)),
            LogFormat::Console => write!(self.rest, " {name}={value}"),
        };
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, &value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, &value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, &value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, &value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.value(field, value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.value(field, format!("{value:?}").as_str());
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// RFC 3339 with microseconds, in UTC.
fn timestamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60,
        since_epoch.subsec_micros()
    )
}

/// Year, month and day of a count of days since 1970-01-01. Counts in years that begin in March, so that
/// the leap day is the last day of one.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_MARCH_0000: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_MARCH_0000;
    let era = days / DAYS_IN_400_YEARS;
    let day = days % DAYS_IN_400_YEARS;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next_year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, event: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(LineFormat(format))
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry()
            .with(filter(LogLevel::Info))
            .with(layer);
        tracing::subscriber::with_default(subscriber, event);
        let bytes = sink.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn objects_have_zaps_keys_and_dashed_fields() {
        let line = logged(LogFormat::Json, || {
            tracing::info!(
                local_member_id = %"8e9e05c52164694d",
                peers = 3u64,
                quoted = "a \"b\"\n",
                "ready to serve client requests"
            );
        });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["level"], "info");
        assert_eq!(object["msg"], "ready to serve client requests");
        assert_eq!(object["local-member-id"], "8e9e05c52164694d");
        assert_eq!(object["peers"], 3);
        assert_eq!(object["quoted"], "a \"b\"\n");
        assert!(object["ts"].as_str().unwrap().ends_with('Z'));
        assert!(
            object["caller"]
                .as_str()
                .unwrap()
                .starts_with("server/log/mod.rs:")
        );
    }

    #[test]
    fn text_has_the_same_content() {
        let line = logged(LogFormat::Console, || {
            tracing::warn!(error = %"no such file", "cannot accept connections");
            tracing::debug!("below the level");
        });
        let (_, rest) = line.split_once(' ').unwrap();
        assert_eq!(rest, "warn  cannot accept connections error=no such file\n");
    }

    #[test]
    fn times_are_rfc_3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_799, "2000-02-29T23:59:59.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(timestamp(Duration::from_secs(seconds)), expected);
        }
        assert!(timestamp(Duration::from_micros(42)).ends_with(".000042Z"));
    }
}
