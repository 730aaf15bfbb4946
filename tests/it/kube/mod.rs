//! The Kubernetes API from outside: REST, watches, patches, who may what, and what the server says of itself.
//!
//! The words of refusals are part of the contract: clients and scripts compare them.

mod access;
mod admission;
mod api;
mod custom;
mod discovery;
mod doors;
mod kubelet;
mod lifecycle;
mod lists;
mod metrics;
mod objects;
mod owners;
mod patches;
mod presence;
mod reply;
mod session;
mod streams;
mod three;
mod watches;

use api::{Api, Member, names, space};
use serde_json::{Value, json};

use crate::harness::*;

/// One member serves nearly all cases; each works in a namespace of its own.
#[tokio::test]
async fn the_kubernetes_api() {
    if !Program::get().is_own() {
        eprintln!("kube: not run, the server under test has no Kubernetes API");
        return;
    }
    let member = Member::start().await;
    api::share(&member);
    Suite::new("kube", objects::cases())
        .with(lists::cases())
        .with(watches::cases())
        .with(patches::cases())
        .with(lifecycle::cases())
        .with(access::cases())
        .with(admission::cases())
        .with(discovery::cases())
        .with(session::cases())
        .with(custom::cases())
        .with(streams::cases())
        .with(doors::cases())
        .with(owners::cases())
        .with(presence::cases())
        .with(metrics::cases())
        .run(&member.server)
        .await;
}

/// A configmap with one entry.
fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": value}})
}

/// A pod of one container.
fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "img"}]}})
}

/// A deployment whose pods have its name as the label `app`.
fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "img"}]}}}})
}
