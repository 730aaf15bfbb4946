//! The body of a `patch`, read by its media type, and what it makes of an object.

use bytes::Bytes;
use serde_json::Value;

use super::call::Call;
use super::options::{FieldValidation, WriteOptions};
use super::{resetting, steps};
use crate::kube::apply::Apply;
use crate::kube::field::FieldError;
use crate::kube::object::{self, Expected, Format, decode_value};
use crate::kube::patch::{Patch, PatchKind};
use crate::kube::schema::Schema;
use crate::kube::status::{ApiError, ApiResult, Details};

pub(super) const APPLY: &str = "application/apply-patch+yaml";
/// What every resource takes.
const TAKEN: [&str; 3] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    APPLY,
];

/// A patch of any kind.
#[derive(Debug)]
pub(super) enum Patching {
    Plain {
        patch: Patch,
        /// What strict validation has against the body.
        strict: Vec<String>,
    },
    Apply {
        object: Value,
        manager: String,
        force: bool,
    },
}

impl Patching {
    /// Reads the body.
    ///
    /// # Errors
    /// 415 for a media type that is no patch's, 400 for a body that is none, 422 for options that do not fit.
    pub(super) fn read(call: &Call, body: &Bytes, options: &WriteOptions) -> ApiResult<Self> {
        let media_type = steps::media_type(call);
        if media_type == APPLY {
            return Self::read_apply(call, body, options);
        }
        let custom = call.resource.object.is_none();
        let kind =
            PatchKind::of(&media_type).filter(|kind| !custom || *kind != PatchKind::Strategic);
        let Some(kind) = kind else {
            return Err(unsupported(custom));
        };
        if options.force.is_some() {
            let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
            return Err(super::query::invalid_options("PatchOptions", &[error]));
        }
        let (tree, repeated) =
            object::tree(body, Format::Json).map_err(|error| kind.decoding_error(&error))?;
        let patch = Patch::read(kind, tree)?;
        let strict = patch.strict_errors(&repeated);
        match options.validation {
            FieldValidation::Warn => strict.iter().for_each(|text| call.warn(text)),
            FieldValidation::Strict | FieldValidation::Ignore => {}
        }
        Ok(Self::Plain { patch, strict })
    }

    fn read_apply(call: &Call, body: &Bytes, options: &WriteOptions) -> ApiResult<Self> {
        if options.manager.is_empty() {
            let error = FieldError::required("fieldManager", "is required for apply patch");
            return Err(super::query::invalid_options("PatchOptions", &[error]));
        }
        let (object, repeated) = object::tree(body, Format::Yaml)
            .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?;
        match options.validation {
            FieldValidation::Strict if !repeated.is_empty() => {
                let all = repeated.join(", ");
                let why = format!("error strict decoding YAML: {all}");
                return Err(ApiError::bad_request(why));
            }
            FieldValidation::Warn => repeated.iter().for_each(|text| call.warn(text)),
            FieldValidation::Strict | FieldValidation::Ignore => {}
        }
        Ok(Self::Apply {
            object,
            manager: options.manager.clone(),
            force: options.force.unwrap_or(false),
        })
    }

    /// Whether it is a server-side apply, which keeps account of managed fields itself.
    pub(super) fn is_apply(&self) -> bool {
        matches!(self, Self::Apply { .. })
    }

    /// The object that the patch makes of the current one; none to create it by an apply.
    ///
    /// # Errors
    /// What does not fit.
    pub(super) fn apply(
        &self,
        call: &Call,
        current: Option<&Value>,
        options: &WriteOptions,
        now: &str,
    ) -> ApiResult<Value> {
        let (group, version, kind) = call.kind();
        let expected = Expected::new(group, version, kind);
        let schema = Schema::built_in();
        match self {
            Self::Plain { patch, strict } => {
                let Some(current) = current else {
                    return Err(ApiError::not_found(&call.resource, call.name()));
                };
                let typed = expected.id.map(|id| (schema, id));
                let patched = patch.apply(current.clone(), typed)?;
                let decoded = decode_value(&patched, &expected, FieldValidation::Warn)
                    .map_err(|error| patch.misfit(&patched, &error.message))?;
                let mut value = decoded.value;
                let mut warnings = decoded.warnings;
                if let Some(kind) = steps::custom_kind(call, &expected) {
                    warnings.extend(steps::receive(kind, &mut value)?);
                }
                let found = strict.iter().chain(&warnings).cloned();
                match options.validation {
                    FieldValidation::Strict => {
                        let all: Vec<String> = found.collect();
                        if !all.is_empty() {
                            return Err(patch.strict(&patched, &all));
                        }
                    }
                    FieldValidation::Warn => {
                        warnings.iter().for_each(|text| call.warn(text));
                    }
                    FieldValidation::Ignore => {}
                }
                if let Some(id) = expected.id {
                    crate::kube::defaults::apply(schema, id, &mut value);
                }
                resetting::carry_from(&patched, &mut value);
                Ok(value)
            }
            Self::Apply {
                object,
                manager,
                force,
            } => {
                let applied = steps::field_manager(call).apply(&Apply {
                    live: current,
                    patch: object,
                    manager,
                    force: *force,
                    now,
                })?;
                let decoded = decode_value(&applied, &expected, FieldValidation::Ignore)?;
                let mut value = decoded.value;
                if let Some(kind) = steps::custom_kind(call, &expected) {
                    let unknown = steps::receive(kind, &mut value)?;
                    match options.validation {
                        FieldValidation::Strict if !unknown.is_empty() => {
                            let why = format!("strict decoding error: {}", unknown.join(", "));
                            return Err(ApiError::bad_request(why));
                        }
                        FieldValidation::Warn => {
                            unknown.into_iter().for_each(|text| call.warn(text));
                        }
                        FieldValidation::Strict | FieldValidation::Ignore => {}
                    }
                }
                if let Some(id) = expected.id {
                    crate::kube::defaults::apply(schema, id, &mut value);
                }
                Ok(value)
            }
        }
    }
}

fn unsupported(custom: bool) -> ApiError {
    if custom {
        let all = TAKEN.join(", ");
        return ApiError::unsupported_media_type(format!(
            "the body of the request was in an unknown format - accepted media types include: {all}"
        ));
    }
    ApiError::unsupported_media_type("415: Unsupported Media Type").with_details(Details::default())
}
