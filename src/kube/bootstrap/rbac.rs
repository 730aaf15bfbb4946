//! The roles and bindings of a new cluster, from a table.
//!
//! `rbac.txt` holds what Kubernetes 1.36 has by default:
//!
//! ```text
//! clusterrole NAME [gathers=KEY] [feeds=KEY]
//!  VERBS GROUPS RESOURCES [names=NAMES]
//!  VERBS url PATHS
//! controller NAME
//!  ...
//! clusterbinding NAME CLUSTERROLE SUBJECT...
//! role NAMESPACE NAME
//!  ...
//! binding NAMESPACE NAME ROLE SUBJECT...
//! ```
//!
//! Lists have commas; the group `core` has no name. A role that gathers takes the rules of all that feed the same
//! key. A controller is a cluster role `system:controller:NAME` bound to the service account of that name in
//! `kube-system`. Subjects are `user=`, `group=` and `account=NAMESPACE/NAME`.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::kube::authz::rbac::{Rule, gathered};

use super::{Own, Upkeep};

const GROUP: &str = "rbac.authorization.k8s.io";

static TABLE: LazyLock<Vec<Own>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
    let mut own = read(include_str!("rbac.txt")).expect("rbac.txt is well-formed");
    fill(&mut own);
    own
});

/// All of them. What gathers rules has them already, which a controller manager would otherwise have to write.
pub fn roles_and_bindings() -> &'static [Own] {
    &TABLE
}

fn fill(own: &mut [Own]) {
    let of = |one: &&Own| one.plural == "clusterroles";
    let mut roles: Vec<Value> = own
        .iter()
        .filter(of)
        .map(|one| one.object.clone())
        .collect();
    roles.sort_by(|a, b| super::text(a, "/metadata/name").cmp(super::text(b, "/metadata/name")));
    for one in own.iter_mut() {
        if one.object.get("aggregationRule").is_some() {
            let rules = gathered(&roles, one.name());
            if let Some(object) = one.object.as_object_mut() {
                object.insert("rules".into(), rules.iter().map(Rule::to_value).collect());
            }
        }
    }
}

fn read(text: &str) -> Result<Vec<Own>, String> {
    let mut own: Vec<Own> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(' ') {
            let rule = rule(&words).ok_or_else(|| format!("no rule: {line}"))?;
            let mut roles = own
                .iter_mut()
                .rev()
                .filter(|one| one.upkeep == Upkeep::Role);
            let object = roles.next().map(|role| &mut role.object);
            let rules = object.and_then(|object| object.get_mut("rules")?.as_array_mut());
            rules.ok_or("a rule of no role")?.push(rule.to_value());
            continue;
        }
        match *words.as_slice() {
            ["clusterrole", name, ref options @ ..] => own.push(cluster_role(name, options)?),
            ["controller", name] => {
                let role = format!("system:controller:{name}");
                own.push(binding(
                    "",
                    &role,
                    &role,
                    &[&format!("account=kube-system/{name}")],
                )?);
                own.push(cluster_role(&role, &[])?);
            }
            ["clusterbinding", name, role, ref subjects @ ..] => {
                own.push(binding("", name, role, subjects)?);
            }
            ["role", namespace, name] => own.push(Own {
                group: GROUP,
                version: "v1",
                plural: "roles",
                object: object(
                    "Role",
                    metadata(namespace, name, &[]),
                    [("rules", json!([]))],
                ),
                upkeep: Upkeep::Role,
            }),
            ["binding", namespace, name, role, ref subjects @ ..] => {
                own.push(binding(namespace, name, role, subjects)?);
            }
            _ => return Err(format!("neither role nor binding: {line}")),
        }
    }
    Ok(own)
}

fn rule(words: &[&str]) -> Option<Rule> {
    let list = |words: &str| -> Vec<String> {
        let named = words.split(',');
        named
            .map(|word| if word == "core" { "" } else { word }.to_owned())
            .collect()
    };
    match *words {
        [verbs, "url", urls] => Some(Rule {
            verbs: list(verbs),
            urls: list(urls),
            ..Rule::default()
        }),
        [verbs, groups, resources, ref names @ ..] => Some(Rule {
            verbs: list(verbs),
            groups: list(groups),
            resources: list(resources),
            names: match *names {
                [] => Vec::new(),
                [names] => list(names.strip_prefix("names=")?),
                _ => return None,
            },
            urls: Vec::new(),
        }),
        _ => None,
    }
}

fn cluster_role(name: &str, options: &[&str]) -> Result<Own, String> {
    let mut labels = Vec::new();
    let mut rest = vec![("rules", json!([]))];
    for option in options {
        let key = |key: &str| format!("rbac.authorization.k8s.io/aggregate-to-{key}");
        match option.split_once('=') {
            Some(("feeds", of)) => labels.push(key(of)),
            Some(("gathers", of)) => {
                let mut selector = Map::new();
                selector.insert(key(of), "true".into());
                let rule = json!({"clusterRoleSelectors": [{"matchLabels": selector}]});
                rest.push(("aggregationRule", rule));
            }
            _ => return Err(format!("no option of a role: {option}")),
        }
    }
    Ok(Own {
        group: GROUP,
        version: "v1",
        plural: "clusterroles",
        object: object("ClusterRole", metadata("", name, &labels), rest),
        upkeep: Upkeep::Role,
    })
}

fn binding(namespace: &str, name: &str, role: &str, subjects: &[&str]) -> Result<Own, String> {
    let subjects = subjects
        .iter()
        .map(|subject| match subject.split_once('=') {
            Some(("user", name)) => Ok(json!({"kind": "User", "apiGroup": GROUP, "name": name})),
            Some(("group", name)) => Ok(json!({"kind": "Group", "apiGroup": GROUP, "name": name})),
            Some(("account", account)) => {
                let (namespace, name) = account
                    .split_once('/')
                    .ok_or("an account has a namespace")?;
                Ok(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}))
            }
            _ => Err(format!("no subject: {subject}")),
        });
    let subjects = subjects.collect::<Result<Vec<_>, String>>()?;
    let (plural, kind, role_kind) = match namespace {
        "" => ("clusterrolebindings", "ClusterRoleBinding", "ClusterRole"),
        _ => ("rolebindings", "RoleBinding", "Role"),
    };
    let mut rest = Vec::new();
    if !subjects.is_empty() {
        rest.push(("subjects", subjects.into()));
    }
    let role = json!({"apiGroup": GROUP, "kind": role_kind, "name": role});
    rest.push(("roleRef", role));
    Ok(Own {
        group: GROUP,
        version: "v1",
        plural,
        object: object(kind, metadata(namespace, name, &[]), rest),
        upkeep: Upkeep::Binding,
    })
}

fn metadata(namespace: &str, name: &str, labels: &[String]) -> Value {
    let mut all = Map::new();
    all.insert("kubernetes.io/bootstrapping".into(), "rbac-defaults".into());
    all.extend(labels.iter().map(|label| (label.clone(), "true".into())));
    let mut metadata = Map::new();
    metadata.insert("name".into(), name.into());
    if !namespace.is_empty() {
        metadata.insert("namespace".into(), namespace.into());
    }
    metadata.insert("labels".into(), all.into());
    let annotations = json!({"rbac.authorization.kubernetes.io/autoupdate": "true"});
    metadata.insert("annotations".into(), annotations);
    metadata.into()
}

fn object(
    kind: &str,
    metadata: Value,
    rest: impl IntoIterator<Item = (&'static str, Value)>,
) -> Value {
    let mut object = Map::new();
    object.insert("kind".into(), kind.into());
    object.insert("apiVersion".into(), format!("{GROUP}/v1").into());
    object.insert("metadata".into(), metadata);
    object.extend(rest.into_iter().map(|(key, value)| (key.to_owned(), value)));
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(plural: &str, name: &str) -> &'static Own {
        let mut all = roles_and_bindings().iter();
        all.find(|one| one.plural == plural && one.name() == name)
            .unwrap()
    }

    #[test]
    fn the_table_can_be_read() {
        let count = |plural| {
            roles_and_bindings()
                .iter()
                .filter(|one| one.plural == plural)
                .count()
        };
        let counts = [
            "clusterroles",
            "clusterrolebindings",
            "roles",
            "rolebindings",
        ]
        .map(count);
        assert_eq!(counts, [69, 50, 7, 7]);
        let kube_dns = named("clusterrolebindings", "system:kube-dns");
        let subjects =
            json!([{"kind": "ServiceAccount", "name": "kube-dns", "namespace": "kube-system"}]);
        assert_eq!(kube_dns.object["subjects"], subjects);
        let namespaces = named("clusterroles", "system:controller:namespace-controller");
        assert!(namespaces.object["rules"].as_array().unwrap().len() > 2);
        for (text, said) in [
            (" get core pods", "a rule of no role"),
            ("clusterrole a b", "no option of a role: b"),
            ("clusterbinding a b c", "no subject: c"),
            ("role a", "neither role nor binding: role a"),
        ] {
            assert_eq!(read(text).unwrap_err(), said);
        }
    }

    #[test]
    fn roles_that_gather_have_what_they_gather() {
        let rules = |name| Rule::read_all(&named("clusterroles", name).object);
        let (admin, edit, view) = (rules("admin"), rules("edit"), rules("view"));
        assert_eq!(view, rules("system:aggregate-to-view"));
        let both = [rules("system:aggregate-to-edit"), view].concat();
        assert_eq!(edit, both);
        assert_eq!(admin, [edit, rules("system:aggregate-to-admin")].concat());
    }
}
