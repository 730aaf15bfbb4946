//! Reading objects for printing: whatever is not there, or is of another type, is empty.

use serde_json::Value;

use super::age;

static ABSENT: Value = Value::Null;

/// An object to print, and the time at which it is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) object: &'a Value,
    /// Unix time in nanoseconds.
    pub(super) now: i128,
}

impl<'a> Subject<'a> {
    pub(super) fn name(self) -> &'a str {
        self.text("metadata.name")
    }

    /// The object's age.
    pub(super) fn age(self) -> String {
        self.since("metadata.creationTimestamp")
    }

    /// How long ago the time at `path` was; `<unknown>` without one.
    pub(super) fn since(self, path: &str) -> String {
        since(self.text(path), self.now)
    }

    pub(super) fn text(self, path: &str) -> &'a str {
        text(self.object, path)
    }

    pub(super) fn number(self, path: &str) -> i64 {
        number(self.object, path)
    }

    pub(super) fn flag(self, path: &str) -> bool {
        flag(self.object, path)
    }

    pub(super) fn has(self, path: &str) -> bool {
        has(self.object, path)
    }

    pub(super) fn list(self, path: &str) -> &'a [Value] {
        list(self.object, path)
    }

    pub(super) fn dig(self, path: &str) -> &'a Value {
        dig(self.object, path)
    }

    /// An annotation, if it is there.
    pub(super) fn annotation(self, key: &str) -> Option<&'a str> {
        self.dig("metadata.annotations").get(key)?.as_str()
    }
}

/// How long ago an RFC 3339 time was; `<unknown>` if there is none.
pub(super) fn since(time: &str, now: i128) -> String {
    match age::nanoseconds(time) {
        Some(then) => age::human(now - then),
        None => "<unknown>".into(),
    }
}

/// How long ago an RFC 3339 time was, as [`since`] says; none for what is no time.
pub(super) fn since_if_any(time: &str, now: i128) -> Option<String> {
    let zero = time.starts_with("0001-01-01T00:00:00");
    (zero || age::nanoseconds(time).is_some()).then(|| since(time, now))
}

/// The value at `a.b.c`; null where there is none.
pub(super) fn dig<'a>(object: &'a Value, path: &str) -> &'a Value {
    let mut keys = path.split('.');
    let found = keys.try_fold(object, |object, key| object.get(key));
    found.unwrap_or(&ABSENT)
}

pub(super) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    dig(object, path).as_str().unwrap_or_default()
}

pub(super) fn number(object: &Value, path: &str) -> i64 {
    dig(object, path).as_i64().unwrap_or_default()
}

pub(super) fn flag(object: &Value, path: &str) -> bool {
    dig(object, path).as_bool().unwrap_or_default()
}

pub(super) fn has(object: &Value, path: &str) -> bool {
    !dig(object, path).is_null()
}

pub(super) fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    dig(object, path).as_array().map_or(&[], Vec::as_slice)
}

/// How many keys a map has.
pub(super) fn count(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

/// A quantity or an int-or-string as it stands; `0` where there is none.
pub(super) fn amount(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "0".into(),
    }
}

/// `text`, or something else for an empty one.
pub(super) fn or<'a>(text: &'a str, instead: &'a str) -> &'a str {
    if text.is_empty() { instead } else { text }
}

/// The texts of a list, with commas between.
pub(super) fn joined(list: &[Value]) -> String {
    let texts: Vec<_> = list.iter().filter_map(Value::as_str).collect();
    texts.join(",")
}

/// Whether conditions have one of this type with status True.
pub(super) fn is_true(conditions: &[Value], kind: &str) -> bool {
    let found = conditions.iter().find(|one| text(one, "type") == kind);
    found.is_some_and(|one| text(one, "status") == "True")
}
