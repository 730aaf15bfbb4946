//! PodSecurity: pods are held against the Pod Security Standards that their namespace's labels name.
//!
//! Pods are refused, or their makers warned; workloads are warned only, since it is their pods that count. Nobody is
//! exempt, and what labels do not say is privileged: the plugin's configuration is the default one.

mod baseline;
mod checks;
mod level;
mod restricted;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use self::checks::{Pod, details, reasons, violations};
use self::level::{Bar, Level, Policy};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::object::meta;
use crate::kube::objects::Objects;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree::{get, items, text};

pub(super) const NAME: &str = "PodSecurity";

/// Pods of a namespace that are looked at when more is asked of them.
const MOST_PODS: usize = 3000;
/// Parts of pods through which no pod can be changed to do more.
const IGNORED: [&str; 8] = [
    "exec",
    "attach",
    "binding",
    "eviction",
    "log",
    "portforward",
    "proxy",
    "status",
];

pub(super) fn validate(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    old: Option<&Value>,
    object: &Value,
) -> ApiResult<()> {
    if !matches!(by.operation, Operation::Create | Operation::Update) {
        return Ok(());
    }
    if by.whole("", "namespaces") {
        return namespace(by, objects, old, object);
    }
    if by.about("", "pods") {
        return pod(by, objects, old, object);
    }
    let template = template(by, object).filter(|_| by.subresource.is_empty());
    if let Some(template) = template
        && let Some(namespace) = objects.get("", "namespaces", "", by.namespace)
    {
        warn(by, Policy::of(&namespace).0.warn, template);
    }
    Ok(())
}

/// A namespace's labels must be right, and more that is asked of pods is told to whoever asks it.
fn namespace(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    old: Option<&Value>,
    namespace: &Value,
) -> ApiResult<()> {
    let (new, wrong) = Policy::of(namespace);
    let old = old
        .filter(|_| by.operation == Operation::Update)
        .map(Policy::of);
    let known = old.as_ref().is_some_and(|(_, known)| *known == wrong);
    if !wrong.is_empty() && !known {
        return Err(ApiError::invalid("", "Namespace", by.name, &wrong));
    }
    let Some((old, _)) = old else {
        return Ok(());
    };
    let relaxed =
        new.enforce.version == old.enforce.version && new.enforce.level <= old.enforce.level;
    if new.enforce.level != Level::Privileged && !relaxed {
        let pods = objects.list("", "pods", Some(by.name));
        existing(by.name, new.enforce, &pods)
            .into_iter()
            .for_each(|text| by.warn(text));
    }
    Ok(())
}

fn pod(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    old: Option<&Value>,
    pod: &Value,
) -> ApiResult<()> {
    if IGNORED.contains(&by.subresource) {
        return Ok(());
    }
    let namespace = objects.get("", "namespaces", "", by.namespace);
    let Some(namespace) = namespace else {
        let why = format!("failed to lookup namespace {:?}", by.namespace);
        return Err(ApiError::internal(why));
    };
    let old = old.filter(|_| by.operation == Operation::Update);
    if old.is_some_and(|old| !matters(pod, old)) {
        return Ok(());
    }
    let (policy, _) = Policy::of(&namespace);
    let Some(pod) = parts(pod) else {
        return Ok(());
    };
    let against = violations(policy.enforce, pod);
    if !against.is_empty() {
        let (bar, details) = (policy.enforce.to_string(), details(&against));
        let why = format!("violates PodSecurity {bar:?}: {details}");
        return Err(ApiError::forbidden(by.resource, by.name, why));
    }
    warn(by, policy.warn, pod);
    Ok(())
}

fn warn(by: &Attributes<'_>, bar: Bar, pod: Pod<'_>) {
    let against = violations(bar, pod);
    if !against.is_empty() {
        let (bar, details) = (bar.to_string(), details(&against));
        by.warn(format!("would violate PodSecurity {bar:?}: {details}"));
    }
}

fn parts(pod: &Value) -> Option<Pod<'_>> {
    Some(Pod {
        metadata: get(pod, &["metadata"]).unwrap_or(&Value::Null),
        spec: get(pod, &["spec"])?,
    })
}

/// What the objects of a resource make pods of.
fn template<'a>(by: &Attributes<'_>, object: &'a Value) -> Option<Pod<'a>> {
    let path: &[&str] = match (&*by.resource.group, &*by.resource.plural) {
        ("", "podtemplates") => &["template"],
        ("", "replicationcontrollers")
        | ("apps", "replicasets" | "deployments" | "statefulsets" | "daemonsets")
        | ("batch", "jobs") => &["spec", "template"],
        ("batch", "cronjobs") => &["spec", "jobTemplate", "spec", "template"],
        _ => return None,
    };
    parts(get(object, path)?)
}

/// Whether an update changes what checks look at: which images run, and in how many containers.
fn matters(pod: &Value, old: &Value) -> bool {
    fn image(container: &Value) -> &str {
        text(container, &["image"])
    }
    let lists = ["containers", "initContainers"].into_iter();
    let mut lists = lists.map(|key| (items(pod, &["spec", key]), items(old, &["spec", key])));
    let listed = lists.any(|(new, old)| {
        let mut pairs = new.iter().zip(old);
        new.len() != old.len() || pairs.any(|(new, old)| image(new) != image(old))
    });
    let mut added = items(pod, &["spec", "ephemeralContainers"]).iter();
    let known = items(old, &["spec", "ephemeralContainers"]);
    let is_known = |new: &Value| {
        let mut known = known.iter();
        let known = known.find(|old| text(old, &["name"]) == text(new, &["name"]));
        known.is_some_and(|old| image(old) == image(new))
    };
    listed || added.any(|new| !is_known(new))
}

/// What there is against pods that run already: the same of several is told once.
fn existing(namespace: &str, bar: Bar, pods: &[Arc<Value>]) -> Vec<String> {
    let mut told: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    for pod in first_of_each(pods).take(MOST_PODS) {
        let against = parts(pod).map(|pod| violations(bar, pod));
        let against = against.filter(|against| !against.is_empty());
        let Some(against) = against else {
            continue;
        };
        let name = meta::name(pod);
        let (count, first) = told.entry(reasons(&against)).or_insert((0, name));
        *count += 1;
        *first = name.min(first);
    }
    let mut all = Vec::new();
    if pods.len() > MOST_PODS {
        all.push(format!(
            "new PodSecurity enforce level only checked against the first {MOST_PODS} of {} existing pods",
            pods.len()
        ));
    }
    if !told.is_empty() {
        let bar = bar.to_string();
        all.push(format!(
            "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level {bar:?}"
        ));
    }
    let each = told.into_iter().map(|(why, (count, first))| match count {
        1 => format!("{first}: {why}"),
        2 => format!("{first} (and 1 other pod): {why}"),
        count => format!("{first} (and {} other pods): {why}", count - 1),
    });
    let mut each: Vec<String> = each.collect();
    each.sort();
    all.extend(each);
    all
}

/// Pods of one controller are alike: one of each comes before the others.
fn first_of_each(pods: &[Arc<Value>]) -> impl Iterator<Item = &Value> {
    let mut seen = HashSet::new();
    let (first, others): (Vec<&Value>, Vec<&Value>) =
        pods.iter().map(|pod| &**pod).partition(|pod| {
            let of = meta::controller(pod);
            of.is_none_or(|of| seen.insert(text(of, &["uid"]).to_owned()))
        });
    first.into_iter().chain(others)
}
