//! Options of writes and deletions: query parameters, and for deletions the body.

use serde_json::Value;

use super::query::{Query, invalid_options};
use crate::kube::field::{FieldError, quoted};
use crate::kube::status::{ApiError, ApiResult};

/// What becomes of fields that the type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// Options of create, update and patch.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    pub dry_run: bool,
    pub validation: FieldValidation,
    /// As given; empty if none was.
    pub manager: String,
    /// Of an apply patch: take over what others manage.
    pub force: Option<bool>,
}

/// Characters of a field manager's name.
const MAX_MANAGER: usize = 128;

impl WriteOptions {
    /// Reads them; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    ///
    /// # Errors
    /// 422 with every field that is wrong.
    pub fn parse(query: &Query, kind: &'static str) -> ApiResult<Self> {
        let mut errors = Vec::new();
        let manager = query.get("fieldManager").unwrap_or_default();
        check_manager(manager, &mut errors);
        let dry_run = dry_run(query.all("dryRun"), &mut errors);
        let validation = match query.get("fieldValidation").unwrap_or_default() {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                errors.push(FieldError::not_supported(
                    "fieldValidation",
                    other,
                    &["", "Ignore", "Strict", "Warn"],
                ));
                FieldValidation::Warn
            }
        };
        if errors.is_empty() {
            return Ok(Self {
                dry_run,
                validation,
                manager: manager.to_owned(),
                force: query.flag("force"),
            });
        }
        Err(invalid_options(kind, &errors))
    }
}

fn check_manager(manager: &str, errors: &mut Vec<FieldError>) {
    if manager.chars().count() > MAX_MANAGER {
        errors.push(FieldError::too_long("fieldManager", MAX_MANAGER));
    }
    let strange = manager.chars().find(|c| c.is_control());
    if let Some(strange) = strange {
        let detail = format!("invalid character {strange:?} (at position {})", manager.find(strange).unwrap_or(0));
        errors.push(FieldError::invalid("fieldManager", quoted(manager), detail));
    }
}

fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut Vec<FieldError>) -> bool {
    let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
    for value in &values {
        if *value != "All" {
            errors.push(FieldError::not_supported("dryRun", value, &["All"]));
        }
    }
    values.contains(&"All")
}

/// What becomes of an object's dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// `meta.k8s.io DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    pub dry_run: bool,
    pub grace_period: Option<i64>,
    pub propagation: Option<Propagation>,
    /// Only this very object.
    pub uid: Option<String>,
    /// Only this very version of it.
    pub resource_version: Option<String>,
}

impl DeleteOptions {
    /// Reads the body, or the query if there is none.
    ///
    /// # Errors
    /// 400 for numbers that are none, 422 for what is wrong otherwise.
    pub fn read(query: &Query, body: Option<&Value>) -> ApiResult<Self> {
        match body {
            Some(body) => Self::of_body(body),
            None => Self::of_query(query),
        }
    }

    fn of_query(query: &Query) -> ApiResult<Self> {
        Self::checked(
            query.all("dryRun").map(Into::into).collect(),
            query.integer("gracePeriodSeconds")?,
            query.get("propagationPolicy").filter(|text| !text.is_empty()).map(Into::into),
            query.flag("orphanDependents"),
            (None, None),
        )
    }

    fn of_body(body: &Value) -> ApiResult<Self> {
        let list = body.get("dryRun").and_then(Value::as_array);
        let list = list.into_iter().flatten().filter_map(Value::as_str);
        let precondition = |name: &str| {
            let found = body.get("preconditions").and_then(|of| of.get(name));
            found.and_then(Value::as_str).map(Into::into)
        };
        Self::checked(
            list.map(Into::into).collect(),
            body.get("gracePeriodSeconds").and_then(Value::as_i64),
            body.get("propagationPolicy").and_then(Value::as_str).map(Into::into),
            body.get("orphanDependents").and_then(Value::as_bool),
            (precondition("uid"), precondition("resourceVersion")),
        )
    }

    fn checked(
        dry: Vec<String>,
        grace_period: Option<i64>,
        policy: Option<String>,
        orphan: Option<bool>,
        (uid, resource_version): (Option<String>, Option<String>),
    ) -> ApiResult<Self> {
        let mut errors = Vec::new();
        if orphan.is_some() && policy.is_some() {
            errors.push(FieldError::invalid(
                "propagationPolicy",
                quoted(policy.as_deref().unwrap_or_default()),
                "orphanDependents and deletionPropagation cannot be both set",
            ));
        }
        let propagation = match policy.as_deref() {
            Some("Orphan") => Some(Propagation::Orphan),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(FieldError::not_supported("propagationPolicy", other, &supported));
                None
            }
            None => orphan.map(|orphan| {
                if orphan {
                    Propagation::Orphan
                } else {
                    Propagation::Background
                }
            }),
        };
        let dry_run = dry_run(dry.iter().map(String::as_str), &mut errors);
        if !errors.is_empty() {
            return Err(invalid_options("DeleteOptions", &errors));
        }
        Ok(Self {
            dry_run,
            grace_period,
            propagation,
            uid,
            resource_version,
        })
    }

    /// Whether an object is the one that may be deleted.
    ///
    /// # Errors
    /// 409 with the words of the release; `kind` is the object's.
    pub fn check(&self, kind: &str, name: &str, uid: &str, version: &str) -> ApiResult<()> {
        let conflict = |why: String| {
            let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
            let details = crate::kube::status::Details {
                name: name.into(),
                kind: kind.into(),
                ..Default::default()
            };
            Err(ApiError::new(409, "Conflict", message).with_details(details))
        };
        if let Some(wanted) = &self.uid
            && wanted != uid
        {
            return conflict(format!(
                "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object \
                 might have been deleted and then recreated"
            ));
        }
        if let Some(wanted) = &self.resource_version
            && wanted != version
        {
            return conflict(format!(
                "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
                 ({version}). The object might have been modified"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dry_run_is_for_all_or_refused() {
        let parse = |query: &str| WriteOptions::parse(&Query::parse(query), "CreateOptions");
        assert!(parse("dryRun=All").unwrap().dry_run);
        assert!(!parse("dryRun=").unwrap().dry_run);
        assert_eq!(
            parse("dryRun=x").unwrap_err().message,
            r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "x": supported values: "All""#
        );
        assert_eq!(parse("fieldValidation=Loose").unwrap_err().code, 422);
        assert_eq!(parse(&format!("fieldManager={}", "x".repeat(129))).unwrap_err().code, 422);
    }

    #[test]
    fn the_body_counts_before_the_query() {
        let query = Query::parse("gracePeriodSeconds=5&propagationPolicy=Orphan");
        let of_query = DeleteOptions::read(&query, None).unwrap();
        assert_eq!(of_query.grace_period, Some(5));
        assert_eq!(of_query.propagation, Some(Propagation::Orphan));
        let body = json!({"propagationPolicy": "Foreground", "preconditions": {"uid": "u"}});
        let of_body = DeleteOptions::read(&query, Some(&body)).unwrap();
        assert_eq!((of_body.grace_period, of_body.uid.as_deref()), (None, Some("u")));
        assert_eq!(of_body.check("ConfigMap", "a", "u", "1"), Ok(()));
        assert_eq!(of_body.check("ConfigMap", "a", "v", "1").unwrap_err().code, 409);
    }

    #[test]
    fn two_policies_or_an_unknown_one_are_refused() {
        for query in ["propagationPolicy=x", "propagationPolicy=Orphan&orphanDependents=true"] {
            let error = DeleteOptions::read(&Query::parse(query), None).unwrap_err();
            assert_eq!(error.code, 422);
        }
    }
}
