//! What the release's own code made of the same.

use serde_json::Value;

use super::super::{Expected, FieldValidation, Format, decode, protobuf};
use crate::kube::schema::{Schema, TypeId};

fn kind(line: &str) -> Expected {
    let (version, kind) = line.split_once(' ').unwrap();
    let (group, version) = version.rsplit_once('/').unwrap();
    let expected = Expected::new(group, version, kind);
    assert!(expected.id.is_some(), "{line}");
    expected
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex
        .chars()
        .map(|digit| digit.to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn protobuf_is_what_gogo_writes() {
    let schema = Schema::built_in();
    let all: Vec<_> = lines(include_str!("../golden/protobuf.txt")).collect();
    assert!(all.len() > 90);
    for object in all.chunks(3) {
        let [line, json, hex] = object else {
            panic!("three lines each: {object:?}");
        };
        let id: TypeId = kind(line).id.unwrap();
        let value: Value = serde_json::from_str(json).unwrap();
        let body = bytes(hex);
        assert_eq!(protobuf::encode(schema, id, &value), body, "{line}");
        let unknown = protobuf::open(&body).unwrap();
        let decoded = decode(&body, Format::Protobuf, &kind(line), FieldValidation::Warn).unwrap();
        assert_eq!(decoded.value.to_string(), value.to_string(), "{line}");
        assert_eq!(decoded.value["kind"], unknown.kind);
    }
}

#[test]
fn careless_input_is_decoded_as_go_does() {
    let mut all = lines(include_str!("../golden/conform.txt")).peekable();
    let mut count = 0;
    while let Some(line) = all.next() {
        let expected = kind(line);
        let input = all.next().unwrap();
        let wanted = all.next().unwrap();
        let mut strict = Vec::new();
        while let Some(error) = all.next_if(|line| line.starts_with('~')) {
            strict.push(&error[1..]);
        }
        match decode(
            input.as_bytes(),
            Format::Json,
            &expected,
            FieldValidation::Warn,
        ) {
            Ok(decoded) => {
                assert_eq!(format!("={}", decoded.value), wanted, "{line}");
                assert_eq!(decoded.warnings, strict, "{line}");
            }
            Err(error) => {
                assert!(
                    error.message.ends_with(&format!(": {}", &wanted[1..])),
                    "{line}: {}",
                    error.message
                );
                assert!(wanted.starts_with('!'), "{line}: {}", error.message);
            }
        }
        count += 1;
    }
    assert!(count > 40);
}
