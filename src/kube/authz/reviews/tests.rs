use proptest::prelude::*;
use serde_json::json;

use super::super::fuzzing;
use super::super::testing::{Stored, authorizer, user};
use super::*;

fn ask(plural: &str, namespace: &str, asked: &Value) -> ApiResult<Value> {
    let stored = Stored::cluster();
    review(
        &authorizer(&stored),
        &user("alice system:authenticated"),
        plural,
        namespace,
        asked,
    )
}

fn status(plural: &str, namespace: &str, spec: &Value) -> Value {
    let review = json!({"kind": "K", "apiVersion": "v", "metadata": {}, "spec": spec});
    let answer = ask(plural, namespace, &review).unwrap();
    assert_eq!(answer["spec"], *spec);
    answer["status"].clone()
}

/// The answers of kube-apiserver 1.36 to the same questions.
#[test]
fn what_somebody_may_do() {
    let pods = json!({"namespace": "default", "verb": "get", "resource": "pods"});
    for (spec, expected) in [
        (
            json!({"user": "bob", "resourceAttributes": pods}),
            json!({"allowed": false}),
        ),
        (
            json!({"user": "bob", "groups": ["system:masters"], "resourceAttributes": pods}),
            json!({"allowed": true}),
        ),
        (
            json!({"groups": ["system:authenticated"], "nonResourceAttributes": {"verb": "get", "path": "/api"}}),
            json!({"allowed": true, "reason": r#"RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" to Group "system:authenticated""#}),
        ),
        (
            json!({"user": "a", "resourceAttributes": {"verb": "list", "resource": "pods", "fieldSelector": {"rawSelector": "spec.nodeName=b,,"}, "labelSelector": {"requirements": [{"key": "a", "operator": "Foo"}]}}}),
            json!({"allowed": false, "evaluationError": "spec.resourceAttributes.labelSelector ignored due to parse error"}),
        ),
        (
            json!({"user": "system:node:n1", "groups": ["system:nodes"], "resourceAttributes": {"verb": "list", "resource": "pods", "fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]}}}),
            json!({"allowed": true}),
        ),
    ] {
        assert_eq!(
            status("subjectaccessreviews", "", &spec),
            expected,
            "{spec}"
        );
    }
    assert_eq!(
        status(
            "selfsubjectaccessreviews",
            "",
            &json!({"resourceAttributes": pods})
        ),
        json!({"allowed": false})
    );
    let spec = json!({"user": "a", "resourceAttributes": pods});
    assert_eq!(
        status("localsubjectaccessreviews", "default", &spec),
        json!({"allowed": false})
    );
}

/// As above.
#[test]
fn questions_that_are_not_whole() {
    for (plural, namespace, review, said) in [
        (
            "subjectaccessreviews",
            "",
            json!({"spec": {}}),
            r#".authorization.k8s.io "" is invalid: [spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: "": at least one of user or group must be specified]"#,
        ),
        (
            "subjectaccessreviews",
            "",
            json!({"metadata": {"name": "x"}, "spec": {"user": "a", "resourceAttributes": {}, "nonResourceAttributes": {}}}),
            r#".authorization.k8s.io "" is invalid: [spec.nonResourceAttributes: Invalid value: {"Path":"","Verb":""}: cannot be specified in combination with resourceAttributes, metadata: Invalid value: {"name":"x"}: must be empty]"#,
        ),
        (
            "subjectaccessreviews",
            "",
            json!({"spec": {"user": "a", "resourceAttributes": {"fieldSelector": {"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}, "labelSelector": {}}}}),
            r#".authorization.k8s.io "" is invalid: [spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: "a=b": may not specified at the same time as requirements, spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required]"#,
        ),
        (
            "selfsubjectaccessreviews",
            "",
            json!({"spec": {}}),
            r#".authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"#,
        ),
        (
            "localsubjectaccessreviews",
            "default",
            json!({"spec": {"user": "a", "resourceAttributes": {"namespace": "other", "verb": "get", "resource": "pods"}}}),
            r#".authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace"#,
        ),
        (
            "localsubjectaccessreviews",
            "default",
            json!({"spec": {"user": "a", "nonResourceAttributes": {"verb": "get", "path": "/"}}}),
            r#".authorization.k8s.io "" is invalid: spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":"get"}: disallowed on this kind of request"#,
        ),
        (
            "selfsubjectrulesreviews",
            "",
            json!({"spec": {}}),
            "no namespace on request",
        ),
        (
            "others",
            "",
            json!({}),
            "the server could not find the requested resource",
        ),
    ] {
        assert_eq!(ask(plural, namespace, &review).unwrap_err().message, said);
    }
}

/// The rules are those of kube-apiserver 1.36 for a user of no further groups.
#[test]
fn what_one_may_do_oneself() {
    let answer = ask(
        "selfsubjectrulesreviews",
        "",
        &json!({"spec": {"namespace": "default"}}),
    )
    .unwrap();
    assert_eq!(
        (&answer["spec"], &answer["metadata"]),
        (&json!({}), &json!({}))
    );
    let expected = json!({
        "resourceRules": [
            {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
            {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
        ],
        "nonResourceRules": [
            {"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"]},
            {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]},
        ],
        "incomplete": false,
    });
    assert_eq!(answer["status"], expected);
    let stored = Stored::cluster();
    let node = user("system:node:n1 system:nodes");
    let answer = review(
        &authorizer(&stored),
        &node,
        "selfsubjectrulesreviews",
        "",
        &json!({"spec": {"namespace": "a"}}),
    )
    .unwrap();
    assert_eq!(answer["status"]["incomplete"], true);
    assert_eq!(
        answer["status"]["evaluationError"],
        "node authorizer does not support user rule resolution"
    );
}

proptest! {
    #[test]
    fn any_question_is_answered_or_refused(text in "[ -~]{0,80}", key in "(user|groups|resourceAttributes|nonResourceAttributes|namespace)", value in "[\\[\\]{}\":a-z,]{0,20}") {
        fuzzing::access_review(text.as_bytes());
        fuzzing::access_review(format!(r#"{{"spec":{{"user":"a","{key}":{value}}}}}"#).as_bytes());
        fuzzing::access_review(format!(r#"{{"spec":{{"{key}":"{key}","resourceAttributes":{{"fieldSelector":{{"requirements":[{{"key":"a","operator":"{key}"}}]}}}}}}}}"#).as_bytes());
    }
}
