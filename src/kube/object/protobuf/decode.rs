//! From protobuf to Go form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::super::conform::{written, zero, zero_object};
use super::super::leaf::float;
use super::super::node::{MAX_DEPTH, sorted};
use super::super::time::Moment;
use super::super::{duration, quantity, text};
use super::wire::{BYTES, FIXED64, Reader, VARINT, WireError};
use crate::kube::schema::{Leaf, Schema, Shape, TypeId};

/// Reads the message of a type. Fields that the type does not have are skipped.
pub(super) fn message(schema: &Schema, id: TypeId, bytes: &[u8]) -> Result<Value, WireError> {
    Decoder { schema }.object(id, bytes, MAX_DEPTH)
}

struct Decoder<'s> {
    schema: &'s Schema,
}

/// A place for values: the type that has the field, its name for errors, and what stands in it.
#[derive(Clone, Copy)]
struct Place<'s> {
    of: TypeId,
    name: &'s str,
    shape: &'s Shape,
    depth: usize,
}

impl Place<'_> {
    fn wrong(self, wire: u64) -> WireError {
        WireError::WrongType {
            wire,
            field: self.name.to_owned(),
        }
    }

    fn expect(self, wire: u64, wanted: u64) -> Result<(), WireError> {
        if wire == wanted {
            Ok(())
        } else {
            Err(self.wrong(wire))
        }
    }
}

impl Decoder<'_> {
    fn object(&self, id: TypeId, bytes: &[u8], depth: usize) -> Result<Value, WireError> {
        let depth = depth.checked_sub(1).ok_or(WireError::Depth)?;
        let of = self.schema.get(id);
        let mut slots = vec![None; of.flat.len()];
        self.fields(id, bytes, &mut slots, depth)?;
        let mut object = Map::with_capacity(slots.iter().flatten().count() + 2);
        for (field, slot) in of.flat.iter().zip(slots) {
            let slot = match slot {
                Some(Value::Object(entries)) if matches!(field.shape, Shape::Map(_)) => {
                    Some(Value::Object(in_order(entries)))
                }
                other => other,
            };
            if let Some(value) = written(self.schema, of, field, slot) {
                object.insert(field.json.to_string(), value);
            }
        }
        Ok(object.into())
    }

    /// Fills the slots of a type's flat fields.
    fn fields(
        &self,
        id: TypeId,
        bytes: &[u8],
        slots: &mut [Option<Value>],
        depth: usize,
    ) -> Result<(), WireError> {
        let of = self.schema.get(id);
        let numbers = of.by_number();
        let mut reader = Reader::new(bytes);
        let mut next = 0;
        while !reader.is_empty() {
            let (number, wire) = reader.tag(of.short_name())?;
            // Fields come by number, and repeated ones follow each other.
            let near = (next..next + 2)
                .find(|at| numbers.get(*at).is_some_and(|one| one.number == number));
            let at = near.or_else(|| numbers.binary_search_by_key(&number, |one| one.number).ok());
            let found = at.and_then(|at| {
                let numbered = numbers.get(at)?;
                Some((at, numbered, of.fields.get(numbered.field)?))
            });
            let Some((at, numbered, field)) = found else {
                reader.skip(wire)?;
                continue;
            };
            next = at;
            let place = Place {
                of: id,
                name: &field.json,
                shape: &field.shape,
                depth,
            };
            if let (Shape::Object(inner), true) = (&field.shape, field.inline) {
                place.expect(wire, BYTES)?;
                let depth = depth.checked_sub(1).ok_or(WireError::Depth)?;
                let length = self.schema.get(*inner).flat.len();
                let slots = slots
                    .get_mut(numbered.flat..numbered.flat + length)
                    .unwrap_or_default();
                self.fields(*inner, reader.bytes()?, slots, depth)?;
            } else if let Some(slot) = slots.get_mut(numbered.flat) {
                self.field(place, wire, &mut reader, slot)?;
            }
        }
        Ok(())
    }

    fn field(
        &self,
        place: Place<'_>,
        wire: u64,
        reader: &mut Reader<'_>,
        slot: &mut Option<Value>,
    ) -> Result<(), WireError> {
        match place.shape {
            Shape::List(inner) => {
                let place = Place {
                    shape: inner,
                    ..place
                };
                let list = slot.get_or_insert_with(|| Value::Array(Vec::new()));
                let Value::Array(list) = list else {
                    return Ok(());
                };
                let packed = matches!(**inner, Shape::Leaf(Leaf::Bool | Leaf::Int32 | Leaf::Int64));
                if wire == BYTES && packed {
                    let mut numbers = Reader::new(reader.bytes()?);
                    while !numbers.is_empty() {
                        list.push(self.value(place, VARINT, &mut numbers)?);
                    }
                } else {
                    let value = self.value(place, wire, reader)?;
                    list.push(none_to_zero(self.schema, inner, value));
                }
            }
            Shape::Map(inner) => {
                place.expect(wire, BYTES)?;
                let (key, value) = self.entry(
                    Place {
                        shape: inner,
                        ..place
                    },
                    reader.bytes()?,
                )?;
                let map = slot.get_or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key, value);
                }
            }
            _ => {
                let value = self.value(place, wire, reader)?;
                *slot = (!value.is_null()).then_some(value);
            }
        }
        Ok(())
    }

    /// A key and its value.
    fn entry(&self, place: Place<'_>, bytes: &[u8]) -> Result<(String, Value), WireError> {
        let mut reader = Reader::new(bytes);
        let mut key = String::new();
        let mut value = None;
        while !reader.is_empty() {
            match reader.tag(place.name)? {
                (1, BYTES) => key = string(reader.bytes()?),
                (2, wire) => value = Some(self.value(place, wire, &mut reader)?),
                (1, wire) => return Err(place.wrong(wire)),
                (_, wire) => reader.skip(wire)?,
            }
        }
        let value = match (value, place.shape) {
            (None, Shape::Leaf(Leaf::Bytes)) => Value::String(String::new()),
            (value, shape) => none_to_zero(self.schema, shape, value.unwrap_or(Value::Null)),
        };
        Ok((key, value))
    }

    /// One value; null for what Go has as nothing.
    fn value(
        &self,
        place: Place<'_>,
        wire: u64,
        reader: &mut Reader<'_>,
    ) -> Result<Value, WireError> {
        match place.shape {
            Shape::Leaf(kind @ (Leaf::Bool | Leaf::Int32 | Leaf::Int64)) => {
                place.expect(wire, VARINT)?;
                let value = reader.varint()?;
                Ok(match kind {
                    Leaf::Bool => (value != 0).into(),
                    // Go keeps the lower half.
                    Leaf::Int32 => (value as u32).cast_signed().into(),
                    _ => value.cast_signed().into(),
                })
            }
            Shape::Leaf(Leaf::Double) => {
                place.expect(wire, FIXED64)?;
                Ok(float(f64::from_bits(reader.fixed64()?)).unwrap_or(Value::Null))
            }
            shape => {
                place.expect(wire, BYTES)?;
                let bytes = reader.bytes()?;
                match shape {
                    Shape::Object(id) => self.object(*id, bytes, place.depth),
                    Shape::Leaf(kind) => self.leaf(place, *kind, bytes),
                    Shape::Items(inner) => self.items(
                        Place {
                            shape: inner,
                            ..place
                        },
                        bytes,
                    ),
                    // No type has a list of lists or a map of maps.
                    Shape::List(_) | Shape::Map(_) => Ok(Value::Null),
                }
            }
        }
    }

    fn items(&self, place: Place<'_>, bytes: &[u8]) -> Result<Value, WireError> {
        let mut reader = Reader::new(bytes);
        let mut items = Vec::new();
        while !reader.is_empty() {
            match reader.tag(place.name)? {
                (1, wire) => items.push(self.value(place, wire, &mut reader)?),
                (_, wire) => reader.skip(wire)?,
            }
        }
        Ok(items.into())
    }

    fn leaf(&self, place: Place<'_>, kind: Leaf, bytes: &[u8]) -> Result<Value, WireError> {
        Ok(match kind {
            Leaf::String => Value::String(string(bytes)),
            Leaf::Bytes => Value::String(STANDARD.encode(bytes)),
            Leaf::Quantity => {
                let text = one_string(place, bytes)?;
                let canonical =
                    quantity::canonical(&text).map_err(|error| WireError::Leaf(error.into()))?;
                Value::String(canonical.into_owned())
            }
            Leaf::IntOrString => int_or_string(place, bytes)?,
            Leaf::Time | Leaf::MicroTime => time(place, kind, bytes)?,
            Leaf::Duration => {
                let [nanos, _] = ints(place, bytes)?;
                duration::written(nanos).into()
            }
            Leaf::Raw | Leaf::FieldsV1 | Leaf::Json => raw(place, bytes)?,
            Leaf::SchemaOrBool | Leaf::SchemaOrArray | Leaf::SchemaOrStrings => {
                self.schema_or(place, kind, bytes)?
            }
            Leaf::Bool | Leaf::Int32 | Leaf::Int64 | Leaf::Double => Value::Null,
        })
    }

    fn schema_or(&self, place: Place<'_>, kind: Leaf, bytes: &[u8]) -> Result<Value, WireError> {
        let depth = place.depth.checked_sub(1).ok_or(WireError::Depth)?;
        let mut reader = Reader::new(bytes);
        let mut allowed = false;
        let mut one = None;
        let mut many = Vec::new();
        while !reader.is_empty() {
            match (kind, reader.tag(place.name)?) {
                (Leaf::SchemaOrBool, (1, VARINT)) => allowed = reader.varint()? != 0,
                (Leaf::SchemaOrBool, (2, BYTES))
                | (Leaf::SchemaOrArray | Leaf::SchemaOrStrings, (1, BYTES)) => {
                    one = Some(self.object(place.of, reader.bytes()?, depth)?);
                }
                (Leaf::SchemaOrArray, (2, BYTES)) => {
                    many.push(self.object(place.of, reader.bytes()?, depth)?)
                }
                (_, (2, BYTES)) => many.push(Value::String(string(reader.bytes()?))),
                (_, (_, wire)) => reader.skip(wire)?,
            }
        }
        Ok(match (kind, one) {
            (Leaf::SchemaOrBool, None) => allowed.into(),
            (_, _) if !many.is_empty() => many.into(),
            (_, one) => one.unwrap_or(Value::Null),
        })
    }
}

fn none_to_zero(schema: &Schema, shape: &Shape, value: Value) -> Value {
    match (value, shape) {
        (Value::Null, Shape::Object(id)) => zero_object(schema, *id),
        (Value::Null, shape) => zero(schema, shape),
        (value, _) => value,
    }
}

fn in_order(entries: Map<String, Value>) -> Map<String, Value> {
    if entries.keys().is_sorted() {
        return entries;
    }
    sorted(entries.into_iter().collect())
}

/// Go's strings hold any bytes; JSON shows what is no UTF-8 as replacement characters.
fn string(bytes: &[u8]) -> String {
    text::replaced(bytes).into_owned()
}

/// Field 1 of a message that has one string.
fn one_string(place: Place<'_>, bytes: &[u8]) -> Result<String, WireError> {
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
fn ints(place: Place<'_>, bytes: &[u8]) -> Result<[i64; 2], WireError> {
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

fn int_or_string(place: Place<'_>, bytes: &[u8]) -> Result<Value, WireError> {
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

fn time(place: Place<'_>, kind: Leaf, bytes: &[u8]) -> Result<Value, WireError> {
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
fn raw(place: Place<'_>, bytes: &[u8]) -> Result<Value, WireError> {
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
