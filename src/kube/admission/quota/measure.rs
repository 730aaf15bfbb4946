//! How objects of a resource are counted: under which names, at which requests, and how much of each.

use std::time::SystemTime;

use serde_json::Value;

use super::list::{self, List};
use super::{devices, pod};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::amount::Amount;
use crate::kube::object::meta;
use crate::kube::objects::Objects;
use crate::kube::tree::{flag, get, int, items, text};

/// Resources that are never counted: what is not stored, and events.
const IGNORED: [(&str, &str); 10] = [
    ("", "bindings"),
    ("", "componentstatuses"),
    ("", "events"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authentication.k8s.io", "tokenreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
    ("events.k8s.io", "events"),
];
/// Resources of the core group whose number has an old name too: their plural.
const ALIASED: [&str; 4] = [
    "configmaps",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
];
const SERVICES: [&str; 4] = [
    "count/services",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const CLAIMS: &str = "persistentvolumeclaims";
const COUNT: &str = "count/persistentvolumeclaims";
const STORAGE: &str = "requests.storage";
/// Behind the name of a class.
const PER_CLASS: &str = ".storageclass.storage.k8s.io/";

/// How the objects of a resource are counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure<'a> {
    Pods,
    Services,
    VolumeClaims,
    DeviceClaims,
    /// By their number alone.
    Number {
        group: &'a str,
        plural: &'a str,
    },
}

/// What objects are counted with.
#[derive(Clone, Copy)]
pub(super) struct With<'a> {
    pub(super) objects: &'a dyn Objects,
    pub(super) namespace: &'a str,
    pub(super) now: SystemTime,
}

impl<'a> Measure<'a> {
    /// None for what is not counted.
    pub(super) fn of(by: &Attributes<'a>) -> Option<Self> {
        let (group, plural) = (&*by.resource.group, &*by.resource.plural);
        if IGNORED.contains(&(group, plural)) {
            return None;
        }
        Some(match (group, plural) {
            ("", "pods") => Self::Pods,
            ("", "services") => Self::Services,
            ("", CLAIMS) => Self::VolumeClaims,
            ("resource.k8s.io", "resourceclaims") => Self::DeviceClaims,
            (group, plural) => Self::Number { group, plural },
        })
    }

    /// Whether a request can change what is counted.
    pub(super) fn handles(self, by: &Attributes<'_>, old: Option<&Value>, object: &Value) -> bool {
        let creates = by.operation == Operation::Create;
        let updates = by.operation == Operation::Update;
        match (self, by.subresource) {
            // Only a deadline that comes or goes moves a pod from one quota to another.
            (Self::Pods, "") if updates => {
                old.is_some_and(|old| pod::is_terminating(old) != pod::is_terminating(object))
            }
            (Self::Pods, "resize") | (Self::VolumeClaims, "status") => updates,
            (Self::Services | Self::VolumeClaims | Self::DeviceClaims, "") => creates || updates,
            (Self::Pods | Self::Number { .. }, "") => creates,
            _ => false,
        }
    }

    /// Whether its objects are counted under a name.
    pub(super) fn counts(self, with: With<'_>, name: &str) -> bool {
        match self {
            Self::Pods => pod::counts(name),
            Self::Services => SERVICES.contains(&name),
            Self::VolumeClaims => {
                let per_class = |name: &str| name.ends_with(PER_CLASS);
                let own = |of| name.strip_suffix(of).is_some_and(per_class);
                matches!(name, CLAIMS | STORAGE | COUNT) || own(CLAIMS) || own(STORAGE)
            }
            Self::DeviceClaims => devices::counts(with.objects, name),
            Self::Number { group, plural } => {
                name == number(group, plural)
                    || group.is_empty() && name == plural && ALIASED.contains(&plural)
            }
        }
    }

    /// What one object is counted as.
    pub(super) fn usage(self, with: With<'_>, object: &Value) -> List {
        match self {
            Self::Pods => pod::usage(object, with.now),
            Self::Services => of_service(object),
            Self::VolumeClaims => of_volume_claim(object),
            Self::DeviceClaims => devices::usage(with.objects, object, with.namespace, with.now),
            Self::Number { group, plural } => {
                let mut all = List::from([(number(group, plural), Amount::count(1))]);
                if group.is_empty() && ALIASED.contains(&plural) {
                    all.insert(plural.to_owned(), Amount::count(1));
                }
                all
            }
        }
    }
}

/// The name that any resource is counted under by number.
fn number(group: &str, plural: &str) -> String {
    match group {
        "" => format!("count/{plural}"),
        group => format!("count/{plural}.{group}"),
    }
}

fn of_service(service: &Value) -> List {
    let ports = items(service, &["spec", "ports"]);
    let given = |port: &&Value| int(port, &["nodePort"]).is_some_and(|number| number != 0);
    let refuses = get(service, &["spec", "allocateLoadBalancerNodePorts"]).is_some()
        && !flag(service, &["spec", "allocateLoadBalancerNodePorts"]);
    // Ports may not have their numbers yet: what counts is that they will.
    let (balancers, ports) = match text(service, &["spec", "type"]) {
        "NodePort" => (0, ports.len()),
        "LoadBalancer" if refuses => (1, ports.iter().filter(given).count()),
        "LoadBalancer" => (1, ports.len()),
        _ => (0, 0),
    };
    let ports = i64::try_from(ports).unwrap_or(i64::MAX);
    let all = SERVICES.into_iter().zip([1, 1, balancers, ports]);
    all.map(|(name, number)| (name.to_owned(), Amount::count(number)))
        .collect()
}

fn of_volume_claim(claim: &Value) -> List {
    let mut all = List::from([
        (CLAIMS.to_owned(), Amount::count(1)),
        (COUNT.to_owned(), Amount::count(1)),
    ]);
    let beta = meta::annotation(claim, "volume.beta.kubernetes.io/storage-class");
    let class = beta.unwrap_or_else(|| text(claim, &["spec", "storageClassName"]));
    if !class.is_empty() {
        all.insert(format!("{class}{PER_CLASS}{CLAIMS}"), Amount::count(1));
    }
    if let Some(size) = size(claim) {
        all.insert(STORAGE.to_owned(), size);
        if !class.is_empty() {
            all.insert(format!("{class}{PER_CLASS}{STORAGE}"), size);
        }
    }
    all
}

/// What a claim asks for, or what has been set aside for it if that is more, in whole bytes.
fn size(claim: &Value) -> Option<Amount> {
    let asked = list::at(claim, &["spec", "resources", "requests"]);
    let asked = asked.get("storage")?.round_up();
    let aside = list::at(claim, &["status", "allocatedResources"]);
    let aside = aside.get("storage").filter(|aside| **aside > asked);
    Some(aside.map_or(asked, |aside| aside.round_up()))
}
