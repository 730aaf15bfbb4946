//! Quotas over a few objects in memory, and writers that race for the last of one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Charged;
use super::charge::{Quotas, Turns, charge};
use super::decide::Request;
use super::measure::{Measure, With};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::objects::Objects;
use crate::kube::schema::{Resource, Resources};
use crate::kube::status::ApiResult;
use crate::kube::user::User;

/// Quotas with versions, as the store has them.
#[derive(Default)]
struct Few {
    quotas: Mutex<BTreeMap<String, Arc<Value>>>,
    /// What is seen by those who do not ask for the latest.
    seen: Mutex<Option<Vec<Arc<Value>>>>,
    writes: Mutex<usize>,
}

impl Few {
    fn of(quotas: impl IntoIterator<Item = Value>) -> Self {
        let few = Self::default();
        for mut quota in quotas {
            let name = quota["metadata"]["name"].as_str().unwrap().to_owned();
            quota["metadata"]["uid"] = format!("uid-{name}").into();
            quota["metadata"]["resourceVersion"] = "1".into();
            few.quotas.lock().insert(name, Arc::new(quota));
        }
        few
    }

    fn used(&self, quota: &str) -> String {
        self.quotas.lock()[quota]["status"]["used"].to_string()
    }
}

impl Quotas for Few {
    async fn list(&self, _: &str, latest: bool) -> ApiResult<Vec<Arc<Value>>> {
        tokio::task::yield_now().await;
        let seen = self.seen.lock().clone().filter(|_| !latest);
        Ok(seen.unwrap_or_else(|| self.quotas.lock().values().cloned().collect()))
    }

    async fn replace(&self, old: &Value, mut new: Value) -> ApiResult<bool> {
        tokio::task::yield_now().await;
        let mut quotas = self.quotas.lock();
        let name = old["metadata"]["name"].as_str().unwrap();
        let current = quotas.get_mut(name).unwrap();
        if current["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return Ok(false);
        }
        let mut writes = self.writes.lock();
        *writes += 1;
        new["metadata"]["resourceVersion"] = (*writes + 1).to_string().into();
        *current = Arc::new(new);
        Ok(true)
    }
}

/// Objects to look up.
struct Others(Vec<(&'static str, Arc<Value>)>);

impl Objects for Others {
    fn get(&self, _: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let all = self.list("", plural, None).into_iter();
        let mut all = all.filter(|one| one["metadata"]["name"] == name);
        all.find(|one| one["metadata"]["namespace"].as_str().unwrap_or_default() == namespace)
    }

    fn list(&self, _: &str, plural: &str, _: Option<&str>) -> Vec<Arc<Value>> {
        let all = self.0.iter().filter(|one| one.0 == plural);
        all.map(|one| Arc::clone(&one.1)).collect()
    }
}

fn resource(group: &str, plural: &str) -> Resource {
    let find = |group, plural| {
        let found = Resources::built_in().find(group, "v1", plural);
        found.map(|resource| Resource::clone(resource))
    };
    find(group, plural).unwrap_or_else(|| Resource {
        group: group.into(),
        plural: plural.into(),
        object: None,
        ..find("", "pods").unwrap()
    })
}

struct Ask<'a> {
    operation: Operation,
    of: (&'a str, &'a str, &'a str),
    dry_run: bool,
    old: Option<Value>,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self {
            operation: Operation::Create,
            of: ("", "pods", ""),
            dry_run: false,
            old: None,
        }
    }
}

impl Ask<'_> {
    async fn charge(
        &self,
        few: &Few,
        turns: &Turns,
        charged: &Charged,
        object: &Value,
    ) -> Result<(), String> {
        let resource = resource(self.of.0, self.of.1);
        let (user, warnings) = (User::default(), Mutex::default());
        let by = Attributes {
            operation: self.operation,
            resource: &resource,
            subresource: self.of.2,
            namespace: "ns",
            name: object["metadata"]["name"].as_str().unwrap_or_default(),
            user: &user,
            dry_run: self.dry_run,
            warnings: &warnings,
            charged,
        };
        let measure = Measure::of(&by);
        let measure = measure.filter(|of| of.handles(&by, self.old.as_ref(), object));
        let Some(measure) = measure else {
            return Err("not handled".into());
        };
        let objects = Others(vec![(
            "deviceclasses",
            Arc::new(
                json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "ex.com/gpu"}}),
            ),
        )]);
        let with = With {
            objects: &objects,
            namespace: "ns",
            now: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        };
        let request = Request {
            by: &by,
            with,
            measure,
            object,
            old: self.old.as_ref(),
        };
        let done = charge(few, turns, request).await;
        done.map_err(|error| error.message)
    }

    async fn once(&self, few: &Few, object: &Value) -> Result<(), String> {
        let (turns, charged) = (Turns::default(), Charged::default());
        self.charge(few, &turns, &charged, object).await
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a case writes its objects in place"
)]
fn quota(name: &str, hard: Value, used: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "ns"}, "spec": {"hard": hard},
        "status": {"hard": hard, "used": used}})
}

fn pod(cpu: &str) -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}}]}})
}

#[tokio::test]
async fn what_fits_is_added_and_what_does_not_is_refused() {
    let hard = json!({"pods": "2", "requests.cpu": "1", "count/secrets": "0"});
    let used = json!({"pods": "0", "requests.cpu": "0", "count/secrets": "0"});
    let few = Few::of([quota("q", hard, used)]);
    let create = Ask::default();
    create.once(&few, &pod("600m")).await.unwrap();
    assert_eq!(
        few.used("q"),
        r#"{"count/secrets":"0","pods":"1","requests.cpu":"600m"}"#
    );
    assert_eq!(
        create.once(&few, &pod("500m")).await.unwrap_err(),
        "pods \"p\" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: \
         requests.cpu=1"
    );
    let nothing =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "b"}, {"name": "a"}]}});
    assert_eq!(
        create.once(&few, &nothing).await.unwrap_err(),
        "pods \"p\" is forbidden: failed quota: q: must specify requests.cpu for: a,b"
    );
    let secret = json!({"metadata": {"generateName": "s-"}});
    let create = Ask {
        of: ("", "secrets", ""),
        ..Ask::default()
    };
    assert_eq!(
        create.once(&few, &secret).await.unwrap_err(),
        "secrets \"s-\" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=0, limited: \
         count/secrets=0"
    );
}

#[tokio::test]
async fn nothing_is_written_for_dry_runs_and_for_what_no_quota_counts() {
    let hard = json!({"pods": "1"});
    let few = Few::of([quota("q", hard.clone(), json!({"pods": "0"}))]);
    let dry = Ask {
        dry_run: true,
        ..Ask::default()
    };
    dry.once(&few, &pod("1")).await.unwrap();
    let other = Ask {
        of: ("ex.com", "widgets", ""),
        ..Ask::default()
    };
    let object = json!({"metadata": {"name": "w"}});
    other.once(&few, &object).await.unwrap();
    assert_eq!(*few.writes.lock(), 0);
    let unknown = Few::of([quota("q", hard, json!({}))]);
    assert_eq!(
        Ask::default().once(&unknown, &pod("1")).await.unwrap_err(),
        "pods \"p\" is forbidden: status unknown for quota: q, resources: pods"
    );
    let custom = Few::of([quota(
        "q",
        json!({"count/widgets.ex.com": "1"}),
        json!({"count/widgets.ex.com": "0"}),
    )]);
    other.once(&custom, &object).await.unwrap();
    assert!(other.once(&custom, &object).await.is_err());
}

#[tokio::test]
async fn a_request_is_charged_once_however_often_it_is_judged() {
    let few = Few::of([quota(
        "q",
        json!({"pods": "9", "cpu": "9"}),
        json!({"pods": "0", "cpu": "0"}),
    )]);
    let (turns, charged) = (Turns::default(), Charged::default());
    let create = Ask::default();
    for _ in 0..3 {
        create
            .charge(&few, &turns, &charged, &pod("1"))
            .await
            .unwrap();
    }
    assert_eq!(few.used("q"), r#"{"cpu":"1","pods":"1"}"#);
    // Another round needs more than the one before: that much is added.
    create
        .charge(&few, &turns, &charged, &pod("3"))
        .await
        .unwrap();
    assert_eq!(few.used("q"), r#"{"cpu":"3","pods":"1"}"#);
}

#[tokio::test]
async fn what_was_given_back_a_moment_ago_can_be_had() {
    let few = Few::of([quota("q", json!({"pods": "1"}), json!({"pods": "0"}))]);
    let full = quota("q", json!({"pods": "1"}), json!({"pods": "1"}));
    *few.seen.lock() = Some(vec![Arc::new(full)]);
    Ask::default().once(&few, &pod("1")).await.unwrap();
    assert_eq!(few.used("q"), r#"{"pods":"1"}"#);
}

/// Two members: writers of one take turns, those of the other know nothing of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_cannot_all_have_the_last_of_a_quota() {
    let few = Arc::new(Few::of([
        quota("a", json!({"pods": "7"}), json!({"pods": "0"})),
        quota("b", json!({"cpu": "100"}), json!({"cpu": "0"})),
    ]));
    let members = [Arc::new(Turns::default()), Arc::new(Turns::default())];
    let writers = (0..40).map(|at: usize| {
        let (few, turns) = (Arc::clone(&few), Arc::clone(&members[at % 2]));
        async move {
            let charged = Charged::default();
            Ask::default()
                .charge(&few, &turns, &charged, &pod("1"))
                .await
        }
    });
    let (mut passed, mut refused) = (0, 0);
    for written in futures::future::join_all(writers).await {
        match written {
            Ok(()) => passed += 1,
            Err(why) => {
                assert!(why.contains("exceeded quota: a"), "{why}");
                refused += 1;
            }
        }
    }
    assert_eq!((passed, refused), (7, 33));
    assert_eq!(few.used("a"), r#"{"pods":"7"}"#);
    assert_eq!(few.used("b"), r#"{"cpu":"7"}"#);
}

/// Quotas and a request each line, and what kube-apiserver of the release makes of them: what is used then, or why not.
const RECORDED: &str = include_str!("recorded.jsonl");

#[tokio::test]
async fn requests_are_decided_about_as_the_release_does() {
    for (at, line) in RECORDED.lines().enumerate() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| case[key].as_str().unwrap();
        let (plural, group) = text("kind").split_once('.').unwrap_or((text("kind"), ""));
        let quotas = case["quotas"].as_array().unwrap();
        let few = Few::of(quotas.iter().cloned());
        let ask = Ask {
            operation: match text("op") {
                "CREATE" => Operation::Create,
                _ => Operation::Update,
            },
            of: (group, plural, text("sub")),
            old: Some(case["old"].clone()).filter(|old| !old.is_null()),
            ..Ask::default()
        };
        let said = match ask.once(&few, &case["object"]).await {
            Ok(()) => {
                let names = quotas
                    .iter()
                    .map(|quota| quota["metadata"]["name"].as_str().unwrap());
                let each = names.map(|name| format!("{name}{}", few.used(name)));
                each.collect::<Vec<_>>().join(" ")
            }
            Err(why) => why,
        };
        assert_eq!(said, text("said"), "line {}: {line}", at + 1);
    }
    assert!(RECORDED.lines().count() > 190);
}

/// `resources` under `requests`, as a quota counts them.
async fn counted(ask: &Ask<'_>, names: &[&str], object: &Value) -> String {
    let zero: BTreeMap<&str, &str> = names.iter().map(|name| (*name, "0")).collect();
    let hard: BTreeMap<&str, &str> = names.iter().map(|name| (*name, "1Pi")).collect();
    let few = Few::of([quota("q", json!(hard), json!(zero))]);
    ask.once(&few, object).await.unwrap();
    few.used("q")
}

#[tokio::test]
async fn pods_are_counted_with_all_that_they_need_at_once() {
    let object = json!({"metadata": {"name": "p"}, "spec": {
        "initContainers": [
            {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
            {"name": "i", "resources": {"requests": {"cpu": "4", "hugepages-2Mi": "4Mi"}, "limits": {"cpu": "9"}}}],
        "containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "ex.com/gpu": "2",
            "ephemeral-storage": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}}],
        "overhead": {"cpu": "250m"}}});
    let names = [
        "count/pods",
        "pods",
        "cpu",
        "limits.cpu",
        "requests.hugepages-2Mi",
        "requests.ex.com/gpu",
        "ephemeral-storage",
    ];
    // A quota of cpu would want every container to say it.
    let said = counted(&Ask::default(), &names[..2], &object).await;
    assert_eq!(said, r#"{"count/pods":"1","pods":"1"}"#);
    let said = counted(&Ask::default(), &names[4..], &object).await;
    assert_eq!(
        said,
        r#"{"ephemeral-storage":"1Gi","requests.ex.com/gpu":"2","requests.hugepages-2Mi":"4Mi"}"#
    );
    let mut whole = object;
    whole["spec"]["resources"] = json!({"requests": {"cpu": "8"}});
    let said = counted(&Ask::default(), &["cpu", "limits.cpu"], &whole).await;
    assert_eq!(said, r#"{"cpu":"8250m","limits.cpu":"9250m"}"#);
}

#[tokio::test]
async fn a_resize_is_charged_what_comes_on_top() {
    let ask = Ask {
        operation: Operation::Update,
        of: ("", "pods", "resize"),
        old: Some(pod("1")),
        ..Ask::default()
    };
    let said = counted(&ask, &["cpu", "pods"], &pod("3")).await;
    assert_eq!(said, r#"{"cpu":"2","pods":"0"}"#);
    let said = counted(&ask, &["cpu", "pods"], &pod("500m")).await;
    assert_eq!(said, r#"{"cpu":"0","pods":"0"}"#);
}

#[tokio::test]
async fn services_claims_and_devices_are_counted_by_their_own_names() {
    let of = |plural, operation, old| Ask {
        operation,
        of: ("", plural, ""),
        old,
        ..Ask::default()
    };
    let service = |kind: &str| json!({"metadata": {"name": "s"}, "spec": {"type": kind, "ports": [{"port": 1}, {"port": 2}]}});
    let names = ["services", "services.nodeports", "services.loadbalancers"];
    let ask = of("services", Operation::Update, Some(service("ClusterIP")));
    assert_eq!(
        counted(&ask, &names, &service("LoadBalancer")).await,
        r#"{"services":"0","services.loadbalancers":"1","services.nodeports":"2"}"#
    );
    let claim = json!({"metadata": {"name": "c"}, "spec": {"storageClassName": "gold",
        "resources": {"requests": {"storage": "1500m"}}}});
    let names = [
        "persistentvolumeclaims",
        "requests.storage",
        "gold.storageclass.storage.k8s.io/requests.storage",
        "tin.storageclass.storage.k8s.io/persistentvolumeclaims",
    ];
    let ask = of("persistentvolumeclaims", Operation::Create, None);
    assert_eq!(
        counted(&ask, &names, &claim).await,
        r#"{"gold.storageclass.storage.k8s.io/requests.storage":"2","persistentvolumeclaims":"1","requests.storage":"2","tin.storageclass.storage.k8s.io/persistentvolumeclaims":"0"}"#
    );
    let devices = json!({"metadata": {"name": "d"}, "spec": {"devices": {"requests": [
        {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
        {"name": "b", "firstAvailable": [
            {"deviceClassName": "gpu", "allocationMode": "All"},
            {"deviceClassName": "fpga", "allocationMode": "ExactCount", "count": 1}]}]}}});
    let ask = Ask {
        of: ("resource.k8s.io", "resourceclaims", ""),
        ..Ask::default()
    };
    let names = [
        "gpu.deviceclass.resource.k8s.io/devices",
        "fpga.deviceclass.resource.k8s.io/devices",
        "requests.ex.com/gpu",
        "count/resourceclaims.resource.k8s.io",
    ];
    assert_eq!(
        counted(&ask, &names, &devices).await,
        r#"{"count/resourceclaims.resource.k8s.io":"1","fpga.deviceclass.resource.k8s.io/devices":"1","gpu.deviceclass.resource.k8s.io/devices":"34","requests.ex.com/gpu":"34"}"#
    );
}

#[tokio::test]
async fn a_quota_counts_only_what_is_within_its_scopes() {
    let few = |scopes: Value, selector: Value| {
        let mut quota = quota("q", json!({"pods": "1"}), json!({"pods": "1"}));
        quota["spec"]["scopes"] = scopes;
        quota["spec"]["scopeSelector"] = json!({"matchExpressions": selector});
        Few::of([quota])
    };
    let counts = async |few: Few, pod: Value| Ask::default().once(&few, &pod).await.is_err();
    let with = |spec: Value| {
        let mut pod = pod("1");
        for (key, value) in spec.as_object().unwrap() {
            pod["spec"][key] = value.clone();
        }
        pod
    };
    let best = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
    let ends = with(json!({"activeDeadlineSeconds": 5}));
    let far = with(
        json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "podAffinityTerm": {"topologyKey": "k", "namespaces": ["x"]}}]}}}),
    );
    let high = with(json!({"priorityClassName": "high"}));
    let none = json!([]);
    for (scope, inside, outside) in [
        ("BestEffort", &best, &high),
        ("NotBestEffort", &high, &best),
        ("Terminating", &ends, &best),
        ("NotTerminating", &best, &ends),
        ("CrossNamespacePodAffinity", &far, &best),
        ("PriorityClass", &high, &best),
    ] {
        assert!(
            counts(few(json!([scope]), none.clone()), inside.clone()).await,
            "{scope}"
        );
        assert!(
            !counts(few(json!([scope]), none.clone()), outside.clone()).await,
            "{scope}"
        );
    }
    for (operator, values, inside) in [
        ("In", json!(["high"]), true),
        ("In", json!(["low"]), false),
        ("NotIn", json!(["low"]), true),
        ("NotIn", json!(["high"]), false),
        ("DoesNotExist", json!([]), false),
    ] {
        let selector =
            json!([{"scopeName": "PriorityClass", "operator": operator, "values": values}]);
        let found = counts(few(json!([]), selector), high.clone()).await;
        assert_eq!(found, inside, "{operator}");
    }
}
