use serde_json::{Value, json};

use super::super::testing::{Ask, CREATE_POD, Few};
use super::NAME;
use super::checks::{Pod, details, reasons, violations};
use super::level::{Bar, Level, Version};
use crate::kube::admission::attributes::Operation;

/// A pod each line, and what `k8s.io/pod-security-admission` of the release has against it: level, the first and the
/// last minor version but one (37 is the latest), details and reasons.
const RECORDED: &str = include_str!("recorded.jsonl");

#[test]
fn checks_say_what_the_release_says_at_every_version() {
    let mut judged = 0;
    for line in RECORDED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let pod = Pod {
            metadata: &case["pod"]["metadata"],
            spec: &case["pod"]["spec"],
        };
        for said in case["said"].as_array().unwrap() {
            let text = |at: usize| said[at].as_str().unwrap();
            let level = match text(0) {
                "baseline" => Level::Baseline,
                _ => Level::Restricted,
            };
            let (from, to): (u32, u32) = (text(1).parse().unwrap(), text(2).parse().unwrap());
            for minor in from..to {
                let version = match minor {
                    37 => Version::Latest,
                    minor => Version::Minor(minor),
                };
                let bar = Bar { level, version };
                let against = violations(bar, pod);
                let ours = format!("{}\n{}", details(&against), reasons(&against));
                assert_eq!(ours, text(3), "{} at {bar}", case["name"]);
                judged += 1;
            }
        }
    }
    assert!(judged > 2000, "{judged}");
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a case writes its objects in place"
)]
fn namespace(labels: Value) -> (&'static str, &'static str, Value) {
    let mut namespace = json!({"metadata": {"name": "ns", "labels": {}}});
    for (key, value) in labels.as_object().unwrap() {
        namespace["metadata"]["labels"][format!("pod-security.kubernetes.io/{key}")] =
            value.clone();
    }
    ("", "namespaces", namespace)
}

fn host(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "ns"}, "spec": {"hostNetwork": true, "containers": [
        {"name": "c", "image": "i", "securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}}]}})
}

#[test]
fn pods_are_held_against_what_their_namespace_asks() {
    let few = |labels| Few(vec![namespace(labels)]);
    let judge = |labels| CREATE_POD.judge(NAME, &few(labels), None, &host("p"));
    assert_eq!(judge(json!({})), Ok(()));
    assert_eq!(
        judge(json!({"enforce": "baseline", "enforce-version": "v1.30"})).unwrap_err(),
        "pods \"p\" is forbidden: violates PodSecurity \"baseline:v1.30\": host namespaces (hostNetwork=true)"
    );
    // What is no level is the strictest.
    assert!(
        judge(json!({"enforce": "none"}))
            .unwrap_err()
            .contains("violates PodSecurity \"restricted:latest\"")
    );
    let warned = CREATE_POD.warned(NAME, &few(json!({"warn": "restricted"})), None, &host("p"));
    assert_eq!(
        warned,
        ["would violate PodSecurity \"restricted:latest\": host namespaces (hostNetwork=true)"]
    );
    assert_eq!(
        CREATE_POD
            .judge(NAME, &Few::default(), None, &host("p"))
            .unwrap_err(),
        "Internal error occurred: failed to lookup namespace \"ns\""
    );
    let update = Ask {
        operation: Operation::Update,
        ..CREATE_POD
    };
    let strict = few(json!({"enforce": "baseline"}));
    assert_eq!(
        update.judge(NAME, &strict, Some(&host("p")), &host("p")),
        Ok(())
    );
    let mut other = host("p");
    other["spec"]["containers"][0]["image"] = "j".into();
    assert!(
        update
            .judge(NAME, &strict, Some(&host("p")), &other)
            .is_err()
    );
}

#[test]
fn workloads_are_warned_of_what_their_pods_will_meet() {
    let few = Few(vec![namespace(
        json!({"enforce": "baseline", "enforce-version": "v1.30"}),
    )]);
    let create = Ask {
        resource: ("apps", "v1", "deployments"),
        ..CREATE_POD
    };
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"template": host("")}});
    assert_eq!(
        create.warned(NAME, &few, None, &deployment),
        ["would violate PodSecurity \"baseline:v1.30\": host namespaces (hostNetwork=true)"]
    );
    let status = Ask {
        subresource: "status",
        ..create
    };
    assert_eq!(
        status.warned(NAME, &few, None, &deployment),
        Vec::<String>::new()
    );
}

#[test]
fn labels_must_be_right_and_tell_of_pods_that_are_there() {
    let of = |labels| namespace(labels).2;
    let ask = |operation| Ask {
        operation,
        resource: ("", "v1", "namespaces"),
        ..CREATE_POD
    };
    let (create, update) = (ask(Operation::Create), ask(Operation::Update));
    let wrong = of(json!({"enforce": "x", "warn-version": "v1.07"}));
    let said = "Namespace \"ns\" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \
                \"x\": must be one of privileged, baseline, restricted, \
                metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: \"v1.07\": must be \"latest\" \
                or \"v1.x\"]";
    let judged = create.judge(NAME, &Few::default(), None, &wrong);
    assert_eq!(judged.unwrap_err(), said);
    let judged = update.judge(NAME, &Few::default(), Some(&of(json!({}))), &wrong);
    assert_eq!(judged.unwrap_err(), said);
    // What was wrong before may stay so.
    assert_eq!(
        update.judge(NAME, &Few::default(), Some(&wrong), &wrong),
        Ok(())
    );
    let pods = ["b", "a", "c"].map(|name| ("", "pods", host(name)));
    let mut pods = pods.to_vec();
    let mut other = host("d");
    other["spec"]["hostPID"] = true.into();
    other["spec"]["containers"][0]["securityContext"]["privileged"] = true.into();
    pods.push(("", "pods", other));
    let warned =
        |old: Value, new: Value| update.warned(NAME, &Few(pods.clone()), Some(&of(old)), &of(new));
    assert_eq!(
        warned(json!({}), json!({"enforce": "baseline"})),
        [
            "existing pods in namespace \"ns\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "a (and 2 other pods): host namespaces",
            "d: host namespaces, privileged",
        ]
    );
    let none: [&str; 0] = [];
    assert_eq!(
        warned(
            json!({"enforce": "restricted"}),
            json!({"enforce": "baseline"})
        ),
        none
    );
    assert_eq!(warned(json!({}), json!({"warn": "baseline"})), none);
}
