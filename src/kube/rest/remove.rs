//! `delete` and `deletecollection`: at once, or by a mark that finalizers and kubelets act on.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::call::Call;
use super::options;
use super::query::ListOptions;
use super::read::{self, Collection};
use super::steps;
use super::{Answer, Inner, answer};
use crate::kube::custom::finalizer;
use crate::kube::object::meta;
use crate::kube::select::{Fields, Selector};
use crate::kube::status::{self, ApiError, ApiResult, Details};
use crate::kube::store::{self, Written};
use crate::kube::strategy::deletion::{DeleteOptions, Verdict};
use crate::kube::views::Stored;
use crate::kube::{codec, convert};

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
    // The release's way to tell clients of old that the object waits for its dependents.
    let waits = !gone && options.orphan_dependents == Some(false);
    let code = if waits { 202 } else { 200 };
    Ok(Answer { code, object })
}

/// Deletes what a list would show, one after the other.
///
/// # Errors
/// As [`delete`], for the first that fails.
pub(super) async fn delete_collection(
    server: &Inner,
    call: &Call,
    body: &Bytes,
) -> ApiResult<Answer> {
    let options = read_options(call, body)?;
    let list = ListOptions::parse(&call.query)?;
    let fields = Fields::of(&call.resource);
    let selector = Selector::parse(&list.label_selector, &list.field_selector, &fields)?;
    let collection = Collection {
        place: store::place(&call.resource)?,
        namespace: call.namespace(),
        selector: &selector,
    };
    let selects =
        |stored: &Stored| codec::object(stored).is_ok_and(|object| selector.matches(object));
    let places = &server.metrics.places;
    let series = places.of(
        collection.place,
        &call.resource.group,
        &call.resource.plural,
    );
    let page = read::list(&server.store, &collection, &list, &selects, &series).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for stored in page.items {
        let copy = Stored::new(stored.key.clone(), stored.value.clone(), stored.revision);
        match remove(server, call, copy, &options).await {
            // As it was when it was found, whatever the deletion has made of it.
            Ok((after, _)) => {
                let before = answer::item(&call.resource, &stored);
                let object = before.map_or(after, Arc::unwrap_or_clone);
                items.push(steps::without_kind(object));
            }
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

/// The body counts; without one the query does.
fn read_options(call: &Call, body: &Bytes) -> ApiResult<DeleteOptions> {
    if body.is_empty() {
        return options::deletion_of_query(&call.query);
    }
    Ok(DeleteOptions::from_value(&steps::decode_options(
        call, body,
    )?))
}

/// Deletes an object or marks it, whichever its finalizers and grace period ask for. Gives it as it is then, and
/// whether it is gone.
pub(super) async fn remove(
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
        let mut object = convert::from_storage(&call.resource, in_storage);
        steps::admit_deletion(server, call, &object).await?;
        if &*call.resource.plural == "customresourcedefinitions" && !steps::is_deleting(&object) {
            finalizer::begin(&mut object, &steps::now());
        }
        let verdict = steps::mark_deletion(call, &mut object, options)?;
        if verdict == Verdict::Pending {
            return Ok((object, false));
        }
        let gone = verdict == Verdict::Now || verdict == Verdict::MarkThenRemove;
        if !options.dry_run.is_empty() {
            return Ok((object, gone));
        }
        let key = stored.key.clone();
        if verdict == Verdict::Now {
            match server.store.delete(key, stored.revision).await? {
                Written::At(_) => return Ok((object, true)),
                Written::Not(other) => known = other,
            }
            continue;
        }
        meta::strip_resource_version(&mut object);
        let bytes = codec::encode(&convert::to_storage(&call.resource, &object));
        match server
            .store
            .replace(key.clone(), stored.revision, bytes, super::write::KEPT)
            .await?
        {
            Written::At(revision) if gone => {
                meta::set_resource_version(&mut object, codec::version(revision));
                // Whatever comes in between sees a marked object, which the next round removes.
                match server.store.delete(key, revision).await? {
                    Written::At(_) => return Ok((object, true)),
                    Written::Not(other) => known = other,
                }
            }
            Written::At(revision) => {
                meta::set_resource_version(&mut object, codec::version(revision));
                return Ok((object, false));
            }
            Written::Not(other) => known = other,
        }
    }
    Err(ApiError::modified(&call.resource, call.name()))
}
