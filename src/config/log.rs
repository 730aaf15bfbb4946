//! The flags of the log.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::ConfigError;
use super::member::{LogConfig, LogFormat, LogLevel, LogOutput, LogRotation};
use super::parse::Given;
use super::value;

const OUTPUTS: &str = "log-outputs";
const ROTATION: &str = "log-rotation-config-json";

/// What `--log-rotation-config-json` has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotation {
    maxsize: u64,
    maxage: u64,
    maxbackups: u64,
    localtime: bool,
    compress: bool,
}

impl Default for Rotation {
    /// What etcd takes for what is not there.
    fn default() -> Self {
        Self {
            maxsize: 100,
            maxage: 0,
            maxbackups: 0,
            localtime: false,
            compress: false,
        }
    }
}

/// Reads the flags of the log.
///
/// # Errors
/// For outputs that exclude each other or are not served, and for rotation without a file to rotate.
pub(super) fn read(given: &Given) -> Result<LogConfig, ConfigError> {
    let outputs = outputs(given)?;
    Ok(LogConfig {
        level: match given.text("log-level") {
            "debug" => LogLevel::Debug,
            "info" => LogLevel::Info,
            "warn" => LogLevel::Warn,
            _ => LogLevel::Error,
        },
        format: given
            .is_set("log-format")
            .then(|| match given.text("log-format") {
                "console" => LogFormat::Console,
                _ => LogFormat::Json,
            }),
        rotation: rotation(given, &outputs)?,
        outputs,
    })
}

fn outputs(given: &Given) -> Result<Vec<LogOutput>, ConfigError> {
    let words = given.text(OUTPUTS).split(',').map(str::trim);
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let mut outputs = Vec::new();
    for word in &words {
        let output = match *word {
            "default" if words.len() > 1 => {
                return Err(given.invalid(OUTPUTS, "default stands alone"));
            }
            "default" | "stderr" => LogOutput::Stderr,
            "stdout" => LogOutput::Stdout,
            "systemd/journal" => {
                return Err(ConfigError::NotServed {
                    flag: OUTPUTS.to_owned(),
                    value: given.text(OUTPUTS).to_owned(),
                    reason: "systemd takes what is written to stderr into its journal",
                });
            }
            path => LogOutput::File(PathBuf::from(path)),
        };
        if !outputs.contains(&output) {
            outputs.push(output);
        }
    }
    if outputs.is_empty() {
        return Err(given.invalid(OUTPUTS, "must not be empty"));
    }
    Ok(outputs)
}

fn rotation(given: &Given, outputs: &[LogOutput]) -> Result<Option<LogRotation>, ConfigError> {
    if value::boolean(given.text("enable-log-rotation")) != Some(true) {
        return Ok(None);
    }
    let files = outputs.iter().filter(|o| matches!(o, LogOutput::File(_)));
    if files.count() != 1 {
        let reason = "--enable-log-rotation requires a single file path";
        return Err(given.invalid(OUTPUTS, reason));
    }
    let rotation: Rotation = serde_json::from_str(given.text(ROTATION))
        .map_err(|error| given.invalid(ROTATION, error.to_string()))?;
    if rotation.localtime {
        return Err(given.invalid(ROTATION, "localtime is not served: names have UTC"));
    }
    // etcd takes no size for its default.
    let megabytes = if rotation.maxsize == 0 {
        100
    } else {
        rotation.maxsize
    };
    let too_large = || given.invalid(ROTATION, "is out of range");
    Ok(Some(LogRotation {
        max_bytes: megabytes.checked_mul(1 << 20).ok_or_else(too_large)?,
        max_age_days: (rotation.maxage > 0).then_some(rotation.maxage),
        max_backups: match rotation.maxbackups {
            0 => None,
            count => Some(usize::try_from(count).map_err(|_| too_large())?),
        },
        compress: rotation.compress,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Request, from_command_line};

    fn log(flags: &[&str]) -> Result<LogConfig, String> {
        match from_command_line(flags.iter().map(Into::into), []) {
            Ok(Request::Start(config)) => Ok(config.log),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn outputs_are_streams_and_files() {
        let file = |path: &str| LogOutput::File(path.into());
        for (text, expected) in [
            ("default", vec![LogOutput::Stderr]),
            ("stdout", vec![LogOutput::Stdout]),
            (
                "stderr,/var/log/etcd.log",
                vec![LogOutput::Stderr, file("/var/log/etcd.log")],
            ),
            ("a.log, b.log,a.log", vec![file("a.log"), file("b.log")]),
        ] {
            let log = log(&[&format!("--log-outputs={text}")]).unwrap();
            assert_eq!(log.outputs, expected, "{text}");
        }
    }

    #[test]
    fn outputs_that_make_no_sense_are_refused() {
        for (text, said) in [
            ("default,stdout", "default stands alone"),
            ("systemd/journal", "is not served"),
            ("", "must not be empty"),
        ] {
            let refused = log(&[&format!("--log-outputs={text}")]).unwrap_err();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }

    #[test]
    fn rotation_is_of_one_file() {
        let on = "--enable-log-rotation";
        let rotation = log(&[on, "--log-outputs=stderr,a.log"]).unwrap().rotation;
        let expected = LogRotation {
            max_bytes: 100 << 20,
            max_age_days: None,
            max_backups: None,
            compress: false,
        };
        assert_eq!(rotation, Some(expected));
        let json =
            r#"--log-rotation-config-json={"maxsize":2,"maxage":7,"maxbackups":3,"compress":true}"#;
        let rotation = log(&[on, "--log-outputs=a.log", json]).unwrap().rotation;
        let expected = LogRotation {
            max_bytes: 2 << 20,
            max_age_days: Some(7),
            max_backups: Some(3),
            compress: true,
        };
        assert_eq!(rotation, Some(expected));
        assert_eq!(log(&[json, "--log-outputs=a.log"]).unwrap().rotation, None);
    }

    #[test]
    fn rotation_that_makes_no_sense_is_refused() {
        let on = "--enable-log-rotation";
        for (flags, said) in [
            (vec![on], "a single file path"),
            (vec![on, "--log-outputs=a.log,b.log"], "a single file path"),
            (
                vec![
                    on,
                    "--log-outputs=a",
                    r#"--log-rotation-config-json={"maxsize":-1}"#,
                ],
                "invalid value",
            ),
            (
                vec![
                    on,
                    "--log-outputs=a",
                    r#"--log-rotation-config-json={"localtime":true}"#,
                ],
                "localtime is not served",
            ),
            (
                vec![
                    on,
                    "--log-outputs=a",
                    r#"--log-rotation-config-json={"max":1}"#,
                ],
                "unknown field",
            ),
        ] {
            let refused = log(&flags).unwrap_err();
            assert!(refused.contains(said), "{flags:?}: {refused}");
        }
    }
}
