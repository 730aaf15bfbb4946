use serde_json::{Value, json};

use super::super::testing::{Ask, CREATE_POD, Few};
use super::NAME;
use crate::kube::admission::attributes::Operation;

const NODE: &str = "system:node:n system:nodes";

fn ask(
    operation: Operation,
    resource: (&'static str, &'static str, &'static str),
    subresource: &'static str,
) -> Ask {
    Ask {
        operation,
        resource,
        subresource,
    }
}

fn judged(ask: &Ask, few: &Few, old: Option<&Value>, new: Option<&Value>) -> Result<(), String> {
    ask.judge_by(NODE, "", NAME, few, old, new)
}

fn why(result: Result<(), String>) -> String {
    let text = result.unwrap_err();
    text.split_once(" is forbidden: ")
        .map_or(text.clone(), |(_, why)| why.to_owned())
}

fn few() -> Few {
    Few(vec![
        (
            "",
            "nodes",
            json!({"metadata": {"name": "n", "uid": "node-uid"}}),
        ),
        (
            "",
            "pods",
            json!({"metadata": {"name": "mine", "namespace": "ns", "uid": "u"}, "spec": {"nodeName": "n",
            "volumes": [
                {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"audience": "vault", "path": "t"}}]}},
                {"name": "d", "csi": {"driver": "d.ex.com"}}]}}),
        ),
        (
            "",
            "pods",
            json!({"metadata": {"name": "other", "namespace": "ns", "uid": "u"}, "spec": {"nodeName": "x"}}),
        ),
        (
            "storage.k8s.io",
            "csidrivers",
            json!({"metadata": {"name": "d.ex.com"},
            "spec": {"tokenRequests": [{"audience": "disk"}]}}),
        ),
    ])
}

fn mirror() -> Value {
    json!({"metadata": {"name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "node-uid", "controller": true}]},
        "spec": {"nodeName": "n", "containers": [{"name": "c"}]}})
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        other => other[key] = value,
    }
    object
}

#[test]
fn a_node_shows_only_pods_that_it_runs_by_itself() {
    let create = |pod: Value| judged(&CREATE_POD, &few(), None, Some(&pod));
    assert_eq!(create(mirror()), Ok(()));
    for (pointer, value, said) in [
        (
            "/metadata/annotations",
            json!({}),
            "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n\" can only create mirror pods",
        ),
        (
            "/spec/nodeName",
            json!("x"),
            "node \"n\" can only create pods with spec.nodeName set to itself",
        ),
        (
            "/metadata/ownerReferences",
            json!([]),
            "node \"n\" can only create pods with an owner reference set to itself",
        ),
        (
            "/metadata/ownerReferences",
            json!([{}, {}]),
            "node \"n\" can only create pods with a single owner reference set to itself",
        ),
        (
            "/metadata/ownerReferences/0/controller",
            json!(false),
            "node \"n\" can only create pods with a controller owner reference set to itself",
        ),
        (
            "/metadata/ownerReferences/0/blockOwnerDeletion",
            json!(true),
            "node \"n\" must not set blockOwnerDeletion on an owner reference",
        ),
        (
            "/metadata/ownerReferences/0/uid",
            json!("old"),
            "node n UID mismatch: expected old got node-uid",
        ),
        (
            "/spec/serviceAccountName",
            json!("a"),
            "node \"n\" can not create pods that reference serviceaccounts",
        ),
        (
            "/spec/volumes",
            json!([{"name": "v", "configMap": {"name": "m"}}]),
            "node \"n\" can not create pods that reference configmaps",
        ),
        (
            "/spec/volumes",
            json!([{"name": "v", "projected": {"sources": [{"podCertificate": {}}]}}]),
            "node \"n\" can not create pods that reference podcertificates",
        ),
    ] {
        assert_eq!(why(create(with(mirror(), pointer, value))), said);
    }
    let nobody = CREATE_POD.judge_by("n system:nodes", "", NAME, &few(), None, Some(&json!({})));
    assert_eq!(nobody, Ok(()));
    let nameless = CREATE_POD.judge_by(
        "system:node: system:nodes",
        "",
        NAME,
        &few(),
        None,
        Some(&json!({})),
    );
    assert_eq!(
        why(nameless),
        "could not determine node from user \"system:node:\""
    );
}

#[test]
fn a_node_tells_of_its_pods_and_sends_them_away() {
    let pod = |node: &str, labels: Value| json!({"metadata": {"name": "p", "labels": labels}, "spec": {"nodeName": node}});
    let status = ask(Operation::Update, ("", "v1", "pods"), "status");
    let judge = |old: Value, new: Value| judged(&status, &few(), Some(&old), Some(&new));
    let mine = || pod("n", json!({"a": "b"}));
    assert_eq!(judge(mine(), mine()), Ok(()));
    assert_eq!(
        why(judge(pod("x", json!({})), mine())),
        "node \"n\" can only update pod status for pods with spec.nodeName set to itself"
    );
    assert_eq!(
        why(judge(mine(), pod("n", json!({})))),
        "node \"n\" cannot update labels through pod status"
    );
    let update = ask(Operation::Update, ("", "v1", "pods"), "");
    assert_eq!(
        why(judged(&update, &few(), Some(&mine()), Some(&mine()))),
        "unexpected operation \"UPDATE\", node \"n\" can only create and delete mirror pods"
    );
    let resize = ask(Operation::Update, ("", "v1", "pods"), "resize");
    assert_eq!(
        why(judged(&resize, &few(), Some(&mine()), Some(&mine()))),
        "unexpected pod subresource \"resize\", only 'status' and 'eviction' are allowed"
    );
    let delete = ask(Operation::Delete, ("", "v1", "pods"), "");
    assert_eq!(judged(&delete, &few(), Some(&mine()), None), Ok(()));
    assert_eq!(
        why(judged(&delete, &few(), Some(&pod("x", json!({}))), None)),
        "node \"n\" can only delete pods with spec.nodeName set to itself"
    );
    let evict = ask(Operation::Create, ("", "v1", "pods"), "eviction");
    let named = |name: &str| json!({"metadata": {"name": name}});
    assert_eq!(judged(&evict, &few(), None, Some(&named("mine"))), Ok(()));
    assert_eq!(
        why(judged(&evict, &few(), None, Some(&named("other")))),
        "node n can only evict pods with spec.nodeName set to itself"
    );
    assert_eq!(
        why(judged(&evict, &few(), None, Some(&named("gone")))),
        "pod \"gone\" not found"
    );
}

#[test]
fn a_node_changes_itself_but_not_what_may_run_on_it() {
    let node = |labels: Value| json!({"metadata": {"name": "n", "labels": labels}, "spec": {}});
    let create = ask(Operation::Create, ("", "v1", "nodes"), "");
    let judge = |new: Value| judged(&create, &few(), None, Some(&new));
    let fine = json!({"kubernetes.io/hostname": "n", "node.kubernetes.io/x": "y", "sub.kubelet.kubernetes.io/x": "y",
        "plain": "x", "ex.com/a": "b"});
    assert_eq!(judge(node(fine.clone())), Ok(()));
    let bad = json!({"node-restriction.kubernetes.io/a": "b", "x.k8s.io/a": "b", "kubernetes.io/other": "b",
        "a.node-restriction.kubernetes.io/a": "b"});
    assert_eq!(
        why(judge(node(bad.clone()))),
        "node \"n\" is not allowed to set the following labels: a.node-restriction.kubernetes.io/a, kubernetes.io/other, \
         node-restriction.kubernetes.io/a, x.k8s.io/a"
    );
    let other = json!({"metadata": {"name": "x"}});
    assert_eq!(
        why(judge(other)),
        "node \"n\" is not allowed to modify node \"x\""
    );
    let update = ask(Operation::Update, ("", "v1", "nodes"), "");
    let change = |old: Value, new: Value| judged(&update, &few(), Some(&old), Some(&new));
    assert_eq!(change(node(bad.clone()), node(bad)), Ok(()));
    assert_eq!(
        why(change(node(fine), node(json!({"x.k8s.io/a": "b"})))),
        "is not allowed to modify labels: x.k8s.io/a"
    );
    let tainted = with(
        node(json!({})),
        "/spec/taints",
        json!([{"key": "k", "effect": "NoSchedule"}]),
    );
    assert_eq!(
        why(change(tainted, node(json!({})))),
        "node \"n\" is not allowed to modify taints"
    );
    let source = with(
        node(json!({})),
        "/spec/configSource",
        json!({"configMap": {}}),
    );
    assert_eq!(
        why(change(node(json!({})), source)),
        "node \"n\" is not allowed to update configSource to a new non-nil configSource"
    );
}

#[test]
fn a_node_gets_tokens_of_its_own_pods_for_whom_they_are_meant() {
    let token = ask(Operation::Create, ("", "v1", "serviceaccounts"), "token");
    let request = |pod: Value, audiences: Value| {
        json!({"metadata": {"name": "sa"}, "spec": {"boundObjectRef": pod,
        "audiences": audiences}})
    };
    let of = |name: &str, uid: &str| json!({"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid});
    let judge = |request: Value| judged(&token, &few(), None, Some(&request));
    assert_eq!(judge(request(of("mine", "u"), json!(["vault"]))), Ok(()));
    assert_eq!(judge(request(of("mine", "u"), json!(["disk"]))), Ok(()));
    for (request, said) in [
        (
            request(Value::Null, json!([])),
            "node requested token not bound to a pod",
        ),
        (
            request(of("mine", ""), json!([])),
            "node requested token with a pod binding without a uid",
        ),
        (
            request(of("mine", "old"), json!([])),
            "the UID in the bound object reference (old) does not match the UID in record. The object might have been \
             deleted and then recreated",
        ),
        (
            request(of("other", "u"), json!([])),
            "node requested token bound to a pod scheduled on a different node",
        ),
        (
            request(of("mine", "u"), json!(["a", "b"])),
            "node may only request 0 or 1 audiences",
        ),
        (
            request(of("mine", "u"), json!(["else"])),
            "audience \"else\" not found in pod spec volume, system:node:n is not authorized to request tokens for this \
             audience",
        ),
        (
            request(of("gone", "u"), json!([])),
            "pod \"gone\" not found",
        ),
    ] {
        assert_eq!(why(judge(request)), said);
    }
    let may = "request-serviceaccounts-token-audience  else/ ns/sa";
    let asked = request(of("mine", "u"), json!(["else"]));
    assert_eq!(
        token.judge_by(NODE, may, NAME, &few(), None, Some(&asked)),
        Ok(())
    );
}

#[test]
fn a_node_has_its_own_lease_slices_and_claims() {
    let named = |name: &str| json!({"metadata": {"name": name}});
    let lease = ask(
        Operation::Create,
        ("coordination.k8s.io", "v1", "leases"),
        "",
    );
    assert_eq!(
        why(judged(&lease, &few(), None, Some(&named("n")))),
        "can only access leases in the \"kube-node-lease\" system namespace"
    );
    let csi = ask(Operation::Update, ("storage.k8s.io", "v1", "csinodes"), "");
    assert_eq!(
        judged(&csi, &few(), Some(&named("n")), Some(&named("n"))),
        Ok(())
    );
    assert_eq!(
        why(judged(&csi, &few(), Some(&named("x")), Some(&named("x")))),
        "can only access CSINode with the same name as the requesting node"
    );
    let slice = |node: &str| json!({"metadata": {"name": "s"}, "spec": {"nodeName": node}});
    let delete = ask(
        Operation::Delete,
        ("resource.k8s.io", "v1", "resourceslices"),
        "",
    );
    assert_eq!(judged(&delete, &few(), Some(&slice("n")), None), Ok(()));
    assert_eq!(
        why(judged(&delete, &few(), Some(&slice("x")), None)),
        "can only delete ResourceSlice with the same NodeName as the requesting node"
    );
    let status = ask(
        Operation::Update,
        ("", "v1", "persistentvolumeclaims"),
        "status",
    );
    let claim = |size: &str, phase: &str| {
        json!({"metadata": {"name": "c", "resourceVersion": size},
        "status": {"phase": phase, "capacity": {"storage": size}}})
    };
    let judge = |new: Value| judged(&status, &few(), Some(&claim("1", "Bound")), Some(&new));
    assert_eq!(judge(claim("2", "Bound")), Ok(()));
    assert_eq!(
        why(judge(claim("2", "Lost"))),
        "node \"n\" is not allowed to update fields other than status.quantity and status.conditions"
    );
}
