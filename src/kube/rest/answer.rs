//! Objects and lists in the form that a client asked for.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::form::{Form, Shape};
use super::json_list::JsonList;
use super::read::Page;
use super::reply::{self, KubeBody};
use super::{Answer, steps};
use crate::kube::negotiate::MetaVersion;
use crate::kube::object::{self, Format, meta, protobuf};
use crate::kube::schema::{Resource, Schema};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::table::{self, Include, Printer};
use crate::kube::views::Stored;
use crate::kube::{codec, convert};

/// Lists of fewer bytes, roughly, are made before they are sent: clients are told how long they are.
const AT_ONCE: usize = 64 << 10;

/// The answer to a request for or about one object.
///
/// # Errors
/// 406 for what has no such form.
pub(super) fn one(call: &Call, form: &Form, answer: &Answer) -> ApiResult<Response<KubeBody>> {
    let object = &answer.object;
    let is_status = object.get("kind").is_some_and(|kind| kind == "Status");
    let shaped = match form.shape {
        _ if is_status => object.clone(),
        Shape::Whole => object.clone(),
        Shape::Table(version) => {
            let printer = Printer::of(&call.resource, call.subresource.as_ref());
            let options = table_options(call, version, true)?;
            table::render_object(&printer, &call.resource, object, &options)?
        }
        Shape::Metadata(version) => meta::partial(object, version),
    };
    let body = encode(call, form, &shaped)?;
    Ok(reply::compressed(
        answer.code,
        form.content_type(),
        body,
        reply::takes_gzip(&call.headers),
    ))
}

/// The answer to a request for one stored object.
///
/// # Errors
/// As [`one`]; 500 for what cannot be decoded.
pub(super) fn stored(call: &Call, form: &Form, stored: &Stored) -> ApiResult<Response<KubeBody>> {
    let plain = form.shape == Shape::Whole && form.media == Format::Json && !form.pretty;
    if plain
        && convert::is_stored_as_served(&call.resource)
        && let Some(ready) = codec::ready(stored)
    {
        let mut body = Vec::with_capacity(ready.size() + 1);
        ready.write(&mut body);
        body.push(b'\n');
        let gzip = reply::takes_gzip(&call.headers);
        return Ok(reply::compressed(200, form.content_type(), body, gzip));
    }
    let object = decoded(call, stored)?;
    one(call, form, &Answer::of(Value::clone(&object)))
}

/// A page of a list.
///
/// # Errors
/// As [`one`].
pub(super) fn page(call: &Call, form: &Form, page: Page) -> ApiResult<Response<KubeBody>> {
    let metadata = list_metadata(&page);
    let items = || {
        page.items
            .iter()
            .filter_map(|stored| item(&call.resource, stored))
    };
    let list = match form.shape {
        Shape::Whole if form.media == Format::Json && !form.pretty => {
            let list = JsonList::new(Arc::clone(&call.resource), &metadata, page.items);
            let (size, gzip) = (list.size(), reply::takes_gzip(&call.headers));
            if size < AT_ONCE {
                let body = list.collect::<Vec<_>>().concat();
                return Ok(reply::compressed(200, form.content_type(), body, gzip));
            }
            return Ok(reply::chunked(form.content_type(), list, size, gzip));
        }
        Shape::Table(version) => {
            let printer = Printer::of(&call.resource, None);
            let options = table_options(call, version, true)?;
            let items: Vec<_> = items().collect();
            let items = items.iter().map(|object| &**object);
            table::render_list(&printer, &call.resource, &metadata, items, &options)
        }
        Shape::Metadata(version) => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": version.api_version(),
            "metadata": metadata,
            "items": items().map(|object| meta::partial(&object, version)).collect::<Value>(),
        }),
        Shape::Whole => json!({
            "kind": format!("{}List", call.resource.kind),
            "apiVersion": call.resource.api_version(),
            "metadata": metadata,
            "items": items()
                .map(|object| listed(call, (*object).clone()))
                .collect::<Value>(),
        }),
    };
    let body = encode(call, form, &list)?;
    Ok(reply::compressed(
        200,
        form.content_type(),
        body,
        reply::takes_gzip(&call.headers),
    ))
}

/// The object of a request as its version has it.
///
/// # Errors
/// 500 for what cannot be decoded.
pub(super) fn decoded(call: &Call, stored: &Stored) -> ApiResult<Arc<Value>> {
    item(&call.resource, stored).ok_or_else(|| {
        let kind = &call.resource.kind;
        ApiError::internal(format!("the stored {kind} cannot be decoded"))
    })
}

/// An object of the views as the version of `resource` has it.
pub(super) fn item(resource: &Resource, stored: &Stored) -> Option<Arc<Value>> {
    match codec::object(stored) {
        Ok(object) if convert::is_stored_as_served(resource) => Some(Arc::clone(object)),
        Ok(object) => Some(Arc::new(convert::from_storage(
            resource,
            Value::clone(object),
        ))),
        Err(why) => {
            tracing::warn!(key = ?stored.key, why, "a stored object cannot be decoded and is left out");
            None
        }
    }
}

/// Items of built-in kinds do not say what they are; those of custom ones do.
fn listed(call: &Call, object: Value) -> Value {
    if call.resource.object.is_some() {
        steps::without_kind(object)
    } else {
        object
    }
}

fn list_metadata(page: &Page) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), page.revision.to_string().into());
    if let Some(next) = &page.next {
        metadata.insert("continue".into(), next.encode().into());
    }
    if let Some(remaining) = page.remaining {
        metadata.insert("remainingItemCount".into(), remaining.into());
    }
    metadata.into()
}

pub(super) fn table_options(
    call: &Call,
    version: MetaVersion,
    headers: bool,
) -> ApiResult<table::Options> {
    Ok(table::Options {
        version: match version {
            MetaVersion::V1 => "v1",
            MetaVersion::V1Beta1 => "v1beta1",
        },
        include: Include::parse(call.query.get("includeObject").unwrap_or_default())?,
        headers,
        now: steps::wall(),
    })
}

/// A tree in a media type.
///
/// # Errors
/// 406 for a kind that has no protobuf form.
pub(super) fn encode(call: &Call, form: &Form, tree: &Value) -> ApiResult<Vec<u8>> {
    match form.media {
        Format::Json if form.pretty => Ok(object::encode_json(tree, true)),
        Format::Json => Ok(reply::to_json(tree)),
        Format::Yaml => Ok(object::encode_yaml(tree).into_bytes()),
        Format::Protobuf => match codec::type_of_any(Schema::built_in(), tree) {
            Some(id) => Ok(protobuf::encode(Schema::built_in(), id, tree)),
            None => Err(super::form::not_acceptable(call.resource.object.is_none())),
        },
    }
}

/// What the gate says to those whom it does not let in.
pub(super) fn denial(form: Option<&Form>, error: &ApiError) -> Response<KubeBody> {
    let mut response = refusal(form, error);
    reply::never_guess(&mut response);
    response
}

/// A refusal in the form that refusals are wanted in; indented JSON for clients that accept none.
pub(super) fn refusal(form: Option<&Form>, error: &ApiError) -> Response<KubeBody> {
    let status = error.to_value();
    let Some(form) = form.filter(|form| !form.pretty) else {
        let mut response =
            reply::whole(error.code, reply::JSON, object::encode_json(&status, true));
        reply::decorate(&mut response, error);
        return response;
    };
    let schema = Schema::built_in();
    let body: Option<Bytes> = match form.media {
        Format::Yaml => Some(object::encode_yaml(&status).into()),
        Format::Protobuf => schema
            .find("meta/v1.Status")
            .map(|id| protobuf::encode(schema, id, &status).into()),
        Format::Json => None,
    };
    match body {
        Some(body) => {
            let mut response = reply::whole(error.code, form.content_type(), body);
            reply::decorate(&mut response, error);
            response
        }
        None => reply::refusal(error),
    }
}
