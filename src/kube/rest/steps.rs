//! The steps of a write between its body and the store, as one request goes through them.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::Inner;
use super::call::Call;
use super::options::{FieldValidation, WriteOptions};
use crate::base::clock;
use crate::base::ids::LeaseId;
use crate::kube::admission::{Attributes, Operation};
use crate::kube::apply::{FieldManager, Update};
use crate::kube::convert::BuiltInVersions;
use crate::kube::custom;
use crate::kube::object::{self, Expected, Format, meta};
use crate::kube::schema::Schema;
use crate::kube::services::{self, Taken};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::strategy::deletion::{self, DeleteOptions, Verdict};
use crate::kube::strategy::{self, Context};
use crate::kube::{defaults, negotiate, validate};

/// Whether an update or a deletion leaves an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It is gone with the last finalizer, or at once.
    Due,
    No,
}

/// Whether a deletion has marked an object.
pub(super) fn is_deleting(object: &Value) -> bool {
    meta::deletion_timestamp(object).is_some()
}

/// The wall clock, as objects have it.
pub(super) fn wall() -> SystemTime {
    UNIX_EPOCH + clock::unix_time()
}

/// The same, written as objects have it.
pub(super) fn now() -> String {
    strategy::rfc3339(wall())
}

fn random() -> u64 {
    rand::random()
}

fn context<'a>(call: &'a Call) -> Context<'a> {
    Context {
        schema: Schema::built_in(),
        user: &call.user,
        now: wall(),
    }
}

/// The media type of a body, without parameters; JSON if it is not said.
pub(super) fn media_type(call: &Call) -> String {
    let said = call
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = said.and_then(negotiate::media_type);
    media_type.unwrap_or_else(|| super::reply::JSON.into())
}

/// The form of a body.
///
/// # Errors
/// 415 for one that is not known.
pub(super) fn format(call: &Call) -> ApiResult<Format> {
    let said = call
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let format = negotiate::body_format(said)?;
    let custom = call.resource.object.is_none() && call.subresource_name() != "scale";
    if custom && format == Format::Protobuf {
        return Err(ApiError::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml",
        ));
    }
    Ok(format)
}

/// Reads the object of a body, and gives it its defaults.
///
/// # Errors
/// 400 for what is no object of the kind, 415 for a form that is not known.
pub(super) fn decode(call: &Call, body: &Bytes, strict: FieldValidation) -> ApiResult<Value> {
    let (group, version, kind) = call.kind();
    decode_as(call, body, strict, &Expected::new(group, version, kind))
}

/// Reads the options of a deletion.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_options(call: &Call, body: &Bytes) -> ApiResult<Value> {
    let mut expected = Expected::new("", "v1", "DeleteOptions");
    expected.id = Schema::built_in().find("meta/v1.DeleteOptions");
    decode_as(call, body, FieldValidation::Ignore, &expected).map_err(bare)
}

/// What the release says of options that cannot be read: what its decoder says, and nothing about objects.
fn bare(error: ApiError) -> ApiError {
    const SCHEME: &str = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30";
    const OF_OPTIONS: &str =
        "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27";
    let unrecognized = "the object provided is unrecognized (must be of type DeleteOptions): ";
    let said = error.message.as_str();
    let message = match said.strip_prefix(unrecognized) {
        Some(why) => why.rsplit_once(" (").map_or(why, |(why, _)| why).to_owned(),
        None => match said.split_once(" cannot be handled as a DeleteOptions: ") {
            Some((_, why)) => why.replace(SCHEME, OF_OPTIONS),
            None => return error,
        },
    };
    ApiError { message, ..error }
}

fn decode_as(
    call: &Call,
    body: &Bytes,
    strict: FieldValidation,
    expected: &Expected,
) -> ApiResult<Value> {
    let custom = custom_kind(call, expected);
    // Fields that are there twice are told together with those that the schema does not know.
    let first = match custom {
        Some(_) if strict == FieldValidation::Strict => FieldValidation::Warn,
        _ => strict,
    };
    let decoded = object::decode(body, format(call)?, expected, first)?;
    let mut value = decoded.value;
    let mut told = decoded.warnings;
    if let Some(kind) = custom {
        let unknown = receive(kind, &mut value)?;
        if strict != FieldValidation::Ignore {
            told.extend(unknown);
        }
        if strict == FieldValidation::Strict && !told.is_empty() {
            let why = format!("strict decoding error: {}", told.join(", "));
            return Err(unfit(kind, &why));
        }
    }
    told.into_iter().for_each(|text| call.warn(text));
    if let Some(id) = expected.id {
        defaults::apply(Schema::built_in(), id, &mut value);
    }
    Ok(value)
}

/// What a definition says of what a call is about, unless that is a part of another kind.
pub(super) fn custom_kind<'a>(call: &'a Call, expected: &Expected) -> Option<&'a custom::Kind> {
    let kind = call.resource.custom.as_deref()?;
    (expected.id.is_none() && *expected.gvk.kind == *kind.definition.kind).then_some(kind)
}

/// Brings a custom object into the form of its schema, with defaults; returns what strict clients are told of.
///
/// # Errors
/// 400 for metadata that is not of its type.
pub(super) fn receive(kind: &custom::Kind, object: &mut Value) -> ApiResult<Vec<String>> {
    let unknown = kind.receive(object).map_err(|why| unfit(kind, &why))?;
    Ok(unknown
        .iter()
        .map(|path| format!("unknown field {path:?}"))
        .collect())
}

fn unfit(kind: &custom::Kind, why: &str) -> ApiError {
    let (name, version) = (&kind.definition.kind, &kind.version.name);
    ApiError::bad_request(format!(
        "{name} in version {version:?} cannot be handled as a {name}: {why}"
    ))
}

/// What a client may not say of a new object is taken away.
///
/// # Errors
/// 400 for another namespace, and the release's odd 500 for a resource version.
pub(super) fn begin_create(call: &Call, object: &mut Value) -> ApiResult<()> {
    let custom = call.resource.custom.as_ref();
    if custom.is_some_and(|kind| kind.definition.terminating) {
        let why = "create not allowed while custom resource definition is terminating";
        let (resource, name) = (&call.resource, meta::name(object));
        return Err(ApiError::forbidden(resource, name, why));
    }
    let version = meta::resource_version(object);
    if !version.is_empty() && version != "0" {
        let why = "resourceVersion should not be set on objects to be created";
        return Err(ApiError::unclassified(why));
    }
    meta::strip_resource_version(object);
    strategy::begin_create(Schema::built_in(), &call.resource, call.namespace(), object)?;
    if !call.name().is_empty() && meta::name(object).is_empty() {
        meta::set(object, "name", call.name());
    }
    if let Some(warning) = strategy::dedup_owners(object, false) {
        call.warn(warning);
    }
    Ok(())
}

/// Admits a new object and makes of it what is to be validated.
///
/// # Errors
/// What admission says.
pub(super) async fn prepare_create(
    server: &Inner,
    call: &Call,
    object: &mut Value,
) -> ApiResult<()> {
    let name = meta::name(object).to_owned();
    let attributes = creation(call, &name);
    server.admission.mutate(&attributes, None, object).await?;
    let cx = context(call);
    strategy::fill(&cx, &call.resource, object, &mut random);
    strategy::prepare_create(&cx, &call.resource, object);
    give_addresses(server, call, None, object).await
}

/// Gives a service the cluster addresses and node ports that it needs.
async fn give_addresses(
    server: &Inner,
    call: &Call,
    old: Option<&Value>,
    object: &mut Value,
) -> ApiResult<()> {
    let resource = &call.resource;
    let is_service = resource.group.is_empty() && &*resource.plural == "services";
    if !is_service || !call.subresource_name().is_empty() {
        return Ok(());
    }
    if !validate::service_addresses(old, object).is_empty() {
        // Validation says so.
        return Ok(());
    }
    // Others may have been given theirs a moment ago, on another member.
    server.store.latest().await?;
    let mut taken = Taken::of(&*server.live);
    let dry_run = attributes(call, Operation::Create).dry_run;
    let ranges = &server.settings.services;
    services::allocate(ranges, &mut taken, old, object, dry_run, &mut random)
}

/// Judges a new object.
///
/// # Errors
/// 422 with every field that is wrong, or what admission says.
pub(super) async fn validate_create(server: &Inner, call: &Call, object: &Value) -> ApiResult<()> {
    let schema = Schema::built_in();
    server
        .gate
        .check_rights(&call.user, &call.info, &call.resource, object, None)?;
    let errors = match &call.resource.custom {
        Some(kind) => kind.judge_create(&call.resource, object),
        None => validate::create(schema, &call.resource, object),
    };
    warn_of_definitions(call, None, object);
    invalid(call, object, &errors)?;
    let warnings = strategy::warnings(&call.resource, None, object);
    warnings.into_iter().for_each(|text| call.warn(text));
    let attributes = creation(call, meta::name(object));
    server
        .admission
        .validate(&attributes, None, Some(object))
        .await
}

/// Checks that an object is the one of the path.
///
/// # Errors
/// 400.
pub(super) fn check_place(call: &Call, object: &Value) -> ApiResult<()> {
    let name = meta::name(object);
    if name.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.name()
        )));
    }
    if name != call.name() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name()
        )));
    }
    let namespace = meta::namespace(object);
    if !namespace.is_empty() && call.resource.namespaced && namespace != call.namespace() {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// Compares the version and uid that an update names with the current ones. True if it names a version.
///
/// # Errors
/// 409 for another one, 422 where one must be named, and the release's odd 500 for what is no number.
pub(super) fn check_version(call: &Call, current: &Value, wanted: &Value) -> ApiResult<bool> {
    let version = meta::resource_version(wanted);
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(ApiError::unclassified(format!(
            "strconv.ParseUint: parsing {version:?}: invalid syntax"
        )));
    }
    let uid = meta::uid(wanted);
    // Of a patch it is judged as any other field that may not change.
    let pins_uid = call.method != http::Method::PATCH;
    if pins_uid && !uid.is_empty() && uid != meta::uid(current) {
        let key = crate::kube::store::key(
            call.resource.key.as_deref().unwrap_or_default(),
            call.namespace(),
            call.name(),
        );
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: UID in precondition: {uid}, UID in object meta: {}",
            String::from_utf8_lossy(&key),
            meta::uid(current)
        );
        return Err(ApiError::conflict(&call.resource, call.name(), why));
    }
    if version.is_empty() || version == "0" {
        if call.resource.needs_version {
            let why = "must be specified for an update";
            let error =
                crate::kube::field::FieldError::invalid("metadata.resourceVersion", "0", why);
            invalid(call, wanted, &[error])?;
        }
        return Ok(false);
    }
    if version != meta::resource_version(current) {
        return Err(ApiError::modified(&call.resource, call.name()));
    }
    Ok(true)
}

/// Admits an update and makes of it what is to be validated. Tells whether the object goes with it.
///
/// # Errors
/// What admission says.
pub(super) async fn prepare_update(
    server: &Inner,
    call: &Call,
    current: &Value,
    wanted: &mut Value,
) -> ApiResult<Deletion> {
    meta::set(wanted, "name", call.name());
    if let Some(warning) = strategy::dedup_owners(wanted, false) {
        call.warn(warning);
    }
    let attributes = attributes(call, Operation::Update);
    server
        .admission
        .mutate(&attributes, Some(current), wanted)
        .await?;
    strategy::prepare_update(
        &context(call),
        &call.resource,
        call.subresource_name(),
        current,
        wanted,
    );
    give_addresses(server, call, Some(current), wanted).await?;
    let due = deletion::is_done(&call.resource, current, wanted);
    Ok(if due { Deletion::Due } else { Deletion::No })
}

/// Judges an update.
///
/// # Errors
/// As [`validate_create`].
pub(super) async fn validate_update(
    server: &Inner,
    call: &Call,
    current: &Value,
    wanted: &Value,
) -> ApiResult<()> {
    let schema = Schema::built_in();
    let (gate, resource) = (&server.gate, &call.resource);
    gate.check_rights(&call.user, &call.info, resource, wanted, Some(current))?;
    let sub = call.subresource_name();
    let errors = match &call.resource.custom {
        Some(kind) => kind.judge_update(sub, current, wanted),
        None => validate::update(schema, &call.resource, sub, current, wanted),
    };
    warn_of_definitions(call, Some(current), wanted);
    invalid(call, wanted, &errors)?;
    if call.subresource.is_none() {
        let warnings = strategy::warnings(&call.resource, Some(current), wanted);
        warnings.into_iter().for_each(|text| call.warn(text));
    }
    let attributes = attributes(call, Operation::Update);
    server
        .admission
        .validate(&attributes, Some(current), Some(wanted))
        .await
}

/// What writes of definitions and of custom objects warn of.
fn warn_of_definitions(call: &Call, old: Option<&Value>, new: &Value) {
    let resource = &call.resource;
    let told = if resource.custom.is_some() {
        custom::judge::warnings(old, new)
    } else if &*resource.plural == "customresourcedefinitions" {
        custom::warnings::of_write(old, new)
    } else {
        return;
    };
    told.into_iter().for_each(|text| call.warn(text));
}

fn invalid(
    call: &Call,
    object: &Value,
    errors: &[crate::kube::field::FieldError],
) -> ApiResult<()> {
    if errors.is_empty() {
        return Ok(());
    }
    let resource = &call.resource;
    Err(ApiError::invalid(
        &resource.group,
        &resource.kind,
        meta::name(object),
        errors,
    ))
}

/// Keeps account of who manages which fields, for writes that are no apply.
pub(super) fn manage_fields(
    call: &Call,
    current: Option<&Value>,
    object: &mut Value,
    options: &WriteOptions,
) {
    let manager = if options.manager.is_empty() {
        call.manager()
    } else {
        options.manager.clone()
    };
    let stamp = now();
    let update = Update {
        live: current,
        manager: &manager,
        now: &stamp,
        reset: false,
    };
    *object = field_manager(call).update(object.take(), &update);
}

/// Who keeps account of the fields of a call's object.
pub(super) fn field_manager(call: &Call) -> FieldManager {
    FieldManager::new(
        &call.resource,
        call.subresource_name(),
        Box::new(BuiltInVersions),
    )
}

/// Admits what is sent to a part of an object and is no object of its resource itself: a binding, an eviction, a
/// request for a token.
///
/// # Errors
/// What admission says.
pub(super) async fn admit_part(server: &Inner, call: &Call, part: &mut Value) -> ApiResult<()> {
    let attributes = attributes(call, Operation::Create);
    server.admission.mutate(&attributes, None, part).await?;
    server
        .admission
        .validate(&attributes, None, Some(part))
        .await
}

/// Judges a deletion.
///
/// # Errors
/// What admission says.
pub(super) async fn admit_deletion(server: &Inner, call: &Call, object: &Value) -> ApiResult<()> {
    let attributes = attributes(call, Operation::Delete);
    server
        .admission
        .validate(&attributes, Some(object), None)
        .await
}

/// Marks an object as its deletion asks for, and tells what is to be done with it.
///
/// # Errors
/// What the kind forbids, preconditions that do not hold.
pub(super) fn mark_deletion(
    call: &Call,
    object: &mut Value,
    options: &DeleteOptions,
) -> ApiResult<Verdict> {
    if let Some(error) = deletion::protected(&call.resource, meta::name(object)) {
        return Err(error);
    }
    deletion::before_delete(Schema::built_in(), &call.resource, object, options, wall())
}

/// The lease that an object is stored with: events go by themselves.
///
/// # Errors
/// What the store says.
pub(super) async fn lease(server: &Inner, call: &Call) -> ApiResult<LeaseId> {
    if &*call.resource.plural == "events" {
        return server.event_leases.current(server.store.engine()).await;
    }
    Ok(super::write::KEPT)
}

/// An item of a list of a built-in kind does not say what it is.
pub(super) fn without_kind(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.shift_remove("kind");
        map.shift_remove("apiVersion");
    }
    object
}

/// What admission knows of a creation, whose path has no name.
fn creation<'a>(call: &'a Call, name: &'a str) -> Attributes<'a> {
    Attributes {
        name,
        ..attributes(call, Operation::Create)
    }
}

/// What admission knows of a request.
fn attributes<'a>(call: &'a Call, operation: Operation) -> Attributes<'a> {
    Attributes {
        operation,
        resource: &call.resource,
        subresource: call.subresource_name(),
        namespace: call.namespace(),
        name: call.name(),
        user: &call.user,
        dry_run: call.query.all("dryRun").any(|value| value == "All"),
        warnings: &call.warnings,
        charged: &call.charged,
    }
}
