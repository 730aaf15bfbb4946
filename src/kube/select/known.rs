//! Which fields of which resource a field selector may name, and where their values stand in an object.
//!
//! Objects are read in the version that is stored. Kubernetes compares texts: a field that is not set is the empty text, a
//! number or a boolean is its zero value.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::kube::schema::Resource;

/// The fields of a resource that can be selected by.
#[derive(Debug, Clone)]
pub struct Fields {
    own: Own,
    /// Whether `metadata.namespace` is one of them.
    namespace: bool,
    refusal: Refusal,
    /// `group/version, Kind=KIND`, for refusals.
    kind: String,
}

#[derive(Debug, Clone)]
enum Own {
    Table(&'static [Known]),
    /// JSON paths of a custom resource: `spec.color`.
    Custom(Arc<[Box<str>]>),
}

#[derive(Debug)]
struct Known {
    label: &'static str,
    /// What it is called where it is looked up; the same but for aliases.
    is: &'static str,
    get: Get,
}

/// Where the value of a field stands.
#[derive(Debug, Clone, Copy)]
enum Get {
    /// The first of these paths that holds a text.
    Text(&'static [&'static [&'static str]]),
    Bool(&'static [&'static str]),
    Int(&'static [&'static str]),
    PodIp,
    /// Known by name but never set.
    Never,
}

/// How a term gets at its field.
#[derive(Debug, Clone)]
pub(super) struct Getter(GetterKind);

#[derive(Debug, Clone)]
enum GetterKind {
    Meta(&'static str),
    Known(Get),
    Path(Box<[Box<str>]>),
}

/// How a resource refuses a field that it does not know.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// `"x" is not a known field selector: ...`, of resources without fields of their own.
    Unknown,
    /// `field label not supported: x`.
    Unsupported,
    /// `field label "x" not supported for Job`.
    Job,
    /// `field label not supported for GROUP/VERSION, Kind=KIND: x`.
    OfKind,
}

impl Fields {
    /// Those of a resource.
    pub fn of(resource: &Resource) -> Self {
        if let Some(kind) = &resource.custom {
            let paths = kind.version.selectable.iter().map(|path| &**path);
            return Self::custom(resource.namespaced, paths);
        }
        let key = (&*resource.group, &*resource.plural);
        let (refusal, namespace, table) = table(key.0, key.1);
        Self {
            own: Own::Table(table),
            namespace,
            refusal,
            kind: format!("{}, Kind={}", resource.api_version(), resource.kind),
        }
    }

    /// Those of a custom resource: its `selectableFields`, each a simple JSON path such as `.spec.color`.
    pub fn custom<'p>(namespaced: bool, paths: impl IntoIterator<Item = &'p str>) -> Self {
        let paths = paths
            .into_iter()
            .map(|path| path.trim_start_matches('.').into());
        Self {
            own: Own::Custom(paths.collect()),
            namespace: namespaced,
            refusal: Refusal::Unsupported,
            kind: String::new(),
        }
    }

    /// The name under which a field is looked up and the way to its value.
    ///
    /// # Errors
    /// The text of the refusal.
    pub(super) fn find(&self, label: &str) -> Result<(String, Getter), String> {
        match label {
            "metadata.name" => return Ok((label.into(), Getter(GetterKind::Meta("name")))),
            "metadata.namespace" if self.namespace => {
                return Ok((label.into(), Getter(GetterKind::Meta("namespace"))));
            }
            _ => {}
        }
        match &self.own {
            Own::Table(table) => {
                if let Some(known) = table.iter().find(|known| known.label == label) {
                    return Ok((known.is.into(), Getter(GetterKind::Known(known.get))));
                }
            }
            Own::Custom(paths) => {
                if paths.iter().any(|path| **path == *label) {
                    let path = label.split('.').map(Into::into).collect();
                    return Ok((label.into(), Getter(GetterKind::Path(path))));
                }
            }
        }
        Err(self.refuse(label))
    }

    fn refuse(&self, label: &str) -> String {
        match self.refusal {
            Refusal::Unknown => format!(
                "{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ),
            Refusal::Unsupported => format!("field label not supported: {label}"),
            Refusal::Job => format!("field label {label:?} not supported for Job"),
            Refusal::OfKind => format!("field label not supported for {}: {label}", self.kind),
        }
    }
}

impl Getter {
    pub(super) fn get<'o>(&self, object: &'o Value) -> Cow<'o, str> {
        match &self.0 {
            GetterKind::Meta(name) => text(object, &["metadata", name]).unwrap_or_default().into(),
            GetterKind::Known(Get::Text(paths)) => {
                let mut texts = paths.iter().filter_map(|path| text(object, path));
                texts
                    .find(|text| !text.is_empty())
                    .unwrap_or_default()
                    .into()
            }
            GetterKind::Known(Get::Bool(path)) => {
                let set = at(object, path)
                    .and_then(Value::as_bool)
                    .unwrap_or_default();
                if set { "true" } else { "false" }.into()
            }
            GetterKind::Known(Get::Int(path)) => match at(object, path).and_then(Value::as_i64) {
                Some(number) => number.to_string().into(),
                None => "0".into(),
            },
            GetterKind::Known(Get::PodIp) => {
                let first = at(object, &["status", "podIPs"]).and_then(|ips| ips.get(0));
                let ip = first.and_then(|first| first.get("ip")?.as_str());
                let ip = ip.or_else(|| text(object, &["status", "podIP"]));
                ip.unwrap_or_default().into()
            }
            GetterKind::Known(Get::Never) => "".into(),
            GetterKind::Path(path) => {
                let found = path.iter().try_fold(object, |of, name| of.get(&**name));
                match found {
                    Some(Value::String(text)) => text.into(),
                    Some(Value::Null) | None => "".into(),
                    Some(other) => other.to_string().into(),
                }
            }
        }
    }
}

fn at<'o>(object: &'o Value, path: &[&str]) -> Option<&'o Value> {
    path.iter().try_fold(object, |of, name| of.get(name))
}

fn text<'o>(object: &'o Value, path: &[&str]) -> Option<&'o str> {
    at(object, path)?.as_str()
}

/// How the resource refuses, whether it knows `metadata.namespace`, and its own fields.
fn table(group: &str, plural: &str) -> (Refusal, bool, &'static [Known]) {
    use Refusal::{Job, OfKind, Unknown, Unsupported};
    match (group, plural) {
        ("", "pods") => (Unsupported, true, PODS),
        ("", "nodes") => (Unsupported, false, NODES),
        ("", "namespaces") => (Unsupported, false, NAMESPACES),
        ("", "secrets") => (Unsupported, true, SECRETS),
        ("", "services") => (Unsupported, true, SERVICES),
        ("", "replicationcontrollers") => (Unsupported, true, REPLICAS),
        ("", "events") => (Unsupported, true, EVENTS),
        ("events.k8s.io", "events") => (Unsupported, true, NEW_EVENTS),
        ("batch", "jobs") => (Job, true, JOBS),
        ("certificates.k8s.io", "certificatesigningrequests" | "clustertrustbundles") => {
            (Unsupported, false, SIGNER)
        }
        ("certificates.k8s.io", "podcertificaterequests") => {
            (Unsupported, false, POD_CERTIFICATE_REQUESTS)
        }
        ("resource.k8s.io", "resourceslices") => (OfKind, false, RESOURCE_SLICES),
        // Asked for a namespace, what has none answers with an empty list.
        _ => (Unknown, true, &[]),
    }
}

macro_rules! known {
    ($label:literal, $get:expr) => {
        Known {
            label: $label,
            is: $label,
            get: $get,
        }
    };
    ($label:literal as $is:literal, $get:expr) => {
        Known {
            label: $label,
            is: $is,
            get: $get,
        }
    };
}

const PODS: &[Known] = &[
    known!("spec.nodeName", Get::Text(&[&["spec", "nodeName"]])),
    known!("spec.host" as "spec.nodeName", Get::Text(&[&["spec", "nodeName"]])),
    known!(
        "spec.restartPolicy",
        Get::Text(&[&["spec", "restartPolicy"]])
    ),
    known!(
        "spec.schedulerName",
        Get::Text(&[&["spec", "schedulerName"]])
    ),
    known!(
        "spec.serviceAccountName",
        Get::Text(&[&["spec", "serviceAccountName"]])
    ),
    known!("spec.hostNetwork", Get::Bool(&["spec", "hostNetwork"])),
    known!("status.phase", Get::Text(&[&["status", "phase"]])),
    known!("status.podIP", Get::PodIp),
    // Accepted, but the release fills only podIP in.
    known!("status.podIPs", Get::Never),
    known!(
        "status.nominatedNodeName",
        Get::Text(&[&["status", "nominatedNodeName"]])
    ),
];

const NODES: &[Known] = &[known!(
    "spec.unschedulable",
    Get::Bool(&["spec", "unschedulable"])
)];

// The release also fills `name` in, but no version of the API lets it through.
const NAMESPACES: &[Known] = &[known!("status.phase", Get::Text(&[&["status", "phase"]]))];

const SECRETS: &[Known] = &[known!("type", Get::Text(&[&["type"]]))];

const SERVICES: &[Known] = &[
    known!("spec.clusterIP", Get::Text(&[&["spec", "clusterIP"]])),
    known!("spec.type", Get::Text(&[&["spec", "type"]])),
];

const REPLICAS: &[Known] = &[known!("status.replicas", Get::Int(&["status", "replicas"]))];

const JOBS: &[Known] = &[known!(
    "status.successful",
    Get::Int(&["status", "succeeded"])
)];

const SIGNER: &[Known] = &[known!(
    "spec.signerName",
    Get::Text(&[&["spec", "signerName"]])
)];

const POD_CERTIFICATE_REQUESTS: &[Known] = &[
    known!("spec.signerName", Get::Text(&[&["spec", "signerName"]])),
    known!("spec.podName", Get::Text(&[&["spec", "podName"]])),
    known!("spec.nodeName", Get::Text(&[&["spec", "nodeName"]])),
];

const RESOURCE_SLICES: &[Known] = &[
    known!("spec.nodeName", Get::Text(&[&["spec", "nodeName"]])),
    known!("spec.driver", Get::Text(&[&["spec", "driver"]])),
];

// Both groups serve the same objects, so each reads the other's form as well.
const KIND: Get = Get::Text(&[&["involvedObject", "kind"], &["regarding", "kind"]]);
const NAMESPACE: Get = Get::Text(&[
    &["involvedObject", "namespace"],
    &["regarding", "namespace"],
]);
const NAME: Get = Get::Text(&[&["involvedObject", "name"], &["regarding", "name"]]);
const UID: Get = Get::Text(&[&["involvedObject", "uid"], &["regarding", "uid"]]);
const API_VERSION: Get = Get::Text(&[
    &["involvedObject", "apiVersion"],
    &["regarding", "apiVersion"],
]);
const VERSION: Get = Get::Text(&[
    &["involvedObject", "resourceVersion"],
    &["regarding", "resourceVersion"],
]);
const FIELD_PATH: Get = Get::Text(&[
    &["involvedObject", "fieldPath"],
    &["regarding", "fieldPath"],
]);
const REPORTER: Get = Get::Text(&[&["reportingComponent"], &["reportingController"]]);
const SOURCE: Get = Get::Text(&[
    &["source", "component"],
    &["deprecatedSource", "component"],
    &["reportingComponent"],
    &["reportingController"],
]);

const EVENTS: &[Known] = &[
    known!("involvedObject.kind", KIND),
    known!("involvedObject.namespace", NAMESPACE),
    known!("involvedObject.name", NAME),
    known!("involvedObject.uid", UID),
    known!("involvedObject.apiVersion", API_VERSION),
    known!("involvedObject.resourceVersion", VERSION),
    known!("involvedObject.fieldPath", FIELD_PATH),
    known!("reason", Get::Text(&[&["reason"]])),
    known!("reportingComponent", REPORTER),
    known!("source", SOURCE),
    known!("type", Get::Text(&[&["type"]])),
];

const NEW_EVENTS: &[Known] = &[
    known!("regarding.kind" as "involvedObject.kind", KIND),
    known!("regarding.namespace" as "involvedObject.namespace", NAMESPACE),
    known!("regarding.name" as "involvedObject.name", NAME),
    known!("regarding.uid" as "involvedObject.uid", UID),
    known!("regarding.apiVersion" as "involvedObject.apiVersion", API_VERSION),
    known!("regarding.resourceVersion" as "involvedObject.resourceVersion", VERSION),
    known!("regarding.fieldPath" as "involvedObject.fieldPath", FIELD_PATH),
    known!("reason", Get::Text(&[&["reason"]])),
    known!("reportingController" as "reportingComponent", REPORTER),
    known!("type", Get::Text(&[&["type"]])),
];
