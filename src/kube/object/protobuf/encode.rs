//! From Go form to protobuf, as gogo writes it: fields by number, scalars even if they are zero, maps by key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::super::duration;
use super::super::time::Moment;
use super::wire::{FIXED64, put_bytes, put_int, put_message, put_tag};
use crate::kube::schema::{Field, Leaf, Schema, Shape, TypeId};

/// Appends the message of an object in Go form.
pub(super) fn message(schema: &Schema, id: TypeId, object: &Map<String, Value>, out: &mut Vec<u8>) {
    let of = schema.get(id);
    for numbered in of.by_number() {
        let Some(field) = of.fields.get(numbered.field) else {
            continue;
        };
        let writer = Writer {
            schema,
            of: id,
            number: numbered.number,
        };
        match &field.shape {
            Shape::Object(inner) if field.inline => {
                put_message(out, numbered.number, |out| {
                    message(schema, *inner, object, out)
                });
            }
            shape => match object.get(&*field.json).filter(|value| !value.is_null()) {
                Some(value) => writer.value(shape, value, out),
                None => writer.absent(field, out),
            },
        }
    }
}

/// Writes what stands under one number.
#[derive(Clone, Copy)]
struct Writer<'s> {
    schema: &'s Schema,
    /// The type that has the field.
    of: TypeId,
    number: u32,
}

static NO_FIELDS: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl Writer<'_> {
    fn value(self, shape: &Shape, value: &Value, out: &mut Vec<u8>) {
        match (shape, value) {
            (Shape::Object(id), value) => {
                let fields = value.as_object().unwrap_or(&NO_FIELDS);
                put_message(out, self.number, |out| {
                    message(self.schema, *id, fields, out)
                });
            }
            (Shape::List(inner), Value::Array(items)) => {
                for item in items {
                    self.value(inner, item, out);
                }
            }
            (Shape::Items(inner), Value::Array(items)) => {
                let inside = Self { number: 1, ..self };
                put_message(out, self.number, |out| {
                    for item in items {
                        inside.value(inner, item, out);
                    }
                });
            }
            (Shape::Items(_), _) => put_message(out, self.number, |_| {}),
            (Shape::Map(inner), Value::Object(entries)) => {
                let inside = Self { number: 2, ..self };
                for (key, value) in entries {
                    put_message(out, self.number, |out| {
                        put_bytes(out, 1, key.as_bytes());
                        inside.value(inner, value, out);
                    });
                }
            }
            (Shape::List(_) | Shape::Map(_), _) => {}
            (Shape::Leaf(kind), value) => self.leaf(*kind, value, out),
        }
    }

    /// Writes the zero value of a field, unless its absence says as much.
    fn absent(self, field: &Field, out: &mut Vec<u8>) {
        if field.nullable {
            return;
        }
        match &field.shape {
            Shape::Object(id) => put_message(out, self.number, |out| {
                message(self.schema, *id, &NO_FIELDS, out)
            }),
            Shape::Leaf(Leaf::Bytes) | Shape::List(_) | Shape::Map(_) | Shape::Items(_) => {}
            Shape::Leaf(Leaf::String) => put_bytes(out, self.number, b""),
            Shape::Leaf(kind) => self.leaf(*kind, &Value::Null, out),
        }
    }

    fn leaf(self, kind: Leaf, value: &Value, out: &mut Vec<u8>) {
        let number = self.number;
        match kind {
            Leaf::Bool => put_int(out, number, i64::from(value.as_bool().unwrap_or(false))),
            Leaf::Int32 | Leaf::Int64 => put_int(out, number, value.as_i64().unwrap_or(0)),
            Leaf::Double => {
                put_tag(out, number, FIXED64);
                out.extend(value.as_f64().unwrap_or(0.0).to_le_bytes());
            }
            Leaf::String => put_bytes(out, number, value.as_str().unwrap_or("").as_bytes()),
            Leaf::Bytes => {
                let text = value.as_str().unwrap_or("");
                put_bytes(out, number, &STANDARD.decode(text).unwrap_or_default());
            }
            Leaf::Quantity => put_message(out, number, |out| {
                put_bytes(out, 1, value.as_str().unwrap_or("0").as_bytes());
            }),
            Leaf::IntOrString => put_message(out, number, |out| {
                put_int(out, 1, i64::from(value.is_string()));
                put_int(out, 2, value.as_i64().unwrap_or(0));
                put_bytes(out, 3, value.as_str().unwrap_or("").as_bytes());
            }),
            Leaf::Time | Leaf::MicroTime => put_message(out, number, |out| time(kind, value, out)),
            Leaf::Duration => {
                let nanos = duration::parse(value.as_str().unwrap_or("0s")).unwrap_or(0);
                put_message(out, number, |out| put_int(out, 1, nanos));
            }
            Leaf::Raw | Leaf::FieldsV1 | Leaf::Json => put_message(out, number, |out| {
                if !value.is_null() {
                    // Raw JSON is text that was parsed: writing it does not fail.
                    put_bytes(out, 1, &serde_json::to_vec(value).unwrap_or_default());
                }
            }),
            Leaf::SchemaOrBool => put_message(out, number, |out| {
                put_int(
                    out,
                    1,
                    i64::from(value.as_bool().unwrap_or(value.is_object())),
                );
                self.schema_at(2, value, out);
            }),
            Leaf::SchemaOrArray => put_message(out, number, |out| {
                self.schema_at(1, value, out);
                for item in value.as_array().into_iter().flatten() {
                    self.schema_at(2, item, out);
                }
            }),
            Leaf::SchemaOrStrings => put_message(out, number, |out| {
                self.schema_at(1, value, out);
                for item in value.as_array().into_iter().flatten() {
                    put_bytes(out, 2, item.as_str().unwrap_or("").as_bytes());
                }
            }),
        }
    }

    fn schema_at(self, number: u32, value: &Value, out: &mut Vec<u8>) {
        if let Value::Object(fields) = value {
            put_message(out, number, |out| {
                message(self.schema, self.of, fields, out)
            });
        }
    }
}

fn time(kind: Leaf, value: &Value, out: &mut Vec<u8>) {
    let text = value.as_str().unwrap_or("");
    let moment = match kind {
        Leaf::MicroTime => Moment::parse_micro(text),
        _ => Moment::parse(text),
    };
    // The zero time is an empty message.
    if let Ok(moment) = moment {
        let nanos = if kind == Leaf::MicroTime {
            moment.nanos / 1000 * 1000
        } else {
            0
        };
        put_int(out, 1, moment.seconds);
        put_int(out, 2, i64::from(nanos));
    }
}
