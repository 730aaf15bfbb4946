use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;

/// Objects in a list; `revision` counts changes, if it is told.
#[derive(Default)]
struct Stored {
    objects: Mutex<Vec<(&'static str, Arc<Value>)>>,
    revision: Mutex<Option<u64>>,
}

impl Stored {
    fn put(&self, plural: &'static str, object: Value) {
        self.objects.lock().push((plural, Arc::new(object)));
        if let Some(revision) = self.revision.lock().as_mut() {
            *revision += 1;
        }
    }
}

impl Objects for Stored {
    fn get(&self, _: &str, _: &str, _: &str, _: &str) -> Option<Arc<Value>> {
        None
    }

    fn list(&self, group: &str, plural: &str, _: Option<&str>) -> Vec<Arc<Value>> {
        assert_eq!(group, "rbac.authorization.k8s.io");
        let objects = self.objects.lock();
        let of = objects.iter().filter(|(of, _)| *of == plural);
        of.map(|(_, object)| Arc::clone(object)).collect()
    }

    fn changed(&self, _: &str, _: &str) -> Option<u64> {
        *self.revision.lock()
    }
}

fn user(name: &str, groups: &[&str]) -> User {
    User {
        name: name.into(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..User::default()
    }
}

fn role(namespace: &str, name: &str, rules: &Value) -> Value {
    json!({"metadata": {"name": name, "namespace": namespace}, "rules": rules})
}

fn binding(namespace: &str, name: &str, kind: &str, role: &str, subjects: &Value) -> Value {
    json!({"metadata": {"name": name, "namespace": namespace}, "roleRef": {"kind": kind, "name": role}, "subjects": subjects})
}

fn pods(verb: &str, namespace: &str) -> RequestInfo {
    RequestInfo::of_resource(verb, "", "pods", "", namespace, "")
}

#[test]
fn roles_reach_as_far_as_their_bindings() {
    let stored = Arc::new(Stored::default());
    let rbac = Rbac::new(Arc::clone(&stored) as Arc<dyn Objects>);
    let ann = user("ann", &["devs"]);
    let said = |user: &User, namespace: &str| {
        let decision = rbac.authorize(user, &pods("get", namespace));
        (decision.is_allowed(), decision.reason)
    };
    assert_eq!(said(&ann, "a"), (false, String::new()));

    stored.put(
        "rolebindings",
        binding(
            "a",
            "read",
            "Role",
            "reader",
            &json!([{"kind": "Group", "name": "devs"}]),
        ),
    );
    let missing = r#"RBAC: role.rbac.authorization.k8s.io "reader" not found"#;
    assert_eq!(said(&ann, "a"), (false, missing.to_owned()));
    let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
    stored.put("roles", role("a", "reader", &rules));
    let by = r#"RBAC: allowed by RoleBinding "read/a" of Role "reader" to Group "devs""#;
    assert_eq!(said(&ann, "a"), (true, by.to_owned()));
    assert!(!said(&ann, "b").0);
    assert!(!said(&ann, "").0);
    assert!(!said(&user("devs", &[]), "a").0);

    stored.put("clusterroles", role("", "reader", &rules));
    let subjects = json!([{"kind": "ServiceAccount", "name": "s"}, {"kind": "ServiceAccount", "name": "s", "namespace": "x"}]);
    stored.put(
        "clusterrolebindings",
        binding("", "all", "ClusterRole", "reader", &subjects),
    );
    let account = user("system:serviceaccount:x:s", &[]);
    let by = r#"RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "reader" to ServiceAccount "s/x""#;
    assert_eq!(said(&account, ""), (true, by.to_owned()));
    assert_eq!(said(&account, "b"), (true, by.to_owned()));
    assert!(!said(&user("system:serviceaccount::s", &[]), "").0);
    // A service account without a namespace is one of the binding's.
    stored.put(
        "rolebindings",
        binding(
            "b",
            "own",
            "ClusterRole",
            "reader",
            &json!([{"kind": "ServiceAccount", "name": "s"}]),
        ),
    );
    assert!(said(&user("system:serviceaccount:b:s", &[]), "b").0);
}

#[test]
fn what_is_kept_follows_what_is_stored() {
    for told in [None, Some(1)] {
        let stored = Arc::new(Stored::default());
        *stored.revision.lock() = told;
        let rbac = Rbac::new(Arc::clone(&stored) as Arc<dyn Objects>);
        let may = |verb| {
            rbac.authorize(&user("ann", &[]), &pods(verb, "a"))
                .is_allowed()
        };
        assert!(!may("get"));
        let rule =
            |verb: &str| json!([{"verbs": [verb], "apiGroups": [""], "resources": ["pods"]}]);
        stored.put("clusterroles", role("", "r", &rule("get")));
        stored.put(
            "clusterrolebindings",
            binding(
                "",
                "b",
                "ClusterRole",
                "r",
                &json!([{"kind": "User", "name": "ann"}]),
            ),
        );
        assert!(may("get") && !may("list"));
        stored
            .objects
            .lock()
            .retain(|(plural, _)| *plural != "clusterroles");
        stored.put("clusterroles", role("", "r", &rule("list")));
        assert!(!may("get") && may("list"));
    }
}

#[test]
fn roles_gather_the_rules_of_others() {
    let stored = Arc::new(Stored::default());
    let rbac = Rbac::new(Arc::clone(&stored) as Arc<dyn Objects>);
    let gathering = |name: &str, label: &str, selector: Value| json!({"metadata": {"name": name, "labels": {"feeds": label}}, "aggregationRule": {"clusterRoleSelectors": [selector]}});
    stored.put(
        "clusterroles",
        gathering("all", "", json!({"matchLabels": {"feeds": "all"}})),
    );
    let expressions = json!({"matchExpressions": [{"key": "feeds", "operator": "In", "values": ["some", "x"]}, {"key": "off", "operator": "DoesNotExist"}]});
    stored.put("clusterroles", gathering("some", "all", expressions));
    let feeding = |name: &str, verb: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}, "rules": [{"verbs": [verb], "apiGroups": [""], "resources": ["pods"]}]});
    stored.put(
        "clusterroles",
        feeding("x1", "get", json!({"feeds": "some"})),
    );
    stored.put(
        "clusterroles",
        feeding("x2", "list", json!({"feeds": "all"})),
    );
    stored.put(
        "clusterroles",
        feeding("x3", "delete", json!({"feeds": "some", "off": ""})),
    );
    stored.put(
        "clusterrolebindings",
        binding(
            "",
            "b",
            "ClusterRole",
            "all",
            &json!([{"kind": "User", "name": "ann"}]),
        ),
    );
    let may = |verb| {
        rbac.authorize(&user("ann", &[]), &pods(verb, "a"))
            .is_allowed()
    };
    assert!(may("get") && may("list") && !may("delete"));
    stored.put(
        "clusterroles",
        feeding("x4", "watch", json!({"feeds": "x"})),
    );
    assert!(may("watch"));
    stored
        .objects
        .lock()
        .retain(|(_, object)| object["metadata"]["name"] != "x2");
    assert!(may("get") && !may("list"));
}

#[test]
fn names_do_not_pass_for_groups() {
    let stored = Arc::new(Stored::default());
    let rbac = Rbac::new(Arc::clone(&stored) as Arc<dyn Objects>);
    stored.put(
        "clusterroles",
        role(
            "",
            "r",
            &json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
        ),
    );
    stored.put(
        "clusterrolebindings",
        binding(
            "",
            "b",
            "ClusterRole",
            "r",
            &json!([{"kind": "Group", "name": "g"}, {"kind": "User", "name": "g2"}]),
        ),
    );
    for name in ["g", "gg", "\ng", "ug"] {
        assert!(
            !rbac
                .authorize(&user(name, &[]), &pods("get", ""))
                .is_allowed(),
            "{name}"
        );
    }
    assert!(
        !rbac
            .authorize(&user("x", &["g2"]), &pods("get", ""))
            .is_allowed()
    );
}

/// The answer of kube-apiserver 1.36 to the same role.
#[test]
fn missing_rights_are_told_as_the_release_tells_them() {
    let read = |rules: Value| {
        rules
            .as_array()
            .unwrap()
            .iter()
            .map(Rule::read)
            .collect::<Vec<_>>()
    };
    let held = read(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]));
    let wanted = read(json!([
        {"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "list"]},
        {"nonResourceURLs": ["/x"], "verbs": ["get", "put"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b"], "verbs": ["get", "update"]},
    ]));
    let lines = [
        r#"{APIGroups:[""], Resources:["configmaps"], ResourceNames:["a"], Verbs:["get" "update"]}"#,
        r#"{APIGroups:[""], Resources:["configmaps"], ResourceNames:["b"], Verbs:["get" "update"]}"#,
        r#"{APIGroups:[""], Resources:["pods"], Verbs:["list"]}"#,
        r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}"#,
        r#"{NonResourceURLs:["/x"], Verbs:["get"]}"#,
        r#"{NonResourceURLs:["/x"], Verbs:["put"]}"#,
    ];
    assert_eq!(missing(&held, &wanted), lines);
    assert_eq!(missing(&Rule::full(), &wanted), Vec::<String>::new());
    let many: Vec<String> = (0..1000).map(|at| at.to_string()).collect();
    let vast = read(json!([{"apiGroups": many, "resources": many, "verbs": many}]));
    assert_eq!(missing(&held, &vast).len(), 1);
    assert_eq!(missing(&Rule::full(), &vast).len(), 0);
}

const VERBS: [&str; 4] = ["get", "list", "create", "*"];
const GROUPS: [&str; 3] = ["", "apps", "*"];
const RESOURCES: [&str; 6] = [
    "pods",
    "pods/log",
    "*/scale",
    "deployments",
    "deployments/scale",
    "*",
];
const NAMES: [&str; 2] = ["a", "b"];
const URLS: [&str; 4] = ["/x", "/x/*", "/y", "*"];

fn rule() -> impl Strategy<Value = Rule> {
    let list = |all: &'static [&'static str], least| {
        let size = least..=2;
        subsequence(all.to_vec(), size)
            .prop_map(|list| list.into_iter().map(str::to_owned).collect())
    };
    let verbs = list(&VERBS, 1);
    (
        verbs,
        list(&GROUPS, 0),
        list(&RESOURCES, 0),
        list(&NAMES, 0),
        list(&URLS, 0),
    )
        .prop_map(|(verbs, groups, resources, names, urls)| Rule {
            verbs,
            groups,
            resources,
            names,
            urls,
        })
}

fn asked() -> impl Strategy<Value = RequestInfo> {
    let resource = (
        select(&["get", "list", "create", "delete"][..]),
        select(&["", "apps", "batch"][..]),
        select(&["pods", "deployments", "jobs"][..]),
        select(&["", "log", "scale"][..]),
        select(&["", "n1", "n2"][..]),
        select(&["", "a", "b", "c"][..]),
    );
    let resource = resource.prop_map(|(verb, group, resource, subresource, namespace, name)| {
        RequestInfo::of_resource(verb, group, resource, subresource, namespace, name)
    });
    let path = select(&["/x", "/x/1", "/y", "/z"][..]);
    prop_oneof![4 => resource, 1 => path.prop_map(|path| RequestInfo::parse("GET", path, "").unwrap())]
}

/// The plainest statement of the rules.
fn plainly(rule: &Rule, asked: &RequestInfo) -> bool {
    let has = |list: &[String], one: &str| {
        list.contains(&"*".to_owned()) || list.contains(&one.to_owned())
    };
    let Some(target) = &asked.target else {
        let mut paths = vec![asked.path.clone()];
        paths.extend((0..=asked.path.len()).map(|at| format!("{}*", &asked.path[..at])));
        return has(&rule.verbs, &asked.verb) && paths.iter().any(|path| rule.urls.contains(path));
    };
    let whole = if target.subresource.is_empty() {
        target.resource.clone()
    } else {
        format!("{}/{}", target.resource, target.subresource)
    };
    let any = if target.subresource.is_empty() {
        "*".to_owned()
    } else {
        format!("*/{}", target.subresource)
    };
    has(&rule.verbs, &asked.verb)
        && has(&rule.groups, &target.group)
        && (has(&rule.resources, &whole) || rule.resources.contains(&any))
        && (rule.names.is_empty() || rule.names.contains(&target.name))
}

proptest! {
    #[test]
    fn decisions_are_those_of_the_plain_rules(
        roles in proptest::collection::vec((proptest::collection::vec(rule(), 1..3), select(&["", "n1"][..])), 1..5),
        bound in proptest::collection::vec((0_usize..5, select(&["ann", "bob", "devs"][..]), any::<bool>(), select(&["", "n1"][..])), 0..6),
        requests in proptest::collection::vec(asked(), 20),
    ) {
        let stored = Arc::new(Stored::default());
        for (at, (rules, namespace)) in roles.iter().enumerate() {
            let rules: Value = rules.iter().map(Rule::to_value).collect();
            let plural = if namespace.is_empty() { "clusterroles" } else { "roles" };
            stored.put(plural, role(namespace, &format!("r{at}"), &rules));
        }
        for (at, (of, name, group, namespace)) in bound.iter().enumerate() {
            let (kind, subject) = (if roles.get(*of).is_some_and(|(_, namespace)| !namespace.is_empty()) { "Role" } else { "ClusterRole" }, if *group { "Group" } else { "User" });
            let plural = if namespace.is_empty() { "clusterrolebindings" } else { "rolebindings" };
            stored.put(plural, binding(namespace, &format!("b{at}"), kind, &format!("r{of}"), &json!([{"kind": subject, "name": name}])));
        }
        let rbac = Rbac::new(Arc::clone(&stored) as Arc<dyn Objects>);
        let ann = user("ann", &["devs"]);
        for asked in &requests {
            let namespace = asked.target.as_ref().map_or("", |target| &target.namespace);
            let expected = bound.iter().any(|(of, name, group, at)| {
                let is_ann = if *group { *name == "devs" } else { *name == "ann" };
                let reaches = at.is_empty() || *at == namespace;
                let Some((rules, role_at)) = roles.get(*of) else { return false };
                let leads = role_at.is_empty() || role_at == at;
                is_ann && reaches && leads && rules.iter().any(|rule| plainly(rule, asked))
            });
            prop_assert_eq!(rbac.authorize(&ann, asked).is_allowed(), expected, "{:?}", asked);
        }
    }

    #[test]
    fn whoever_holds_all_rights_of_a_role_may_do_all_it_allows(
        held in proptest::collection::vec(rule(), 0..4),
        wanted in proptest::collection::vec(rule(), 1..3),
        requests in proptest::collection::vec(asked(), 40),
    ) {
        if missing(&held, &wanted).is_empty() {
            for asked in requests.iter().filter(|asked| wanted.iter().any(|rule| rule.allows(asked))) {
                prop_assert!(held.iter().any(|rule| rule.allows(asked)), "{:?}", asked);
            }
        }
        prop_assert!(missing(&wanted, &wanted).is_empty());
        prop_assert!(missing(&Rule::full(), &wanted).is_empty());
    }
}
