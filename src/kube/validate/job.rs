//! Jobs and what starts them by the clock.

use super::cron;
use super::cursor::{At, Errors};
use super::{internal, names, pod, selector};
use crate::kube::field::{FieldError, FieldErrorKind, quoted};

const INDEXED: &str = "Indexed";

pub(super) fn create(job: &At<'_>, errors: &mut Errors) {
    generated_selector(job, errors);
    let at = job.field("spec");
    spec(&at, errors);
    with_selector(&at, errors);
    let name = job.down(&["metadata", "name"]);
    if at.field("completionMode").is(INDEXED)
        && let Some(count) = at.field("completions").int().filter(|count| *count > 0)
    {
        let host = format!("{}-{}", name.text(), count - 1);
        if !names::dns_label(&host).is_empty() {
            let why = format!("will not able to create pod with invalid DNS label: {host}");
            errors.bad_text(&name, why);
        }
    }
}

fn generated_selector(job: &At<'_>, errors: &mut Errors) {
    let spec = job.field("spec");
    if spec.field("manualSelector").is_true() || !spec.field("selector").is_set() {
        return;
    }
    let meta = spec.down(&["template", "metadata"]);
    let (uid, name) = (
        job.down(&["metadata", "uid"]),
        job.down(&["metadata", "name"]),
    );
    if uid.is_empty() {
        errors.required(&uid, "");
    }
    let labels = meta.field("labels");
    let wanted = [
        ("controller-uid", uid.text()),
        ("job-name", name.text()),
        ("batch.kubernetes.io/controller-uid", uid.text()),
        ("batch.kubernetes.io/job-name", name.text()),
    ];
    let mut all = serde_json::Map::new();
    for (key, value) in wanted {
        all.insert(key.into(), value.into());
        let label = labels.field(key).named(format!("{}[{key}]", labels.path));
        let why = format!("must be '{value}'");
        if !label.is_set() {
            errors.required(&label, why);
        } else if !label.is(value) {
            errors.bad_value(&label, labels.shown(), why);
        }
    }
    let all = serde_json::Value::Object(all);
    let at = spec.field("selector");
    if !selector::matches(&at, &At::root(&all)) {
        errors.invalid(&at, "`selector` not auto-generated");
    }
}

fn with_selector(spec: &At<'_>, errors: &mut Errors) {
    let at = spec.field("selector");
    if !at.is_set() {
        errors.required(&at, "");
    }
    selector::label_selector(&at, errors);
    let labels = spec.down(&["template", "metadata", "labels"]);
    if !at.is_set() || !selector::matches(&at, &labels) {
        errors.invalid(&labels, "`selector` does not match template `labels`");
    }
}

fn spec(spec: &At<'_>, errors: &mut Errors) {
    for name in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        errors.not_negative(&spec.field(name));
    }
    let (per_index, failed) = (
        spec.field("backoffLimitPerIndex"),
        spec.field("maxFailedIndexes"),
    );
    if failed.is_set() && !per_index.is_set() {
        errors.required(&per_index, "when maxFailedIndexes is specified");
    }
    if let Some(manager) = spec.some("managedBy") {
        managed_by(&manager, errors);
    }
    completion_mode(spec, errors);
    failure_policy(spec, errors);
    let success = spec.field("successPolicy");
    if success.is_set() && !spec.field("completionMode").is(INDEXED) {
        let shown = internal::shown("batch/v1.SuccessPolicy", success.value);
        errors.bad_value(&success, shown, "requires indexed completion mode");
    } else if success.is_set() && success.field("rules").is_empty() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        errors.required(&success.field("rules"), why);
    }
    let replacement = spec.field("podReplacementPolicy");
    let known: &[&str] = if spec.field("podFailurePolicy").is_set() {
        &["Failed"]
    } else {
        &["Failed", "TerminatingOrFailed"]
    };
    if replacement.is_set() && !known.contains(&replacement.text()) {
        errors.not_supported(&replacement, known);
    }
    pod::template(&spec.field("template"), errors);
    restart_policy(spec, errors);
}

fn restart_policy(spec: &At<'_>, errors: &mut Errors) {
    let policy = spec.down(&["template", "spec", "restartPolicy"]);
    match policy.text() {
        "Always" | "" => {
            errors.required(&policy, "valid values: \"OnFailure\", \"Never\"");
        }
        "Never" => {}
        "OnFailure" => {
            if spec.field("podFailurePolicy").is_set() {
                let why = "only \"Never\" is supported when podFailurePolicy is specified";
                errors.bad_text(&policy, why);
            }
        }
        _ => errors.not_supported(&policy, &["OnFailure", "Never"]),
    }
}

fn managed_by(manager: &At<'_>, errors: &mut Errors) {
    let text = manager.text();
    match text.split_once('/') {
        _ if text.is_empty() => errors.required(manager, ""),
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            for message in names::subdomain(host) {
                errors.bad_value(manager, quoted(host), message);
            }
        }
        _ => errors.bad_text(
            manager,
            "must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
    }
    if manager.len() > 63 {
        errors.too_long(manager, 63);
    }
}

fn completion_mode(spec: &At<'_>, errors: &mut Errors) {
    let mode = spec.field("completionMode");
    let (completions, parallelism) = (spec.field("completions"), spec.field("parallelism"));
    let (per_index, failed) = (
        spec.field("backoffLimitPerIndex"),
        spec.field("maxFailedIndexes"),
    );
    if mode.is_set() && !matches!(mode.text(), "NonIndexed" | INDEXED) {
        errors.not_supported(&mode, &["NonIndexed", INDEXED]);
    }
    if mode.is(INDEXED) {
        if !completions.is_set() {
            errors.required(&completions, "when completion mode is Indexed");
        }
        if parallelism.int().is_some_and(|count| count > 100_000) {
            let why = "must be less than or equal to 100000 when completion mode is Indexed";
            errors.bad_int(&parallelism, why);
        }
        if let (Some(failed_is), Some(all)) = (failed.int(), completions.int())
            && failed_is > all
        {
            errors.bad_int(&failed, "must be less than or equal to completions");
        }
        if failed.int().is_some_and(|count| count > 100_000) {
            errors.bad_int(&failed, "must be less than or equal to 100000");
        }
    }
    if !mode.is_set() || mode.is("NonIndexed") {
        for at in [&per_index, &failed] {
            if at.is_set() {
                errors.bad_int(at, "requires indexed completion mode");
            }
        }
    }
}

fn failure_policy(spec: &At<'_>, errors: &mut Errors) {
    let rules = spec.down(&["podFailurePolicy", "rules"]);
    if rules.len() > 20 {
        errors.too_many(&rules, 20);
    }
    for rule in rules.items() {
        let action = rule.field("action");
        match action.text() {
            "" => {
                let why = "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]";
                errors.required(&action, why);
            }
            "FailIndex" if !spec.field("backoffLimitPerIndex").is_set() => {
                errors.bad_text(&action, "requires the backoffLimitPerIndex to be set");
            }
            "Count" | "FailIndex" | "FailJob" | "Ignore" => {}
            _ => errors.not_supported(&action, &["Count", "FailIndex", "FailJob", "Ignore"]),
        }
        let (codes, conditions) = (rule.field("onExitCodes"), rule.field("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, errors);
        }
        for condition in conditions.items() {
            let kind = condition.field("type");
            errors.bad_texts(&kind, names::qualified(kind.text()));
            let status = condition.field("status");
            if !matches!(status.text(), "True" | "False" | "Unknown") {
                errors.not_supported(&status, &["False", "True", "Unknown"]);
            }
        }
        let why = match (codes.is_set(), conditions.is_empty()) {
            (true, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, true) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        let error = FieldError::new(FieldErrorKind::Invalid, &rule.path, "", why);
        errors.0.push(error);
    }
}

fn exit_codes(codes: &At<'_>, errors: &mut Errors) {
    let operator = codes.field("operator");
    match operator.text() {
        "" => errors.required(&operator, "valid values: [\"In\" \"NotIn\"]"),
        "In" | "NotIn" => {}
        _ => errors.not_supported(&operator, &["In", "NotIn"]),
    }
    let values = codes.field("values");
    let numbers: Vec<i64> = values.items().filter_map(|one| one.int()).collect();
    if numbers.is_empty() {
        let why = "at least one value is required";
        errors.bad_value(&values, values.shown(), why);
    } else if numbers.len() > 255 {
        errors.too_many(&values, 255);
    }
    for (value, number) in values.items().zip(&numbers) {
        if operator.is("In") && *number == 0 {
            errors.bad_int(&value, "must not be 0 for the In operator");
        }
    }
    let sorted = numbers.windows(2).all(|pair| pair.first() <= pair.last());
    if !sorted {
        errors.invalid(&values, "must be ordered");
    }
}

/// A job's spec is fixed but for its parallelism and pause.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (at, before) = (new.field("spec"), old.field("spec"));
    spec(&at, errors);
    with_selector(&at, errors);
    let completions = at.field("completions");
    let changed = completions.value != before.field("completions").value;
    if !at.field("completionMode").is(INDEXED) {
        errors.immutable(&completions, &before.field("completions"));
    } else if changed && completions.is_set() && completions.value != at.field("parallelism").value
    {
        let why = "can only be modified in tandem with spec.parallelism";
        errors.invalid(&completions, why);
    }
    errors.immutable(&at.field("selector"), &before.field("selector"));
    template_update(new, old, errors);
    for name in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        let (now, then) = (at.field(name), before.field(name));
        if now.value.is_object() && now.value != then.value {
            let of = match name {
                "successPolicy" => "batch/v1.SuccessPolicy",
                _ => "batch/v1.PodFailurePolicy",
            };
            let shown = internal::shown(of, now.value);
            errors.bad_value(&now, shown, super::cursor::IMMUTABLE);
        } else {
            errors.immutable(&now, &then);
        }
    }
}

/// A job that is paused and has not begun may be sent elsewhere.
fn template_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let suspended = old.down(&["spec", "suspend"]).is_true();
    let begun = old.down(&["status", "startTime"]).is_set();
    let free: [&[&str]; 6] = [
        &["spec", "affinity", "nodeAffinity"],
        &["spec", "nodeSelector"],
        &["spec", "tolerations"],
        &["metadata", "annotations"],
        &["metadata", "labels"],
        &["spec", "schedulingGates"],
    ];
    let template = |job: &At<'_>| {
        let mut value = job.down(&["spec", "template"]).value.clone();
        if suspended && !begun {
            for path in free {
                forget(&mut value, path);
            }
        }
        if suspended {
            for list in ["containers", "initContainers"] {
                let spec = value.get_mut("spec").and_then(|spec| spec.get_mut(list));
                let all = spec.and_then(serde_json::Value::as_array_mut);
                for container in all.into_iter().flatten() {
                    forget(container, &["resources"]);
                }
            }
        }
        value
    };
    if template(new) != template(old) {
        let at = new.down(&["spec", "template"]);
        let shown = internal::shown("core/v1.PodTemplateSpec", at.value);
        let path = if suspended {
            "spec.template.spec"
        } else {
            "spec.template"
        };
        errors.bad_value(&at.named(path), shown, super::cursor::IMMUTABLE);
    }
}

fn forget(value: &mut serde_json::Value, path: &[&str]) {
    let Some((last, rest)) = path.split_last() else {
        return;
    };
    let parent = rest.iter().try_fold(value, |at, key| at.get_mut(*key));
    if let Some(map) = parent.and_then(serde_json::Value::as_object_mut) {
        map.shift_remove(*last);
    }
}

pub(super) fn cron_create(job: &At<'_>, errors: &mut Errors) {
    cron_spec(&job.field("spec"), None, errors);
    let name = job.down(&["metadata", "name"]);
    if name.len() > 52 {
        errors.bad_text(&name, "must be no more than 52 characters");
    }
}

pub(super) fn cron_spec(at: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let (schedule, zone) = (at.field("schedule"), at.field("timeZone"));
    if schedule.is_empty() {
        errors.required(&schedule, "");
    } else {
        if let Err(why) = cron::parse(schedule.text()) {
            errors.bad_text(&schedule, why);
        }
        let allowed = old.is_some_and(|old| old.field("schedule").text().contains("TZ"));
        if schedule.text().contains("TZ") {
            if !allowed {
                let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
                errors.bad_text(&schedule, why);
            } else if zone.is_set() {
                let why = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
                errors.bad_text(&schedule, why);
            }
        }
    }
    errors.not_negative(&at.field("startingDeadlineSeconds"));
    if old.is_none_or(|old| old.field("timeZone").value != zone.value) {
        time_zone(&zone, errors);
    }
    let policy = at.field("concurrencyPolicy");
    errors.one_of(&policy, &["Allow", "Forbid", "Replace"]);
    let template = at.down(&["jobTemplate", "spec"]);
    spec(&template, errors);
    let selector = template.field("selector");
    if selector.is_set() {
        errors.invalid(&selector, "`selector` will be auto-generated");
    }
    let manual = template.field("manualSelector");
    if manual.is_true() {
        let mut error = FieldError::not_supported(&manual.path, "", &["nil", "false"]);
        error.value = "true".into();
        errors.0.push(error);
    }
    errors.not_negative(&at.field("successfulJobsHistoryLimit"));
    errors.not_negative(&at.field("failedJobsHistoryLimit"));
}

fn time_zone(zone: &At<'_>, errors: &mut Errors) {
    if !zone.is_set() {
        return;
    }
    let text = zone.text();
    if text.is_empty() {
        return errors.bad_text(zone, "timeZone must be nil or non-empty string");
    }
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'.');
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.starts_with('-')
            && part.bytes().all(known)
    };
    if !text.split('/').all(part) {
        errors.bad_text(zone, format!("unknown time zone {text}"));
    } else if text.eq_ignore_ascii_case("local") {
        let why =
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.bad_text(zone, why);
    }
}
