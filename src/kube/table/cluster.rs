//! The rows of nodes, namespaces and what belongs to no workload.

use std::collections::BTreeSet;

use serde_json::Value;

use super::value::{Subject, amount, count, or, since, text};
use super::{age, cells};

/// Name and age alone.
pub(super) fn named(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of.age()]
}

pub(super) fn node(of: Subject<'_>) -> Vec<Value> {
    // The last condition of the type counts.
    let mut ready = of.list("status.conditions").iter();
    let mut status = match ready.rfind(|one| text(one, "type") == "Ready") {
        Some(ready) if text(ready, "status") == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".into(),
        None => "Unknown".into(),
    };
    if of.flag("spec.unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    let info = of.dig("status.nodeInfo");
    let mut kernel = or(text(info, "kernelVersion"), "<unknown>").to_owned();
    let processor = text(info, "architecture");
    if !processor.is_empty() {
        kernel.push_str(&format!(" ({processor})"));
    }
    cells![
        of.name(),
        status,
        or(&roles(of), "<none>"),
        of.age(),
        text(info, "kubeletVersion"),
        address(of, "InternalIP"),
        address(of, "ExternalIP"),
        or(text(info, "osImage"), "<unknown>"),
        kernel,
        or(text(info, "containerRuntimeVersion"), "<unknown>"),
    ]
}

fn address<'a>(of: Subject<'a>, kind: &str) -> &'a str {
    let mut addresses = of.list("status.addresses").iter();
    let address = addresses.find(|one| text(one, "type") == kind);
    address.map_or("<none>", |one| text(one, "address"))
}

fn roles(of: Subject<'_>) -> String {
    let mut roles = BTreeSet::new();
    if let Some(labels) = of.dig("metadata.labels").as_object() {
        for (key, value) in labels {
            let role = match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => role,
                None if key == "kubernetes.io/role" => value.as_str().unwrap_or_default(),
                None => continue,
            };
            roles.insert(role);
        }
    }
    roles.remove("");
    roles.into_iter().collect::<Vec<_>>().join(",")
}

pub(super) fn namespace(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of.text("status.phase"), of.age()]
}

/// Of both groups, whose fields have different names.
pub(super) fn event(of: Subject<'_>) -> Vec<Value> {
    let either = |one: &'static str, other: &'static str| if of.has(one) { one } else { other };
    let first = of.since(either("firstTimestamp", "deprecatedFirstTimestamp"));
    let first = known(first, || of.since("eventTime"));
    let mut last = of.since(either("lastTimestamp", "deprecatedLastTimestamp"));
    last = known(last, || first.clone());
    let mut times = of.number(either("count", "deprecatedCount"));
    if of.has("series") {
        last = since(of.text("series.lastObservedTime"), of.now);
        times = of.number("series.count");
    } else if times == 0 {
        times = 1;
    }
    let object = of.dig(either("involvedObject", "regarding"));
    let kind = text(object, "kind").to_lowercase();
    let target = match text(object, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    cells![
        last,
        of.text("type"),
        of.text("reason"),
        target,
        text(object, "fieldPath"),
        source(of),
        of.text(either("message", "note")).trim(),
        first,
        times,
        of.name(),
    ]
}

fn known(time: String, instead: impl FnOnce() -> String) -> String {
    if time == "<unknown>" { instead() } else { time }
}

fn source(of: Subject<'_>) -> String {
    let source = of.dig(if of.has("source") {
        "source"
    } else {
        "deprecatedSource"
    });
    let controller = or(
        of.text("reportingComponent"),
        of.text("reportingController"),
    );
    let component = or(text(source, "component"), controller);
    match or(text(source, "host"), of.text("reportingInstance")) {
        "" => component.into(),
        instance => format!("{component}, {instance}"),
    }
}

pub(super) fn config_map(of: Subject<'_>) -> Vec<Value> {
    let keys = count(of.dig("data")) + count(of.dig("binaryData"));
    cells![of.name(), keys, of.age()]
}

pub(super) fn secret(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of.text("type"), count(of.dig("data")), of.age()]
}

pub(super) fn resource_quota(of: Subject<'_>) -> Vec<Value> {
    let (hard, used) = (of.dig("status.hard"), of.dig("status.used"));
    let mut names: Vec<&String> = Vec::new();
    names.extend(hard.as_object().into_iter().flat_map(serde_json::Map::keys));
    names.sort_unstable();
    let (mut requests, mut limits): (Vec<String>, Vec<String>) = Default::default();
    for name in names {
        let amount = |map: &Value| amount(map.get(name).unwrap_or(&Value::Null));
        let column = if name.starts_with("limits.") {
            &mut limits
        } else {
            &mut requests
        };
        column.push(format!("{name}: {}/{}", amount(used), amount(hard)));
    }
    cells![of.name(), requests.join(", "), limits.join(", "), of.age()]
}

pub(super) fn component_status(of: Subject<'_>) -> Vec<Value> {
    let mut conditions = of.list("conditions").iter();
    let healthy = conditions.find(|one| text(one, "type") == "Healthy");
    let (status, message, error) = match healthy {
        Some(one) if text(one, "status") == "True" => {
            ("Healthy", text(one, "message"), text(one, "error"))
        }
        Some(one) => ("Unhealthy", text(one, "message"), text(one, "error")),
        None => ("Unknown", "", ""),
    };
    cells![of.name(), status, message, error]
}

pub(super) fn api_service(of: Subject<'_>) -> Vec<Value> {
    let service = of.dig("spec.service");
    let service = if service.is_null() {
        "Local".into()
    } else {
        format!("{}/{}", text(service, "namespace"), text(service, "name"))
    };
    let mut conditions = of.list("status.conditions").iter();
    let available = match conditions.find(|one| text(one, "type") == "Available") {
        None => "Unknown".into(),
        Some(one) => match (text(one, "status"), text(one, "reason")) {
            (status @ "True", _) | (status, "") => status.to_owned(),
            (status, reason) => format!("{status} ({reason})"),
        },
    };
    cells![of.name(), service, available, of.age()]
}

pub(super) fn signing_request(of: Subject<'_>) -> Vec<Value> {
    let conditions = of.list("status.conditions");
    // Signing requests have no condition that is False.
    let said = |kind: &str| conditions.iter().any(|one| text(one, "type") == kind);
    let mut status = match () {
        () if said("Denied") => "Denied".to_owned(),
        () if said("Approved") => "Approved".into(),
        () => "Pending".into(),
    };
    if said("Failed") {
        status.push_str(",Failed");
    }
    if !of.text("status.certificate").is_empty() {
        status.push_str(",Issued");
    }
    let lifetime = match of.dig("spec.expirationSeconds").as_i64() {
        Some(seconds) => age::human(i128::from(seconds) * 1_000_000_000),
        None => "<none>".into(),
    };
    cells![
        of.name(),
        of.age(),
        or(of.text("spec.signerName"), "<none>"),
        of.text("spec.username"),
        lifetime,
        status,
    ]
}

pub(super) fn lease(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of.text("spec.holderIdentity"), of.age()]
}

pub(super) fn priority_class(of: Subject<'_>) -> Vec<Value> {
    cells![
        of.name(),
        of.number("value"),
        of.flag("globalDefault"),
        of.age(),
        of.text("preemptionPolicy"),
    ]
}

pub(super) fn runtime_class(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of.text("handler"), of.age()]
}

pub(super) fn resource_claim(of: Subject<'_>) -> Vec<Value> {
    let deleted = of.has("metadata.deletionTimestamp");
    let mut states = Vec::new();
    if deleted {
        states.push("deleted");
    }
    if of.has("status.allocation") {
        states.push("allocated");
        if !of.list("status.reservedFor").is_empty() {
            states.push("reserved");
        }
    } else if !deleted {
        states.push("pending");
    }
    cells![of.name(), states.join(","), of.age()]
}

pub(super) fn resource_slice(of: Subject<'_>) -> Vec<Value> {
    cells![
        of.name(),
        of.text("spec.nodeName"),
        of.text("spec.driver"),
        of.text("spec.pool.name"),
        of.age(),
    ]
}
