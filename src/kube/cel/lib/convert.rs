//! Conversions between types.

use super::{Answer, Builtin};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::print;
use crate::kube::cel::time::Time;
use crate::kube::cel::value::Value;
use crate::kube::object::duration;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "int" => to_int,
        "uint" => to_uint,
        "double" => to_double,
        "string" => to_string,
        "bytes" => to_bytes,
        "bool" => to_bool,
        "duration" => to_duration,
        "timestamp" => to_timestamp,
        "dyn" => |args| match args {
            [value] => Ok(value.clone()),
            _ => Err(Fault::overload()),
        },
        "type" => |args| match args {
            [value] => Ok(Value::Type(value.type_of())),
            _ => Err(Fault::overload()),
        },
        _ => return None,
    })
}

/// Whether a call is made once, when the expression is compiled, if its argument is constant.
pub(in crate::kube::cel) fn is_conversion(name: &str) -> bool {
    find(name).is_some()
}

fn wrong(from: &str, to: &str) -> Fault {
    Fault::new(format!("type conversion error from '{from}' to '{to}'"))
}

fn range(name: &'static str) -> Fault {
    Fault::new(name)
}

const INT: &str = "integer overflow";
const UINT: &str = "unsigned integer overflow";

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the range is checked before"
)]
fn to_int<'a>(args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(match args {
        [Value::Int(int)] => *int,
        [Value::Uint(uint)] => i64::try_from(*uint).map_err(|_| range(INT))?,
        [Value::Double(double)] => {
            let fits = *double > i64::MIN as f64 && *double < i64::MAX as f64;
            if !fits {
                return Err(range(INT));
            }
            *double as i64
        }
        [Value::String(text)] => go_int(text).ok_or_else(|| wrong("string", "int"))?,
        [Value::Duration(nanos)] => *nanos,
        [Value::Timestamp(time)] => time.seconds,
        _ => return Err(Fault::overload()),
    }))
}

/// As `strconv.ParseInt` with base 10.
fn go_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the range is checked before"
)]
fn to_uint<'a>(args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Uint(match args {
        [Value::Uint(uint)] => *uint,
        [Value::Int(int)] => u64::try_from(*int).map_err(|_| range(UINT))?,
        [Value::Double(double)] => {
            if !(*double >= 0.0 && *double < u64::MAX as f64) {
                return Err(range(UINT));
            }
            *double as u64
        }
        [Value::String(text)] => {
            let digits = Some(&**text).filter(|text| !text.starts_with('+'));
            let parsed = digits.and_then(|text| text.parse().ok());
            parsed.ok_or_else(|| wrong("string", "uint"))?
        }
        _ => return Err(Fault::overload()),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
fn to_double<'a>(args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Double(match args {
        [Value::Double(double)] => *double,
        [Value::Int(int)] => *int as f64,
        [Value::Uint(uint)] => *uint as f64,
        [Value::String(text)] => go_double(text).ok_or_else(|| wrong("string", "double"))?,
        _ => return Err(Fault::overload()),
    }))
}

/// As `strconv.ParseFloat`; hexadecimal floats and underscores are not read.
fn go_double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let named = text
        .bytes()
        .any(|byte| matches!(byte, b'i' | b'I' | b'n' | b'N'));
    (value.is_finite() || named).then_some(value)
}

fn to_string<'a>(args: &[Value<'a>]) -> Answer<'a> {
    Ok(match args {
        [Value::String(text)] => Value::String(text.clone()),
        [Value::Int(int)] => Value::text(int.to_string()),
        [Value::Uint(uint)] => Value::text(uint.to_string()),
        [Value::Double(double)] => Value::text(print::double_g(*double)),
        [Value::Bool(yes)] => Value::text(yes.to_string()),
        [Value::Bytes(bytes)] => match std::str::from_utf8(bytes) {
            Ok(text) => Value::text(text),
            Err(_) => {
                return Err(Fault::new(
                    "invalid UTF-8 in bytes, cannot convert to string",
                ));
            }
        },
        [Value::Duration(nanos)] => Value::text(print::seconds(*nanos)),
        [Value::Timestamp(time)] => Value::text(time.to_string()),
        [Value::Ip(ip)] => Value::text(ip.to_string()),
        [Value::Cidr(cidr)] => Value::text(cidr.to_string()),
        [Value::Type(of)] => Value::text(of.name()),
        _ => return Err(Fault::overload()),
    })
}

fn to_bytes<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Bytes(bytes)] => Ok(Value::Bytes(bytes.clone())),
        [Value::String(text)] => Ok(Value::Bytes(text.as_bytes().into())),
        _ => Err(Fault::overload()),
    }
}

fn to_bool<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Bool(yes)] => Ok(Value::Bool(*yes)),
        [Value::String(text)] => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(wrong("string", "bool")),
        },
        _ => Err(Fault::overload()),
    }
}

fn to_duration<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Duration(nanos)] => Ok(Value::Duration(*nanos)),
        [Value::Int(_)] => Err(wrong("int", "google.protobuf.Duration")),
        [Value::String(text)] => duration::parse(text)
            .map(Value::Duration)
            .map_err(|_| wrong("string", "google.protobuf.Duration")),
        _ => Err(Fault::overload()),
    }
}

fn to_timestamp<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let time = match args {
        [Value::Timestamp(time)] => Ok(*time),
        [Value::Int(seconds)] => Time::at(*seconds, 0),
        [Value::String(text)] => match Time::parse(text) {
            Some(time) => time,
            None => return Err(wrong("string", "google.protobuf.Timestamp")),
        },
        _ => return Err(Fault::overload()),
    };
    time.map(Value::Timestamp).map_err(Fault::new)
}
