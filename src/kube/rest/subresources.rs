//! Subresources, and resources that are answered and not stored.

use bytes::Bytes;
use serde_json::{Value, json};

use super::call::Call;
use super::options::{FieldValidation, WriteOptions};
use super::write;
use super::{Answer, Inner, steps};
use crate::kube::field::FieldError;
use crate::kube::object::meta;
use crate::kube::schema::{Resource, Schema};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::{codec, convert, store, tree};

/// Times that a subresource's write is tried on an object that others change.
const TRIED: usize = 20;

/// Serves a subresource.
///
/// # Errors
/// As the verbs, and 405 for what is not served.
pub(super) async fn serve(
    inner: &Inner,
    call: &Call,
    verb: &str,
    body: &Bytes,
) -> ApiResult<Answer> {
    match (&*call.resource.plural, call.subresource_name(), verb) {
        (_, "scale", _) => super::scale::serve(inner, call, verb, body).await,
        ("pods", "binding", "create") => bind(inner, call, body, call.name()).await,
        ("pods", "eviction", "create") => super::eviction::evict(inner, call, body).await,
        ("serviceaccounts", "token", "create") => token(inner, call, body).await,
        (_, "status" | "finalize" | "approval" | "ephemeralcontainers" | "resize", "get") => {
            super::serve::get(inner, call).await
        }
        (_, "status" | "finalize" | "approval" | "ephemeralcontainers" | "resize", "update") => {
            write::update(inner, call, body).await
        }
        (_, "status" | "finalize" | "approval" | "ephemeralcontainers" | "resize", "patch") => {
            write::patch(inner, call, body).await
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// Answers a resource that is not stored.
///
/// # Errors
/// What is wrong with the question, and 405 for what is not served.
pub(super) async fn create_virtual(inner: &Inner, call: &Call, body: &Bytes) -> ApiResult<Answer> {
    match (&*call.resource.group, &*call.resource.plural) {
        ("", "bindings") => {
            let binding = steps::decode(call, body, FieldValidation::Ignore)?;
            let name = meta::name(&binding).to_owned();
            bind(inner, call, body, &name).await
        }
        ("authentication.k8s.io" | "authorization.k8s.io", _) => {
            let options = WriteOptions::parse(&call.query, "CreateOptions")?;
            let mut review = steps::decode(call, body, options.validation)?;
            // As with everything that is created, also what is not stored.
            steps::manage_fields(call, None, &mut review, &options);
            let namespace = call.namespace();
            let answer = inner
                .gate
                .review(&call.user, &call.resource, namespace, &review)?;
            Ok(Answer::created(answer))
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// A token for a service account.
async fn token(inner: &Inner, call: &Call, body: &Bytes) -> ApiResult<Answer> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let mut request = if body.is_empty() {
        json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"})
    } else {
        steps::decode(call, body, options.validation)?
    };
    steps::admit_part(inner, call, &mut request).await?;
    steps::manage_fields(call, None, &mut request, &options);
    let issued = inner
        .gate
        .issue_token(call.namespace(), call.name(), &request)?;
    if let Some(warning) = issued.warning {
        call.warn(warning);
    }
    Ok(Answer::created(issued.object))
}

/// Gives a pod its node.
async fn bind(inner: &Inner, call: &Call, body: &Bytes, name: &str) -> ApiResult<Answer> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let mut binding = steps::decode(call, body, options.validation)?;
    if meta::name(&binding) != name {
        let why = "name in URL does not match name in Binding object";
        return Err(ApiError::bad_request(why));
    }
    steps::admit_part(inner, call, &mut binding).await?;
    let node = tree::text(&binding, &["target", "name"]).to_owned();
    check_target(tree::text(&binding, &["target", "kind"]), &node)?;
    let resources = crate::kube::schema::Resources::built_in();
    let pods = resources
        .find("", "v1", "pods")
        .ok_or_else(ApiError::no_such_resource)?;
    let key = store::key(store::place(pods)?, &call.target.namespace, name);
    let mut known = inner.store.read(key.clone()).await?;
    for _ in 0..TRIED {
        let Some(stored) = known else {
            return Err(ApiError::not_found(pods, name));
        };
        let mut pod = codec::decode(&stored).map_err(ApiError::internal)?;
        check_binding(pods, &binding, &pod, &node)?;
        assign(&mut pod, &binding, &node);
        if options.dry_run {
            return Ok(bound());
        }
        let bytes = codec::encode(&convert::to_storage(pods, &pod));
        match inner
            .store
            .replace(key.clone(), stored.revision, bytes, write::KEPT)
            .await?
        {
            store::Written::At(_) => return Ok(bound()),
            store::Written::Not(other) => known = other,
        }
    }
    Err(ApiError::modified(pods, name))
}

/// What is wrong with the target of a binding. The release gives the bare field errors, which are no API status.
fn check_target(kind: &str, node: &str) -> ApiResult<()> {
    let mut errors = Vec::new();
    if !kind.is_empty() && kind != "Node" {
        let known = ["Node", "<empty>"];
        errors.push(FieldError::not_supported("target.kind", kind, &known));
    }
    if node.is_empty() {
        errors.push(FieldError::required("target.name", ""));
    }
    let texts: Vec<String> = errors.iter().map(FieldError::to_string).collect();
    match texts.as_slice() {
        [] => Ok(()),
        [one] => Err(ApiError::unclassified(one)),
        several => Err(ApiError::unclassified(format!("[{}]", several.join(", ")))),
    }
}

fn bound() -> Answer {
    Answer::created(json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }))
}

fn check_binding(pods: &Resource, binding: &Value, pod: &Value, node: &str) -> ApiResult<()> {
    let name = meta::name(pod);
    let refuse = |why: String| {
        let message = format!("Operation cannot be fulfilled on pods/binding {name:?}: {why}");
        let error = ApiError::conflict(pods, name, &why);
        let mut details = error.details.clone().unwrap_or_default();
        details.kind = "pods/binding".into();
        Err(ApiError { message, ..error }.with_details(*details))
    };
    for (given, is, what) in [
        (meta::uid(binding), meta::uid(pod), "UID"),
        (
            meta::resource_version(binding),
            meta::resource_version(pod),
            "ResourceVersion",
        ),
    ] {
        if !given.is_empty() && given != is {
            let key = store::key(store::place(pods)?, meta::namespace(pod), name);
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
                 failed: {what} in precondition: {given}, {what} in object meta: {is}",
                String::from_utf8_lossy(&key)
            );
            return Err(ApiError::conflict(pods, name, why));
        }
    }
    if steps::is_deleting(pod) {
        return refuse(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    let has = tree::text(pod, &["spec", "nodeName"]);
    if !has.is_empty() {
        return refuse(format!("pod {name} is already assigned to node {has:?}"));
    }
    let gated = !tree::items(pod, &["spec", "schedulingGates"]).is_empty();
    if gated {
        return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let _ = node;
    Ok(())
}

/// Node, condition, and the labels and annotations that the binding brings.
fn assign(pod: &mut Value, binding: &Value, node: &str) {
    let schema = Schema::built_in();
    let of = |name: &str| schema.find(name).map(|id| schema.get(id));
    let stamp = crate::kube::strategy::rfc3339(steps::wall());
    for field in ["labels", "annotations"] {
        let mut all = match pod.pointer(&format!("/metadata/{field}")) {
            Some(Value::Object(all)) => all.clone(),
            _ => serde_json::Map::new(),
        };
        for (key, value) in tree::entries(binding, &["metadata", field]) {
            tree::set_sorted(&mut all, key, value.clone());
        }
        if !all.is_empty() {
            meta::set(pod, field, all);
        }
    }
    if let (Some(of), Some(spec)) = (
        of("core/v1.PodSpec"),
        pod.get_mut("spec").and_then(Value::as_object_mut),
    ) {
        tree::set_in_order(of, spec, "nodeName", node.into());
    }
    if let (Some(of), Some(status)) = (
        of("core/v1.PodStatus"),
        pod.get_mut("status").and_then(Value::as_object_mut),
    ) {
        let mut conditions = match status.get("conditions") {
            Some(Value::Array(conditions)) => conditions.clone(),
            _ => Vec::new(),
        };
        conditions.retain(|condition| tree::text(condition, &["type"]) != "PodScheduled");
        conditions.push(json!({
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": null,
            "lastTransitionTime": stamp,
        }));
        tree::set_in_order(of, status, "conditions", conditions.into());
    }
}
