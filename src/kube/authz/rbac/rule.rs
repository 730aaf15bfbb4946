//! A rule of a role, and what it allows.

use serde_json::{Map, Value};

use crate::kube::request::RequestInfo;

/// `rbac.authorization.k8s.io/v1 PolicyRule`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Rule {
    pub verbs: Vec<String>,
    pub groups: Vec<String>,
    pub resources: Vec<String>,
    /// Empty for any.
    pub names: Vec<String>,
    /// Exact, or a prefix before `*`.
    pub urls: Vec<String>,
}

/// Matches any verb, group, resource or path.
pub(super) const ALL: &str = "*";

impl Rule {
    /// Everything there is, as two rules.
    pub fn full() -> [Self; 2] {
        let all = || vec![ALL.to_owned()];
        let resources = Self {
            verbs: all(),
            groups: all(),
            resources: all(),
            ..Self::default()
        };
        let urls = Self {
            verbs: all(),
            urls: all(),
            ..Self::default()
        };
        [resources, urls]
    }

    /// Reads what is stored; whatever has another form than it should allows nothing.
    pub fn read(value: &Value) -> Self {
        let list = |key: &str| -> Vec<String> {
            let items = value.get(key).and_then(Value::as_array);
            let texts = items.into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        Self {
            verbs: list("verbs"),
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            urls: list("nonResourceURLs"),
        }
    }

    /// The rules of a role, or of none.
    pub fn read_all(role: &Value) -> Vec<Self> {
        let rules = role.get("rules").and_then(Value::as_array);
        rules.into_iter().flatten().map(Self::read).collect()
    }

    /// In Go form: empty lists are left out, but for the verbs.
    pub fn to_value(&self) -> Value {
        let mut value = Map::new();
        value.insert("verbs".into(), self.verbs.clone().into());
        for (key, list) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ] {
            if !list.is_empty() {
                value.insert(key.into(), list.clone().into());
            }
        }
        value.into()
    }

    /// Whether a request may be made.
    pub fn allows(&self, request: &RequestInfo) -> bool {
        if !has_or_all(&self.verbs, &request.verb) {
            return false;
        }
        let Some(target) = &request.target else {
            return self.urls.iter().any(|url| covers_path(url, &request.path));
        };
        has_or_all(&self.groups, &target.group)
            && self.matches_resource(&target.resource, &target.subresource)
            && (self.names.is_empty() || self.names.contains(&target.name))
    }

    fn matches_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|one| match subresource {
            "" => one == ALL || one == resource,
            _ => {
                let (of, part) = one.split_once('/').unwrap_or((one, ""));
                one == ALL || (part == subresource && (of == ALL || of == resource))
            }
        })
    }

    /// The rule as the release prints it where rights are missing: `{APIGroups:[""], Verbs:["get"]}`.
    pub fn compact(&self) -> String {
        let lists = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let shown = lists.iter().filter(|(_, list)| !list.is_empty());
        let shown: Vec<_> = shown
            .map(|(name, list)| format!("{name}:{}", quoted(list)))
            .collect();
        format!("{{{}}}", shown.join(", "))
    }
}

/// A list of strings as Go's `%q` prints it.
pub fn quoted(list: &[String]) -> String {
    let quoted: Vec<_> = list.iter().map(|one| format!("{one:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

pub(super) fn has_or_all(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == ALL || one == wanted)
}

/// Whether a path of a rule covers another, which may be one of a rule itself.
pub(super) fn covers_path(rule: &str, path: &str) -> bool {
    rule == path || (rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(verb: &str, group: &str, resource: &str, name: &str) -> RequestInfo {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        RequestInfo::of_resource(verb, group, resource, subresource, "", name)
    }

    #[test]
    fn resources_subresources_and_names() {
        let rule = |resources: &[&str], names: &[&str]| {
            Rule::read(
                &json!({"verbs": ["get"], "apiGroups": [""], "resources": resources, "resourceNames": names}),
            )
        };
        for (resources, names, asked, name, allowed) in [
            (&["pods"][..], &[][..], "pods", "a", true),
            (&["pods"], &[], "pods/log", "a", false),
            (&["pods/log"], &[], "pods/log", "a", true),
            (&["pods/log"], &[], "pods", "a", false),
            (&["*"], &[], "pods/log", "a", true),
            (&["*/scale"], &[], "deployments/scale", "a", true),
            (&["*/scale"], &[], "deployments", "a", false),
            (&["*/scale"], &[], "deployments/status", "a", false),
            (&["pods/*"], &[], "pods/log", "a", false),
            (&["pods"], &["a"], "pods", "a", true),
            (&["pods"], &["a"], "pods", "b", false),
            (&["pods"], &["a"], "pods", "", false),
            (&["userextras/a/b"], &[], "userextras/a/b", "x", true),
        ] {
            let rule = rule(resources, names);
            let asked = request("get", "", asked, name);
            assert_eq!(rule.allows(&asked), allowed, "{rule:?} {asked:?}");
        }
        let rule = rule(&["pods"], &[]);
        assert!(!rule.allows(&request("list", "", "pods", "")));
        assert!(!rule.allows(&request("get", "apps", "pods", "a")));
    }

    #[test]
    fn paths() {
        for (url, path, allowed) in [
            ("*", "/x", true),
            ("/healthz", "/healthz", true),
            ("/healthz", "/healthz/a", false),
            ("/healthz/*", "/healthz/a", true),
            ("/healthz/*", "/healthz", false),
            ("/healthz*", "/healthz", true),
        ] {
            let rule = Rule::read(&json!({"verbs": ["get"], "nonResourceURLs": [url]}));
            let asked = RequestInfo::parse("GET", path, "").unwrap();
            assert_eq!(rule.allows(&asked), allowed, "{url} {path}");
        }
    }

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        let value = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a", "b"]});
        let rule = Rule::read(&value);
        assert_eq!(rule.to_value(), value);
        assert_eq!(
            rule.compact(),
            r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["a" "b"], Verbs:["get"]}"#
        );
        assert_eq!(
            Rule::read(&json!({"verbs": 1, "resources": [2]})),
            Rule::default()
        );
    }
}
