//! What the table says of a flag.

use super::value::{self, PARSE_ERROR};

/// A flag of etcd.
#[derive(Debug)]
pub(super) struct Flag {
    /// Its name without dashes, in the spelling of etcd 3.7.
    pub(super) name: &'static str,
    /// Its default in etcd's notation.
    pub(super) default: &'static str,
    /// What its values look like.
    pub(super) kind: Kind,
    /// What becomes of it here.
    pub(super) state: State,
    /// One line for the help; for a flag that is not served the state says it all.
    pub(super) help: &'static str,
}

/// What values of a flag look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A boolean, which may stand without a value.
    Bool,
    /// An unsigned integer.
    Uint,
    /// A signed integer.
    Int,
    /// A duration with units.
    Duration,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Anything; read where it is used.
    Text,
}

/// What becomes of a flag here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It does what it does in etcd.
    Served,
    /// Accepted; the log says once why it has no effect. Only where ignoring it cannot surprise.
    Noted(&'static str),
    /// Refused with this reason unless it is set to its default.
    Refused(&'static str),
}

impl Kind {
    /// Whether `text` is a value of this kind.
    ///
    /// # Errors
    /// The reason in Go's words.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        let readable = match self {
            Self::Bool => value::boolean(text).is_some(),
            Self::Uint => value::unsigned(text).is_some(),
            Self::Int => value::signed(text).is_some(),
            Self::Duration => value::duration(text).is_some(),
            Self::Text => true,
            Self::Choice(words) => {
                let known = words.contains(&text);
                return known
                    .then_some(())
                    .ok_or_else(|| format!("must be one of {}", words.join(", ")));
            }
        };
        readable.then_some(()).ok_or_else(|| PARSE_ERROR.to_owned())
    }

    /// Whether two values of this kind mean the same.
    pub(super) fn same(self, a: &str, b: &str) -> bool {
        match self {
            Self::Bool => value::boolean(a) == value::boolean(b),
            Self::Uint => value::unsigned(a) == value::unsigned(b),
            Self::Int => value::signed(a) == value::signed(b),
            Self::Duration => value::duration(a) == value::duration(b),
            Self::Choice(_) | Self::Text => a == b,
        }
    }
}

impl Flag {
    /// The environment variable that stands for the flag.
    pub(super) fn variable(&self) -> String {
        variable(self.name)
    }
}

/// The environment variable of a flag's name.
pub(super) fn variable(name: &str) -> String {
    format!("ETCD_{}", name.to_ascii_uppercase().replace('-', "_"))
}
