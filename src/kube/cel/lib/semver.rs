//! Versions by the rules of semantic versioning 2.0.

use std::cmp::Ordering;
use std::fmt;

use super::{Answer, Builtin};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::value::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Semver {
    numbers: [u64; 3],
    pre: Vec<String>,
    build: Vec<String>,
}

impl fmt::Display for Semver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre.join("."))?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build.join("."))?;
        }
        Ok(())
    }
}

impl Semver {
    /// Builds make no difference.
    pub(in crate::kube::cel) fn compare(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let pairs = self.pre.iter().zip(&other.pre);
                let mut orders = pairs.map(|(one, other)| identifiers(one, other));
                let differs = orders.find(|order| order.is_ne());
                differs.unwrap_or_else(|| self.pre.len().cmp(&other.pre.len()))
            }
        })
    }

    /// # Errors
    /// In the words of the release's library.
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("Version string empty".into());
        }
        let mut parts = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err("No Major.Minor.Patch elements found".into());
        };
        let (rest, build) = match rest.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (rest, None),
        };
        let (patch, pre) = match rest.split_once('-') {
            Some((patch, pre)) => (patch, Some(pre)),
            None => (rest, None),
        };
        let numbers = [
            number("major", major)?,
            number("minor", minor)?,
            number("patch", patch)?,
        ];
        let mut found = Self {
            numbers,
            pre: Vec::new(),
            build: Vec::new(),
        };
        for part in pre.into_iter().flat_map(|pre| pre.split('.')) {
            found.pre.push(prerelease(part)?);
        }
        for part in build.into_iter().flat_map(|build| build.split('.')) {
            if part.is_empty() {
                return Err("Build meta data is empty".into());
            }
            if !is_identifier(part) {
                return Err(format!(
                    "Invalid character(s) found in build meta data {part:?}"
                ));
            }
            found.build.push(part.to_owned());
        }
        Ok(found)
    }

    /// Also `v1`, `1.2` and leading zeros.
    fn tolerant(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts: Vec<String> = text.splitn(3, '.').map(str::to_owned).collect();
        for part in &mut parts {
            if part.len() > 1 {
                let trimmed = part.trim_start_matches('0');
                let zero = !trimmed.starts_with(|c: char| c.is_ascii_digit());
                *part = format!("{}{trimmed}", if zero { "0" } else { "" });
            }
        }
        if parts.len() < 3 {
            if parts.last().is_some_and(|last| last.contains(['+', '-'])) {
                return Err("short version cannot contain PreRelease/Build meta data".into());
            }
            parts.resize(3, "0".into());
        }
        Self::parse(&parts.join("."))
    }
}

/// Numbers come before words.
fn identifiers(one: &str, other: &str) -> Ordering {
    match (one.parse::<u64>(), other.parse::<u64>()) {
        (Ok(one), Ok(other)) => one.cmp(&other),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => one.cmp(other),
    }
}

fn number(which: &str, text: &str) -> Result<u64, String> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!(
            "Invalid character(s) found in {which} number {text:?}"
        ));
    }
    if text.len() > 1 && text.starts_with('0') {
        let mut name = which.to_owned();
        name.get_mut(..1).map(str::make_ascii_uppercase);
        return Err(format!(
            "{name} number must not contain leading zeroes {text:?}"
        ));
    }
    let error = if text.is_empty() {
        "invalid syntax"
    } else {
        "value out of range"
    };
    text.parse()
        .map_err(|_| format!("strconv.ParseUint: parsing {text:?}: {error}"))
}

fn is_identifier(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn prerelease(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("Prerelease is empty".into());
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits && text.len() > 1 && text.starts_with('0') {
        return Err(format!(
            "Numeric PreRelease version must not contain leading zeroes {text:?}"
        ));
    }
    if !is_identifier(text) {
        return Err(format!("Invalid character(s) found in prerelease {text:?}"));
    }
    Ok(text.to_owned())
}

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "semver" => |args| {
            let parsed = parsed(args)?.map_err(Fault::new)?;
            Ok(Value::Semver(parsed.into()))
        },
        "isSemver" => |args| Ok(Value::Bool(parsed(args)?.is_ok())),
        "major" => |args| part(args, 0),
        "minor" => |args| part(args, 1),
        "patch" => |args| part(args, 2),
        _ => return None,
    })
}

fn parsed(args: &[Value<'_>]) -> Result<Result<Semver, String>, Fault> {
    match args {
        [Value::String(text)] | [Value::String(text), Value::Bool(false)] => {
            Ok(Semver::parse(text))
        }
        [Value::String(text), Value::Bool(true)] => Ok(Semver::tolerant(text)),
        _ => Err(Fault::overload()),
    }
}

fn part<'a>(args: &[Value<'a>], which: usize) -> Answer<'a> {
    let [Value::Semver(version)] = args else {
        return Err(Fault::overload());
    };
    let number = version.numbers.get(which).copied().unwrap_or(0);
    #[expect(clippy::cast_possible_wrap, reason = "Go converts so")]
    Ok(Value::Int(number as i64))
}
