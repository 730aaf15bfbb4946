//! LimitRanger: what containers of a namespace get if they ask for nothing, and how much and how little pods,
//! containers and claims may ask for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::make;
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::amount::Amount;
use crate::kube::objects::Objects;
use crate::kube::status::ApiResult;
use crate::kube::tree::{entries, get, items, set_sorted, text};

pub(super) const NAME: &str = "LimitRanger";

const ANNOTATION: &str = "kubernetes.io/limit-ranger";
/// The most whole units whose thousandths fit an `int64`.
const MOST: i128 = i64::MAX as i128 / 1000;

type Amounts<'a> = BTreeMap<&'a str, Amount>;

/// Whether limits apply to a request: new pods, resized ones, claims. Never to what is being deleted.
fn applies(by: &Attributes<'_>, old: Option<&Value>) -> bool {
    let deleting = |old| get(old, &["metadata", "deletionTimestamp"]).is_some();
    if old.is_some_and(deleting) {
        return false;
    }
    match (by.operation, by.subresource) {
        (Operation::Update, "resize") => by.about("", "pods"),
        (Operation::Create, "") => by.about("", "pods") || by.about("", "persistentvolumeclaims"),
        (Operation::Update, "") => by.about("", "persistentvolumeclaims"),
        _ => false,
    }
}

/// Fills in what containers do not ask for.
pub(super) fn mutate(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    old: Option<&Value>,
    pod: &mut Value,
) {
    if !applies(by, old) || !by.about("", "pods") {
        return;
    }
    for range in objects.list("", "limitranges", Some(by.namespace)) {
        let mut set = Vec::new();
        for (list, what) in [
            ("containers", "container"),
            ("initContainers", "init container"),
        ] {
            let containers = pod
                .pointer_mut(&format!("/spec/{list}"))
                .and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let of = text(container, &["name"]).to_owned();
                for (key, default, word) in [
                    ("requests", "defaultRequest", "request"),
                    ("limits", "default", "limit"),
                ] {
                    let filled = fill(container, key, &of_containers(&range, default));
                    if !filled.is_empty() {
                        set.push(format!("{} {word} for {what} {of}", filled.join(", ")));
                    }
                }
            }
        }
        if !set.is_empty() {
            annotate(pod, format!("LimitRanger plugin set: {}", set.join("; ")));
        }
    }
}

/// What a range says of all containers; the last one to say something counts.
fn of_containers<'a>(range: &'a Value, key: &str) -> BTreeMap<&'a str, &'a Value> {
    let limits = items(range, &["spec", "limits"]).iter();
    let limits = limits.filter(|limit| text(limit, &["type"]) == "Container");
    limits.flat_map(|limit| entries(limit, &[key])).collect()
}

/// Gives the names of what was missing.
fn fill(container: &mut Value, key: &str, defaults: &BTreeMap<&str, &Value>) -> Vec<String> {
    let has = |container: &Value, name| get(container, &["resources", key, name]).is_some();
    let missing = defaults.iter().filter(|(name, _)| !has(container, name));
    let missing: Vec<_> = missing
        .map(|(name, value)| (*name, (*value).clone()))
        .collect();
    let mut filled = Vec::new();
    for (name, value) in missing {
        let resources = container
            .as_object_mut()
            .and_then(|container| make("core/v1.Container", container, "resources"));
        let list = resources.and_then(|map| make("core/v1.ResourceRequirements", map, key));
        if let Some(list) = list {
            set_sorted(list, name, value);
            filled.push(name.to_owned());
        }
    }
    filled
}

fn annotate(pod: &mut Value, text: String) {
    let metadata = pod.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations = metadata.and_then(|map| make("meta/v1.ObjectMeta", map, "annotations"));
    if let Some(annotations) = annotations {
        set_sorted(annotations, ANNOTATION, text.into());
    }
}

pub(super) fn validate(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    old: Option<&Value>,
    object: &Value,
) -> ApiResult<()> {
    if !applies(by, old) {
        return Ok(());
    }
    for range in objects.list("", "limitranges", Some(by.namespace)) {
        let mut wrong: Vec<String> = Vec::new();
        for limit in items(&range, &["spec", "limits"]) {
            if by.about("", "pods") {
                judge_pod(limit, object, &mut wrong);
            } else if text(limit, &["type"]) == "PersistentVolumeClaim" {
                judge_claim(limit, object, &mut wrong);
            }
        }
        let mut once: Vec<String> = Vec::new();
        for text in wrong {
            if !once.contains(&text) {
                once.push(text);
            }
        }
        match once.as_slice() {
            [] => {}
            [one] => return Err(by.refuse(object, one)),
            all => return Err(by.refuse(object, format!("[{}]", all.join(", ")))),
        }
    }
    Ok(())
}

fn judge_claim(limit: &Value, claim: &Value, wrong: &mut Vec<String>) {
    let asked = amounts(claim, &["spec", "resources", "requests"]);
    let (none, of) = (Amounts::new(), "PersistentVolumeClaim");
    for (name, enforced) in amounts(limit, &["min"]) {
        wrong.extend(Rule { of, name, enforced }.min(&asked, &none));
    }
    for (name, enforced) in amounts(limit, &["max"]) {
        wrong.extend(Rule { of, name, enforced }.max_request(&asked));
    }
}

fn judge_pod(limit: &Value, pod: &Value, wrong: &mut Vec<String>) {
    match text(limit, &["type"]) {
        "Container" => {
            for container in ["containers", "initContainers"]
                .iter()
                .flat_map(|list| items(pod, &["spec", list]))
            {
                let requests = amounts(container, &["resources", "requests"]);
                let limits = amounts(container, &["resources", "limits"]);
                judge(limit, "Container", &requests, &limits, wrong);
            }
        }
        "Pod" => judge(
            limit,
            "Pod",
            &total(pod, "requests"),
            &total(pod, "limits"),
            wrong,
        ),
        _ => {}
    }
}

fn judge(
    limit: &Value,
    of: &str,
    requests: &Amounts<'_>,
    limits: &Amounts<'_>,
    wrong: &mut Vec<String>,
) {
    for (name, enforced) in amounts(limit, &["min"]) {
        wrong.extend(Rule { of, name, enforced }.min(requests, limits));
    }
    for (name, enforced) in amounts(limit, &["max"]) {
        wrong.extend(Rule { of, name, enforced }.max(requests, limits));
    }
    for (name, enforced) in amounts(limit, &["maxLimitRequestRatio"]) {
        wrong.extend(Rule { of, name, enforced }.ratio(requests, limits));
    }
}

fn amounts<'a>(of: &'a Value, path: &[&str]) -> Amounts<'a> {
    let all = entries(of, path);
    all.filter_map(|(name, value)| Some((name, Amount::parse(value.as_str()?)?)))
        .collect()
}

/// What a pod asks for as a whole: its containers at once, or what is needed before they start.
fn total<'a>(pod: &'a Value, key: &str) -> Amounts<'a> {
    let mut all = Amounts::new();
    for container in items(pod, &["spec", "containers"]) {
        add(&mut all, &amounts(container, &["resources", key]));
    }
    let (mut staying, mut before) = (Amounts::new(), Amounts::new());
    for container in items(pod, &["spec", "initContainers"]) {
        let asked = amounts(container, &["resources", key]);
        if text(container, &["restartPolicy"]) == "Always" {
            add(&mut all, &asked);
            add(&mut staying, &asked);
            most(&mut before, &staying);
        } else {
            let mut at_once = asked;
            add(&mut at_once, &staying);
            most(&mut before, &at_once);
        }
    }
    most(&mut all, &before);
    for (name, amount) in amounts(pod, &["spec", "resources", key]) {
        if matches!(name, "cpu" | "memory") {
            all.insert(name, amount);
        }
    }
    all
}

fn add<'a>(to: &mut Amounts<'a>, more: &Amounts<'a>) {
    for (name, amount) in more {
        let sum = to.get(name).map_or(*amount, |has| has.plus(*amount));
        to.insert(name, sum);
    }
}

fn most<'a>(to: &mut Amounts<'a>, other: &Amounts<'a>) {
    for (name, amount) in other {
        if to.get(name).is_none_or(|has| amount > has) {
            to.insert(name, *amount);
        }
    }
}

/// One line of a range.
struct Rule<'a> {
    of: &'a str,
    name: &'a str,
    enforced: Amount,
}

impl Rule<'_> {
    /// The amounts as they are compared: in thousandths, or in units if one of them is huge.
    fn numbers<const N: usize>(&self, of: [Option<&Amount>; N]) -> ([i128; N], i128) {
        let of = of.map(|one| one.copied().unwrap_or(Amount::ZERO));
        let small = of
            .iter()
            .chain([&self.enforced])
            .all(|one| one.units() <= MOST);
        let number = |one: Amount| if small { one.millis() } else { one.units() };
        (of.map(number), number(self.enforced))
    }

    fn min(&self, requests: &Amounts<'_>, limits: &Amounts<'_>) -> Option<String> {
        let (request, limit) = (requests.get(self.name), limits.get(self.name));
        let ([asked, limited], enforced) = self.numbers([request, limit]);
        let rule = format!(
            "minimum {} usage per {} is {}",
            self.name, self.of, self.enforced
        );
        match (request, limit) {
            (None, _) => Some(format!("{rule}.  No request is specified")),
            (Some(request), _) if asked < enforced => {
                Some(format!("{rule}, but request is {request}"))
            }
            (_, Some(limit)) if limited < enforced => Some(format!("{rule}, but limit is {limit}")),
            _ => None,
        }
    }

    fn max_request(&self, requests: &Amounts<'_>) -> Option<String> {
        let request = requests.get(self.name);
        let ([asked], enforced) = self.numbers([request]);
        let rule = format!(
            "maximum {} usage per {} is {}",
            self.name, self.of, self.enforced
        );
        match request {
            None => Some(format!("{rule}.  No request is specified")),
            Some(request) if asked > enforced => Some(format!("{rule}, but request is {request}")),
            Some(_) => None,
        }
    }

    fn max(&self, requests: &Amounts<'_>, limits: &Amounts<'_>) -> Option<String> {
        let (request, limit) = (requests.get(self.name), limits.get(self.name));
        let ([asked, limited], enforced) = self.numbers([request, limit]);
        let rule = format!(
            "maximum {} usage per {} is {}",
            self.name, self.of, self.enforced
        );
        match (limit, request) {
            (None, _) => Some(format!("{rule}.  No limit is specified")),
            (Some(limit), _) if limited > enforced => Some(format!("{rule}, but limit is {limit}")),
            (_, Some(request)) if asked > enforced => {
                Some(format!("{rule}, but request is {request}"))
            }
            _ => None,
        }
    }

    fn ratio(&self, requests: &Amounts<'_>, limits: &Amounts<'_>) -> Option<String> {
        let (request, limit) = (requests.get(self.name), limits.get(self.name));
        let ([asked, limited], _) = self.numbers([request, limit]);
        let rule = format!(
            "{} max limit to request ratio per {} is {}",
            self.name, self.of, self.enforced
        );
        if asked == 0 {
            return Some(format!(
                "{rule}, but no request is specified or request is 0"
            ));
        }
        if limited == 0 {
            return Some(format!("{rule}, but no limit is specified or limit is 0"));
        }
        let ratio = limited as f64 / asked as f64;
        let (observed, most) = if self.enforced.units() <= MOST {
            (ratio * 1000.0, self.enforced.millis() as f64)
        } else {
            (ratio, self.enforced.units() as f64)
        };
        (observed > most).then(|| format!("{rule}, but provided ratio is {ratio:.6}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    fn range(limits: Value) -> Few {
        let mut range = json!({"metadata": {"name": "l", "namespace": "ns"}, "spec": {}});
        range["spec"]["limits"] = limits;
        Few(vec![("", "limitranges", range)])
    }

    fn pod(resources: Value) -> Value {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
        pod["spec"]["containers"][0]["resources"] = resources;
        pod
    }

    #[test]
    fn containers_get_what_they_do_not_ask_for() {
        let few = range(
            json!([{"type": "Container", "default": {"cpu": "2", "memory": "1Gi"},
            "defaultRequest": {"cpu": "100m", "memory": "1Gi"}}]),
        );
        let made = CREATE_POD
            .mutate(NAME, &few, None, pod(json!({"limits": {"cpu": "1"}})))
            .unwrap();
        assert_eq!(
            made["spec"]["containers"][0]["resources"].to_string(),
            r#"{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"100m","memory":"1Gi"}}"#
        );
        assert_eq!(
            made["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu, memory request for container c; memory limit for container c"
        );
    }

    #[test]
    fn more_or_less_than_allowed_is_refused() {
        let few = range(json!([
            {"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}},
            {"type": "Pod", "max": {"memory": "1Gi"}},
        ]));
        let judge = |resources| {
            let why = CREATE_POD.judge(NAME, &few, None, &pod(resources));
            why.map_err(|why| why.split_once("forbidden: ").unwrap().1.to_owned())
        };
        let good = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}});
        assert_eq!(judge(good), Ok(()));
        let bad = json!({"limits": {"cpu": "2", "memory": "1025Mi"}, "requests": {"cpu": "50m"}});
        assert_eq!(
            judge(bad).unwrap_err(),
            "[minimum cpu usage per Container is 100m, but request is 50m, maximum cpu usage per Container is 1, but \
             limit is 2, cpu max limit to request ratio per Container is 2, but provided ratio is 40.000000, maximum \
             memory usage per Pod is 1Gi, but limit is 1025Mi]"
        );
        let nothing = judge(json!({})).unwrap_err();
        assert!(
            nothing.contains("minimum cpu usage per Container is 100m.  No request is specified")
        );
        assert!(nothing.contains("maximum cpu usage per Container is 1.  No limit is specified"));
    }

    #[test]
    fn claims_are_judged_on_updates_too() {
        let few = range(
            json!([{"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}, "min": {"storage": "1Gi"}}]),
        );
        let claim = |size: &str| json!({"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": size}}}});
        let ask = Ask {
            operation: Operation::Update,
            resource: ("", "v1", "persistentvolumeclaims"),
            ..CREATE_POD
        };
        let why = ask
            .judge(NAME, &few, Some(&claim("1Gi")), &claim("3Gi"))
            .unwrap_err();
        assert_eq!(
            why,
            r#"persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"#
        );
        let mut old = claim("1Gi");
        old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(ask.judge(NAME, &few, Some(&old), &claim("3Gi")), Ok(()));
    }

    #[test]
    fn pods_ask_for_the_most_that_they_need_at_once() {
        let pod = json!({"spec": {
            "initContainers": [
                {"name": "a", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
                {"name": "b", "resources": {"requests": {"cpu": "3"}}},
            ],
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}],
        }});
        assert_eq!(total(&pod, "requests")["cpu"].to_string(), "4");
    }
}
