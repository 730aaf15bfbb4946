//! What a deletion makes of an object: gone at once, or marked and gone when nobody holds it any more.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Object, metadata, time};
use crate::kube::field::{FieldError, quoted};
use crate::kube::schema::{ObjectType, Resource, Schema};
use crate::kube::status::{ApiError, ApiResult, Details};
use crate::kube::tree::{self, remove, set_in_order};

/// Dependents lose their owner before it goes.
pub const ORPHAN: &str = "orphan";
/// Dependents go before their owner does.
pub const FOREGROUND: &str = "foregroundDeletion";

/// Namespaces that the cluster cannot do without.
const PROTECTED: [&str; 3] = ["default", "kube-system", "kube-public"];

/// `meta/v1.DeleteOptions`, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    pub grace_period_seconds: Option<i64>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub orphan_dependents: Option<bool>,
    pub propagation_policy: Option<String>,
    pub dry_run: Vec<String>,
}

impl DeleteOptions {
    /// Reads a decoded `DeleteOptions`.
    pub fn from_value(value: &Value) -> Self {
        let text = |path: &[&str]| {
            tree::get(value, path)
                .and_then(Value::as_str)
                .map(Into::into)
        };
        let dry_run = tree::items(value, &["dryRun"]).iter();
        Self {
            grace_period_seconds: tree::int(value, &["gracePeriodSeconds"]),
            uid: text(&["preconditions", "uid"]),
            resource_version: text(&["preconditions", "resourceVersion"]),
            orphan_dependents: tree::get(value, &["orphanDependents"]).and_then(Value::as_bool),
            propagation_policy: text(&["propagationPolicy"]),
            dry_run: dry_run
                .filter_map(|one| one.as_str().map(Into::into))
                .collect(),
        }
    }

    /// What the options contradict themselves in.
    pub fn validate(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = "propagationPolicy";
        if let Some(policy) = &self.propagation_policy {
            if self.orphan_dependents.is_some() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                errors.push(FieldError::invalid(path, quoted(policy), why));
            }
            let known = ["Foreground", "Background", "Orphan", "nil"];
            if !known.iter().take(3).any(|one| one == policy) {
                errors.push(FieldError::not_supported(path, policy, &known));
            }
        }
        if !self.dry_run.is_empty() && self.dry_run.iter().any(|one| one != "All") {
            let given = Value::from(self.dry_run.clone()).to_string();
            let detail = "supported values: \"All\"";
            let kind = crate::kube::field::FieldErrorKind::NotSupported;
            errors.push(FieldError::new(kind, "dryRun", given, detail));
        }
        errors
    }
}

/// What to do with the object that [`before_delete`] may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is on its way out already; nothing is to be done and the object is the answer.
    Pending,
    /// Remove it.
    Now,
    /// Write it as it is now; it goes when its time is up and its finalizers are gone.
    Mark,
    /// Write it as it is now, then remove it: watchers see both.
    MarkThenRemove,
}

/// Decides a deletion and marks the object for it.
///
/// # Errors
/// 422 for options that contradict themselves, 409 for a precondition that does not hold.
pub fn before_delete(
    schema: &Schema,
    resource: &Resource,
    object: &mut Value,
    options: &DeleteOptions,
    now: SystemTime,
) -> ApiResult<Verdict> {
    let errors = options.validate();
    if !errors.is_empty() {
        return Err(ApiError::invalid(
            "meta.k8s.io",
            "DeleteOptions",
            "",
            &errors,
        ));
    }
    preconditions(resource, object, options)?;
    if resource.group.is_empty() && &*resource.plural == "namespaces" {
        return Ok(namespace(schema, object, options, now));
    }
    let graceful = grace(schema, resource, object, options, now);
    if graceful == Grace::Pending {
        return Ok(Verdict::Pending);
    }
    let held = set_finalizers(schema, resource, object, options);
    Ok(match graceful {
        Grace::Marked { left } if left || held => Verdict::Mark,
        Grace::Marked { .. } => Verdict::MarkThenRemove,
        _ if held => {
            mark(schema, object, now);
            Verdict::Mark
        }
        _ => Verdict::Now,
    })
}

/// A namespace that may not be deleted.
pub fn protected(resource: &Resource, name: &str) -> Option<ApiError> {
    let namespaces = resource.group.is_empty() && &*resource.plural == "namespaces";
    (namespaces && PROTECTED.contains(&name))
        .then(|| ApiError::forbidden(resource, name, "this namespace may not be deleted"))
}

/// Whether an update has taken away the last that held a deleted object.
pub fn is_done(resource: &Resource, old: &Value, new: &Value) -> bool {
    let metadata = |value, key| tree::get(value, &["metadata", key]);
    let left = tree::int(old, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
    let held = tree::items(new, &["metadata", "finalizers"]);
    let namespace = resource.group.is_empty() && &*resource.plural == "namespaces";
    let inner = tree::items(new, &["spec", "finalizers"]);
    let emptied = !namespace || inner.is_empty();
    held.is_empty() && metadata(old, "deletionTimestamp").is_some() && left == 0 && emptied
}

fn preconditions(resource: &Resource, object: &Value, options: &DeleteOptions) -> ApiResult<()> {
    let is = |key| tree::text(object, &["metadata", key]);
    let fails = |wanted: &Option<String>, key| match wanted {
        Some(wanted) if wanted != is(key) => Some(wanted.clone()),
        _ => None,
    };
    let why = if let Some(wanted) = fails(&options.uid, "uid") {
        format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            is("uid")
        )
    } else if let Some(wanted) = fails(&options.resource_version, "resourceVersion") {
        format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({}). The object might have been modified",
            is("resourceVersion")
        )
    } else {
        return Ok(());
    };
    // Made for the kind where others are made for the resource.
    let kind = match &*resource.group {
        "" => resource.kind.to_string(),
        group => format!("{}.{group}", resource.kind),
    };
    let name = is("name");
    let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
    Err(
        ApiError::new(409, "Conflict", message).with_details(Details {
            name: name.into(),
            group: resource.group.to_string(),
            kind: resource.kind.to_string(),
            ..Details::default()
        }),
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grace {
    /// Not graceful: it goes unless finalizers hold it.
    None,
    /// Marked before, and not to go any sooner now.
    Pending,
    /// Marked now; whether time is left.
    Marked { left: bool },
}

/// Only pods have a time to say goodbye.
fn grace(
    schema: &Schema,
    resource: &Resource,
    pod: &mut Value,
    options: &DeleteOptions,
    now: SystemTime,
) -> Grace {
    if !super::pod::is(resource) {
        return Grace::None;
    }
    // A negative period means one second.
    let at_least = |seconds: i64| if seconds < 0 { 1 } else { seconds };
    let wanted = options.grace_period_seconds.map(at_least);
    let marked = tree::text(pod, &["metadata", "deletionTimestamp"]).to_owned();
    if !marked.is_empty() {
        let left = tree::int(pod, &["metadata", "deletionGracePeriodSeconds"]).map(at_least);
        let Some(left) = left.filter(|left| *left != 0) else {
            return Grace::None;
        };
        return match wanted {
            Some(wanted) if wanted < left => {
                let mut period = wanted;
                let since = time::parse(&marked).unwrap_or(now);
                let mut at = earlier(since, left) + seconds(wanted);
                if at < now {
                    at = now;
                    period = period.min(1);
                }
                set_deletion(schema, pod, at, period);
                Grace::Marked { left: period > 0 }
            }
            _ => Grace::Pending,
        };
    }
    let mut period = wanted
        .or_else(|| tree::int(pod, &["spec", "terminationGracePeriodSeconds"]))
        .unwrap_or(0);
    let over = matches!(
        tree::text(pod, &["status", "phase"]),
        "Failed" | "Succeeded"
    );
    if over || tree::text(pod, &["spec", "nodeName"]).is_empty() {
        period = 0;
    }
    let period = at_least(period);
    let at = now.checked_add(seconds(period)).unwrap_or(now);
    set_deletion(schema, pod, at, period);
    count(schema, pod);
    Grace::Marked { left: period > 0 }
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

fn earlier(at: SystemTime, by: i64) -> SystemTime {
    at.checked_sub(seconds(by)).unwrap_or(at)
}

fn with_metadata(
    schema: &Schema,
    object: &mut Value,
    change: impl FnOnce(&ObjectType, &mut Object),
) {
    let metadata = object
        .as_object_mut()
        .and_then(|object| tree::child(object, "metadata"));
    if let (Some(of), Some(metadata)) = (metadata::metadata_type(schema), metadata) {
        change(of, metadata);
    }
}

fn set_deletion(schema: &Schema, object: &mut Value, at: SystemTime, period: i64) {
    with_metadata(schema, object, |of, metadata| {
        set_in_order(of, metadata, "deletionTimestamp", time::rfc3339(at).into());
        set_in_order(of, metadata, "deletionGracePeriodSeconds", period.into());
    });
}

/// A mark is a change to whoever counts changes.
fn count(schema: &Schema, object: &mut Value) {
    if tree::int(object, &["metadata", "generation"]).is_some_and(|so_far| so_far > 0) {
        with_metadata(schema, object, super::generation::count);
    }
}

/// Marks an object that finalizers hold.
fn mark(schema: &Schema, object: &mut Value, now: SystemTime) {
    let marked = tree::text(object, &["metadata", "deletionTimestamp"]);
    let before = time::parse(marked);
    if marked.is_empty() {
        count(schema, object);
    }
    match before {
        Some(at) if at <= now => with_metadata(schema, object, |of, metadata| {
            set_in_order(of, metadata, "deletionGracePeriodSeconds", 0.into());
        }),
        _ => set_deletion(schema, object, now, 0),
    }
}

/// What happens to dependents when nobody says: old APIs leave them, events have none.
fn orphans_by_default(resource: &Resource) -> Option<bool> {
    match (&*resource.group, &*resource.version, &*resource.plural) {
        ("" | "events.k8s.io", _, "events") => None,
        ("", "v1", "replicationcontrollers") | ("batch", "v1", "jobs") => Some(true),
        _ => Some(false),
    }
}

/// Sets the finalizers that the collector of garbage reads; whether any hold the object.
fn set_finalizers(
    schema: &Schema,
    resource: &Resource,
    object: &mut Value,
    options: &DeleteOptions,
) -> bool {
    let before: Vec<String> = tree::items(object, &["metadata", "finalizers"])
        .iter()
        .filter_map(|one| one.as_str().map(Into::into))
        .collect();
    let (orphan, foreground) = dependents(orphans_by_default(resource), &before, options);
    let mut after: Vec<String> = before
        .iter()
        .filter(|one| *one != ORPHAN && *one != FOREGROUND)
        .cloned()
        .collect();
    after.extend(orphan.then(|| ORPHAN.to_owned()));
    after.extend(foreground.then(|| FOREGROUND.to_owned()));
    let same = before.len() == after.len() && before.iter().all(|one| after.contains(one));
    let held = !after.is_empty();
    if !same {
        replace_finalizers(schema, object, after);
    }
    held
}

fn replace_finalizers(schema: &Schema, object: &mut Value, finalizers: Vec<String>) {
    with_metadata(schema, object, |of, metadata| {
        if finalizers.is_empty() {
            remove(metadata, "finalizers");
        } else {
            set_in_order(of, metadata, "finalizers", finalizers.into());
        }
    });
}

/// Whether dependents are left alone, and whether they go first.
fn dependents(
    orphans_by_default: Option<bool>,
    finalizers: &[String],
    options: &DeleteOptions,
) -> (bool, bool) {
    let Some(by_default) = orphans_by_default else {
        return (false, false);
    };
    if let Some(orphan) = options.orphan_dependents {
        return (orphan, false);
    }
    match options.propagation_policy.as_deref() {
        Some("Orphan") => return (true, false),
        Some("Foreground") => return (false, true),
        Some("Background") => return (false, false),
        _ => {}
    }
    match finalizers
        .iter()
        .find(|one| *one == ORPHAN || *one == FOREGROUND)
    {
        Some(first) => (first == ORPHAN, first == FOREGROUND),
        None => (by_default, false),
    }
}

/// A namespace is emptied by its controller first, which takes the `kubernetes` finalizer off its spec.
fn namespace(
    schema: &Schema,
    object: &mut Value,
    options: &DeleteOptions,
    now: SystemTime,
) -> Verdict {
    if tree::get(object, &["metadata", "deletionTimestamp"]).is_some() {
        if !tree::items(object, &["spec", "finalizers"]).is_empty() {
            return Verdict::Pending;
        }
        let held = !tree::items(object, &["metadata", "finalizers"]).is_empty();
        if held {
            mark(schema, object, now);
        }
        return if held { Verdict::Mark } else { Verdict::Now };
    }
    with_metadata(schema, object, |of, metadata| {
        set_in_order(of, metadata, "deletionTimestamp", time::rfc3339(now).into());
    });
    let of = schema.find("core/v1.Namespace").map(|id| schema.get(id));
    if let (Some(of), Some(map)) = (of, object.as_object_mut())
        && let Some(status) = tree::make(of, map, "status")
    {
        remove(status, "phase");
        status.shift_insert(0, "phase".into(), json!("Terminating"));
    }
    let before: Vec<String> = tree::items(object, &["metadata", "finalizers"])
        .iter()
        .filter_map(|one| one.as_str().map(Into::into))
        .collect();
    let has = |name: &str| before.iter().any(|one| one == name);
    let policy = options.propagation_policy.as_deref();
    let should = |name: &str, orphan_means: bool, policy_is: &str| match options.orphan_dependents {
        Some(orphan) => orphan == orphan_means,
        None => policy.map_or(has(name), |policy| policy == policy_is),
    };
    let (orphan, foreground) = (
        should(ORPHAN, true, "Orphan"),
        should(FOREGROUND, false, "Foreground"),
    );
    if orphan != has(ORPHAN) || foreground != has(FOREGROUND) {
        let mut after = before;
        after.retain(|one| one != ORPHAN && one != FOREGROUND);
        after.extend(orphan.then(|| ORPHAN.to_owned()));
        after.extend(foreground.then(|| FOREGROUND.to_owned()));
        replace_finalizers(schema, object, after);
    }
    Verdict::Mark
}
