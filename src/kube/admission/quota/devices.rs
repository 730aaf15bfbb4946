//! What resource claims are counted as: devices by their class.

use serde_json::Value;

use super::list::{self, List};
use super::pod;
use crate::kube::amount::Amount;
use crate::kube::object::meta;
use crate::kube::objects::Objects;
use crate::kube::tree::{get, int, items, text};

const COUNT: &str = "count/resourceclaims.resource.k8s.io";
/// Behind the name of a class.
const PER_CLASS: &str = ".deviceclass.resource.k8s.io/devices";
/// Before the name of a class.
const IMPLICIT: &str = "requests.deviceclass.resource.kubernetes.io/";
const REQUESTS: &str = "requests.";
/// The most devices that a claim for all of a class can be given.
const MOST: i64 = 32;
/// Marks the claims that the scheduler makes for extended resources of pods.
const FOR_POD: &str = "resource.kubernetes.io/extended-resource-claim";

/// The extended resource that a class of devices stands for.
fn resource_of(class: &Value) -> Option<&str> {
    let name = text(class, &["spec", "extendedResourceName"]);
    (!name.is_empty()).then_some(name)
}

fn classes(objects: &dyn Objects) -> Vec<std::sync::Arc<Value>> {
    objects.list("resource.k8s.io", "deviceclasses", None)
}

/// Whether claims are counted under a name.
pub(super) fn counts(objects: &dyn Objects, name: &str) -> bool {
    if name == COUNT || name.ends_with(PER_CLASS) {
        return true;
    }
    if let Some(class) = name.strip_prefix(IMPLICIT) {
        let class = objects.get("resource.k8s.io", "deviceclasses", "", class);
        return class.is_some_and(|class| resource_of(&class).is_some());
    }
    let resource = name.strip_prefix(REQUESTS);
    pod::is_extended(name)
        && classes(objects)
            .iter()
            .any(|class| resource_of(class) == resource)
}

/// What a claim is counted as.
pub(super) fn usage(
    objects: &dyn Objects,
    claim: &Value,
    namespace: &str,
    now: std::time::SystemTime,
) -> List {
    let mut all = List::from([(COUNT.to_owned(), Amount::count(1))]);
    for request in items(claim, &["spec", "devices", "requests"]) {
        let choices = items(request, &["firstAvailable"]);
        // One of several is given: the one of most devices counts.
        let mut most = List::new();
        let exactly = get(request, &["exactly"]).filter(|_| choices.is_empty());
        for one in choices.iter().chain(exactly) {
            let class = format!("{}{PER_CLASS}", text(one, &["deviceClassName"]));
            list::raise(&mut most, &List::from([(class, devices(one))]));
        }
        if !choices.is_empty() {
            most.retain(|_, amount| *amount > Amount::ZERO);
        }
        list::add(&mut all, &most);
    }
    add_extended(objects, &mut all, &of_pod(objects, claim, namespace, now));
    all
}

fn devices(request: &Value) -> Amount {
    let number = match text(request, &["allocationMode"]) {
        "ExactCount" => int(request, &["count"]).unwrap_or(0),
        "All" => MOST,
        // Of a later release.
        _ => 0,
    };
    Amount::count(number)
}

/// Counts devices as the extended resources that their classes stand for too, but for what `pod` is counted as.
fn add_extended(objects: &dyn Objects, all: &mut List, pod: &List) {
    let mut extended = List::new();
    for (name, amount) in all.iter() {
        let Some(class) = name.strip_suffix(PER_CLASS).filter(|name| !name.is_empty()) else {
            continue;
        };
        extended.insert(format!("{IMPLICIT}{class}"), *amount);
        let class = objects.get("resource.k8s.io", "deviceclasses", "", class);
        if let Some(resource) = class.as_deref().and_then(resource_of) {
            extended.insert(format!("{REQUESTS}{resource}"), *amount);
        }
    }
    all.extend(list::beyond(&extended, pod));
}

/// What the pod is counted as for which the scheduler has made a claim; nothing for any other claim.
fn of_pod(
    objects: &dyn Objects,
    claim: &Value,
    namespace: &str,
    now: std::time::SystemTime,
) -> List {
    let found = || {
        let owner = owner(claim)?;
        let owner_name = text(owner, &["name"]);
        let pod = objects.get("", "pods", namespace, owner_name)?;
        if meta::uid(&pod) != text(owner, &["uid"]) {
            return None;
        }
        let known = get(&pod, &["status", "extendedResourceClaimStatus"]);
        let is_it = match known {
            Some(status) => text(status, &["resourceClaimName"]) == meta::name(claim),
            None => is_first(objects, claim, namespace, meta::uid(&pod)),
        };
        is_it.then(|| pod::usage(&pod, now))
    };
    found().unwrap_or_default()
}

/// The pod that owns a claim which is marked as one for extended resources.
fn owner(claim: &Value) -> Option<&Value> {
    if meta::annotation(claim, FOR_POD) != Some("true") {
        return None;
    }
    let owner = meta::controller(claim)?;
    let is_pod = text(owner, &["kind"]) == "Pod" && text(owner, &["apiVersion"]) == "v1";
    is_pod.then_some(owner)
}

/// Whether no claim of the pod is older.
fn is_first(objects: &dyn Objects, claim: &Value, namespace: &str, pod: &str) -> bool {
    let all = objects.list("resource.k8s.io", "resourceclaims", Some(namespace));
    let mut others = all
        .iter()
        .filter(|other| owner(other).is_some_and(|owner| text(owner, &["uid"]) == pod));
    // Times are written in an order that is theirs; one that is not stored yet is the newest.
    let age = |claim| (meta::creation_timestamp(claim), meta::name(claim));
    match meta::creation_timestamp(claim) {
        Some(_) => !others.any(|other| age(other) < age(claim)),
        None => others.next().is_none(),
    }
}
