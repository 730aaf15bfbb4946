//! What a call costs when it runs. The numbers are the release's: budgets and limits are made for them.

use super::fault::Fault;
use super::fuel;
use super::value::{List, Map, Value};

/// The share of a unit that a character costs.
pub(super) const TRAVERSAL: f64 = 0.1;
/// The share of a unit that a character of a regular expression costs.
pub(super) const REGEX: f64 = 0.25;
pub(super) const LIST: u64 = 10;
pub(super) const MAP: u64 = 30;

/// A call that was made: what it was called on and what came of it.
pub(super) struct Made<'c, 'a> {
    pub(super) function: &'c str,
    /// If there was no other that it could have been.
    pub(super) overload: Option<&'static str>,
    pub(super) args: &'c [Result<Value<'a>, Fault>],
    pub(super) result: &'c Result<Value<'a>, Fault>,
}

fn size(value: &Result<Value<'_>, Fault>) -> u64 {
    value.as_ref().map_or(1, Value::size)
}

/// As [`size`]; optional values count what they have.
fn inner_size(value: &Result<Value<'_>, Fault>) -> u64 {
    let mut at = value.as_ref().ok();
    while let Some(Value::Optional(Some(inner))) = at {
        at = Some(&**inner);
    }
    at.map_or(1, Value::size)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are far below, and conversions saturate"
)]
pub(super) fn scaled(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are far below, and conversions saturate"
)]
fn floored(size: u64, factor: f64) -> u64 {
    (size as f64 * factor) as u64
}

impl Made<'_, '_> {
    fn arg(&self, at: usize) -> u64 {
        self.args.get(at).map_or(1, size)
    }

    fn first(&self) -> Option<&Value<'_>> {
        self.args.first()?.as_ref().ok()
    }

    fn allocated(factor: f64, size: u64) -> u64 {
        floored(size, factor).saturating_add(1 + LIST)
    }

    /// The cost of comparing every item with every other.
    fn compared(&self, at: usize) -> u64 {
        let size = self.arg(at);
        let text = match self.args.get(at) {
            Some(Ok(Value::List(list))) => {
                matches!(list.get(0), Some(Ok(Value::String(_) | Value::Bytes(_))))
            }
            _ => false,
        };
        let factor = if text { 2.0 + TRAVERSAL } else { 2.0 };
        Self::allocated(factor, size.saturating_mul(size))
    }

    fn tracked(&self) -> Option<u64> {
        let id = self.overload?;
        Some(match id {
            "list_slice" | "lists_range" | "list_reverse" => {
                Self::allocated(1.0, size(self.result))
            }
            "list_flatten" => Self::allocated(1.0, self.arg(0)),
            "list_flatten_int" => {
                let depth = match self.args.get(1) {
                    Some(Ok(Value::Int(depth))) => *depth,
                    _ => 1,
                };
                // A depth below zero is an error, and the release's sum wraps around.
                let size = i64::try_from(self.arg(0)).unwrap_or(i64::MAX);
                #[expect(clippy::cast_sign_loss, reason = "as the release computes")]
                let size = size.saturating_mul(depth) as u64;
                size.wrapping_add(1 + LIST)
            }
            "list_distinct" => self.compared(0),
            "list_sets_contains_list" | "list_sets_intersects_list" => {
                self.arg(0).saturating_mul(self.arg(1)).saturating_add(1)
            }
            "list_sets_equivalent_list" => self
                .arg(0)
                .saturating_mul(self.arg(1))
                .saturating_mul(2)
                .saturating_add(1),
            id if id.ends_with("_sortByAssociatedKeys") => self.compared(1),
            id if id.starts_with("list_") && id.ends_with("_sort") => self.compared(0),
            _ => return None,
        })
    }

    fn known(&self) -> Option<u64> {
        let one = |factor: f64| scaled(self.arg(0), factor);
        Some(match self.function {
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
                self.first().map_or(1, traversal)
            }
            "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "cidr" | "isIP"
            | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver" => one(TRAVERSAL),
            "replace" | "split" | "ip.isCanonical" => one(2.0 * TRAVERSAL),
            "join" => scaled(size(self.result), 2.0 * TRAVERSAL),
            "find" | "findAll" => {
                let text = scaled(self.arg(0) + 1, TRAVERSAL);
                text.saturating_mul(scaled(self.arg(1), REGEX))
            }
            "ip" if self.overload == Some("cidr_ip") => 1,
            "ip" => one(TRAVERSAL),
            "containsIP" => {
                let text = self.overload == Some("cidr_contains_ip_string");
                one(2.0 * TRAVERSAL)
                    + if text {
                        scaled(self.arg(1), TRAVERSAL)
                    } else {
                        0
                    }
            }
            "containsCIDR" => {
                let text = self.overload == Some("cidr_contains_cidr_string");
                let parsed = if text {
                    scaled(self.arg(1), TRAVERSAL)
                } else {
                    0
                };
                one(2.0 * TRAVERSAL) + one(TRAVERSAL) + 1 + parsed
            }
            "validate" => match self.first() {
                Some(Value::Format(format)) => {
                    let text = scaled(self.arg(1) + 1, TRAVERSAL);
                    text.saturating_mul(scaled(format.regex, REGEX))
                }
                _ => return None,
            },
            "masked"
            | "prefixLength"
            | "family"
            | "isUnspecified"
            | "isLoopback"
            | "isLinkLocalMulticast"
            | "isLinkLocalUnicast"
            | "isGlobalUnicast"
            | "format.named"
            | "sign"
            | "asInteger"
            | "isInteger"
            | "asApproximateFloat"
            | "isGreaterThan"
            | "isLessThan"
            | "compareTo"
            | "add"
            | "sub"
            | "major"
            | "minor"
            | "patch"
            | "getScheme"
            | "getHostname"
            | "getHost"
            | "getPort"
            | "getEscapedPath"
            | "getQuery" => 1,
            "_==_" => match self.first() {
                Some(
                    Value::Quantity(_)
                    | Value::Ip(_)
                    | Value::Cidr(_)
                    | Value::Format(_)
                    | Value::Url(_)
                    | Value::Semver(_),
                ) => 1,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The cost of the call itself, without that of its arguments.
    pub(super) fn cost(&self) -> u64 {
        if let Some(cost) = self.tracked().or_else(|| self.known()) {
            return cost;
        }
        let sized = |at: usize| self.args.get(at).map_or(1, inner_size);
        match self.overload.unwrap_or_default() {
            "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string"
            | "strings_quote" | "string_format" => scaled(sized(0), TRAVERSAL),
            "in_list" => sized(1),
            "less_string"
            | "greater_string"
            | "less_equals_string"
            | "greater_equals_string"
            | "less_bytes"
            | "greater_bytes"
            | "less_equals_bytes"
            | "greater_equals_bytes"
            | "equals"
            | "not_equals" => scaled(sized(0).min(sized(1)), TRAVERSAL),
            "add_string" | "add_bytes" => scaled(sized(0) + sized(1), TRAVERSAL),
            "matches_string" | "matches" => {
                let text = scaled(sized(0) + 1, TRAVERSAL);
                text.saturating_mul(scaled(sized(1), REGEX))
            }
            "contains_string" => {
                scaled(sized(0), TRAVERSAL).saturating_mul(scaled(sized(1), TRAVERSAL))
            }
            _ => 1,
        }
    }
}

/// The cost of going through a value and all that is in it.
fn traversal(value: &Value<'_>) -> u64 {
    if !fuel::burn() {
        return u64::MAX;
    }
    match value {
        Value::String(text) => floored(text.len() as u64, TRAVERSAL),
        Value::Bytes(bytes) => floored(bytes.len() as u64, TRAVERSAL),
        Value::List(list) => list_traversal(list),
        Value::Map(map) => map_traversal(map),
        _ => 1,
    }
}

fn list_traversal(list: &List<'_>) -> u64 {
    let costs = list
        .iter()
        .map(|item| item.map_or(1, |item| traversal(&item)));
    costs.fold(0, u64::saturating_add)
}

fn map_traversal(map: &Map<'_>) -> u64 {
    let keys = map.keys();
    let costs = keys.iter().map(|key| {
        let value = map.find(key).ok().flatten();
        traversal(key).saturating_add(value.map_or(1, |value| traversal(&value)))
    });
    costs.fold(0, u64::saturating_add)
}
