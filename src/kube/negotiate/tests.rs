//! Headers against what the release answers to them.

use super::*;

fn chosen(header: &str, answer: Answer) -> String {
    match accept(Some(header), answer, Offers::BUILT_IN) {
        Err(error) => error.message,
        Ok(accepted) => match accepted.form {
            None => format!("{:?}", accepted.format),
            Some((form, version)) => format!("{:?} {form:?} {version:?}", accepted.format),
        },
    }
}

#[test]
fn the_best_clause_that_can_be_served_wins() {
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    for (header, wanted) in [
        ("", "Json"),
        ("*/*", "Json"),
        ("application/yaml", "Yaml"),
        ("application/json;q=0.5,application/yaml", "Yaml"),
        ("application/json,application/yaml", "Json"),
        (
            "application/yaml;q=0.1,application/vnd.kubernetes.protobuf;q=0.2",
            "Protobuf",
        ),
        ("application/xml,*/*;q=0.1", "Json"),
        ("application/json;q=0", "Json"),
        ("application/json;q=abc,application/yaml", "Yaml"),
        ("application/cbor,application/json", "Json"),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Json",
        ),
        (
            "application/json ; as=Table; v=v1; g=meta.k8s.io",
            "Json Table V1",
        ),
        (
            "application/yaml;as=Table;v=v1beta1;g=meta.k8s.io",
            "Yaml Table V1Beta1",
        ),
        ("application/json;sv=v1", "Json"),
    ] {
        assert_eq!(chosen(header, Answer::List), wanted, "{header}");
    }
    let table = ";as=Table;v=v1;g=meta.k8s.io";
    let both = format!("{PROTOBUF}{table},application/json{table}");
    assert_eq!(chosen(&both, Answer::List), "Json Table V1");
    let metadata = format!("{PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
    let custom = accept(Some(&metadata), Answer::List, Offers::CUSTOM).unwrap();
    assert_eq!(custom.format, Format::Protobuf);
    let custom = accept(
        Some(&format!("{PROTOBUF},application/json")),
        Answer::List,
        Offers::CUSTOM,
    );
    assert_eq!(custom.unwrap().format, Format::Json);
}

#[test]
fn what_cannot_be_served_is_refused_by_the_router_or_the_handler() {
    let router = format!("406: Not Acceptable\n\nAvailable representations: {MEDIA}");
    for header in [
        "*",
        "application/*",
        "text/html",
        "APPLICATION/JSON",
        "application/json/x",
        ",,",
        ";",
    ] {
        assert_eq!(chosen(header, Answer::Object), router, "{header}");
        assert_eq!(
            chosen(header, Answer::Watch),
            format!("{router}, {STREAMS}"),
            "{header}"
        );
    }
    let handler = format!("only the following media types are accepted: {MEDIA}");
    for header in [
        "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v2;g=meta.k8s.io",
        "application/json;as=Foo;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v1;g=x",
        "application/json;stream=foo",
        "application/yaml;stream=watch",
        "application/json;sv=v2",
    ] {
        assert_eq!(chosen(header, Answer::List), handler, "{header}");
    }
    let streams = format!("only the following media types are accepted: {STREAMS}");
    assert_eq!(chosen("application/yaml", Answer::Watch), streams);
    assert!(accept_error(Some("application/json;as=Table;v=v1;g=meta.k8s.io")).is_none());
    assert_eq!(
        accept_error(Some("application/yaml")).unwrap().format,
        Format::Yaml
    );
}

#[test]
fn bodies_are_known_by_their_type() {
    for (header, format) in [
        ("application/json", Format::Json),
        ("application/json; charset=utf-8", Format::Json),
        ("APPLICATION/JSON", Format::Json),
        ("application/json;", Format::Json),
        ("application/json;a=b;a=b", Format::Json),
        ("application/json; a=\"b\"", Format::Json),
        ("application/yaml", Format::Yaml),
        ("application/vnd.kubernetes.protobuf", Format::Protobuf),
    ] {
        assert_eq!(body_format(Some(header)).unwrap(), format, "{header}");
    }
    assert_eq!(body_format(None).unwrap(), Format::Json);
    for header in [
        "text/plain",
        "json",
        "application/",
        "application/json; a",
        "*/*",
        "application/json, application/yaml",
        "application/json;a=b;a=c",
    ] {
        assert_eq!(body_format(Some(header)).unwrap_err().code, 415, "{header}");
    }
}
