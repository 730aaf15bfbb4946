//! `delete` and `deletecollection`: at once, or by a mark that finalizers and kubelets act on.

use bytes::Bytes;
use serde_json::{Value, json};

use super::call::Call;
use super::options::DeleteOptions;
use super::query::ListOptions;
use super::read::{self, Collection};
use super::steps::{self, Deletion};
use super::{Answer, Inner};
use crate::kube::{codec, convert};
use crate::kube::object::meta;
use crate::kube::select::{Fields, Selector};
use crate::kube::status::{self, ApiError, ApiResult, Details};
use crate::kube::store::{self, Written};
use crate::kube::views::Stored;

/// Times that a deletion is tried on an object that others change.
const TRIED: usize = 50;

/// Deletes one object.
///
/// # Errors
/// 404, 409 for preconditions, what admission says.
pub(super) async fn delete(server: &Inner, call: &Call, body: &Bytes) -> ApiResult<Answer> {
    let options = read_options(call, body)?;
    let key = store::key(store::place(&call.resource)?, call.namespace(), call.name());
    let stored = server.store.read(key).await?;
    let Some(stored) = stored else {
        return Err(ApiError::not_found(&call.resource, call.name()));
    };
    let (object, gone) = remove(server, call, stored, &options).await?;
    if gone && !call.resource.delete_returns_object {
        return Ok(Answer::status(status::success(&Details {
            name: meta::name(&object).into(),
            group: call.resource.group.to_string(),
            kind: call.resource.plural.to_string(),
            uid: meta::uid(&object).into(),
            ..Details::default()
        })));
    }
    Ok(Answer::of(object))
}

/// Deletes what a list would show, one after the other.
///
/// # Errors
/// As [`delete`], for the first that fails.
pub(super) async fn delete_collection(server: &Inner, call: &Call, body: &Bytes) -> ApiResult<Answer> {
    let options = read_options(call, body)?;
    let list = ListOptions::parse(&call.query)?;
    let fields = Fields::of(&call.resource);
    let selector = Selector::parse(&list.label_selector, &list.field_selector, &fields)?;
    let collection = Collection {
        place: store::place(&call.resource)?,
        namespace: call.namespace(),
        selector: &selector,
    };
    let selects = |stored: &Stored| codec::object(stored).is_ok_and(|object| selector.matches(object));
    let page = read::list(&server.store, &collection, &list, &selects).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for stored in page.items {
        let copy = Stored::new(stored.key.clone(), stored.value.clone(), stored.revision);
        match remove(server, call, copy, &options).await {
            Ok((object, _)) => items.push(steps::without_kind(object)),
            // Somebody else was quicker.
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let list = json!({
        "kind": format!("{}List", call.resource.kind),
        "apiVersion": call.resource.api_version(),
        "metadata": {"resourceVersion": page.revision.to_string()},
        "items": items,
    });
    Ok(Answer::status(list))
}

fn read_options(call: &Call, body: &Bytes) -> ApiResult<DeleteOptions> {
    let tree = if body.is_empty() {
        None
    } else {
        Some(steps::decode_options(call, body)?)
    };
    DeleteOptions::read(&call.query, tree.as_ref())
}

/// Deletes an object or marks it, whichever its finalizers and grace period ask for. Gives it as it is then, and
/// whether it is gone.
async fn remove(
    server: &Inner,
    call: &Call,
    stored: Stored,
    options: &DeleteOptions,
) -> ApiResult<(Value, bool)> {
    let mut known = Some(stored);
    for _ in 0..TRIED {
        let Some(stored) = known else {
            return Err(ApiError::not_found(&call.resource, call.name()));
        };
        let in_storage = codec::decode(&stored).map_err(ApiError::internal)?;
        let mut object = convert::from_storage(&call.resource, &in_storage);
        let name = meta::name(&object).to_owned();
        let version = stored.revision.to_string();
        options.check(&call.resource.kind, &name, meta::uid(&object), &version)?;
        steps::admit_deletion(server, call, &object).await?;
        let deletion = steps::prepare_deletion(call, &mut object, options)?;
        if options.dry_run {
            return Ok((object, deletion == Deletion::Due));
        }
        let key = stored.key.clone();
        let written = match deletion {
            Deletion::Due => server.store.delete(key, stored.revision).await?,
            Deletion::No => {
                meta::remove_resource_version(&mut object);
                let bytes = codec::encode(&convert::to_storage(&call.resource, &object));
                if bytes == codec::encode(&in_storage) {
                    // Marked already, as it would be now.
                    meta::set_resource_version(&mut object, stored.revision);
                    return Ok((object, false));
                }
                server.store.replace(key, stored.revision, bytes, super::write::KEPT).await?
            }
        };
        match written {
            Written::At(revision) => {
                if deletion == Deletion::No {
                    meta::set_resource_version(&mut object, revision);
                }
                return Ok((object, deletion == Deletion::Due));
            }
            Written::Not(other) => known = other,
        }
    }
    Err(ApiError::modified(&call.resource, call.name()))
}
