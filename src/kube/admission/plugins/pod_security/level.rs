//! What a namespace's labels ask of its pods: a level and a version, for each of three uses.

use std::fmt;

use serde_json::Value;

use crate::kube::field::{FieldError, quoted};
use crate::kube::object::meta;

const PREFIX: &str = "pod-security.kubernetes.io/";

/// How much pods may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// Of which release's policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// `v1.N`.
    Minor(u32),
    /// Newer than any other.
    Latest,
}

/// What pods are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) level: Level,
    pub(super) version: Version,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        })?;
        match self.version {
            Version::Latest => f.write_str(":latest"),
            Version::Minor(minor) => write!(f, ":v1.{minor}"),
        }
    }
}

impl Bar {
    const NONE: Self = Self {
        level: Level::Privileged,
        version: Version::Latest,
    };
}

/// The bars of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) enforce: Bar,
    /// Noted in the audit log, of which there is none here.
    pub(super) audit: Bar,
    pub(super) warn: Bar,
}

fn level(text: &str) -> Option<Level> {
    match text {
        "privileged" => Some(Level::Privileged),
        "baseline" => Some(Level::Baseline),
        "restricted" => Some(Level::Restricted),
        _ => None,
    }
}

fn version(text: &str) -> Option<Version> {
    if text == "latest" {
        return Some(Version::Latest);
    }
    let minor = text.strip_prefix("v1.")?;
    let plain = minor.bytes().all(|byte| byte.is_ascii_digit());
    let padded = minor.len() > 1 && minor.starts_with('0');
    let minor = minor.parse().ok().filter(|_| plain && !padded)?;
    Some(Version::Minor(minor))
}

/// Reads labels as they are meant to be read where they are wrong, and tells what is wrong.
struct Labels<'a> {
    namespace: &'a Value,
    errors: Vec<FieldError>,
}

impl Labels<'_> {
    /// A label's value, or `wrong` in its place; none without the label.
    fn read<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        wrong: T,
        rule: &str,
    ) -> Option<(T, bool)> {
        let key = format!("{PREFIX}{name}");
        let said = meta::label(self.namespace, &key)?;
        if let Some(value) = parse(said) {
            return Some((value, true));
        }
        let path = format!("metadata.labels[{key}]");
        self.errors
            .push(FieldError::invalid(path, quoted(said), rule));
        Some((wrong, false))
    }

    /// What is asked for one use, `wrong` for a level that is none; and whether a level and a version are said.
    fn bar(&mut self, name: &str, wrong: Level) -> (Bar, Option<bool>, bool) {
        let rule = "must be one of privileged, baseline, restricted";
        let level = self.read(name, level, wrong, rule);
        let rule = "must be \"latest\" or \"v1.x\"";
        let version = self.read(&format!("{name}-version"), version, Version::Latest, rule);
        let bar = Bar {
            level: level.map_or(Bar::NONE.level, |(level, _)| level),
            version: version.map_or(Bar::NONE.version, |(version, _)| version),
        };
        (bar, level.map(|(_, right)| right), version.is_some())
    }
}

impl Policy {
    /// What the labels of a namespace ask for, and what is wrong with them. A level to enforce that is none is the
    /// strictest one, the others are none.
    pub(super) fn of(namespace: &Value) -> (Self, Vec<FieldError>) {
        let mut labels = Labels {
            namespace,
            errors: Vec::new(),
        };
        let (enforce, enforced, _) = labels.bar("enforce", Level::Restricted);
        let (audit, _, _) = labels.bar("audit", Level::Privileged);
        let (mut warn, warned, dated) = labels.bar("warn", Level::Privileged);
        // Whoever is stopped in pods is warned in what makes them.
        if warned.is_none() && enforced == Some(true) && enforce.level > warn.level {
            warn.level = enforce.level;
            if !dated {
                warn.version = enforce.version;
            }
        }
        let policy = Self {
            enforce,
            audit,
            warn,
        };
        (policy, labels.errors)
    }
}
