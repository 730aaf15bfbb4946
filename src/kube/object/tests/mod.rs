//! Bodies against what the release answers to them.

use serde_json::{Value, json};

mod golden;
mod property;

use super::*;
use crate::kube::schema::Schema;

fn read(
    body: &str,
    group: &str,
    version: &str,
    kind: &str,
    validation: FieldValidation,
) -> Result<Decoded, String> {
    let expected = Expected::new(group, version, kind);
    decode(body.as_bytes(), Format::Json, &expected, validation).map_err(|error| error.message)
}

fn core(body: &str, kind: &str) -> Result<Value, String> {
    read(body, "", "v1", kind, FieldValidation::Strict).map(|decoded| decoded.value)
}

fn refused(body: &str, kind: &str) -> String {
    core(body, kind).unwrap_err()
}

#[test]
fn objects_come_back_in_the_order_of_the_struct_with_what_it_always_has() {
    let body = r#"{"spec":{"template":{"spec":{"containers":[{"image":"i","name":"c"}]},"metadata":{"creationTimestamp":null}},
        "selector":{"matchLabels":{"b":"1","a":"2"}}},"metadata":{"name":"web","creationTimestamp":null}}"#;
    let decoded = read(body, "apps", "v1", "Deployment", FieldValidation::Strict).unwrap();
    assert_eq!(
        decoded.value.to_string(),
        r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"a":"2","b":"1"}},"template":{"metadata":{},"spec":{"containers":[{"name":"c","image":"i","resources":{}}]}},"strategy":{}},"status":{}}"#
    );
}

#[test]
fn strict_errors_name_the_whole_path_in_the_order_of_the_document() {
    let body = r#"{"foo":1,"spec":{"containers":[{"name":"a","bar":{"x":1,"x":2}}],"containers":[],"nodeSelector":{"a":"1","a":"2"}}}"#;
    assert_eq!(
        refused(body, "Pod"),
        r#"Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "foo", unknown field "spec.containers[0].bar", duplicate field "spec.containers", duplicate field "spec.nodeSelector.a""#
    );
    let warned = read(body, "", "v1", "Pod", FieldValidation::Warn).unwrap();
    assert_eq!(warned.warnings.len(), 4);
    let ignored = read(body, "", "v1", "Pod", FieldValidation::Ignore).unwrap();
    assert_eq!((ignored.warnings.len(), ignored.value), (0, warned.value));
}

#[test]
fn bad_text_is_told_as_go_tells_it() {
    for (body, error) in [
        (
            "{bad",
            "invalid character 'b' looking for beginning of object key string ({bad)",
        ),
        ("", "unexpected end of JSON input (<empty>)"),
        (
            "{\"a\":1,}",
            "invalid character '}' looking for beginning of object key string ({\"a\":1,})",
        ),
        (
            "[1 2]",
            "invalid character '2' after array element (5b3120325d)",
        ),
        (
            "{\"a\":tru}",
            "invalid character '}' in literal true (expecting 'e') ({\"a\":tru})",
        ),
        (
            "{\"a\":01}",
            "invalid character '1' after object key:value pair ({\"a\":01})",
        ),
        ("{} x", "invalid character 'x' after top-level value ({} x)"),
        (
            "{\"a\":\"\n\"}",
            "invalid character '\\n' in string literal ({\"a\":\"\n\"})",
        ),
        (
            "[1]",
            "json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (5b315d)",
        ),
        (
            "{\"kind\":1}",
            "json: cannot unmarshal number into Go struct field .kind of type string ({\"kind\":1})",
        ),
    ] {
        let before = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: ";
        assert_eq!(refused(body, "ConfigMap"), format!("{before}{error}"));
    }
}

#[test]
fn kinds_and_versions_are_checked() {
    let pod = r#"{"kind":"Pod","apiVersion":"v1"}"#;
    assert_eq!(
        refused(pod, "ConfigMap"),
        r#"Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion"#
    );
    assert_eq!(
        refused(r#"{"kind":"Foo","apiVersion":"v1"}"#, "ConfigMap"),
        r#"Foo in version "v1" cannot be handled as a ConfigMap: no kind "Foo" is registered for version "v1" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30""#
    );
    assert!(
        refused(r#"{"apiVersion":"a/b/c"}"#, "ConfigMap")
            .contains("unexpected GroupVersion string: a/b/c")
    );
    let wrong = read(
        r#"{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler"}"#,
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        FieldValidation::Warn,
    );
    assert_eq!(
        wrong.unwrap_err(),
        "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)"
    );
    // Neither is needed.
    assert_eq!(
        core("{}", "ConfigMap").unwrap(),
        json!({"kind":"ConfigMap","apiVersion":"v1","metadata":{}})
    );
}

#[test]
fn values_of_wrong_types_are_told_with_their_field() {
    for (body, error) in [
        (
            r#"{"spec":{"replicas":"1"}}"#,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"replicas":1.5}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"metadata":{"labels":{"a":1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            r#"{"spec":{"template":{"spec":{"containers":"x"}}}}"#,
            "json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            r#"{"spec":{"template":{"spec":{"volumes":[{"emptyDir":true}]}}}}"#,
            "json: cannot unmarshal bool into Go struct field Volume.spec.template.spec.volumes.VolumeSource.emptyDir of type v1.EmptyDirVolumeSource",
        ),
        (
            r#"{"metadata":{"creationTimestamp":"x"}}"#,
            "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"",
        ),
        (
            r#"{"metadata":{"creationTimestamp":1}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
    ] {
        let found = read(body, "apps", "v1", "Deployment", FieldValidation::Strict).unwrap_err();
        assert_eq!(
            found,
            format!("Deployment in version \"v1\" cannot be handled as a Deployment: {error}")
        );
    }
}

#[test]
fn quantities_are_canonical() {
    for (text, canonical) in [
        ("1000m", "1"),
        ("0.1", "100m"),
        ("1Gi", "1Gi"),
        ("1024Mi", "1Gi"),
        ("0", "0"),
        ("0Ki", "0"),
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("100000", "100k"),
        ("+5", "+5"),
        ("1.500", "1.500"),
        ("0.5Gi", "512Mi"),
        ("1.1Ki", "1126400m"),
        ("0.0000000001", "1n"),
        ("-1.5", "-1500m"),
        ("8Ki", "8Ki"),
        ("512Ki", "512Ki"),
        ("9223372036854775807", "9223372036854775807"),
        ("10Ei", "9223372036854775807"),
        ("123456789012345678901", "123456789012345678901"),
        ("1000E", "1"),
        ("12e4", "120e3"),
        ("2048", "2048"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1Ki", "1Ki"),
        ("1000000000n", "1"),
    ] {
        assert_eq!(quantity::canonical(text).unwrap(), canonical, "{text}");
    }
    for text in ["", "1x", "1.2.3", "Ki", "1 Gi", "1e", "a", "1KiB", "--1"] {
        assert!(quantity::canonical(text).is_err() || text == "Ki", "{text}");
    }
}

#[test]
fn yaml_is_resolved_as_go_yaml_does() {
    let body =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  b: \"yes\"\n  a: text\n";
    let expected = Expected::new("", "v1", "ConfigMap");
    let decoded = decode(
        body.as_bytes(),
        Format::Yaml,
        &expected,
        FieldValidation::Strict,
    )
    .unwrap();
    assert_eq!(
        decoded.value.to_string(),
        r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"a":"text","b":"yes"}}"#
    );
    let twice = "data:\n  a: u\n  b: v\n  a: w\nfoo: 1\n";
    let error = decode(
        twice.as_bytes(),
        Format::Yaml,
        &expected,
        FieldValidation::Strict,
    )
    .unwrap_err();
    assert_eq!(
        error.message,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 4: key \"a\" already set in map, unknown field \"foo\""
    );
    let error = decode(
        b"data:\n  a: yes\n",
        Format::Yaml,
        &expected,
        FieldValidation::Strict,
    )
    .unwrap_err();
    assert!(error.message.ends_with(
        "json: cannot unmarshal bool into Go struct field ConfigMap.data of type string"
    ));
}

#[test]
fn depth_is_bounded() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert!(refused(&deep, "ConfigMap").contains("exceeded max depth"));
    let yaml = decode(
        deep.as_bytes(),
        Format::Yaml,
        &Expected::new("", "v1", "ConfigMap"),
        FieldValidation::Warn,
    );
    assert!(yaml.is_err());
    let mut value = json!({});
    for _ in 0..500 {
        value = json!({ "a": value });
    }
    assert!(
        conform(
            Schema::built_in(),
            Schema::built_in().kind("", "v1", "Pod").unwrap(),
            &value
        )
        .is_err()
    );
}

#[test]
fn yaml_is_written_as_go_yaml_writes_it() {
    let value = json!({
        "b": {"z": [], "list": ["x", ["y", {"k": null}]], "empty": {}},
        "a10": "yes", "a2": "multi\nline\n", "A": "multi\n\n", "t": "2020-01-01T00:00:00Z",
        "s": "it's: so", "u": "tab\there", "long": "word ".repeat(20), "n": 1.5, "m": 1e21,
    });
    assert_eq!(
        encode_yaml(&value),
        r#"A: |+
  multi

a2: |
  multi
  line
a10: "yes"
b:
  empty: {}
  list:
  - x
  - - "y"
    - k: null
  z: []
long: 'word word word word word word word word word word word word word word word
  word word word word word '
m: 1e+21
"n": 1.5
s: 'it''s: so'
t: "2020-01-01T00:00:00Z"
u: "tab\there"
"#
    );
}
