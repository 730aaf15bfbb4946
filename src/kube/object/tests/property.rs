//! Objects made of the tables: any value in any field.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::fuzzing::{kube_accept, kube_body, kube_stored, round_trips};
use super::super::{conform, encode_json, quantity};
use crate::kube::schema::{Leaf, Schema, Shape, TypeId};

/// Decisions, one for each byte; nought when there are no more.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn of<'b>(&mut self, options: &'b [&'b str]) -> &'b str {
        options[usize::from(self.next()) % options.len()]
    }

    fn object(&mut self, schema: &Schema, id: TypeId, depth: usize) -> Value {
        let of = schema.get(id);
        let mut object = Map::new();
        let count = usize::from(self.next()) % 12;
        for _ in 0..count {
            let at = usize::from(self.next()) % of.flat.len().max(1);
            let Some(field) = of.flat.get(at) else {
                break;
            };
            // Protobuf has no kinds but in the envelope.
            if field.number.is_none() {
                continue;
            }
            object.insert(
                field.json.to_string(),
                self.value(schema, id, &field.shape, depth),
            );
        }
        object.into()
    }

    fn value(&mut self, schema: &Schema, of: TypeId, shape: &Shape, depth: usize) -> Value {
        if depth == 0 || self.next() % 16 == 15 {
            return Value::Null;
        }
        let depth = depth - 1;
        match shape {
            Shape::Leaf(kind) => self.leaf(schema, of, *kind, depth),
            Shape::Object(id) => self.object(schema, *id, depth),
            Shape::List(inner) | Shape::Items(inner) => {
                let count = self.next() % 4;
                (0..count)
                    .map(|_| self.value(schema, of, inner, depth))
                    .collect()
            }
            Shape::Map(inner) => {
                let count = self.next() % 4;
                let entries = (0..count).map(|_| {
                    let key = self
                        .of(&["a", "b", "é", "", "with space", "10", "9", "yes"])
                        .to_owned();
                    (key, self.value(schema, of, inner, depth))
                });
                Value::Object(entries.collect())
            }
        }
    }

    fn leaf(&mut self, schema: &Schema, of: TypeId, kind: Leaf, depth: usize) -> Value {
        match kind {
            Leaf::Bool => (self.next() % 2 == 0).into(),
            Leaf::Int32 => [0, 1, -1, i32::MAX, i32::MIN, 420][usize::from(self.next()) % 6].into(),
            Leaf::Int64 => {
                [0, 1, -1, i64::MAX, i64::MIN, 1 << 40][usize::from(self.next()) % 6].into()
            }
            Leaf::Double => [json!(0), json!(1.5), json!(-3), json!(1e30), json!(1e-9)]
                [usize::from(self.next()) % 5]
                .clone(),
            Leaf::String => self
                .of(&[
                    "",
                    "a",
                    "yes",
                    "1.5",
                    "é<&>\u{1f600}",
                    "a: b #c",
                    "multi\nline\n",
                    "tab\t",
                    "null",
                    " x ",
                    "2020-01-01",
                    "\\\"'",
                ])
                .into(),
            Leaf::Bytes => self.of(&["", "eA==", "/+8=", "AAECAw=="]).into(),
            Leaf::Quantity => self
                .of(&[
                    "0",
                    "100m",
                    "1Gi",
                    "1.5",
                    "-2k",
                    "1e3",
                    "12345678901234567890",
                    "0.1Ki",
                ])
                .into(),
            Leaf::IntOrString => [json!(80), json!("http"), json!("50%"), json!(-1)]
                [usize::from(self.next()) % 4]
                .clone(),
            Leaf::Time => self
                .of(&[
                    "2026-11-21T22:00:00Z",
                    "1969-12-31T23:59:59.5+02:00",
                    "0001-01-01T00:00:00Z",
                    "9999-12-31T23:59:59Z",
                ])
                .into(),
            Leaf::MicroTime => self
                .of(&[
                    "2026-11-21T22:00:00.123456Z",
                    "1969-12-31T23:59:59.000001-00:30",
                ])
                .into(),
            Leaf::Duration => self.of(&["0s", "1h30m", "1.5s", "-1us", "100ns"]).into(),
            Leaf::Raw | Leaf::FieldsV1 | Leaf::Json => [
                json!({"b": 1, "a": [null, 1.5, "x"]}),
                json!("x"),
                json!([]),
                json!(true),
            ][usize::from(self.next()) % 4]
                .clone(),
            Leaf::SchemaOrBool if self.next() % 2 == 0 => true.into(),
            Leaf::SchemaOrArray if self.next() % 2 == 0 => (0..self.next() % 3)
                .map(|_| self.object(schema, of, depth))
                .collect(),
            Leaf::SchemaOrStrings if self.next() % 2 == 0 => json!(["a", "b"]),
            Leaf::SchemaOrBool | Leaf::SchemaOrArray | Leaf::SchemaOrStrings => {
                self.object(schema, of, depth)
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_object_is_the_same_in_every_form(which: u16, bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let schema = Schema::built_in();
        let types: Vec<_> = schema.iter().filter(|(_, of)| !of.flat.is_empty()).collect();
        let (id, of) = types[usize::from(which) % types.len()];
        let value = Choices(&bytes).object(schema, id, 12);
        let conformed = conform(schema, id, &value).unwrap_or_else(|error| panic!("{}: {error}: {value}", of.name));
        prop_assert_eq!(&conformed.strict, &Vec::<String>::new());
        round_trips(schema, id, &conformed.value);
    }

    #[test]
    fn bodies_of_any_bytes_are_refused_or_read(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        kube_body(&data);
        kube_stored(&data);
    }

    #[test]
    fn damaged_bodies_are_refused_or_read(choice in 0u8..24, at: usize, byte: u8, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let schema = Schema::built_in();
        let id = schema.kind("apps", "v1", "Deployment").unwrap();
        let value = Choices(&bytes).object(schema, id, 12);
        let value = conform(schema, id, &value).unwrap().value;
        let mut body = match choice % 3 {
            0 => encode_json(&value, false),
            1 => super::super::encode_yaml(&value).into_bytes(),
            _ => super::super::protobuf::encode_as(schema, id, "apps/v1", "Deployment", &value),
        };
        let place = at % body.len();
        body[place] = byte;
        body.insert(0, 9 + choice % 3);
        kube_body(&body);
    }

    #[test]
    fn headers_are_refused_or_understood(header in "(application/(json|yaml|vnd.kubernetes.protobuf|\\*)|\\*/\\*|;|,|q=|0\\.5|as=Table|g=meta.k8s.io|v=v1|stream=watch| |=|/){0,12}") {
        kube_accept(header.as_bytes());
    }

    #[test]
    fn quantities_stay_what_they_are(text in "[+-]?[0-9]{0,22}(\\.[0-9]{0,12})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[+-]?[0-9]{1,2})?") {
        if let Ok(canonical) = quantity::canonical(&text) {
            let canonical = canonical.into_owned();
            let again = quantity::canonical(&canonical).unwrap().into_owned();
            let (first, second) = (quantity::Quantity::parse(&canonical).unwrap(), quantity::Quantity::parse(&again).unwrap());
            prop_assert_eq!(first.compare(&second), std::cmp::Ordering::Equal);
            prop_assert_eq!(again, canonical);
        }
    }
}
