//! `scale`: how many replicas an object has and wants, the same for all kinds that have some.

use bytes::Bytes;
use serde_json::{Value, json};

use super::call::Call;
use super::options::WriteOptions;
use super::patching::Patching;
use super::write::{Change, Owners};
use super::{Answer, Inner, steps};
use crate::kube::apply::ScaleFields;
use crate::kube::custom;
use crate::kube::field::FieldError;
use crate::kube::object::meta;
use crate::kube::schema::{Resource, Schema};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree;

/// Times that a write is tried on an object that others change.
const TRIED: usize = 20;

/// Where `scale` stands in objects of a resource: replicas wanted and had, and the selector of its pods.
///
/// # Errors
/// 500 for a custom object that has something else in those places.
fn scale_of(resource: &Resource, object: &Value) -> ApiResult<Value> {
    if let Some(paths) = paths(resource) {
        return custom::scale::read(paths, object);
    }
    let selector = object
        .pointer("/spec/selector")
        .map_or_else(String::new, |selector| {
            if &*resource.plural == "replicationcontrollers" {
                let labels = selector.as_object().cloned().unwrap_or_default();
                crate::kube::select::LabelSelector::from_labels(&labels).to_string()
            } else {
                crate::kube::select::LabelSelector::from_object(selector)
                    .map(|selector| selector.to_string())
                    .unwrap_or_default()
            }
        });
    let metadata = object.get("metadata").cloned().unwrap_or_default();
    let kept = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ];
    let metadata: serde_json::Map<String, Value> = kept
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), metadata.get(*key)?.clone())))
        .collect();
    let mut spec = serde_json::Map::new();
    let wanted = tree::int(object, &["spec", "replicas"]).unwrap_or(0);
    if wanted != 0 {
        spec.insert("replicas".into(), wanted.into());
    }
    let mut status = serde_json::Map::new();
    let had = tree::int(object, &["status", "replicas"]).unwrap_or(0);
    status.insert("replicas".into(), had.into());
    if !selector.is_empty() {
        status.insert("selector".into(), selector.into());
    }
    Ok(json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }))
}

/// Where objects of a custom resource have what their scale shows.
fn paths(resource: &Resource) -> Option<&custom::ScalePaths> {
    resource.custom.as_ref()?.version.scale.as_ref()
}

/// Reads or changes the scale of an object.
///
/// # Errors
/// As the verbs on the object, and what is wrong with the scale.
pub(super) async fn serve(
    inner: &Inner,
    call: &Call,
    verb: &str,
    body: &Bytes,
) -> ApiResult<Answer> {
    // The object itself is what is read and written.
    let whole = Call::of_object(call);
    if verb == "get" {
        let answer = super::serve::get(inner, &whole).await?;
        return Ok(Answer::of(scale_of(&call.resource, &answer.object)?));
    }
    let kind = match verb {
        "patch" => "PatchOptions",
        _ => "UpdateOptions",
    };
    let options = WriteOptions::parse(&call.query, kind)?;
    let now = steps::now();
    let (patching, replacement) = if verb == "patch" {
        (Some(Patching::read(call, body, &options)?), Value::Null)
    } else {
        let scale = steps::decode(call, body, options.validation)?;
        steps::check_place(call, &scale)?;
        (None, scale)
    };
    let resource = &call.resource;
    let place = paths(resource).map_or("spec.replicas", |paths| {
        paths.spec_replicas.trim_start_matches('.')
    });
    let fields = ScaleFields::new(resource, place);
    let wanted = |current: &Value| {
        let mut before = match paths(resource) {
            Some(paths) => custom::scale::before_update(paths, current)?,
            None => scale_of(resource, current)?,
        };
        if let Some(owners) = fields.of_object(current) {
            meta::set(&mut before, "managedFields", owners);
        }
        let mut scale = match &patching {
            Some(patching) => patching.apply(call, Some(&before), &options, &now)?,
            None => replacement.clone(),
        };
        if !patching.as_ref().is_some_and(Patching::is_apply) {
            steps::manage_fields(call, Some(&before), &mut scale, &options);
        }
        Ok(scale)
    };
    let change = Change {
        options: &options,
        attempts: TRIED,
        owners: Owners::Known,
    };
    let answer = change
        .run(inner, &whole, |current| {
            let scale = wanted(current)?;
            scaled(call, current, &scale, &fields)
        })
        .await?;
    Ok(Answer::of(match paths(resource) {
        Some(paths) => custom::scale::after_update(paths, &answer.object)?,
        None => scale_of(resource, &answer.object)?,
    }))
}

/// The object that a changed scale of it asks for.
fn scaled(call: &Call, current: &Value, scale: &Value, fields: &ScaleFields) -> ApiResult<Value> {
    steps::check_place(call, scale)?;
    let replicas = tree::int(scale, &["spec", "replicas"]).unwrap_or(0);
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let error = FieldError::invalid("spec.replicas", replicas.to_string(), why);
        return Err(ApiError::invalid(
            "autoscaling",
            "Scale",
            call.name(),
            &[error],
        ));
    }
    let mut object = current.clone();
    fields.into_object(scale, &mut object);
    match meta::resource_version(scale) {
        "" => meta::strip_resource_version(&mut object),
        version => meta::set(&mut object, "resourceVersion", version),
    }
    if let Some(paths) = paths(&call.resource) {
        custom::scale::into_object(paths, scale, &mut object)?;
    }
    let schema = Schema::built_in();
    let spec = call
        .resource
        .object
        .and_then(|id| tree::type_of(schema, schema.get(id), "spec"));
    if let (Some(of), Some(spec)) = (spec, object.get_mut("spec").and_then(Value::as_object_mut)) {
        tree::set_in_order(of, spec, "replicas", replicas.into());
    }
    Ok(object)
}
