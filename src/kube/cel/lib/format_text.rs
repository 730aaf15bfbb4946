//! `text.format([values])`: `%s`, `%d`, `%f`, `%e`, `%b`, `%x`, `%X`, `%o`.

use crate::kube::cel::fault::Fault;
use crate::kube::cel::fuel;
use crate::kube::cel::print;
use crate::kube::cel::value::{List, Value};

/// A clause of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kube::cel) struct Clause {
    pub(in crate::kube::cel) verb: char,
    precision: Option<usize>,
}

/// A part of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Clause(Clause),
}

/// Doubles have as many decimals if nothing is said.
const PRECISION: usize = 6;
/// More decimals than any double has.
const MAX_PRECISION: usize = 1000;

type Pieces = Vec<Result<Piece, String>>;

/// The clauses of a format in their order, each as it is or what is wrong with it.
pub(in crate::kube::cel) fn clauses(format: &str) -> Vec<Result<Clause, String>> {
    let clauses = pieces(format).into_iter().filter_map(|piece| match piece {
        Ok(Piece::Text(_)) => None,
        Ok(Piece::Clause(clause)) => Some(Ok(clause)),
        Err(error) => Some(Err(error)),
    });
    clauses.collect()
}

/// Nothing follows a piece that is wrong.
fn pieces(format: &str) -> Pieces {
    let mut found = Vec::new();
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(one) = rest.next() {
        if one != '%' {
            text.push(one);
            continue;
        }
        if rest.as_str().starts_with('%') {
            rest.next();
            text.push('%');
            continue;
        }
        if !text.is_empty() {
            found.push(Ok(Piece::Text(std::mem::take(&mut text))));
        }
        let clause = clause(&mut rest);
        let failed = clause.is_err();
        found.push(clause.map(Piece::Clause));
        if failed {
            return found;
        }
    }
    if !text.is_empty() {
        found.push(Ok(Piece::Text(text)));
    }
    found
}

fn clause(rest: &mut std::str::Chars<'_>) -> Result<Clause, String> {
    const PREFIX: &str = "could not parse formatting clause: ";
    if rest.as_str().is_empty() {
        return Err("unexpected end of string".into());
    }
    let mut precision = None;
    if let Some(after) = rest.as_str().strip_prefix('.') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, after) = after.split_at_checked(digits).unwrap_or_default();
        if after.is_empty() {
            return Err(format!(
                "{PREFIX}error while parsing precision: could not find end of precision specifier"
            ));
        }
        let number: usize = digits.parse().map_err(|_| {
            format!(
                "{PREFIX}error while parsing precision: error while converting precision to integer: strconv.Atoi: \
                 parsing {digits:?}: invalid syntax"
            )
        })?;
        precision = Some(number.min(MAX_PRECISION));
        *rest = after.chars();
    }
    let verb = rest.next().unwrap_or_default();
    if !matches!(verb, 's' | 'd' | 'f' | 'e' | 'b' | 'x' | 'X' | 'o') {
        return Err(format!("{PREFIX}unrecognized formatting clause \"{verb}\""));
    }
    Ok(Clause { verb, precision })
}

impl Clause {
    /// What is wrong with a value of this type.
    pub(in crate::kube::cel) fn refusal(self, given: &str) -> String {
        let rule = match self.verb {
            's' => {
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, \
                 and timestamps"
            }
            'd' => "decimal clause can only be used on integers",
            'f' => "fixed-point clause can only be used on doubles",
            'e' => "scientific clause can only be used on doubles",
            'b' => "only integers and bools can be formatted as binary",
            'o' => "octal clause can only be used on integers",
            _ => "only integers, byte buffers, and strings can be formatted as hex",
        };
        format!("error during formatting: {rule}, was given {given}")
    }
}

pub(super) fn format(text: &str, values: &List<'_>) -> Result<String, Fault> {
    let mut out = String::new();
    let mut at = 0;
    for piece in pieces(text) {
        if !matches!(piece, Ok(Piece::Text(_))) && at >= values.len() {
            return Err(Fault::new(format!("index {at} out of range")));
        }
        match piece.map_err(Fault::new)? {
            Piece::Text(text) => out.push_str(&text),
            Piece::Clause(clause) => {
                if let Some(value) = values.get(at) {
                    out.push_str(&one(clause, &value?)?);
                    if out.len() > fuel::MAX_BYTES {
                        return Err(Fault::Cancelled);
                    }
                }
                at += 1;
            }
        }
    }
    Ok(out)
}

fn one(clause: Clause, value: &Value<'_>) -> Result<String, Fault> {
    let refused = || Fault::new(clause.refusal(value.type_name()));
    let precision = clause.precision.unwrap_or(PRECISION);
    match (clause.verb, value) {
        ('s', value) => shown(value).ok_or_else(refused),
        ('d', Value::Int(int)) => Ok(int.to_string()),
        ('d', Value::Uint(uint)) => Ok(uint.to_string()),
        ('f', value) => {
            let double = double(value).ok_or_else(refused)?;
            Ok(special(double).unwrap_or_else(|| grouped(&format!("{double:.precision$}"))))
        }
        ('e', value) => {
            let double = double(value).ok_or_else(refused)?;
            // What looks like a precision is a width in the release.
            let text = special(double).unwrap_or_else(|| scientific(double, PRECISION));
            Ok(format!("{text:>precision$}"))
        }
        ('b', Value::Int(int)) => Ok(signed(*int, |value| format!("{value:b}"))),
        ('b', Value::Uint(uint)) => Ok(format!("{uint:b}")),
        ('b', Value::Bool(yes)) => Ok(u8::from(*yes).to_string()),
        ('o', Value::Int(int)) => Ok(signed(*int, |value| format!("{value:o}"))),
        ('o', Value::Uint(uint)) => Ok(format!("{uint:o}")),
        ('x' | 'X', value) => {
            let hex = match value {
                Value::Int(int) => signed(*int, |value| format!("{value:x}")),
                Value::Uint(uint) => format!("{uint:x}"),
                Value::String(text) => bytes(text.as_bytes()),
                Value::Bytes(found) => bytes(found),
                _ => return Err(refused()),
            };
            Ok(if clause.verb == 'X' {
                hex.to_uppercase()
            } else {
                hex
            })
        }
        _ => Err(refused()),
    }
}

fn bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed(value: i64, digits: fn(u64) -> String) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", digits(value.unsigned_abs()))
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(double) => Some(*double),
        Value::String(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        return Some("NaN".into());
    }
    value
        .is_infinite()
        .then(|| if value > 0.0 { "\u{221e}" } else { "-\u{221e}" }.into())
}

/// English groups of three digits before the point.
fn grouped(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, rest) = match digits.split_once('.') {
        Some((whole, decimals)) => (whole, format!(".{decimals}")),
        None => (digits, String::new()),
    };
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &rest
}

/// English: `1.234568 \u{d7} 10\u{2070}\u{b3}`, with an exponent of two digits.
fn scientific(value: f64, precision: usize) -> String {
    const SUPER: [char; 10] = [
        '\u{2070}', '\u{b9}', '\u{b2}', '\u{b3}', '\u{2074}', '\u{2075}', '\u{2076}', '\u{2077}',
        '\u{2078}', '\u{2079}',
    ];
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ("\u{207b}", rest),
        None => ("", exponent),
    };
    let raised = format!("{exponent:0>2}");
    let raised: String = raised
        .chars()
        .filter_map(|c| SUPER.get(c.to_digit(10)? as usize))
        .collect();
    format!("{digits}\u{d7}10{sign}{raised}")
}

/// As `%s` shows it; None for what it cannot show.
fn shown(value: &Value<'_>) -> Option<String> {
    if !fuel::burn() {
        return None;
    }
    Some(match value {
        Value::List(list) => {
            let items: Option<Vec<String>> = list.iter().map(|item| member(&item.ok()?)).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Map(map) => {
            let entries = map.keys().into_iter().map(|key| {
                let value = map.find(&key).ok()??;
                matches!(
                    key,
                    Value::String(_) | Value::Bool(_) | Value::Int(_) | Value::Uint(_)
                )
                .then(|| Some((member(&key)?, member(&value)?)))?
            });
            let mut entries: Vec<(String, String)> = entries.collect::<Option<_>>()?;
            entries.sort();
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Null => "null".into(),
        Value::Double(double) => match special(*double) {
            Some(_) => print::double_g(*double),
            None => print::double_g(*double),
        },
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Duration(nanos) => print::seconds(*nanos),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::String(_)
        | Value::Timestamp(_) => value.shown(),
        Value::Type(of) => of.name().into(),
        _ => return None,
    })
}

/// Within a list or map, as an expression would say it.
fn member(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::String(text) => format!("{:?}", &**text),
        Value::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Value::Duration(nanos) => format!("duration(\"{}\")", print::seconds(*nanos)),
        Value::Timestamp(time) => format!("timestamp(\"{time}\")"),
        Value::Double(double) if double.is_finite() => format!("{double:.PRECISION$}"),
        Value::Double(double) => format!("{:?}", print::double_g(*double)),
        other => shown(other)?,
    })
}
