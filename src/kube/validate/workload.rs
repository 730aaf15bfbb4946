//! What keeps pods running: deployments, sets and replication controllers.

use super::cursor::{At, Errors};
use super::{internal, names, pod, selector, storage};
use crate::kube::field::FieldError;

const MISMATCH: &str = "`selector` does not match template `labels`";

/// A selector that must say something.
fn required_selector(selector: &At<'_>, of: &str, errors: &mut Errors) {
    if !selector.is_set() {
        return errors.required(selector, "");
    }
    selector::label_selector(selector, errors);
    if selector::is_everything(selector) {
        errors.invalid(selector, format!("empty selector is invalid for {of}"));
    }
}

/// Whether the release could make a selector of it, without which it says nothing of the template.
fn is_usable(selector: &At<'_>) -> bool {
    let mut errors = Errors::default();
    selector::label_selector(selector, &mut errors);
    errors.len() == 0
}

/// A selector that is not there selects nothing, unlike one that is empty.
fn matches_template(selector: &At<'_>, template: &At<'_>, errors: &mut Errors) {
    let labels = template.down(&["metadata", "labels"]);
    if !selector.is_set() || !selector::matches(selector, &labels) {
        errors.invalid(&labels, MISMATCH);
    }
}

fn always(template: &At<'_>, of: &str, errors: &mut Errors) {
    let policy = template.down(&["spec", "restartPolicy"]);
    if !policy.is("Always") {
        errors.not_supported(&policy, &["Always"]);
    }
    let deadline = template.down(&["spec", "activeDeadlineSeconds"]);
    if deadline.is_set() {
        let why = format!("activeDeadlineSeconds in {of} is not Supported");
        errors.forbidden(&deadline, why);
    }
}

fn replicated_template(spec: &At<'_>, errors: &mut Errors) {
    let (selector, template) = (spec.field("selector"), spec.field("template"));
    if selector.is_set() && !is_usable(&selector) {
        return errors.invalid(&selector, "invalid label selector");
    }
    matches_template(&selector, &template, errors);
    pod::template(&template, errors);
    always(&template, "ReplicaSet", errors);
}

pub(super) fn deployment(spec: &At<'_>, errors: &mut Errors) {
    errors.not_negative(&spec.field("replicas"));
    required_selector(&spec.field("selector"), "deployment", errors);
    replicated_template(spec, errors);
    deployment_strategy(&spec.field("strategy"), errors);
    let ready = spec.field("minReadySeconds");
    errors.not_negative(&ready);
    errors.not_negative(&spec.field("revisionHistoryLimit"));
    let deadline = spec.field("progressDeadlineSeconds");
    errors.not_negative(&deadline);
    if deadline
        .int()
        .is_some_and(|seconds| seconds <= ready.int().unwrap_or(0))
    {
        errors.bad_int(&deadline, "must be greater than minReadySeconds");
    }
}

fn deployment_strategy(strategy: &At<'_>, errors: &mut Errors) {
    let rolling = strategy.field("rollingUpdate");
    match strategy.field("type").text() {
        "Recreate" if rolling.is_set() => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            errors.forbidden(&rolling, why);
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.field("maxUnavailable"), rolling.field("maxSurge"));
            amount(&unavailable, errors);
            amount(&surge, errors);
            if count(&unavailable) == 0 && count(&surge) == 0 {
                errors.invalid(&unavailable, "may not be 0 when `maxSurge` is 0");
            }
            at_most_all(&unavailable, errors);
        }
        _ => {
            let known = ["Recreate", "RollingUpdate"];
            unknown_strategy("apps/v1.DeploymentStrategy", strategy, &known, errors);
        }
    }
}

fn unknown_strategy(of: &str, strategy: &At<'_>, known: &[&str], errors: &mut Errors) {
    let mut error = FieldError::not_supported(&strategy.path, "", known);
    error.value = internal::shown(of, strategy.value);
    errors.0.push(error);
}

/// A number of pods or a share of them.
pub(super) fn amount(at: &At<'_>, errors: &mut Errors) {
    if at.value.is_string() {
        errors.bad_texts(at, names::percent(at.text()));
    } else {
        errors.not_negative(at);
    }
}

fn share(at: &At<'_>) -> Option<i64> {
    let text = at.value.as_str()?.strip_suffix('%')?;
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn count(at: &At<'_>) -> i64 {
    let number = at.int().or_else(|| at.text().parse().ok());
    share(at).or(number).unwrap_or(0)
}

pub(super) fn at_most_all(at: &At<'_>, errors: &mut Errors) {
    if share(at).is_some_and(|share| share > 100) {
        errors.invalid(at, "must not be greater than 100%");
    }
}

pub(super) fn replica_set(spec: &At<'_>, errors: &mut Errors) {
    errors.not_negative(&spec.field("replicas"));
    errors.not_negative(&spec.field("minReadySeconds"));
    required_selector(&spec.field("selector"), "deployment", errors);
    replicated_template(spec, errors);
}

pub(super) fn replication_controller(spec: &At<'_>, errors: &mut Errors) {
    errors.not_negative(&spec.field("minReadySeconds"));
    let selector = spec.field("selector");
    if selector.is_empty() {
        errors.required(&selector, "");
    }
    if spec.field("replicas").is_set() {
        errors.not_negative(&spec.field("replicas"));
    } else {
        errors.required(&spec.field("replicas"), "");
    }
    let Some(template) = spec.some("template") else {
        return errors.required(&spec.field("template"), "");
    };
    let labels = template.down(&["metadata", "labels"]);
    let of = |key: &str| labels.field(key);
    if selector
        .entries()
        .any(|(key, value)| of(key).value != value.value)
    {
        errors.invalid(&labels, MISMATCH);
    }
    pod::template(&template, errors);
    always(&template, "ReplicationController", errors);
}

pub(super) fn daemon_set(spec: &At<'_>, errors: &mut Errors) {
    let (selector, template) = (spec.field("selector"), spec.field("template"));
    selector::label_selector(&selector, errors);
    let labels = template.down(&["metadata", "labels"]);
    // A selector that is not there selects nothing, unlike an empty one.
    let matched = selector.is_set() && selector::matches(&selector, &labels);
    if is_usable(&selector) && !matched {
        errors.invalid(&labels, MISMATCH);
    }
    if selector.is_set() && selector::is_everything(&selector) {
        errors.invalid(&selector, "empty selector is invalid for daemonset");
    }
    pod::template(&template, errors);
    always(&template, "DaemonSet", errors);
    errors.not_negative(&spec.field("minReadySeconds"));
    daemon_set_strategy(&spec.field("updateStrategy"), errors);
    errors.not_negative(&spec.field("revisionHistoryLimit"));
}

fn daemon_set_strategy(strategy: &At<'_>, errors: &mut Errors) {
    let rolling = strategy.field("rollingUpdate");
    match strategy.field("type").text() {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_set() => errors.required(&rolling, ""),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.field("maxUnavailable"), rolling.field("maxSurge"));
            amount(&unavailable, errors);
            amount(&surge, errors);
            at_most_all(&unavailable, errors);
            at_most_all(&surge, errors);
            match (count(&unavailable) != 0, count(&surge) != 0) {
                (true, true) => {
                    errors.invalid(&surge, "may not be set when maxUnavailable is non-zero");
                }
                (false, false) => errors.required(&unavailable, "cannot be 0 when maxSurge is 0"),
                _ => {}
            }
        }
        _ => {
            let known = ["RollingUpdate", "OnDelete"];
            unknown_strategy("apps/v1.DaemonSetUpdateStrategy", strategy, &known, errors);
        }
    }
}

/// `is_new` where what cannot change later is judged as well.
pub(super) fn stateful_set(spec: &At<'_>, is_new: bool, errors: &mut Errors) {
    let policy = spec.field("podManagementPolicy");
    match policy.text() {
        "" => errors.required(&policy, ""),
        "OrderedReady" | "Parallel" => {}
        _ => errors.bad_text(&policy, "must be 'OrderedReady' or 'Parallel'"),
    }
    stateful_set_strategy(&spec.field("updateStrategy"), errors);
    let retention = spec.field("persistentVolumeClaimRetentionPolicy");
    for name in ["whenDeleted", "whenScaled"] {
        let policy = retention.field(name);
        if retention.is_set() && !matches!(policy.text(), "Retain" | "Delete") {
            errors.not_supported(&policy, &["Retain", "Delete"]);
        }
    }
    if is_new {
        for claim in spec.field("volumeClaimTemplates").items() {
            storage::claim_spec(&claim.field("spec"), errors);
        }
    }
    errors.not_negative(&spec.field("replicas"));
    errors.not_negative(&spec.field("minReadySeconds"));
    errors.not_negative(&spec.down(&["ordinals", "start"]));
    let service = spec.field("serviceName");
    if is_new && !service.is_empty() {
        errors.bad_texts(&service, names::dns_label(service.text()));
    }
    let selector = spec.field("selector");
    required_selector(&selector, "statefulset", errors);
    if selector.is_set() && !is_usable(&selector) {
        errors.invalid(&selector, "");
    } else {
        stateful_template(spec, errors);
    }
    always(&spec.field("template"), "StatefulSet", errors);
}

fn stateful_set_strategy(strategy: &At<'_>, errors: &mut Errors) {
    let rolling = strategy.field("rollingUpdate");
    match strategy.field("type").text() {
        "" => errors.required(strategy, ""),
        "OnDelete" if rolling.is_set() => {
            let of = "apps/v1.RollingUpdateStatefulSetStrategy";
            let shown = internal::shown(of, rolling.value);
            errors.bad_value(
                &rolling,
                shown,
                "only allowed for updateStrategy 'RollingUpdate'",
            );
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            errors.not_negative(&rolling.field("partition"));
            if let Some(unavailable) = rolling.some("maxUnavailable") {
                amount(&unavailable, errors);
                if count(&unavailable) == 0 {
                    errors.invalid(&unavailable, "cannot be 0");
                }
                at_most_all(&unavailable, errors);
            }
        }
        _ => {
            let shown = internal::shown("apps/v1.StatefulSetUpdateStrategy", strategy.value);
            errors.bad_value(strategy, shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// The template with the volumes that the claims will make, and without the names that the set gives.
fn stateful_template(spec: &At<'_>, errors: &mut Errors) {
    let template = spec.field("template");
    let mut value = template.value.clone();
    if let Some(pod) = value
        .get_mut("spec")
        .and_then(serde_json::Value::as_object_mut)
    {
        pod.shift_remove("subdomain");
        pod.shift_remove("hostname");
        let claims: Vec<&str> = spec
            .field("volumeClaimTemplates")
            .items()
            .map(|claim| claim.down(&["metadata", "name"]).text())
            .collect();
        if !claims.is_empty() {
            let own = pod
                .get("volumes")
                .and_then(serde_json::Value::as_array)
                .cloned();
            let mut volumes: Vec<serde_json::Value> = claims
                .iter()
                .map(|name| serde_json::json!({"name": name, "persistentVolumeClaim": {"claimName": name}}))
                .collect();
            let kept = own.into_iter().flatten();
            volumes.extend(
                kept.filter(|volume| !claims.contains(&crate::kube::tree::text(volume, &["name"]))),
            );
            pod.insert("volumes".into(), volumes.into());
        }
    }
    let template = At {
        value: &value,
        path: template.path,
    };
    matches_template(&spec.field("selector"), &template, errors);
    pod::template(&template, errors);
    let meta = template.field("metadata");
    let said = |name: &str| meta.field(name).named(template.field(name).path);
    selector::labels(&said("labels"), errors);
    super::metadata::annotations(&said("annotations"), errors);
}

const STATEFUL_FIXED: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

pub(super) fn stateful_set_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    stateful_set(new, false, errors);
    let fixed = [
        "serviceName",
        "selector",
        "volumeClaimTemplates",
        "podManagementPolicy",
    ];
    if fixed
        .iter()
        .any(|name| new.field(name).value != old.field(name).value)
    {
        errors.forbidden(new, STATEFUL_FIXED);
    }
}

/// What controllers count: nothing below zero, parts no more than the whole.
pub(super) fn status(new: &At<'_>, old: &At<'_>, parts: &[&str], errors: &mut Errors) {
    let status = new.field("status");
    for (name, value) in crate::kube::tree::entries(status.value, &[]) {
        if value.is_i64() {
            errors.not_negative(&status.field(name));
        }
    }
    let number = |name: &str| status.field(name).int().unwrap_or(0);
    for name in parts {
        if number(name) > number("replicas") {
            errors.bad_int(
                &status.field(name),
                "cannot be greater than status.replicas",
            );
        }
    }
    if parts.contains(&"availableReplicas") && number("availableReplicas") > number("readyReplicas")
    {
        let why = if parts.contains(&"currentReplicas") {
            "cannot be greater than status.readyReplicas"
        } else {
            "cannot be greater than readyReplicas"
        };
        errors.bad_int(&status.field("availableReplicas"), why);
    }
    let collisions = |at: &At<'_>| at.down(&["status", "collisionCount"]).int();
    if collisions(old).is_some() && collisions(new) < collisions(old) {
        errors.bad_int(&status.field("collisionCount"), "cannot be decremented");
    }
}
