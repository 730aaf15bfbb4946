//! The check of command lines and environments.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{ConfigError, Request};

/// Reads lines as arguments, and those behind an empty line as an environment. What is refused names a
/// flag or says what is wrong, and so fills at least a line.
pub fn command_line(data: &[u8]) {
    let mut lines = data.split(|&byte| byte == b'\n').map(os_string);
    let args: Vec<OsString> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let env = lines.filter_map(|line| {
        let line = line.into_vec();
        let at = line.iter().position(|&byte| byte == b'=')?;
        let (name, value) = line.split_at(at);
        Some((os_string(name), os_string(value.get(1..)?)))
    });
    match super::from_command_line(args, env) {
        Ok(Request::Start(_) | Request::File(_) | Request::Help | Request::Version) => {}
        Err(error) => check_error(&error),
    }
}

/// Reads a configuration file.
pub fn config_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let args = ["--config-file=x".into()];
    let Ok(Request::File(file)) = super::from_command_line(args, []) else {
        unreachable!("a file was named");
    };
    if let Err(error) = file.parse(text) {
        check_error(&error);
    }
}

fn check_error(error: &ConfigError) {
    assert!(!error.to_string().is_empty());
    assert_ne!(error.exit_code(), 0);
}

fn os_string(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
