//! Leaves that are messages: strings, integers and JSON in them.

use serde_json::Value;

use super::decode::Place;
use super::wire::{BYTES, Reader, VARINT, WireError};
use crate::kube::object::text;
use crate::kube::object::time::Moment;
use crate::kube::schema::Leaf;

/// Go's strings hold any bytes; JSON shows what is no UTF-8 as replacement characters.
pub(super) fn string(bytes: &[u8]) -> String {
    text::replaced(bytes).into_owned()
}

/// Field 1 of a message that has one string.
pub(super) fn one_string(place: Place<'_>, bytes: &[u8]) -> Result<String, WireError> {
    let mut reader = Reader::new(bytes);
    let mut found = String::new();
    while !reader.is_empty() {
        match reader.tag(place.name)? {
            (1, BYTES) => found = string(reader.bytes()?),
            (1, wire) => return Err(place.wrong(wire)),
            (_, wire) => reader.skip(wire)?,
        }
    }
    Ok(found)
}

/// Fields 1 and 2 of a message of integers.
pub(super) fn ints(place: Place<'_>, bytes: &[u8]) -> Result<[i64; 2], WireError> {
    let mut reader = Reader::new(bytes);
    let mut found = [0; 2];
    let [first, second] = &mut found;
    while !reader.is_empty() {
        match reader.tag(place.name)? {
            (1, VARINT) => *first = reader.varint()?.cast_signed(),
            (2, VARINT) => *second = reader.varint()?.cast_signed(),
            (1 | 2, wire) => return Err(place.wrong(wire)),
            (_, wire) => reader.skip(wire)?,
        }
    }
    Ok(found)
}

pub(super) fn int_or_string(place: Place<'_>, bytes: &[u8]) -> Result<Value, WireError> {
    let mut reader = Reader::new(bytes);
    let (mut kind, mut int, mut text) = (0, 0, String::new());
    while !reader.is_empty() {
        match reader.tag(place.name)? {
            (1, VARINT) => kind = reader.varint()?,
            (2, VARINT) => int = (reader.varint()? as u32).cast_signed(),
            (3, BYTES) => text = string(reader.bytes()?),
            (1..=3, wire) => return Err(place.wrong(wire)),
            (_, wire) => reader.skip(wire)?,
        }
    }
    match kind {
        0 => Ok(int.into()),
        1 => Ok(text.into()),
        _ => Err(WireError::Leaf("impossible IntOrString.Type".into())),
    }
}

/// Years that have four digits: others are nothing that JSON could be read back with.
const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

pub(super) fn time(place: Place<'_>, kind: Leaf, bytes: &[u8]) -> Result<Value, WireError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let [seconds, nanos] = ints(place, bytes)?;
    if !YEARS.contains(&seconds) {
        return Err(WireError::Leaf(
            "Time.MarshalJSON: year outside of range [0,9999]".into(),
        ));
    }
    let nanos = u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)
        .unwrap_or(0);
    let moment = match kind {
        Leaf::MicroTime => Moment {
            seconds,
            nanos: nanos / 1000 * 1000,
        },
        _ => Moment { seconds, nanos: 0 },
    };
    Ok(match kind {
        _ if moment.is_zero() => Value::Null,
        Leaf::MicroTime => moment.rfc3339_micro().into(),
        _ => moment.rfc3339().into(),
    })
}

/// JSON in a message: it must be some.
pub(super) fn raw(place: Place<'_>, bytes: &[u8]) -> Result<Value, WireError> {
    let mut reader = Reader::new(bytes);
    let mut found = Value::Null;
    while !reader.is_empty() {
        match reader.tag(place.name)? {
            (1, BYTES) => {
                let json = reader.bytes()?;
                if !json.is_empty() {
                    found = text::parse(json).map_err(WireError::Leaf)?.to_value();
                }
            }
            (1, wire) => return Err(place.wrong(wire)),
            (_, wire) => reader.skip(wire)?,
        }
    }
    Ok(found)
}
