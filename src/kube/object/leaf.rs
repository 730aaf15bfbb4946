//! Leaves: what each takes in JSON, its canonical form, and what Go writes of its zero value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use super::node::Node;
use super::time::Moment;
use super::{duration, quantity};
use crate::kube::schema::Leaf;

/// Why a leaf cannot be read.
pub(super) enum Problem {
    /// A value of another type; decoding goes on. `go` is the type where it is not that of the field.
    Mismatch {
        value: String,
        go: Option<&'static str>,
    },
    /// An error that does not end decoding either.
    Saved(String),
    Fatal(String),
    FatalMismatch {
        value: String,
        go: &'static str,
    },
}

/// None for what leaves the zero value.
pub(super) fn read(kind: Leaf, node: &Node<'_>) -> Result<Option<Value>, Problem> {
    if matches!(node, Node::Null) && kind != Leaf::Duration {
        return Ok(None);
    }
    match (kind, node) {
        (Leaf::Bool, Node::Bool(it)) => Ok(Some((*it).into())),
        (Leaf::Int32, Node::Number(digits)) => int32(digits).map(Some).ok_or_else(|| unfit(digits)),
        (Leaf::Int64, Node::Number(digits)) => int64(digits).map(Some).ok_or_else(|| unfit(digits)),
        (Leaf::Double, Node::Number(digits)) => {
            double(digits).map(Some).ok_or_else(|| unfit(digits))
        }
        (Leaf::String, Node::String(text)) => Ok(Some(Value::String(text.to_string()))),
        (Leaf::Bytes, Node::String(text)) => bytes(text).map(Some).map_err(Problem::Saved),
        (Leaf::Bytes, Node::List(items)) => octets(items).map(Some),
        (Leaf::Quantity, node) => amount(node).map(Some).map_err(Problem::Fatal),
        (Leaf::IntOrString, Node::String(text)) => Ok(Some(Value::String(text.to_string()))),
        (Leaf::IntOrString, Node::Number(digits)) => {
            int32(digits)
                .map(Some)
                .ok_or_else(|| Problem::FatalMismatch {
                    value: format!("number {digits}"),
                    go: "int32",
                })
        }
        (Leaf::Time, Node::String(text)) => {
            let moment = Moment::parse(text).map_err(Problem::Fatal)?;
            Ok((!moment.is_zero()).then(|| moment.rfc3339().into()))
        }
        (Leaf::MicroTime, Node::String(text)) => {
            let moment = Moment::parse_micro(text).map_err(Problem::Fatal)?;
            Ok((!moment.is_zero()).then(|| moment.rfc3339_micro().into()))
        }
        (Leaf::Duration, Node::String(text)) => {
            let nanos = duration::parse(text).map_err(Problem::Fatal)?;
            Ok(Some(duration::written(nanos).into()))
        }
        (Leaf::Duration, Node::Null) => Err(Problem::Fatal("time: invalid duration \"\"".into())),
        (Leaf::Raw | Leaf::FieldsV1 | Leaf::Json, node) => Ok(Some(node.to_value())),
        (Leaf::IntOrString, node) => Err(fatal(node, "int32")),
        (Leaf::Time | Leaf::MicroTime | Leaf::Duration, node) => Err(fatal(node, "string")),
        (_, node) => Err(Problem::Mismatch {
            value: node.said().into(),
            go: None,
        }),
    }
}

fn fatal(node: &Node<'_>, go: &'static str) -> Problem {
    Problem::FatalMismatch {
        value: node.said().into(),
        go,
    }
}

fn unfit(digits: &str) -> Problem {
    Problem::Mismatch {
        value: format!("number {digits}"),
        go: None,
    }
}

fn int32(digits: &str) -> Option<Value> {
    digits.parse::<i32>().ok().map(Value::from)
}

fn int64(digits: &str) -> Option<Value> {
    digits.parse::<i64>().ok().map(Value::from)
}

/// Whole numbers have no point when Go writes them.
fn double(digits: &str) -> Option<Value> {
    let value: f64 = digits
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())?;
    float(value)
}

pub(super) fn float(value: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 53 bits")]
        return Some((value as i64).into());
    }
    Number::from_f64(value).map(Value::Number)
}

fn amount(node: &Node<'_>) -> Result<Value, String> {
    let text = match node {
        Node::String(text) | Node::Number(text) => text.trim(),
        Node::Bool(true) => "true",
        _ => "[",
    };
    let canonical = quantity::canonical(text)?;
    Ok(Value::String(canonical.into_owned()))
}

/// Bytes may also be written as a list of numbers.
fn octets(items: &[Node<'_>]) -> Result<Value, Problem> {
    let wrong = |value: String| Problem::Mismatch {
        value,
        go: Some("uint8"),
    };
    let octets = items.iter().map(|item| match item {
        Node::Null => Ok(0),
        Node::Number(digits) => digits
            .parse::<u8>()
            .map_err(|_| wrong(format!("number {digits}"))),
        other => Err(wrong(other.said().into())),
    });
    Ok(STANDARD
        .encode(octets.collect::<Result<Vec<_>, _>>()?)
        .into())
}

/// Base64 as Go writes it of what Go reads from the text.
fn bytes(text: &str) -> Result<Value, String> {
    // This decoder takes nothing but what Go writes.
    if STANDARD.decode(text).is_ok() {
        return Ok(Value::String(text.to_owned()));
    }
    let decoded = decode_base64(text.as_bytes())?;
    Ok(Value::String(STANDARD.encode(decoded)))
}

/// Go's decoder: line breaks are skipped, padding is needed, bits behind the last byte are ignored.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let corrupt = |at: usize| Err(format!("illegal base64 data at input byte {at}"));
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let mut bits: u32 = 0;
    let mut have = 0;
    let mut rest = text
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, b'\n' | b'\r'));
    while let Some((at, byte)) = rest.next() {
        if byte == b'=' {
            match have {
                0 | 1 => return corrupt(at),
                2 => match rest.next() {
                    Some((_, b'=')) => {}
                    Some((next, _)) => return corrupt(next - 1),
                    None => return corrupt(text.len()),
                },
                _ => {}
            }
            if let Some((next, _)) = rest.next() {
                return corrupt(next);
            }
            let [_, first, second, _] = (bits << (6 * (4 - have))).to_be_bytes();
            decoded.push(first);
            if have == 3 {
                decoded.push(second);
            }
            return Ok(decoded);
        }
        let Some(digit) = sextet(byte) else {
            return corrupt(at);
        };
        bits = bits << 6 | digit;
        have += 1;
        if have == 4 {
            let [_, bytes @ ..] = bits.to_be_bytes();
            decoded.extend(bytes);
            bits = 0;
            have = 0;
        }
    }
    match have {
        0 => Ok(decoded),
        have => corrupt(text.len() - have),
    }
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Leaves that are structs in Go: `omitempty` leaves them in.
pub(super) fn is_struct(kind: Leaf) -> bool {
    !matches!(
        kind,
        Leaf::Bool | Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::String | Leaf::Bytes
    )
}

/// What Go writes of the zero value.
pub(super) fn zero(kind: Leaf) -> Value {
    match kind {
        Leaf::Bool => false.into(),
        Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::IntOrString => 0.into(),
        Leaf::String => "".into(),
        Leaf::Quantity => "0".into(),
        Leaf::Duration => "0s".into(),
        Leaf::SchemaOrBool => false.into(),
        Leaf::Bytes
        | Leaf::Time
        | Leaf::MicroTime
        | Leaf::Raw
        | Leaf::FieldsV1
        | Leaf::Json
        | Leaf::SchemaOrArray
        | Leaf::SchemaOrStrings => Value::Null,
    }
}

pub(super) fn go_type(kind: Leaf) -> &'static str {
    match kind {
        Leaf::Bool => "bool",
        Leaf::Int32 => "int32",
        Leaf::Int64 => "int64",
        Leaf::Double => "float64",
        Leaf::String => "string",
        Leaf::Bytes => "[]uint8",
        Leaf::Quantity => "resource.Quantity",
        Leaf::IntOrString => "intstr.IntOrString",
        Leaf::Time => "v1.Time",
        Leaf::MicroTime => "v1.MicroTime",
        Leaf::Duration => "v1.Duration",
        Leaf::Raw => "runtime.RawExtension",
        Leaf::FieldsV1 => "v1.FieldsV1",
        Leaf::Json => "v1.JSON",
        Leaf::SchemaOrBool => "v1.JSONSchemaPropsOrBool",
        Leaf::SchemaOrArray => "v1.JSONSchemaPropsOrArray",
        Leaf::SchemaOrStrings => "v1.JSONSchemaPropsOrStringArray",
    }
}
