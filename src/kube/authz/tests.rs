use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::{Stored, authorizer, request, user};
use super::*;
use crate::kube::schema::{Resource, Resources};

fn grant(stored: &Stored, name: &str, subject: &Value, rules: &Value) {
    let metadata = json!({"name": name});
    stored.put_rbac(
        "clusterroles",
        &json!({"metadata": metadata, "rules": rules}),
    );
    let role =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    stored.put_rbac(
        "clusterrolebindings",
        &json!({"metadata": metadata, "subjects": [subject], "roleRef": role}),
    );
}

fn to_user(name: &str) -> Value {
    json!({"kind": "User", "name": name})
}

#[test]
fn masters_come_first_and_modes_in_their_order() {
    let ask = |modes: &[Mode], who: &str| {
        let authorizer = Authorizer::new(modes.to_vec(), Stored::cluster());
        authorizer.authorize(&user(who), &request("GET /api/v1/secrets"))
    };
    assert!(ask(&[Mode::AlwaysDeny], "ann system:masters").is_allowed());
    let denied = ask(&[Mode::AlwaysDeny, Mode::Rbac], "ann");
    assert_eq!(
        (denied.is_allowed(), &*denied.reason),
        (false, "Everything is forbidden.")
    );
    assert!(ask(&[Mode::AlwaysDeny, Mode::AlwaysAllow], "ann").is_allowed());
    assert!(!ask(&[], "ann").is_allowed());
    assert_eq!(Mode::named("RBAC"), Some(Mode::Rbac));
    assert_eq!(Mode::named("ABAC"), None);
}

#[test]
fn users_of_a_new_cluster_may_do_what_they_need() {
    let authorizer = authorizer(&Stored::cluster());
    for (who, what, allowed) in [
        (
            "system:anonymous system:unauthenticated",
            "GET /version",
            true,
        ),
        (
            "system:anonymous system:unauthenticated",
            "GET /healthz",
            true,
        ),
        (
            "system:anonymous system:unauthenticated",
            "GET /apis",
            false,
        ),
        (
            "system:anonymous system:unauthenticated",
            "GET /metrics",
            false,
        ),
        ("ann system:authenticated", "GET /apis/apps/v1", true),
        (
            "ann system:authenticated",
            "GET /openapi/v3/apis/apps/v1",
            true,
        ),
        (
            "ann system:authenticated",
            "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            true,
        ),
        ("ann system:authenticated", "GET /api/v1/pods", false),
        (
            "system:kube-scheduler system:authenticated",
            "POST /api/v1/namespaces/a/pods/p/binding",
            true,
        ),
        (
            "system:kube-scheduler system:authenticated",
            "GET /api/v1/secrets",
            false,
        ),
        (
            "system:kube-scheduler system:authenticated",
            "PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler",
            true,
        ),
        (
            "system:kube-scheduler system:authenticated",
            "PUT /apis/coordination.k8s.io/v1/namespaces/a/leases/other",
            false,
        ),
        (
            "system:kube-controller-manager system:authenticated",
            "GET /apis/ex.com/v1/foos?watch=1",
            true,
        ),
        (
            "system:kube-controller-manager system:authenticated",
            "DELETE /api/v1/namespaces/a/pods/p",
            false,
        ),
        (
            "system:serviceaccount:kube-system:namespace-controller",
            "DELETE /api/v1/namespaces/a/pods",
            true,
        ),
        (
            "system:serviceaccount:kube-system:disruption-controller",
            "GET /apis/apps/v1/namespaces/a/deployments/d/scale",
            true,
        ),
        (
            "system:serviceaccount:a:namespace-controller",
            "DELETE /api/v1/namespaces/a/pods",
            false,
        ),
    ] {
        let decision = authorizer.authorize(&user(who), &request(what));
        assert_eq!(decision.is_allowed(), allowed, "{who}: {what}");
    }
}

#[test]
fn roles_for_people_work_without_a_controller() {
    let stored = Stored::cluster();
    let role = |name: &str| json!({"kind": "ClusterRole", "name": name, "apiGroup": "rbac.authorization.k8s.io"});
    for name in ["admin", "edit", "view"] {
        let metadata = json!({"name": name, "namespace": "a"});
        let binding =
            json!({"metadata": metadata, "subjects": [to_user(name)], "roleRef": role(name)});
        stored.put_rbac("rolebindings", &binding);
    }
    let authorizer = authorizer(&stored);
    let may = |what: &str| {
        let allowed = |name: &&str| {
            authorizer
                .authorize(&user(name), &request(what))
                .is_allowed()
        };
        ["admin", "edit", "view"]
            .into_iter()
            .filter(allowed)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        may("GET /api/v1/namespaces/a/pods"),
        ["admin", "edit", "view"]
    );
    assert_eq!(may("GET /api/v1/namespaces/a/secrets"), ["admin", "edit"]);
    assert_eq!(
        may("POST /apis/rbac.authorization.k8s.io/v1/namespaces/a/roles"),
        ["admin"]
    );
    assert!(may("GET /api/v1/namespaces/b/pods").is_empty());
}

fn write(
    stored: &Arc<Stored>,
    who: &str,
    plural: &str,
    namespace: &str,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), (u16, String)> {
    let group = "rbac.authorization.k8s.io";
    let resource: &Resource = Resources::built_in().find(group, "v1", plural).unwrap();
    let request = RequestInfo::of_resource("create", group, plural, "", namespace, "");
    let checked = escalation::check(
        &authorizer(stored),
        &user(who),
        &request,
        resource,
        new,
        old,
    );
    checked.map_err(|error| (error.code, error.message))
}

/// The answers of kube-apiserver 1.36 to the same writes.
#[test]
fn nobody_gives_what_they_do_not_hold() {
    let stored = Stored::cluster();
    grant(
        &stored,
        "alice",
        &to_user("alice"),
        &json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
    );
    let role = |rules: Value| json!({"metadata": {"name": "x10"}, "rules": rules});
    let held = role(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]));
    let more = role(
        json!([{"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "list"]}]),
    );
    let alice = "alice team-a system:authenticated";
    assert_eq!(
        write(&stored, alice, "clusterroles", "", &held, None),
        Ok(())
    );
    let said = "clusterroles.rbac.authorization.k8s.io \"x10\" is forbidden: user \"alice\" (groups=[\"team-a\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"list\"]}";
    assert_eq!(
        write(&stored, alice, "clusterroles", "", &more, None),
        Err((403, said.to_owned()))
    );
    assert_eq!(
        write(
            &stored,
            "alice system:masters",
            "clusterroles",
            "",
            &more,
            None
        ),
        Ok(())
    );
    // What the garbage collector writes gives nothing.
    let mut collected = more.clone();
    collected["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    assert_eq!(
        write(&stored, alice, "clusterroles", "", &collected, Some(&more)),
        Ok(())
    );
    assert!(write(&stored, alice, "clusterroles", "", &more, Some(&held)).is_err());

    let gathering =
        json!({"metadata": {"name": "x11"}, "aggregationRule": {"clusterRoleSelectors": [{}]}});
    let said = r#"clusterroles.rbac.authorization.k8s.io "x11" is forbidden: must have cluster-admin privileges to use the aggregationRule"#;
    assert_eq!(
        write(&stored, alice, "clusterroles", "", &gathering, None),
        Err((403, said.to_owned()))
    );

    let escalate = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["escalate"]}]);
    grant(&stored, "escalate", &to_user("eve"), &escalate);
    assert_eq!(
        write(&stored, "eve", "clusterroles", "", &more, None),
        Ok(())
    );
    assert!(write(&stored, "eve", "roles", "a", &more, None).is_err());
}

/// As above.
#[test]
fn nobody_binds_what_they_do_not_hold() {
    let stored = Stored::cluster();
    let binding = |kind: &str, role: &str| json!({"metadata": {"name": "x12"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}});
    let said = "clusterrolebindings.rbac.authorization.k8s.io \"x12\" is forbidden: user \"alice\" (groups=[\"team-a\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"endpoints\"], Verbs:[\"list\" \"watch\"]}\n{APIGroups:[\"\"], Resources:[\"services\"], Verbs:[\"list\" \"watch\"]}";
    let dns = binding("ClusterRole", "system:kube-dns");
    assert_eq!(
        write(
            &stored,
            "alice team-a",
            "clusterrolebindings",
            "",
            &dns,
            None
        ),
        Err((403, said.to_owned()))
    );
    let said = r#"rolebindings.rbac.authorization.k8s.io "nope" not found"#;
    let nope = binding("Role", "nope");
    assert_eq!(
        write(&stored, "alice", "rolebindings", "a", &nope, None),
        Err((404, said.to_owned()))
    );

    let bind = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["system:kube-dns"], "verbs": ["bind"]}]);
    grant(&stored, "bind", &to_user("eve"), &bind);
    assert_eq!(
        write(&stored, "eve", "rolebindings", "a", &dns, None),
        Ok(())
    );
    assert!(
        write(
            &stored,
            "eve",
            "rolebindings",
            "a",
            &binding("ClusterRole", "view"),
            None
        )
        .is_err()
    );
}

fn act(stored: &Arc<Stored>, who: &User, lines: &str) -> Result<(User, String), String> {
    let mut headers = crate::kube::authn::fuzzing::headers(lines.as_bytes());
    let asked = request("GET /api/v1/pods");
    let acted = impersonation::impersonate(&authorizer(stored), who, &asked, &mut headers);
    let acted = acted.map_err(|error| error.message)?.unwrap();
    assert!(headers.is_empty());
    Ok((acted.user, acted.constraint))
}

/// The answers of kube-apiserver 1.36 to the same headers.
#[test]
fn masters_act_as_anybody() {
    let stored = Stored::cluster();
    let admin = user("admin system:masters");
    let (bob, _) = act(
        &stored,
        &admin,
        "impersonate-user: bob\nimpersonate-group: devs",
    )
    .unwrap();
    assert_eq!(
        (&*bob.name, &*bob.groups),
        (
            "bob",
            &["devs".to_owned(), "system:authenticated".to_owned()][..]
        )
    );
    let lines = "impersonate-user: system:serviceaccount:default:s1\nimpersonate-extra-Foo%2fbar: v1\nimpersonate-uid: 5";
    let (account, _) = act(&stored, &admin, lines).unwrap();
    assert_eq!(
        account.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated"
        ]
    );
    assert_eq!(
        (&*account.uid, &*account.extra["foo/bar"]),
        ("5", &["v1".to_owned()][..])
    );
    let (nobody, _) = act(&stored, &admin, "impersonate-user: system:anonymous").unwrap();
    assert_eq!(nobody.groups, ["system:unauthenticated"]);
    let (node, constraint) = act(&stored, &admin, "impersonate-user: system:node:n1").unwrap();
    assert_eq!(
        (&*node.groups, &*constraint),
        (
            &["system:nodes".to_owned(), "system:authenticated".to_owned()][..],
            "impersonate:arbitrary-node"
        )
    );
    let (master, constraint) = act(
        &stored,
        &admin,
        "impersonate-user: x\nimpersonate-group: system:masters",
    )
    .unwrap();
    assert!(master.is_in("system:masters") && constraint.is_empty());
    let said = r#"requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)} without impersonating a user name"#;
    assert_eq!(
        act(&stored, &admin, "impersonate-group: g").unwrap_err(),
        said
    );
}

/// As above.
#[test]
fn others_act_as_whom_they_may() {
    let stored = Stored::cluster();
    let alice = user("alice");
    let cannot = |mode: &str| {
        format!(
            r#"pods is forbidden: User "alice" cannot impersonate-on:{mode}:list resource "pods" in API group "" at the cluster scope"#
        )
    };
    for (name, mode) in [
        ("bob", "user-info"),
        ("system:serviceaccount:default:s1", "serviceaccount"),
        ("system:node:n1", "arbitrary-node"),
    ] {
        let said = act(&stored, &alice, &format!("impersonate-user: {name}")).unwrap_err();
        assert_eq!(said, cannot(mode));
    }
    grant(
        &stored,
        "legacy",
        &to_user("alice"),
        &json!([{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}]),
    );
    assert_eq!(act(&stored, &alice, "impersonate-user: bob").unwrap().1, "");
    let more = act(
        &stored,
        &alice,
        "impersonate-user: bob\nimpersonate-group: devs",
    );
    assert_eq!(more.unwrap_err(), cannot("user-info"));

    let constrained = json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["users", "groups"], "resourceNames": ["bob", "devs"], "verbs": ["impersonate:user-info"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["impersonate-on:user-info:list"]},
    ]);
    grant(&stored, "constrained", &to_user("eve"), &constrained);
    let eve = user("eve");
    let lines = "impersonate-user: bob\nimpersonate-group: devs";
    assert_eq!(
        act(&stored, &eve, lines).unwrap().1,
        "impersonate:user-info"
    );
    let said = act(
        &stored,
        &eve,
        "impersonate-user: bob\nimpersonate-group: ops",
    )
    .unwrap_err();
    assert!(said.starts_with(r#"groups.authentication.k8s.io "ops" is forbidden: User "eve" cannot impersonate:user-info"#), "{said}");
}

#[test]
fn an_agent_acts_as_its_own_node() {
    let stored = Stored::cluster();
    let mut agent = user("system:serviceaccount:a:agent");
    agent.extra.insert(
        "authentication.kubernetes.io/node-name".into(),
        vec!["n1".into()],
    );
    let rules = json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["nodes"], "resourceNames": ["*"], "verbs": ["impersonate:associated-node"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["impersonate-on:associated-node:list"]},
    ]);
    grant(
        &stored,
        "agent",
        &json!({"kind": "ServiceAccount", "namespace": "a", "name": "agent"}),
        &rules,
    );
    assert_eq!(
        act(&stored, &agent, "impersonate-user: system:node:n1")
            .unwrap()
            .1,
        "impersonate:associated-node"
    );
    assert!(act(&stored, &agent, "impersonate-user: system:node:n2").is_err());
}

proptest! {
    #[test]
    fn any_headers_are_judged(name in "(user|uid|group|extra-[a-z%/0-9]{0,4})", value in "[ -~]{0,12}", more in "[ -~\n]{0,80}") {
        fuzzing::impersonation_headers(format!("impersonate-user: x\nimpersonate-{name}: {value}\n{more}").as_bytes());
        fuzzing::impersonation_headers(format!("impersonate-{name}: {value}\n{more}").as_bytes());
    }
}
