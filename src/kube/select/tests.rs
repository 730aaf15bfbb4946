use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kube::schema::Resources;

fn refused(text: &str) -> String {
    LabelSelector::parse(text).unwrap_err()
}

fn holds(selector: &str, labels: &Value) -> bool {
    let object = json!({"metadata": {"labels": labels}});
    LabelSelector::parse(selector)
        .unwrap()
        .matches_object(&object)
}

fn fields(plural: &str) -> Fields {
    let groups = Resources::built_in().groups();
    let (group, plural) = plural.split_once('/').unwrap_or(("", plural));
    let mut all = groups.iter().flat_map(|one| &one.resources);
    let resource = all.find(|one| &*one.group == group && &*one.plural == plural);
    Fields::of(resource.unwrap())
}

fn selects(plural: &str, selector: &str, object: &Value) -> bool {
    FieldSelector::parse(selector, &fields(plural))
        .unwrap()
        .matches(object)
}

#[test]
fn label_selectors_have_the_whole_grammar() {
    for (selector, labels, expected) in [
        ("", json!({}), true),
        ("a", json!({"a": ""}), true),
        ("a", json!({}), false),
        ("!a", json!({}), true),
        ("! a", json!({"a": "b"}), false),
        ("a=b", json!({"a": "b"}), true),
        ("a==b", json!({"a": "c"}), false),
        ("a!=b", json!({}), true),
        ("a!=b", json!({"a": "b"}), false),
        ("a=", json!({"a": ""}), true),
        ("a=", json!({}), false),
        ("a!=", json!({"a": ""}), false),
        ("a=,b", json!({"a": "", "b": "x"}), true),
        ("a in (b,c)", json!({"a": "c"}), true),
        ("a in (b,)", json!({"a": ""}), true),
        ("a in (,b)", json!({"a": ""}), true),
        ("a in ()", json!({"a": ""}), true),
        ("a notin (b,c)", json!({}), true),
        ("a notin (b,c)", json!({"a": "b"}), false),
        ("a>5", json!({"a": "6"}), true),
        ("a>5", json!({"a": "5"}), false),
        ("a<5", json!({"a": "-7"}), true),
        ("a<5", json!({"a": "x"}), false),
        ("a<5", json!({}), false),
        ("in in (in,notin)", json!({"in": "notin"}), true),
        ("notin", json!({"notin": "1"}), true),
        ("in=in", json!({"in": "in"}), true),
        (" a = b , c ", json!({"a": "b", "c": "d"}), true),
        ("x.io/a-b_c=1", json!({"x.io/a-b_c": "1"}), true),
    ] {
        assert_eq!(
            holds(selector, &labels),
            expected,
            "{selector:?} of {labels}"
        );
    }
}

#[test]
fn label_selectors_are_refused_in_the_words_of_the_release() {
    let value = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
                 and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
                 validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    let key = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
               alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
               '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    for (selector, expected) in [
        ("!", "unable to parse requirement: found '', expected: identifier".to_owned()),
        ("=", "found '=', expected: !, identifier, or 'end of string'".into()),
        ("a,", "found '', expected: identifier after ','".into()),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt".into()),
        ("a=b c", "found 'c', expected: ',' or 'end of string'".into()),
        ("!a=b", "found '=', expected: ',' or 'end of string'".into()),
        ("a in b", "unable to parse requirement: found 'b' expected: '('".into()),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'".into()),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'".into()),
        ("a in (!)", "unable to parse requirement: found '!', expected: ',', ')' or identifier".into()),
        ("a=(", "unable to parse requirement: found '(', expected: identifier".into()),
        ("a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer".into()),
        ("a=-", format!("unable to parse requirement: values[0][a]: Invalid value: \"-\": {value}")),
        ("-", format!("unable to parse requirement: <nil>: Invalid value: \"-\": {key}")),
    ] {
        assert_eq!(refused(selector), expected, "{selector:?}");
    }
    let long = "x".repeat(64);
    assert_eq!(
        refused(&format!("{long}=a")),
        format!(
            "unable to parse requirement: <nil>: Invalid value: {long:?}: name part must be no more than 63 bytes"
        )
    );
    assert_eq!(
        refused("/a"),
        "unable to parse requirement: <nil>: Invalid value: \"/a\": prefix part must be non-empty"
    );
}

#[test]
fn label_selector_objects_become_selectors() {
    let object = json!({
        "matchLabels": {"a": "b"},
        "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["y", "x"]},
            {"key": "d", "operator": "DoesNotExist"},
        ],
    });
    let selector = LabelSelector::from_object(&object).unwrap();
    assert_eq!(selector.to_string(), "a=b,c in (x,y),!d");
    assert!(
        LabelSelector::from_object(&json!({}))
            .unwrap()
            .is_everything()
    );
    let refused = |expression: Value| {
        LabelSelector::from_object(&json!({"matchExpressions": [expression]})).unwrap_err()
    };
    assert_eq!(
        refused(json!({"key": "c", "operator": "Gt"})),
        "\"Gt\" is not a valid label selector operator"
    );
    assert_eq!(
        refused(json!({"key": "c", "operator": "In"})),
        "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty"
    );
}

#[test]
fn field_selectors_compare_texts() {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"hostNetwork": true},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]},
    });
    for (selector, expected) in [
        ("", true),
        ("=", true),
        (",", true),
        ("spec.nodeName=", true),
        ("spec.host=", true),
        ("spec.nodeName!=", false),
        ("status.phase!=Succeeded,status.phase!=Failed", true),
        ("status.phase==Running", true),
        ("spec.hostNetwork=true", true),
        ("status.podIP=10.0.0.1", true),
        ("status.podIPs=10.0.0.1", false),
        ("metadata.name=p,metadata.namespace=n", true),
        ("metadata.name=p\\,q", false),
    ] {
        assert_eq!(selects("pods", selector, &pod), expected, "{selector:?}");
    }
    assert!(selects("nodes", "spec.unschedulable=false", &json!({})));
    assert!(selects(
        "replicationcontrollers",
        "status.replicas=0",
        &json!({})
    ));
    assert!(selects(
        "batch/jobs",
        "status.successful=2",
        &json!({"status": {"succeeded": 2}})
    ));
    assert!(selects(
        "services",
        "spec.clusterIP!=None",
        &json!({"spec": {}})
    ));
    let event = json!({"involvedObject": {"kind": "Pod"}, "source": {"component": "s"}});
    assert!(selects(
        "events",
        "involvedObject.kind=Pod,source=s",
        &event
    ));
    assert!(selects(
        "events.k8s.io/events",
        "regarding.kind=Pod",
        &event
    ));
}

#[test]
fn field_selectors_are_refused_in_the_words_of_the_release() {
    let refused = |plural, selector| FieldSelector::parse(selector, &fields(plural)).unwrap_err();
    for (plural, selector, expected) in [
        ("pods", "spec.foo=a", "field label not supported: spec.foo"),
        ("namespaces", "name=a", "field label not supported: name"),
        (
            "events",
            "regarding.kind=a",
            "field label not supported: regarding.kind",
        ),
        (
            "batch/jobs",
            "x=a",
            "field label \"x\" not supported for Job",
        ),
        (
            "resource.k8s.io/resourceslices",
            "x=a",
            "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: x",
        ),
        (
            "configmaps",
            "data.k=a",
            "\"data.k\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        ("pods", "a", "invalid selector: 'a'; can't understand 'a'"),
        (
            "pods",
            "a=b=c",
            "invalid field selector: unescaped character in value: 61",
        ),
        (
            "pods",
            "a=\\x",
            "invalid field selector: invalid escape sequence: \\x",
        ),
        (
            "pods",
            "a=b\\",
            "invalid field selector: invalid escape sequence: \\",
        ),
    ] {
        assert_eq!(refused(plural, selector), expected, "{selector:?}");
    }
}

#[test]
fn custom_resources_name_their_fields() {
    let known = Fields::custom(false, [".spec.color"]);
    let selector = FieldSelector::parse("spec.color=red", &known).unwrap();
    assert!(selector.matches(&json!({"spec": {"color": "red"}})));
    let refused = FieldSelector::parse("metadata.namespace=a", &known).unwrap_err();
    assert_eq!(refused, "field label not supported: metadata.namespace");
}

#[test]
fn a_selector_knows_what_indexes_need() {
    let known = fields("pods");
    let selector = Selector::parse("a=b", "spec.host=n1,metadata.name=x", &known).unwrap();
    assert_eq!(
        (selector.name(), selector.node_name()),
        (Some("x"), Some("n1"))
    );
    let selector = Selector::parse("", "spec.nodeName!=n1", &known).unwrap();
    assert_eq!(
        (selector.node_name(), selector.is_everything()),
        (None, false)
    );
    assert_eq!(Selector::parse("!", "x=y", &known).unwrap_err().code, 400);
}

proptest! {
    #[test]
    fn what_can_be_read_can_be_written(text in "[ab!=<>(), \\\\.in/-]{0,24}") {
        fuzz_selector(text.as_bytes());
    }

    #[test]
    fn a_selector_and_its_negation_part_the_objects(
        key in "[a-c]", value in "[x-z]?", labels in proptest::collection::btree_map("[a-c]", "[x-z]?", 0..3)
    ) {
        let object = json!({"metadata": {"labels": labels}});
        for (one, other) in [
            (format!("{key}={value}"), format!("{key}!={value}")),
            (format!("{key} in ({value},x)"), format!("{key} notin ({value},x)")),
            (key.clone(), format!("!{key}")),
        ] {
            let one = LabelSelector::parse(&one).unwrap().matches_object(&object);
            prop_assert_ne!(one, LabelSelector::parse(&other).unwrap().matches_object(&object));
        }
    }
}
