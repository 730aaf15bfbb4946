//! `create`, `update` and `patch`: from a body to a conditional write.
//!
//! The order is kube-apiserver's: decode, default, mutating admission, prepare, validate, validating admission,
//! store. Updates and patches do all of it again when the object has changed meanwhile, unless the client named the
//! version that it means.

use bytes::Bytes;
use serde_json::Value;

use super::call::Call;
use super::options::WriteOptions;
use super::patching::Patching;
use super::steps::{self, Deletion};
use super::{Answer, Inner, resetting};
use crate::base::ids::LeaseId;
use crate::kube::object::meta;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::store::{self, Written};
use crate::kube::views::Stored;
use crate::kube::{codec, convert, strategy};

/// Times that a patch is tried on an object that others change: kube-apiserver's number.
const PATCHES_TRIED: usize = 5;
/// Times that an unconditional update is tried. Others have made progress each time.
const UPDATES_TRIED: usize = 50;

/// Creates an object.
///
/// # Errors
/// What is wrong with it, or that there is one of that name.
pub(super) async fn create(server: &Inner, call: &Call, body: &Bytes) -> ApiResult<Answer> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let object = steps::decode(call, body, options.validation)?;
    create_decoded(server, call, object, &options, Owners::Tracked).await
}

/// Who has kept account of the managed fields of an object that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owners {
    /// Nobody yet: what the write changes is its manager's.
    Tracked,
    /// The write has, as an apply does.
    Known,
}

/// Creates an object that has been decoded and defaulted.
///
/// # Errors
/// As [`create`].
pub(super) async fn create_decoded(
    server: &Inner,
    call: &Call,
    mut object: Value,
    options: &WriteOptions,
    owners: Owners,
) -> ApiResult<Answer> {
    let place = store::place(&call.resource)?;
    steps::begin_create(call, &mut object)?;
    // Before admission and whatever the server itself adds: that is nobody's.
    if owners == Owners::Tracked {
        steps::manage_fields(call, None, &mut object, options);
    }
    let generated = meta::name(&object).is_empty() && !meta::generate_name(&object).is_empty();
    let mut name = String::new();
    for _ in 0..strategy::GENERATE_ATTEMPTS {
        let mut object = object.clone();
        steps::prepare_create(server, call, &mut object).await?;
        steps::validate_create(server, call, &object).await?;
        meta::name(&object).clone_into(&mut name);
        let key = store::key(place, call.namespace(), &name);
        if options.dry_run {
            if server.store.read(key).await?.is_none() {
                return Ok(Answer::created(object));
            }
        } else {
            let lease = steps::lease(server, call).await?;
            let stored = codec::encode(&convert::to_storage(&call.resource, &object));
            match server.store.create(key, stored, lease).await? {
                Written::At(revision) => {
                    meta::set_resource_version(&mut object, codec::version(revision));
                    return Ok(Answer::created(object));
                }
                Written::Not(Some(other)) if !generated => return Err(exists(call, &name, &other)),
                Written::Not(_) => {}
            }
        }
        if !generated {
            return Err(ApiError::already_exists(&call.resource, &name));
        }
    }
    Err(strategy::name_conflict(&call.resource, &name))
}

fn exists(call: &Call, name: &str, other: &Stored) -> ApiError {
    let error = ApiError::already_exists(&call.resource, name);
    let deleting = codec::decode(other).is_ok_and(|object| steps::is_deleting(&object));
    if deleting {
        let message = format!("object is being deleted: {}", error.message);
        return ApiError { message, ..error };
    }
    error
}

/// Replaces an object, or creates it where its kind allows that.
///
/// # Errors
/// What is wrong with it, 404 if there is none, 409 if it has changed.
pub(super) async fn update(server: &Inner, call: &Call, body: &Bytes) -> ApiResult<Answer> {
    let options = WriteOptions::parse(&call.query, "UpdateOptions")?;
    let mut wanted = steps::decode(call, body, options.validation)?;
    resetting::carry(body, steps::format(call)?, &mut wanted);
    steps::check_place(call, &wanted)?;
    if call.resource.namespaced {
        // Whoever leaves it out means that of the path.
        meta::set(&mut wanted, "namespace", call.namespace());
    }
    let missing = call.resource.put_creates && call.subresource.is_none();
    let change = Change {
        options: &options,
        attempts: UPDATES_TRIED,
        owners: Owners::Tracked,
    };
    let result = change.run(server, call, |_| Ok(wanted.clone())).await;
    match result {
        Err(error) if error.code == 404 && missing => {
            let mut new = wanted;
            meta::strip_resource_version(&mut new);
            create_decoded(server, call, new, &options, Owners::Tracked).await
        }
        result => result,
    }
}

/// Changes an object by a patch of any kind; an apply patch creates what is missing.
///
/// # Errors
/// As [`update`], and what is wrong with the patch.
pub(super) async fn patch(server: &Inner, call: &Call, body: &Bytes) -> ApiResult<Answer> {
    let is_apply = steps::media_type(call) == super::patching::APPLY;
    let options = WriteOptions::parse_patch(&call.query, is_apply)?;
    let patching = Patching::read(call, body, &options)?;
    let change = Change {
        options: &options,
        attempts: PATCHES_TRIED,
        owners: if patching.is_apply() {
            Owners::Known
        } else {
            Owners::Tracked
        },
    };
    let now = steps::now();
    let result = change
        .run(server, call, |current| {
            let wanted = patching.apply(call, Some(current), &options, &now)?;
            steps::check_place(call, &wanted)?;
            Ok(wanted)
        })
        .await;
    match result {
        Err(error) if error.code == 404 && patching.is_apply() && call.subresource.is_none() => {
            let object = patching.apply(call, None, &options, &now)?;
            steps::check_place(call, &object)?;
            create_decoded(server, call, object, &options, Owners::Known).await
        }
        result => result,
    }
}

/// A read-modify-write of one object.
pub(super) struct Change<'a> {
    pub(super) options: &'a WriteOptions,
    /// Times that it is tried while others change the object.
    pub(super) attempts: usize,
    pub(super) owners: Owners,
}

impl Change<'_> {
    /// Runs it; `modify` makes the wanted object from the current one, both in the version of the request.
    ///
    /// # Errors
    /// 404 if there is no object; what the steps say; 409 if it changes all the time, or the wanted object names
    /// another version.
    pub(super) async fn run(
        &self,
        server: &Inner,
        call: &Call,
        modify: impl Fn(&Value) -> ApiResult<Value> + Sync,
    ) -> ApiResult<Answer> {
        let place = store::place(&call.resource)?;
        let name = call.name();
        let key = store::key(place, call.namespace(), name);
        let mut known = server.store.read(key.clone()).await?;
        for _ in 0..self.attempts {
            let Some(stored) = known else {
                return Err(ApiError::not_found(&call.resource, name));
            };
            let in_storage = codec::decode(&stored).map_err(ApiError::internal)?;
            let current = convert::from_storage(&call.resource, in_storage);
            let mut wanted = modify(&current)?;
            let pinned = steps::check_version(call, &current, &wanted)?;
            if self.owners == Owners::Tracked {
                steps::manage_fields(call, Some(&current), &mut wanted, self.options);
            }
            let done = steps::prepare_update(server, call, &current, &mut wanted).await?;
            crate::kube::apply::keep_times(&current, &mut wanted);
            meta::strip_resource_version(&mut wanted);
            steps::validate_update(server, call, &current, &wanted).await?;
            let revision = stored.revision;
            if same(&current, &wanted) {
                return Ok(Answer::of(current));
            }
            if self.options.dry_run {
                meta::set_resource_version(&mut wanted, codec::version(revision));
                return Ok(Answer::of(wanted));
            }
            let written = match done {
                Deletion::Due => server.store.delete(key.clone(), revision).await?,
                Deletion::No => {
                    let bytes = codec::encode(&convert::to_storage(&call.resource, &wanted));
                    let lease = steps::lease(server, call).await?;
                    server
                        .store
                        .replace(key.clone(), revision, bytes, lease)
                        .await?
                }
            };
            match written {
                Written::At(at) => {
                    meta::set_resource_version(&mut wanted, codec::version(at));
                    return Ok(Answer::of(wanted));
                }
                Written::Not(_) if pinned => return Err(ApiError::modified(&call.resource, name)),
                Written::Not(other) => known = other,
            }
        }
        Err(ApiError::modified(&call.resource, name))
    }
}

/// Whether an update changes nothing. The wanted object has no resource version yet.
fn same(current: &Value, wanted: &Value) -> bool {
    let mut current = current.clone();
    meta::strip_resource_version(&mut current);
    current == *wanted
}

/// No lease: what most objects are stored with.
pub(super) const KEPT: LeaseId = LeaseId::NONE;
