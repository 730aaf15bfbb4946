//! A few hundred objects of a small cluster: keys as kube-apiserver's, values of realistic size.
//!
//! The same seed makes the same objects.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub value: Vec<u8>,
}

const NAMESPACES: [&str; 4] = ["default", "kube-system", "shop", "shop-staging"];

/// Makes what is particular to a kind.
type Body = fn(&mut StdRng) -> Value;

/// A kind, where it is stored, how many there are (in each namespace, if it has those), and its body.
type Kind = (&'static str, &'static str, usize, Body);

const NAMESPACED: [Kind; 8] = [
    ("Pod", "pods", 30, pod_spec),
    ("ConfigMap", "configmaps", 8, config_map),
    ("Secret", "secrets", 8, secret),
    ("Deployment", "deployments", 10, deployment_spec),
    ("Service", "services/specs", 6, service_spec),
    ("Event", "events", 12, event),
    ("ServiceAccount", "serviceaccounts", 2, nothing),
    ("EndpointSlice", "endpointslices", 6, endpoints),
];

const CLUSTER_WIDE: [Kind; 3] = [
    ("Node", "minions", 10, node_status),
    (
        "CustomResourceDefinition",
        "apiextensions.k8s.io/customresourcedefinitions",
        6,
        crd_spec,
    ),
    ("Namespace", "namespaces", 4, nothing),
];

/// All objects, keys below `root`, which stands for `/registry`.
pub fn objects(root: &str) -> Vec<Object> {
    let mut random = StdRng::seed_from_u64(20);
    let mut objects = Vec::new();
    for (kind, resource, count, body) in NAMESPACED {
        for namespace in NAMESPACES {
            for n in 0..count {
                let path = format!("{root}/{resource}/{namespace}");
                objects.push(object(&mut random, &path, kind, Some(namespace), n, body));
            }
        }
    }
    for (kind, resource, count, body) in CLUSTER_WIDE {
        for n in 0..count {
            let path = format!("{root}/{resource}");
            objects.push(object(&mut random, &path, kind, None, n, body));
        }
    }
    objects.extend(node_leases(&mut random, root));
    objects
}

fn object(
    random: &mut StdRng,
    path: &str,
    kind: &str,
    namespace: Option<&str>,
    n: usize,
    body: Body,
) -> Object {
    let name = format!("{}-{n}-{}", kind.to_lowercase(), word(random, 5));
    let mut manifest = json!({
        "kind": kind,
        "apiVersion": "v1",
        "metadata": metadata(random, &name, namespace),
    });
    let fields = body(random);
    for (field, value) in fields.as_object().into_iter().flatten() {
        manifest[field] = value.clone();
    }
    Object {
        key: format!("{path}/{name}"),
        value: manifest.to_string().into_bytes(),
    }
}

fn metadata(random: &mut StdRng, name: &str, namespace: Option<&str>) -> Value {
    json!({
        "name": name,
        "namespace": namespace,
        "uid": format!("{}-{}", word(random, 8), word(random, 12)),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": word(random, 8), "tier": word(random, 4)},
        "annotations": {"note": text(random, 10)},
        "managedFields": [{
            "manager": "kubectl",
            "operation": "Update",
            "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}},
        }],
    })
}

/// Leases of nodes are small and written every few seconds.
fn node_leases(random: &mut StdRng, root: &str) -> Vec<Object> {
    let path = format!("{root}/leases/kube-node-lease");
    let mut lease = |n| {
        object(
            random,
            &path,
            "Lease",
            Some("kube-node-lease"),
            n,
            lease_spec,
        )
    };
    (0..10).map(&mut lease).collect()
}

fn word(random: &mut StdRng, length: usize) -> String {
    let letter = |_| char::from(b'a' + random.random_range(0..26));
    (0..length).map(letter).collect()
}

fn text(random: &mut StdRng, words: usize) -> String {
    let words: Vec<_> = (0..words).map(|_| word(random, 6)).collect();
    words.join(" ")
}

fn nothing(_: &mut StdRng) -> Value {
    json!({})
}

fn container(random: &mut StdRng) -> Value {
    json!({
        "name": word(random, 6),
        "image": format!("registry.example/{}:{}", word(random, 8), word(random, 7)),
        "command": ["/bin/sh", "-c", text(random, 8)],
        "env": (0..random.random_range(2..12))
            .map(|_| json!({"name": word(random, 10), "value": word(random, 16)}))
            .collect::<Vec<_>>(),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    })
}

fn containers(random: &mut StdRng) -> Vec<Value> {
    let count = random.random_range(1..4);
    (0..count).map(|_| container(random)).collect()
}

fn pod_spec(random: &mut StdRng) -> Value {
    json!({
        "spec": {
            "containers": containers(random),
            "nodeName": format!("node-{}", random.random_range(0..10)),
            "serviceAccountName": "default",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "conditions": [
                {"type": "Ready", "status": "True", "message": text(random, 6)},
                {"type": "PodScheduled", "status": "True"},
            ],
        },
    })
}

fn deployment_spec(random: &mut StdRng) -> Value {
    json!({
        "spec": {
            "replicas": random.random_range(1..20),
            "template": {"spec": {"containers": containers(random)}},
        },
        "status": {"observedGeneration": 3, "readyReplicas": 1},
    })
}

fn service_spec(random: &mut StdRng) -> Value {
    json!({"spec": {"clusterIP": "10.1.2.3", "selector": {"app": word(random, 8)}}})
}

fn endpoints(random: &mut StdRng) -> Value {
    let count = random.random_range(1..30);
    let address = |n| json!({"addresses": [format!("10.0.1.{n}")], "nodeName": word(random, 8)});
    json!({"endpoints": (0..count).map(address).collect::<Vec<_>>()})
}

fn event(random: &mut StdRng) -> Value {
    json!({"reason": word(random, 9), "message": text(random, 20), "count": 1})
}

/// From some hundred bytes to some hundred KiB.
fn config_map(random: &mut StdRng) -> Value {
    let words = [10, 100, 1000, 20_000][random.random_range(0..4)];
    json!({"data": {"config.yaml": text(random, words)}})
}

fn secret(random: &mut StdRng) -> Value {
    let length = random.random_range(32..4000);
    json!({"type": "Opaque", "data": {"token": word(random, length)}})
}

fn node_status(random: &mut StdRng) -> Value {
    let count = random.random_range(20..50);
    let image = |_| json!({"names": [text(random, 2)], "sizeBytes": 123_456_789});
    json!({
        "status": {
            "images": (0..count).map(image).collect::<Vec<_>>(),
            "capacity": {"cpu": "64", "memory": "256Gi", "pods": "110"},
        },
    })
}

fn crd_spec(random: &mut StdRng) -> Value {
    let property = |_| {
        let described = json!({"type": "string", "description": text(random, 15)});
        (word(random, 10), described)
    };
    let properties: serde_json::Map<_, _> = (0..150).map(property).collect();
    json!({"spec": {"versions": [{
        "name": "v1",
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }]}})
}

fn lease_spec(random: &mut StdRng) -> Value {
    json!({"spec": {
        "holderIdentity": word(random, 10),
        "leaseDurationSeconds": 40,
        "renewTime": "2026-01-01T00:00:00.000000Z",
    }})
}

#[test]
fn objects_are_the_same_each_time_and_have_keys_of_their_own() {
    let objects = objects("/registry");
    assert_eq!(objects, self::objects("/registry"));
    let mut keys: Vec<_> = objects.iter().map(|object| &object.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), objects.len());
    assert!(objects.len() > 300);
    let sizes = objects.iter().map(|object| object.value.len());
    assert!(sizes.clone().min() < Some(600) && sizes.max() > Some(100_000));
}
