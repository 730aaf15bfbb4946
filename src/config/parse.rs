//! Command line and environment to named values, by the rules of Go's flag package.
//!
//! One or two dashes mean the same; a value follows after `=` or as the next argument; a boolean without
//! `=` is true and never takes the next argument; a flag given twice keeps the last value. A variable that
//! is set to nothing counts as not set.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;

use super::error::{ConfigError, Origin};
use super::file::ConfigFile;
use super::flag::{self, Flag, Kind, State};
use super::member::Note;
use super::{gates, table};

/// The flag that `holdfast up` gives its children; etcd has no such flag, so it has no variable either.
pub(crate) const STOP_WITH_STDIN: &str = "stop-with-stdin";

/// A flag for tests, which have records of their own: the address of the server that is asked for them.
const DNS_SERVER: &str = "test-dns-server";

/// The flag that names a file to be read instead of all other flags.
pub(super) const CONFIG_FILE: &str = "config-file";

const VARIABLE_PREFIX: &str = "ETCD_";

/// A value and where it comes from.
#[derive(Debug, Clone)]
struct Value {
    text: String,
    origin: Origin,
}

/// Every value that was given, each readable as its flag's kind.
#[derive(Debug, Default)]
pub(super) struct Given {
    values: BTreeMap<&'static str, Value>,
    /// What was accepted without effect, to be said in the log.
    pub(super) notes: Vec<Note>,
    /// Whether the process is to stop when its standard input ends.
    pub(super) stop_with_stdin: bool,
    /// The server that is asked for DNS records instead of the system's.
    pub(super) dns_server: Option<SocketAddr>,
}

/// What a command line turns out to be.
pub(super) enum Line {
    /// `--help` came first.
    Help,
    /// `--version` came first.
    Version,
    /// A file has all values.
    File(ConfigFile),
    /// Values of flags and variables.
    Values(Given),
}

/// Reads flags and variables.
///
/// # Errors
/// For a name that is not known, a value that cannot be read, a flag that is not served, or a flag and its
/// variable both set.
pub(super) fn read(
    args: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Line, ConfigError> {
    let mut given = Given::default();
    if let Some(instead) = given.read_args(args)? {
        return Ok(instead);
    }
    let env: Vec<_> = env.into_iter().collect();
    if let Some(file) = given.config_file(&env) {
        return Ok(Line::File(file));
    }
    given.read_env(env)?;
    given.judge_all()?;
    Ok(Line::Values(given))
}

impl Given {
    /// The value of a flag in the table: what was given, or its default.
    pub(super) fn text(&self, name: &'static str) -> &str {
        match self.values.get(name) {
            Some(value) => &value.text,
            None => table::find(name).map_or("", |flag| flag.default),
        }
    }

    /// Whether a flag or its variable is set.
    pub(super) fn is_set(&self, name: &'static str) -> bool {
        self.values.contains_key(name)
    }

    /// An error about a flag's value.
    pub(super) fn invalid(&self, name: &'static str, reason: impl Into<String>) -> ConfigError {
        let origin = self.values.get(name).map(|value| value.origin.clone());
        ConfigError::InvalidValue {
            value: self.text(name).to_owned(),
            origin: origin.unwrap_or_else(|| Origin::Flag(name.to_owned())),
            reason: reason.into(),
        }
    }

    /// Finds what the log is to say of all values.
    ///
    /// # Errors
    /// For a flag that is not served.
    pub(super) fn judge_all(&mut self) -> Result<(), ConfigError> {
        for (name, value) in &self.values {
            if let Some(flag) = table::find(name) {
                self.notes.extend(judge(flag, value)?);
            }
        }
        Ok(())
    }

    /// The file that a flag or else a variable names, with what is ignored because of it.
    fn config_file(&self, env: &[(OsString, OsString)]) -> Option<ConfigFile> {
        let own = flag::variable(CONFIG_FILE);
        let variables = env.iter().filter(|(_, text)| !text.is_empty());
        let variables = variables.filter_map(|(name, text)| Some((name.to_str()?, text)));
        let (of_file, others): (Vec<_>, Vec<_>) = variables
            .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
            .partition(|(name, _)| *name == own);
        let path = match self.text(CONFIG_FILE) {
            "" => of_file.first()?.1.clone(),
            path => path.into(),
        };
        let flags = self.values.keys().filter(|name| **name != CONFIG_FILE);
        let flags = flags.map(|name| format!("--{name}"));
        let others = others.iter().map(|(name, _)| (*name).to_owned());
        Some(ConfigFile {
            path: path.into(),
            ignored: flags.chain(others).collect(),
            stop_with_stdin: self.stop_with_stdin,
        })
    }

    /// Takes the flags of a line; gives what the line asks for instead of a start, if it does.
    fn read_args(
        &mut self,
        args: impl IntoIterator<Item = OsString>,
    ) -> Result<Option<Line>, ConfigError> {
        let mut args = args.into_iter().map(text_of);
        while let Some(arg) = args.next().transpose()? {
            if arg == "--" {
                let stray = args.next().transpose()?;
                return stray.map_or(Ok(None), |s| Err(ConfigError::StrayArgument(s)));
            }
            match split(&arg)? {
                ("h" | "help", None) => return Ok(Some(Line::Help)),
                ("version", None) => return Ok(Some(Line::Version)),
                (STOP_WITH_STDIN, None) => self.stop_with_stdin = true,
                (DNS_SERVER, Some(address)) => self.dns_server = address.parse().ok(),
                (name, inline) => self.read_flag(name, inline, &mut args)?,
            }
        }
        Ok(None)
    }

    fn read_flag(
        &mut self,
        name: &str,
        inline: Option<&str>,
        rest: &mut impl Iterator<Item = Result<String, ConfigError>>,
    ) -> Result<(), ConfigError> {
        let flag = table::find(name).ok_or_else(|| ConfigError::UnknownFlag(name.to_owned()))?;
        let text = match inline {
            Some(text) => text.to_owned(),
            None if flag.kind == Kind::Bool => "true".to_owned(),
            None => rest
                .next()
                .ok_or_else(|| ConfigError::NeedsArgument(name.to_owned()))??,
        };
        self.set(flag, text, Origin::Flag(name.to_owned()))
    }

    fn read_env(
        &mut self,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        for (variable, text) in env {
            let Some(variable) = variable.to_str().filter(|v| v.starts_with(VARIABLE_PREFIX))
            else {
                continue;
            };
            if text.is_empty() {
                continue;
            }
            let Some(flag) = flag_of_variable(variable) else {
                self.notes.push(Note::UnknownVariable(variable.to_owned()));
                continue;
            };
            if self.is_set(flag.name) {
                return Err(ConfigError::Conflict(variable.to_owned()));
            }
            self.set(flag, text_of(text)?, Origin::Variable(variable.to_owned()))?;
        }
        Ok(())
    }

    /// Takes a value, if it is one of the flag's kind.
    pub(super) fn set(
        &mut self,
        flag: &'static Flag,
        text: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        if let Err(reason) = flag.kind.check(&text) {
            return Err(ConfigError::InvalidValue {
                value: text,
                origin,
                reason,
            });
        }
        self.values.insert(flag.name, Value { text, origin });
        Ok(())
    }
}

/// What the log is to say of a value.
fn judge(flag: &Flag, value: &Value) -> Result<Vec<Note>, ConfigError> {
    match flag.state {
        State::Served if flag.name == gates::FLAG => gates::judge(&value.text),
        State::Served => Ok(Vec::new()),
        State::Noted(reason) => Ok(vec![Note::NoEffect {
            flag: flag.name.to_owned(),
            reason,
        }]),
        State::Refused(_) if flag.kind.same(&value.text, flag.default) => Ok(Vec::new()),
        State::Refused(reason) => Err(ConfigError::NotServed {
            flag: flag.name.to_owned(),
            value: value.text.clone(),
            reason,
        }),
    }
}

fn flag_of_variable(variable: &str) -> Option<&'static Flag> {
    let alias = table::ALIASES
        .iter()
        .find(|alias| flag::variable(alias.name) == variable);
    match alias {
        Some(alias) => table::find(alias.of),
        None => table::all().find(|flag| flag.variable() == variable),
    }
}

/// Name and inline value of an argument.
fn split(arg: &str) -> Result<(&str, Option<&str>), ConfigError> {
    let Some(body) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
        return Err(ConfigError::StrayArgument(arg.to_owned()));
    };
    if body.is_empty() || body.starts_with(['-', '=']) {
        return Err(ConfigError::BadSyntax(arg.to_owned()));
    }
    Ok(match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    })
}

fn text_of(arg: OsString) -> Result<String, ConfigError> {
    arg.into_string()
        .map_err(|bytes| ConfigError::BadSyntax(bytes.to_string_lossy().into_owned()))
}
