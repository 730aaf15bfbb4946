//! Which flow a request belongs to: the flow schema that matches it first, and that schema's priority level.
//!
//! This tells flows apart and holds nobody back: how much is taken on at a time is `rest::limits`' concern.
//! Rules: <https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::Value;

use super::objects::Objects;
use super::request::{RequestInfo, Target};
use super::tree;
use super::user::User;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const SCHEMAS: &str = "flowschemas";
const LEVELS: &str = "prioritylevelconfigurations";
/// Where whatever nobody matches belongs.
const CATCH_ALL: &str = "catch-all";
/// Stands for anything in a list of a rule.
const ANY: &str = "*";

/// A schema and its level, by name and by uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    pub schema: String,
    pub schema_uid: String,
    pub level: String,
    pub level_uid: String,
}

/// Tells flows apart by the schemas that are stored.
pub struct Flows {
    objects: Arc<dyn Objects>,
    read: ArcSwapOption<Table>,
}

/// The schemas whose level is there, in the order in which they are tried.
#[derive(Debug)]
struct Table {
    /// When schemas and levels were changed last, as the table has them.
    changed: (Option<u64>, Option<u64>),
    schemas: Vec<Schema>,
}

#[derive(Debug)]
struct Schema {
    flow: Arc<Flow>,
    precedence: i64,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    subjects: Vec<Subject>,
    resources: Vec<ResourceRule>,
    paths: Vec<PathRule>,
}

#[derive(Debug)]
enum Subject {
    User(String),
    Group(String),
    /// Of a namespace; the name may be [`ANY`].
    Account(String, String),
}

#[derive(Debug)]
struct ResourceRule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    cluster: bool,
    namespaces: Vec<String>,
}

#[derive(Debug)]
struct PathRule {
    verbs: Vec<String>,
    paths: Vec<String>,
}

impl Flows {
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self {
            objects,
            read: ArcSwapOption::empty(),
        }
    }

    /// The flow of a request; none while there is not even the schema for everything else.
    pub fn flow(&self, user: &User, request: &RequestInfo) -> Option<Arc<Flow>> {
        let table = self.table();
        let mut matching = table.schemas.iter();
        let found =
            matching.find(|schema| schema.rules.iter().any(|rule| rule.is_for(user, request)));
        let found = found.or_else(|| {
            table
                .schemas
                .iter()
                .find(|schema| schema.flow.schema == CATCH_ALL)
        });
        found.map(|schema| Arc::clone(&schema.flow))
    }

    fn table(&self) -> Arc<Table> {
        let changed = |plural| self.objects.changed(GROUP, plural);
        let changed = (changed(SCHEMAS), changed(LEVELS));
        let known = self.read.load_full();
        if let Some(table) = known.filter(|table| table.changed == changed && changed.0.is_some()) {
            return table;
        }
        // The state is read after the numbers: the table is never taken for newer than it is.
        let table = Arc::new(Table {
            changed,
            schemas: self.schemas(),
        });
        self.read.store(Some(Arc::clone(&table)));
        table
    }

    fn schemas(&self) -> Vec<Schema> {
        let uid = |object: &Value| tree::text(object, &["metadata", "uid"]).to_owned();
        let name = |object: &Value| tree::text(object, &["metadata", "name"]).to_owned();
        let levels = self.objects.list(GROUP, LEVELS, None);
        let levels: HashMap<String, String> = levels
            .iter()
            .map(|level| (name(level), uid(level)))
            .collect();
        let schemas = self.objects.list(GROUP, SCHEMAS, None);
        let mut schemas: Vec<Schema> = schemas
            .iter()
            .filter_map(|object| {
                let level = tree::text(object, &["spec", "priorityLevelConfiguration", "name"]);
                Some(Schema {
                    flow: Arc::new(Flow {
                        schema: name(object),
                        schema_uid: uid(object),
                        level: level.to_owned(),
                        level_uid: levels.get(level)?.clone(),
                    }),
                    precedence: tree::int(object, &["spec", "matchingPrecedence"])
                        .unwrap_or_default(),
                    rules: tree::items(object, &["spec", "rules"])
                        .iter()
                        .map(Rule::read)
                        .collect(),
                })
            })
            .collect();
        schemas.sort_by(|a, b| (a.precedence, &a.flow.schema).cmp(&(b.precedence, &b.flow.schema)));
        schemas
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let all = |name| tree::items(rule, &[name]);
        Self {
            subjects: all("subjects").iter().filter_map(Subject::read).collect(),
            resources: all("resourceRules")
                .iter()
                .map(ResourceRule::read)
                .collect(),
            paths: all("nonResourceRules").iter().map(PathRule::read).collect(),
        }
    }

    fn is_for(&self, user: &User, request: &RequestInfo) -> bool {
        let by = self.subjects.iter().any(|subject| subject.is(user));
        by && match &request.target {
            Some(target) => self
                .resources
                .iter()
                .any(|rule| rule.is_for(&request.verb, target)),
            None => self.paths.iter().any(|rule| rule.is_for(request)),
        }
    }
}

impl Subject {
    fn read(subject: &Value) -> Option<Self> {
        let text = |path: &[&str]| tree::text(subject, path).to_owned();
        Some(match tree::text(subject, &["kind"]) {
            "User" => Self::User(text(&["user", "name"])),
            "Group" => Self::Group(text(&["group", "name"])),
            "ServiceAccount" => {
                let of = |field| text(&["serviceAccount", field]);
                Self::Account(of("namespace"), of("name"))
            }
            _ => return None,
        })
    }

    fn is(&self, user: &User) -> bool {
        match self {
            Self::User(name) => name == ANY || *name == user.name,
            Self::Group(name) => name == ANY || user.is_in(name),
            Self::Account(namespace, name) => {
                let account = user.name.strip_prefix("system:serviceaccount:");
                let account = account.and_then(|account| account.split_once(':'));
                account
                    .is_some_and(|(of, called)| of == namespace && (name == ANY || name == called))
            }
        }
    }
}

impl ResourceRule {
    fn read(rule: &Value) -> Self {
        Self {
            verbs: words(rule, "verbs"),
            groups: words(rule, "apiGroups"),
            resources: words(rule, "resources"),
            cluster: rule
                .get("clusterScope")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            namespaces: words(rule, "namespaces"),
        }
    }

    fn is_for(&self, verb: &str, target: &Target) -> bool {
        has(&self.verbs, verb)
            && has_resource(&self.resources, target)
            && has(&self.groups, &target.group)
            && match &*target.namespace {
                "" => self.cluster,
                namespace => has(&self.namespaces, namespace),
            }
    }
}

impl PathRule {
    fn read(rule: &Value) -> Self {
        Self {
            verbs: words(rule, "verbs"),
            paths: words(rule, "nonResourceURLs"),
        }
    }

    fn is_for(&self, request: &RequestInfo) -> bool {
        let covers = |path: &String| {
            let below = path.trim_end_matches('*').trim_end_matches('/');
            let rest = request.path.strip_prefix(below);
            path == ANY || *path == request.path || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        has(&self.verbs, &request.verb) && self.paths.iter().any(covers)
    }
}

fn words(rule: &Value, field: &str) -> Vec<String> {
    let items = tree::items(rule, &[field]).iter();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// [`ANY`] stands alone, which validation sees to.
fn has(list: &[String], word: &str) -> bool {
    list.iter().any(|one| one == ANY || one == word)
}

/// `pods`, or `pods/status` for a part of it.
fn has_resource(list: &[String], target: &Target) -> bool {
    list.iter().any(|one| {
        let part = one.strip_prefix(&target.resource);
        one == ANY
            || part.is_some_and(|part| match part.strip_prefix('/') {
                Some(part) => !part.is_empty() && part == target.subresource,
                None => part.is_empty() && target.subresource.is_empty(),
            })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use parking_lot::Mutex;
    use serde_json::json;

    use super::*;
    use crate::kube::bootstrap::{Facts, cluster_objects};

    /// What a new cluster has, with uids that say what they are of.
    #[derive(Default)]
    struct Cluster {
        objects: Mutex<Vec<(&'static str, Arc<Value>)>>,
        changes: AtomicU64,
    }

    impl Cluster {
        fn new() -> Self {
            let facts = Facts {
                service_range: "10.0.0.0/24".into(),
                service_address: "10.0.0.1".parse().unwrap(),
                port: 6443,
                client_ca: None,
                front_proxy: None,
                now: std::time::Duration::ZERO,
            };
            let cluster = Self::default();
            for own in cluster_objects(&facts)
                .into_iter()
                .filter(|own| own.group == GROUP)
            {
                cluster.put(own.plural, own.object);
            }
            cluster
        }

        fn put(&self, plural: &'static str, mut object: Value) {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            object["metadata"]["uid"] = format!("{plural}/{name}").into();
            self.objects.lock().push((plural, Arc::new(object)));
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Objects for Cluster {
        fn get(&self, _: &str, _: &str, _: &str, _: &str) -> Option<Arc<Value>> {
            None
        }

        fn list(&self, group: &str, plural: &str, _: Option<&str>) -> Vec<Arc<Value>> {
            assert_eq!(group, GROUP);
            let objects = self.objects.lock();
            let of = objects.iter().filter(|(of, _)| *of == plural);
            of.map(|(_, object)| Arc::clone(object)).collect()
        }

        fn changed(&self, _: &str, _: &str) -> Option<u64> {
            Some(self.changes.load(Ordering::Relaxed))
        }
    }

    fn user(name: &str, groups: &[&str]) -> User {
        User {
            name: name.into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..User::default()
        }
    }

    fn asked(flows: &Flows, user: &User, method: &str, path: &str) -> String {
        let request = RequestInfo::parse(method, path, "").unwrap();
        let flow = flows.flow(user, &request).unwrap();
        assert_eq!(flow.schema_uid, format!("{SCHEMAS}/{}", flow.schema));
        assert_eq!(flow.level_uid, format!("{LEVELS}/{}", flow.level));
        format!("{} {}", flow.schema, flow.level)
    }

    #[test]
    fn requests_of_a_new_cluster_flow_as_the_release_has_it() {
        let flows = Flows::new(Arc::new(Cluster::new()));
        let pods = "/api/v1/namespaces/a/pods";
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x";
        let admin = user("admin", &["system:masters", "system:authenticated"]);
        let node = user("system:node:n", &["system:nodes", "system:authenticated"]);
        let scheduler = user("system:kube-scheduler", &["system:authenticated"]);
        let account = user(
            "system:serviceaccount:kube-system:gc",
            &[
                "system:serviceaccounts",
                "system:serviceaccounts:kube-system",
                "system:authenticated",
            ],
        );
        let other = user(
            "system:serviceaccount:a:b",
            &[
                "system:serviceaccounts",
                "system:serviceaccounts:a",
                "system:authenticated",
            ],
        );
        let alice = user("alice", &["system:authenticated"]);
        let nobody = User::anonymous();
        for (who, method, path, flow) in [
            (&admin, "GET", pods, "exempt exempt"),
            (&nobody, "GET", "/readyz", "probes exempt"),
            (&nobody, "GET", "/version", "global-default global-default"),
            (
                &scheduler,
                "PUT",
                lease,
                "system-leader-election leader-election",
            ),
            (&scheduler, "GET", pods, "kube-scheduler workload-high"),
            (
                &node,
                "PATCH",
                "/api/v1/nodes/n/status",
                "system-node-high node-high",
            ),
            (&node, "GET", pods, "system-nodes system"),
            (
                &account,
                "GET",
                pods,
                "kube-system-service-accounts workload-high",
            ),
            (&other, "GET", pods, "service-accounts workload-low"),
            (&alice, "GET", pods, "global-default global-default"),
            (&alice, "GET", "/apis", "global-default global-default"),
            (&user("odd", &[]), "GET", pods, "catch-all catch-all"),
        ] {
            assert_eq!(
                asked(&flows, who, method, path),
                flow,
                "{} {path}",
                who.name
            );
        }
    }

    #[test]
    fn a_schema_counts_from_when_its_level_is_there() {
        let cluster = Arc::new(Cluster::new());
        let flows = Flows::new(Arc::clone(&cluster) as Arc<_>);
        let alice = user("alice", &["system:authenticated"]);
        let path = "/api/v1/namespaces/a/pods/x/status";
        let schema = json!({"metadata": {"name": "mine"}, "spec": {
            "priorityLevelConfiguration": {"name": "own"},
            "matchingPrecedence": 10,
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": "alice"}}],
                "resourceRules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["pods/status"],
                    "namespaces": ["a"]}],
            }],
        }});
        cluster.put(SCHEMAS, schema);
        assert_eq!(
            asked(&flows, &alice, "GET", path),
            "global-default global-default"
        );
        cluster.put(LEVELS, json!({"metadata": {"name": "own"}}));
        assert_eq!(asked(&flows, &alice, "GET", path), "mine own");
        for other in [
            "/api/v1/namespaces/a/pods/x",
            "/api/v1/namespaces/b/pods/x/status",
            "/apis/apps/v1/namespaces/a/pods/x/status",
        ] {
            assert_eq!(
                asked(&flows, &alice, "GET", other),
                "global-default global-default"
            );
        }
    }

    #[test]
    fn paths_are_matched_whole_or_below() {
        let rule = PathRule::read(
            &json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/a/*", "/"]}),
        );
        let matches = |path: &str| rule.is_for(&RequestInfo::parse("GET", path, "").unwrap());
        for path in ["/healthz", "/healthz/etcd", "/a/b", "/"] {
            assert!(matches(path), "{path}");
        }
        let rule = PathRule::read(&json!({"verbs": ["get"], "nonResourceURLs": ["/healthz"]}));
        assert!(!rule.is_for(&RequestInfo::parse("GET", "/healthzz", "").unwrap()));
        assert!(!rule.is_for(&RequestInfo::parse("POST", "/healthz", "").unwrap()));
    }
}
