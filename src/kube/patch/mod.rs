//! Patches of objects: JSON Patch, JSON Merge Patch and Kubernetes' strategic merge patch.
//!
//! A patch is read once for a request and applied to the object as often as another write comes in between. What comes out is
//! any JSON: the caller conforms it to the type and refuses what does not fit. Server-side apply is `kube::apply`.
//!
//! Behaviour and words are those of the libraries that the release uses, which differ from the RFCs in places.

mod json;
mod merge;
mod print;
mod strategic;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use json::JsonPatch;
pub use merge::MergePatch;
pub(in crate::kube) use print::go as go_value;
pub use strategic::StrategicPatch;

use super::field::{FieldError, quoted};
use super::schema::{Schema, TypeId};
use super::status::{ApiError, ApiResult, Details};

/// Errors of a body that are told.
const MAX_STRICT_ERRORS: usize = 100;

/// A patch that has been read.
#[derive(Debug, Clone)]
pub enum Patch {
    Json(JsonPatch),
    Merge(MergePatch),
    Strategic(StrategicPatch),
}

/// Which patch a body holds, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    Json,
    Merge,
    Strategic,
}

impl PatchKind {
    /// None for server-side apply and for what is no patch.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }

    /// What a 400 puts before the error of a body that is no JSON.
    pub fn decoding_error(self, why: &str) -> ApiError {
        match self {
            Self::Json | Self::Merge => {
                ApiError::bad_request(format!("error decoding patch: {why}"))
            }
            Self::Strategic => ApiError::bad_request(why),
        }
    }
}

impl Patch {
    /// # Errors
    /// 400 for what is no patch of this kind, 413 for too many operations.
    pub fn read(kind: PatchKind, body: Value) -> ApiResult<Self> {
        Ok(match kind {
            PatchKind::Json => Self::Json(JsonPatch::read(body)?),
            PatchKind::Merge => Self::Merge(MergePatch::read(body)?),
            PatchKind::Strategic => Self::Strategic(StrategicPatch::read(body)?),
        })
    }

    /// What `fieldValidation` reports about the body: fields that its reader found twice (`duplicate field "data.a"`), and
    /// fields that operations do not have. `Warn` says each; `Strict` refuses them, together with those of the patched
    /// object, by [`Self::strict`].
    pub fn strict_errors(&self, repeated: &[String]) -> Vec<String> {
        let (prefix, unknown) = match self {
            Self::Json(patch) => ("json patch ", patch.strict_errors()),
            Self::Merge(_) | Self::Strategic(_) => ("", &[] as &[_]),
        };
        let all = repeated.iter().chain(unknown).take(MAX_STRICT_ERRORS);
        all.map(|error| format!("{prefix}{error}")).collect()
    }

    /// 422 for what `fieldValidation=Strict` does not let pass: the body's errors before the patched object's.
    pub fn strict(&self, patched: &Value, errors: &[String]) -> ApiError {
        let errors = errors.join(", ");
        self.misfit(patched, &format!("strict decoding error: {errors}"))
    }

    /// 422 for a patched object that does not conform to its type; `why` is what conforming says.
    pub fn misfit(&self, patched: &Value, why: &str) -> ApiError {
        let shown = match self {
            Self::Json(_) | Self::Merge(_) => {
                // The libraries decode the fields of the object, and Go encodes those in order.
                let mut fields: Vec<_> = patched.as_object().into_iter().flatten().collect();
                fields.sort_by_key(|(name, _)| *name);
                let field =
                    |(name, value): (&String, &Value)| format!("{}:{value}", Value::from(&**name));
                let fields: Vec<_> = fields.into_iter().map(field).collect();
                format!("{{{}}}", fields.join(","))
            }
            Self::Strategic(patch) => patch.print(),
        };
        let error = FieldError::invalid("patch", quoted(&shown), why);
        ApiError::invalid("", "", "", &[error])
    }

    /// The patched form of an object of a type, in the version of the request.
    ///
    /// # Errors
    /// As the patches have it; a strategic merge patch needs a type.
    pub fn apply(&self, object: Value, of: Option<(&Schema, TypeId)>) -> ApiResult<Value> {
        match (self, of) {
            (Self::Json(patch), _) => patch.apply(object),
            (Self::Merge(patch), _) => Ok(patch.apply(object)),
            (Self::Strategic(patch), Some((schema, of))) => patch.apply(schema, of, object),
            // The media type is refused before.
            (Self::Strategic(_), None) => Err(ApiError::bad_request(
                "strategic merge patch format is not supported",
            )),
        }
    }
}

/// 422 without saying what is wrong, as the release answers to patches that do not apply.
fn does_not_apply() -> ApiError {
    let message = "the server rejected our request due to an error in our request";
    ApiError::new(422, "Invalid", message).with_details(Details::default())
}

/// The type of a JSON value in the words of Go's decoder.
pub(in crate::kube) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Fuzz check: the first line is an object, the rest a patch of any kind; patches never panic, and a
/// merge patch changes nothing the second time.
#[cfg(any(test, fuzzing))]
pub fn fuzz_patch(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let mut next = || serde_json::from_slice::<Value>(parts.next().unwrap_or_default());
    let (Ok(object), Ok(body)) = (next(), next()) else {
        return;
    };
    let schema = Schema::built_in();
    let pod = schema.find("core/v1.Pod").map(|of| (schema, of));
    for kind in [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic] {
        let Ok(patch) = Patch::read(kind, body.clone()) else {
            continue;
        };
        let patched = patch.apply(object.clone(), pod);
        if let (PatchKind::Merge, Ok(once)) = (kind, patched) {
            // Nulls in lists stay or go by what the list takes the place of.
            let twice = patch.apply(once.clone(), None);
            let twice = twice.map(|twice| merge::without_nulls(&twice));
            assert_eq!(twice, Ok(merge::without_nulls(&once)));
        }
    }
}
