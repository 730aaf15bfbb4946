//! ServiceAccount: every pod runs as an account that is there, and gets a token of it.

use serde_json::{Value, json};

use super::{annotation, append, put, spec};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::objects::Objects;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::strategy::{self, Rng};
use crate::kube::tree::{get, items, text};

pub(in crate::kube::admission) const NAME: &str = "ServiceAccount";

const DEFAULT: &str = "default";
const VOLUME: &str = "kube-api-access-";
const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";
const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";
/// Lifetime in seconds: an hour and a bit, by which kubelets and the server know tokens of clients that may not
/// know that tokens end.
const LIFETIME: i64 = 3607;

/// The account whose being there decides about a pod that is created.
pub(in crate::kube::admission) fn wanted<'a>(
    by: &Attributes<'_>,
    pod: &'a Value,
) -> Option<&'a str> {
    if !by.whole("", "pods") || !by.creates() || annotation(pod, MIRROR).is_some() {
        return None;
    }
    let name = text(pod, &["spec", "serviceAccountName"]);
    Some(if name.is_empty() { DEFAULT } else { name })
}

fn look_up(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    pod: &Value,
    name: &str,
) -> ApiResult<std::sync::Arc<Value>> {
    let found = objects.get("", "serviceaccounts", by.namespace, name);
    found.ok_or_else(|| {
        let namespace = by.namespace;
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
        );
        by.refuse(pod, why)
    })
}

pub(super) fn mutate(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    pod: &mut Value,
    rng: Rng<'_>,
) -> ApiResult<()> {
    let Some(wanted) = wanted(by, pod).map(str::to_owned) else {
        return validate(by, objects, pod);
    };
    let account = look_up(by, objects, pod, &wanted)?;
    let of = "core/v1.PodSpec";
    let key = "automountServiceAccountToken";
    let said = get(pod, &["spec", key]).or_else(|| get(&account, &[key]));
    let automount = said.and_then(Value::as_bool).unwrap_or(true);
    if let Some(spec) = spec(pod) {
        put(of, spec, "serviceAccountName", wanted.as_str());
        // The field of old, which the release always writes beside.
        put(of, spec, "serviceAccount", wanted.as_str());
    }
    if automount {
        mount(pod, rng);
    }
    let secrets = items(&account, &["imagePullSecrets"]);
    if items(pod, &["spec", "imagePullSecrets"]).is_empty() && !secrets.is_empty() {
        let names = secrets
            .iter()
            .map(|one| json!({"name": text(one, &["name"])}));
        let names: Value = names.collect();
        if let Some(spec) = spec(pod) {
            put(of, spec, "imagePullSecrets", names);
        }
    }
    validate(by, objects, pod)
}

/// Mounts a token into every container that has nothing at its place.
fn mount(pod: &mut Value, rng: Rng<'_>) {
    let volumes = items(pod, &["spec", "volumes"]).iter();
    let mut names = volumes.map(|volume| text(volume, &["name"]));
    let existing = names.find(|name| name.starts_with(VOLUME));
    let existing = existing.map(str::to_owned);
    let is_new = existing.is_none();
    let volume = existing.unwrap_or_else(|| strategy::generate(VOLUME, rng));
    let Some(spec) = spec(pod) else {
        return;
    };
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let mounts = items(container, &["volumeMounts"]);
            if mounts.iter().any(|one| text(one, &["mountPath"]) == PLACE) {
                continue;
            }
            if let Some(container) = container.as_object_mut() {
                let mount = json!({"name": volume, "readOnly": true, "mountPath": PLACE});
                append("core/v1.Container", container, "volumeMounts", mount);
                mounted = true;
            }
        }
    }
    if is_new && mounted {
        let volume = json!({"name": volume, "projected": {"sources": [
            {"serviceAccountToken": {"expirationSeconds": LIFETIME, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ], "defaultMode": 0o644}});
        append("core/v1.PodSpec", spec, "volumes", volume);
    }
}

pub(super) fn validate(by: &Attributes<'_>, objects: &dyn Objects, pod: &Value) -> ApiResult<()> {
    if !by.about("", "pods") {
        return Ok(());
    }
    let later = by.operation == Operation::Update && by.subresource == "ephemeralcontainers";
    let creates = by.subresource.is_empty() && by.creates();
    if !later && !creates {
        return Ok(());
    }
    if creates && annotation(pod, MIRROR).is_some() {
        return mirror(pod).map_err(|why| by.refuse(pod, why));
    }
    let account = text(pod, &["spec", "serviceAccountName"]);
    if account.is_empty() {
        let why = format!(
            "no service account specified for pod {}/{}",
            by.namespace,
            super::name(pod)
        );
        return Err(by.refuse(pod, why));
    }
    let account = look_up(by, objects, pod, account)?;
    let enforced = annotation(&account, ENFORCE).unwrap_or_default();
    if !["1", "t", "T", "true", "TRUE", "True"].contains(&enforced) {
        return Ok(());
    }
    if later {
        // The release answers this one without a status.
        return containers(pod, &account, "ephemeralContainers", "ephemeral container")
            .map_err(ApiError::unclassified);
    }
    secrets(pod, &account).map_err(|why| by.refuse(pod, why))
}

/// What kubelets run by themselves may use nothing that the server would have to give.
fn mirror(pod: &Value) -> Result<(), &'static str> {
    if !text(pod, &["spec", "serviceAccountName"]).is_empty() {
        return Err("a mirror pod may not reference service accounts");
    }
    if uses_secrets(pod) {
        return Err("a mirror pod may not reference secrets");
    }
    let volumes = items(pod, &["spec", "volumes"]).iter();
    let mut sources = volumes.flat_map(|one| items(one, &["projected", "sources"]));
    if sources.any(|source| get(source, &["serviceAccountToken"]).is_some()) {
        return Err("a mirror pod may not use ServiceAccountToken volume projections");
    }
    Ok(())
}

pub(super) fn uses_secrets(pod: &Value) -> bool {
    if !items(pod, &["spec", "imagePullSecrets"]).is_empty() {
        return true;
    }
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let mut all = lists.iter().flat_map(|list| items(pod, &["spec", list]));
    if all.any(|container| references(container).next().is_some()) {
        return true;
    }
    let in_source = |source: &Value| {
        let keys = ["secretName", "secretRef", "nodePublishSecretRef"];
        keys.iter().any(|key| get(source, &[key]).is_some())
    };
    let mut volumes = items(pod, &["spec", "volumes"]).iter();
    volumes.any(|volume| {
        let mut sources = crate::kube::tree::entries(volume, &[]);
        let mut projected = items(volume, &["projected", "sources"]).iter();
        sources.any(|(_, source)| in_source(source))
            || projected.any(|source| get(source, &["secret"]).is_some())
    })
}

/// The secrets that a container's environment is made of: the variable, or none for all of a secret.
fn references(container: &Value) -> impl Iterator<Item = (Option<&str>, &str)> {
    let one = items(container, &["env"]).iter().filter_map(|variable| {
        let secret = get(variable, &["valueFrom", "secretKeyRef"])?;
        Some((Some(text(variable, &["name"])), text(secret, &["name"])))
    });
    let whole = items(container, &["envFrom"]).iter().filter_map(|from| {
        let secret = get(from, &["secretRef"])?;
        Some((None, text(secret, &["name"])))
    });
    one.chain(whole)
}

fn knows(account: &Value, list: &str, secret: &str) -> bool {
    let mut all = items(account, &[list]).iter();
    all.any(|one| text(one, &["name"]) == secret)
}

/// An account may name the secrets that its pods use.
fn secrets(pod: &Value, account: &Value) -> Result<(), String> {
    let of = super::name(account);
    for volume in items(pod, &["spec", "volumes"]) {
        let Some(secret) = get(volume, &["secret"]) else {
            continue;
        };
        let secret = text(secret, &["secretName"]);
        if !knows(account, "secrets", secret) {
            return Err(format!(
                "volume with secret.secretName=\"{secret}\" is not allowed because service account {of} does not \
                 reference that secret"
            ));
        }
    }
    containers(pod, account, "initContainers", "init container")?;
    containers(pod, account, "containers", "container")?;
    let pulls = items(pod, &["spec", "imagePullSecrets"]).iter().enumerate();
    for (at, secret) in pulls {
        let secret = text(secret, &["name"]);
        if !knows(account, "imagePullSecrets", secret) {
            return Err(format!(
                "imagePullSecrets[{at}].name=\"{secret}\" is not allowed because service account {of} does not \
                 reference that imagePullSecret"
            ));
        }
    }
    Ok(())
}

fn containers(pod: &Value, account: &Value, list: &str, what: &str) -> Result<(), String> {
    for container in items(pod, &["spec", list]) {
        for (variable, secret) in references(container) {
            if knows(account, "secrets", secret) {
                continue;
            }
            let by = match variable {
                Some(variable) => format!("envVar {variable}"),
                None => "envFrom".to_owned(),
            };
            return Err(format!(
                "{what} {} with {by} referencing secret.secretName=\"{secret}\" is not allowed because service \
                 account {} does not reference that secret",
                text(container, &["name"]),
                super::name(account)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{CREATE_POD, Few};
    use super::*;

    fn accounts(account: Value) -> Few {
        Few(vec![("", "serviceaccounts", account)])
    }

    fn pod() -> Value {
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i", "resources": {}}]}})
    }

    #[test]
    fn pods_get_a_token_of_the_default_account() {
        let few = accounts(json!({"metadata": {"name": "default", "namespace": "ns"},
            "imagePullSecrets": [{"name": "pull"}]}));
        let pod = CREATE_POD.mutate(NAME, &few, None, pod()).unwrap();
        assert_eq!(
            pod["spec"].to_string(),
            r#"{"volumes":[{"name":"kube-api-access-hhhhh","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}],"containers":[{"name":"c","image":"i","resources":{},"volumeMounts":[{"name":"kube-api-access-hhhhh","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}],"serviceAccountName":"default","serviceAccount":"default","imagePullSecrets":[{"name":"pull"}]}"#
        );
    }

    #[test]
    fn no_token_where_none_is_wanted_and_no_pod_without_an_account() {
        let few = accounts(json!({"metadata": {"name": "default", "namespace": "ns"},
            "automountServiceAccountToken": false}));
        let made = CREATE_POD.mutate(NAME, &few, None, pod()).unwrap();
        assert!(made["spec"].get("volumes").is_none());
        let mut other = pod();
        other["spec"]["serviceAccountName"] = "nosa".into();
        let refused = CREATE_POD.mutate(NAME, &few, None, other).unwrap_err();
        assert_eq!(
            refused.message,
            r#"pods "p" is forbidden: error looking up service account ns/nosa: serviceaccount "nosa" not found"#
        );
        assert_eq!(refused.code, 403);
    }

    #[test]
    fn accounts_may_limit_secrets_and_mirrors_have_none() {
        let few = accounts(json!({"metadata": {"name": "default", "namespace": "ns",
            "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}, "secrets": [{"name": "a"}]}));
        let mut asks = pod();
        asks["spec"]["containers"][0]["env"] =
            json!([{"name": "V", "valueFrom": {"secretKeyRef": {"name": "b", "key": "k"}}}]);
        let refused = CREATE_POD.mutate(NAME, &few, None, asks).unwrap_err();
        assert!(refused.message.ends_with(
            "container c with envVar V referencing secret.secretName=\"b\" is not allowed because service account \
             default does not reference that secret"
        ));
        let mut mirror = pod();
        mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        let made = CREATE_POD
            .mutate(NAME, &Few::default(), None, mirror.clone())
            .unwrap();
        assert_eq!(made, mirror);
        mirror["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "s"}}]);
        let refused = CREATE_POD.judge(NAME, &few, None, &mirror).unwrap_err();
        assert!(refused.ends_with("a mirror pod may not reference secrets"));
    }
}
