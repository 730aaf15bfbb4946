//! The rows of what makes pods.

use serde_json::Value;

use super::cells;
use super::selector::{labels, of_labels, plain};
use super::value::{Subject, amount, flag, is_true, text};

pub(super) fn pod_template(of: Subject<'_>) -> Vec<Value> {
    let (names, images) = containers(of, "template.spec.containers");
    cells![
        of.name(),
        names,
        images,
        labels(of.dig("template.metadata.labels"))
    ]
}

pub(super) fn replication_controller(of: Subject<'_>) -> Vec<Value> {
    replicas(of, labels(of.dig("spec.selector")))
}

pub(super) fn replica_set(of: Subject<'_>) -> Vec<Value> {
    replicas(of, of_labels(of.dig("spec.selector")))
}

/// What keeps a number of pods; the kinds differ in how they select them.
fn replicas(of: Subject<'_>, selector: String) -> Vec<Value> {
    let (names, images) = containers(of, "spec.template.spec.containers");
    cells![
        of.name(),
        of.number("spec.replicas"),
        of.number("status.replicas"),
        of.number("status.readyReplicas"),
        of.age(),
        names,
        images,
        selector,
    ]
}

pub(super) fn deployment(of: Subject<'_>) -> Vec<Value> {
    let (names, images) = containers(of, "spec.template.spec.containers");
    // Unlike its neighbours it says nothing of an empty selector.
    let selector = plain(of.dig("spec.selector")).unwrap_or_else(|| "<invalid>".into());
    cells![
        of.name(),
        ready(of),
        of.number("status.updatedReplicas"),
        of.number("status.availableReplicas"),
        of.age(),
        names,
        images,
        selector,
    ]
}

pub(super) fn stateful_set(of: Subject<'_>) -> Vec<Value> {
    let (names, images) = containers(of, "spec.template.spec.containers");
    cells![of.name(), ready(of), of.age(), names, images]
}

fn ready(of: Subject<'_>) -> String {
    let (ready, wanted) = (
        of.number("status.readyReplicas"),
        of.number("spec.replicas"),
    );
    format!("{ready}/{wanted}")
}

pub(super) fn daemon_set(of: Subject<'_>) -> Vec<Value> {
    let (names, images) = containers(of, "spec.template.spec.containers");
    cells![
        of.name(),
        of.number("status.desiredNumberScheduled"),
        of.number("status.currentNumberScheduled"),
        of.number("status.numberReady"),
        of.number("status.updatedNumberScheduled"),
        of.number("status.numberAvailable"),
        labels(of.dig("spec.template.spec.nodeSelector")),
        of.age(),
        names,
        images,
        of_labels(of.dig("spec.selector")),
    ]
}

pub(super) fn controller_revision(of: Subject<'_>) -> Vec<Value> {
    let mut owners = of.list("metadata.ownerReferences").iter();
    let owner = owners.find(|one| flag(one, "controller"));
    let owner = owner.map_or("<none>".into(), |owner| {
        let kind = text(owner, "kind");
        let qualified = match text(owner, "apiVersion").split_once('/') {
            Some((group, _)) => format!("{kind}.{group}"),
            None => kind.to_owned(),
        };
        format!("{}/{}", qualified.to_lowercase(), text(owner, "name"))
    });
    cells![of.name(), owner, of.number("revision"), of.age()]
}

pub(super) fn job(of: Subject<'_>) -> Vec<Value> {
    let (names, images) = containers(of, "spec.template.spec.containers");
    cells![
        of.name(),
        job_status(of),
        completions(of),
        job_duration(of),
        of.age(),
        names,
        images,
        of_labels(of.dig("spec.selector")),
    ]
}

fn job_status(of: Subject<'_>) -> &'static str {
    let conditions = of.list("status.conditions");
    let first = |kinds: &[&'static str]| {
        let mut kinds = kinds.iter();
        kinds.find(|kind| is_true(conditions, kind)).copied()
    };
    if let Some(end) = first(&["Complete", "Failed"]) {
        return end;
    }
    if of.has("metadata.deletionTimestamp") {
        return "Terminating";
    }
    first(&["Suspended", "FailureTarget", "SuccessCriteriaMet"]).unwrap_or("Running")
}

fn completions(of: Subject<'_>) -> String {
    let done = of.number("status.succeeded");
    let parallelism = of.number("spec.parallelism");
    if of.has("spec.completions") {
        format!("{done}/{}", of.number("spec.completions"))
    } else if parallelism > 1 {
        format!("{done}/1 of {parallelism}")
    } else {
        format!("{done}/1")
    }
}

fn job_duration(of: Subject<'_>) -> String {
    let Some(start) = super::age::nanoseconds(of.text("status.startTime")) else {
        return String::new();
    };
    let end = super::age::nanoseconds(of.text("status.completionTime"));
    super::age::human(end.unwrap_or(of.now) - start)
}

pub(super) fn cron_job(of: Subject<'_>) -> Vec<Value> {
    let (names, images) = containers(of, "spec.jobTemplate.spec.template.spec.containers");
    let suspend = match of.dig("spec.suspend") {
        Value::Bool(true) => "True",
        Value::Bool(false) => "False",
        _ => "<unset>",
    };
    let last = if of.has("status.lastScheduleTime") {
        of.since("status.lastScheduleTime")
    } else {
        "<none>".into()
    };
    let zone = of.dig("spec.timeZone").as_str().unwrap_or("<none>");
    cells![
        of.name(),
        of.text("spec.schedule"),
        zone,
        suspend,
        of.list("status.active").len(),
        last,
        of.age(),
        names,
        images,
        of_labels(of.dig("spec.jobTemplate.spec.selector")),
    ]
}

pub(super) fn disruption_budget(of: Subject<'_>) -> Vec<Value> {
    let bound = |path| match of.dig(path) {
        Value::Null => "N/A".into(),
        bound => amount(bound),
    };
    cells![
        of.name(),
        bound("spec.minAvailable"),
        bound("spec.maxUnavailable"),
        of.number("status.disruptionsAllowed"),
        of.age(),
    ]
}

/// Names and images, each with commas between.
fn containers(of: Subject<'_>, path: &str) -> (String, String) {
    let column = |key| {
        let texts: Vec<_> = of.list(path).iter().map(|one| text(one, key)).collect();
        texts.join(",")
    };
    (column("name"), column("image"))
}
