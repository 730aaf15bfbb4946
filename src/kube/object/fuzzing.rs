//! The checks of what clients send: bodies in every format, and `Accept` and `Content-Type` headers.

use serde_json::Value;

use super::{
    Decoded, Expected, FieldValidation, Format, conform, decode, decode_value, encode_json,
    encode_yaml, meta, protobuf, splice, text, yaml,
};
use crate::kube::negotiate::{self, Answer, Offers};
use crate::kube::schema::{Schema, TypeId};

/// Kinds that have between them every shape and every leaf.
const KINDS: [(&str, &str, &str); 8] = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Pod"),
    ("", "v1", "Event"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "ControllerRevision"),
    ("authentication.k8s.io", "v1", "TokenReview"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("stable.example.com", "v1", "CronTab"),
];

/// Reads bytes behind the first as a body of the format and kind that the first says. What is taken is in Go form, and
/// the same in and out of every format.
pub fn kube_body(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let format = match choice % 3 {
        0 => Format::Json,
        1 => Format::Yaml,
        _ => Format::Protobuf,
    };
    let Some((group, version, kind)) = KINDS.get(usize::from(choice / 3) % KINDS.len()) else {
        return;
    };
    let expected = Expected::new(group, version, kind);
    let Ok(Decoded { value, .. }) = decode(body, format, &expected, FieldValidation::Warn) else {
        return;
    };
    let again = decode_value(&value, &expected, FieldValidation::Strict)
        .expect("what was taken is taken again");
    assert_eq!(again.value, value);
    match expected.id {
        Some(id) => round_trips(Schema::built_in(), id, &value),
        None => written(&value),
    }
}

/// An object in Go form is the same when it is written and read again.
pub(super) fn round_trips(schema: &Schema, id: TypeId, value: &Value) {
    let again = conform(schema, id, value).expect("Go form has the types of the fields");
    assert_eq!(
        (&again.value, again.strict.as_slice()),
        (value, [].as_slice())
    );
    assert_eq!(
        again.value.to_string(),
        value.to_string(),
        "in the same order"
    );

    let message = protobuf::encode_message(schema, id, value);
    let mut read =
        protobuf::decode_message(schema, id, &message).expect("what was written can be read");
    // Kind and version are in the envelope.
    let mut bare = value.clone();
    for object in [&mut read, &mut bare] {
        if let Value::Object(fields) = object {
            fields.shift_remove("kind");
            fields.shift_remove("apiVersion");
        }
        empty_to_none(object);
    }
    assert_eq!(read.to_string(), bare.to_string());
    written(value);
    spliced(value);
}

/// Protobuf does not tell an empty list from none.
fn empty_to_none(value: &mut Value) {
    match value {
        Value::Array(items) if items.is_empty() => *value = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(empty_to_none),
        Value::Object(fields) => fields.values_mut().for_each(empty_to_none),
        _ => {}
    }
}

fn written(value: &Value) {
    let json = encode_json(value, true);
    assert_eq!(text::parse(&json).expect("JSON").to_value(), *value);
    let read = yaml::parse(encode_yaml(value).as_bytes()).expect("YAML");
    assert_eq!(read.to_value(), *value);
}

/// Splicing does what changing the tree does.
fn spliced(value: &Value) {
    if !value.get("metadata").is_some_and(Value::is_object) {
        return;
    }
    let mut stored = value.clone();
    meta::strip_resource_version(&mut stored);
    let bytes = serde_json::to_vec(&stored).expect("JSON");
    let places = splice::Places::find(&bytes).expect("Go form");

    let mut versioned = stored;
    meta::set_resource_version(&mut versioned, u64::MAX);
    let mut out = Vec::new();
    places.write(&bytes, u64::MAX, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), versioned.to_string());

    out.clear();
    places.write_metadata(&bytes, u64::MAX, &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        versioned
            .get("metadata")
            .map(Value::to_string)
            .unwrap_or_default()
    );

    if let Value::Object(fields) = &mut versioned {
        fields.shift_remove("kind");
        fields.shift_remove("apiVersion");
    }
    out.clear();
    places.write_item(&bytes, u64::MAX, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), versioned.to_string());
}

/// Any bytes instead of stored ones: what this program could have stored has its version where it belongs.
pub fn kube_stored(data: &[u8]) {
    let Some(places) = splice::Places::find(data) else {
        return;
    };
    let mut out = Vec::new();
    places.write_item(data, 1, &mut out);
    places.write_metadata(data, 1, &mut out);
    out.clear();
    places.write(data, 1, &mut out);
    let Ok(stored) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    // Fields that are there twice, and spaces, are never stored.
    if serde_json::to_vec(&stored).is_ok_and(|again| again == data) {
        let value: Value = serde_json::from_slice(&out).expect("still an object");
        assert_eq!(meta::resource_version(&value), "1");
    }
}

/// Headers: whatever is accepted can be served, and is understood again as it was.
pub fn kube_accept(data: &[u8]) {
    let Ok(header) = std::str::from_utf8(data) else {
        return;
    };
    for offers in [Offers::BUILT_IN, Offers::CUSTOM, Offers::PLAIN] {
        for answer in [Answer::Object, Answer::List, Answer::Watch] {
            let Ok(accepted) = negotiate::accept(Some(header), answer, offers) else {
                continue;
            };
            let table = accepted
                .form
                .is_some_and(|(form, _)| form == negotiate::Form::Table);
            assert!(!(table && accepted.format == Format::Protobuf));
            assert!(!(answer == Answer::Watch && accepted.format == Format::Yaml));
            assert!(offers.transforms || accepted.form.is_none());
            assert!(
                offers.protobuf || accepted.form.is_some() || accepted.format != Format::Protobuf
            );
        }
    }
    negotiate::accept_error(Some(header));
    if let Some(media) = negotiate::media_type(header) {
        assert_eq!(negotiate::media_type(&media), Some(media));
    }
}
