//! Which objects a node needs, for the pods that run on it.

use serde_json::Value;

use crate::kube::objects::Objects;
use crate::kube::request::Target;

/// Where a pod names secrets, beside the environments of its containers. `*` stands for every item.
const SECRETS: [&str; 12] = [
    "imagePullSecrets/*/name",
    "volumes/*/secret/secretName",
    "volumes/*/projected/sources/*/secret/name",
    "volumes/*/csi/nodePublishSecretRef/name",
    "volumes/*/azureFile/secretName",
    "volumes/*/cephfs/secretRef/name",
    "volumes/*/cinder/secretRef/name",
    "volumes/*/flexVolume/secretRef/name",
    "volumes/*/rbd/secretRef/name",
    "volumes/*/scaleIO/secretRef/name",
    "volumes/*/iscsi/secretRef/name",
    "volumes/*/storageos/secretRef/name",
];

const CONFIG_MAPS: [&str; 2] = [
    "volumes/*/configMap/name",
    "volumes/*/projected/sources/*/configMap/name",
];

const CLAIMS: [&str; 1] = ["volumes/*/persistentVolumeClaim/claimName"];

const ACCOUNT: [&str; 1] = ["serviceAccountName"];

/// Where a persistent volume names secrets that kubelets use.
const OF_VOLUMES: [&str; 11] = [
    "csi/nodePublishSecretRef",
    "csi/nodeStageSecretRef",
    "csi/nodeExpandSecretRef",
    "cephfs/secretRef",
    "cinder/secretRef",
    "flexVolume/secretRef",
    "rbd/secretRef",
    "scaleIO/secretRef",
    "iscsi/secretRef",
    "storageos/secretRef",
    "azureFile",
];

/// A mirror pod says what it likes, so that it gives no access.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Whether the object of a request is there for a pod on a node, or is the node's own.
pub(super) fn is_related(objects: &dyn Objects, node: &str, target: &Target) -> bool {
    let (namespace, name) = (&*target.namespace, &*target.name);
    let is_of_node = |group: &str, plural: &str| {
        let object = objects.get(group, plural, namespace, name);
        object.is_some_and(|object| text(&object, "/spec/nodeName") == node)
    };
    match &*target.resource {
        "pods" => is_of_node("", "pods"),
        "volumeattachments" => is_of_node("storage.k8s.io", "volumeattachments"),
        "resourceslices" => is_of_node("resource.k8s.io", "resourceslices"),
        "persistentvolumes" => {
            let volume = objects.get("", "persistentvolumes", "", name);
            volume.is_some_and(|volume| is_for_pod(objects, node, &volume))
        }
        "secrets" => {
            any_pod(objects, node, namespace, |pod| names_secret(pod, name))
                || any_volume_names(objects, node, namespace, name)
        }
        "configmaps" => any_pod(objects, node, namespace, |pod| {
            names(pod, &CONFIG_MAPS, name) || in_environment(pod, "configMap", name)
        }),
        "persistentvolumeclaims" => any_pod(objects, node, namespace, |pod| names_claim(pod, name)),
        "serviceaccounts" => any_pod(objects, node, namespace, |pod| names(pod, &ACCOUNT, name)),
        "resourceclaims" => any_pod(objects, node, namespace, |pod| has_resources(pod, name)),
        _ => false,
    }
}

fn any_pod(
    objects: &dyn Objects,
    node: &str,
    namespace: &str,
    holds: impl Fn(&Value) -> bool,
) -> bool {
    let pods = objects.list("", "pods", Some(namespace));
    pods.iter().any(|pod| {
        let annotations = pod.pointer("/metadata/annotations");
        let is_mirror = || annotations.is_some_and(|all| all.get(MIRROR).is_some());
        text(pod, "/spec/nodeName") == node && !is_mirror() && holds(pod)
    })
}

fn names(pod: &Value, paths: &[&str], name: &str) -> bool {
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    let is_name = |value: &Value| value.as_str() == Some(name);
    paths.iter().any(|path| any_at(spec, path, &is_name))
}

fn names_secret(pod: &Value, name: &str) -> bool {
    names(pod, &SECRETS, name) || in_environment(pod, "secret", name)
}

/// `kind` is how the keys begin that refer to it: `secretKeyRef`, `configMapRef`.
fn in_environment(pod: &Value, kind: &str, name: &str) -> bool {
    let paths = ["containers", "initContainers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|of| {
            [
                format!("{of}/*/env/*/valueFrom/{kind}KeyRef/name"),
                format!("{of}/*/envFrom/*/{kind}Ref/name"),
            ]
        });
    paths
        .into_iter()
        .any(|path| names(pod, &[path.as_str()], name))
}

fn names_claim(pod: &Value, name: &str) -> bool {
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
    // The claim of an ephemeral volume is called after its pod.
    let of_pod = name
        .strip_prefix(text(pod, "/metadata/name"))
        .and_then(|rest| rest.strip_prefix('-'));
    let is_ephemeral = |volume: &Value| {
        volume.get("ephemeral").is_some_and(|of| !of.is_null())
            && of_pod == Some(text(volume, "/name"))
    };
    names(pod, &CLAIMS, name) || volumes.into_iter().flatten().any(is_ephemeral)
}

fn has_resources(pod: &Value, name: &str) -> bool {
    let is_name = |value: &Value| value.as_str() == Some(name);
    let status = pod.get("status").unwrap_or(&Value::Null);
    names(pod, &["resourceClaims/*/resourceClaimName"], name)
        || any_at(
            status,
            "resourceClaimStatuses/*/resourceClaimName",
            &is_name,
        )
        || any_at(
            status,
            "extendedResourceClaimStatus/resourceClaimName",
            &is_name,
        )
}

/// Whether a volume is claimed for a pod on the node.
fn is_for_pod(objects: &dyn Objects, node: &str, volume: &Value) -> bool {
    let claim = text(volume, "/spec/claimRef/name");
    let namespace = text(volume, "/spec/claimRef/namespace");
    !claim.is_empty() && any_pod(objects, node, namespace, |pod| names_claim(pod, claim))
}

/// Whether a volume that a pod on the node has claimed names a secret.
fn any_volume_names(objects: &dyn Objects, node: &str, namespace: &str, name: &str) -> bool {
    let volumes = objects.list("", "persistentvolumes", None);
    let names = |volume: &Value| {
        let of_claim = text(volume, "/spec/claimRef/namespace");
        OF_VOLUMES.iter().any(|path| {
            let reference = volume.pointer(&format!("/spec/{path}"));
            reference.is_some_and(|reference| {
                let either = |one: &str, other: &str| match text(reference, one) {
                    "" => text(reference, other).to_owned(),
                    found => found.to_owned(),
                };
                let of = either("/namespace", "/secretNamespace");
                let of = if of.is_empty() { of_claim } else { &*of };
                of == namespace && either("/name", "/secretName") == name
            })
        })
    };
    volumes
        .iter()
        .any(|volume| names(volume) && is_for_pod(objects, node, volume))
}

/// Whether a value at a path, in which `*` stands for every item, is one that is looked for.
fn any_at(value: &Value, path: &str, is_wanted: &dyn Fn(&Value) -> bool) -> bool {
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let further = |value: &Value| match rest {
        Some(rest) => any_at(value, rest, is_wanted),
        None => is_wanted(value),
    };
    match first {
        "*" => value
            .as_array()
            .is_some_and(|items| items.iter().any(further)),
        key => value.get(key).is_some_and(further),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}
