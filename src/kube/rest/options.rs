//! Options of writes and deletions: query parameters, and for deletions the body.

use super::query::{Query, invalid_options};
use crate::kube::field::{FieldError, quoted};
pub use crate::kube::object::FieldValidation;
use crate::kube::status::ApiResult;
use crate::kube::strategy::deletion::DeleteOptions;

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
        let detail = format!(
            "invalid character {strange:?} (at position {})",
            manager.find(strange).unwrap_or(0)
        );
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

/// Options of a deletion without a body: the query's.
///
/// # Errors
/// 400 for a grace period that is no number.
pub fn deletion_of_query(query: &Query) -> ApiResult<DeleteOptions> {
    let text = |name: &str| {
        query
            .get(name)
            .filter(|text| !text.is_empty())
            .map(Into::into)
    };
    Ok(DeleteOptions {
        grace_period_seconds: query.integer("gracePeriodSeconds")?,
        propagation_policy: text("propagationPolicy"),
        orphan_dependents: query.flag("orphanDependents"),
        dry_run: query
            .all("dryRun")
            .filter(|text| !text.is_empty())
            .map(Into::into)
            .collect(),
        ..DeleteOptions::default()
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            parse(&format!("fieldManager={}", "x".repeat(129)))
                .unwrap_err()
                .code,
            422
        );
    }
}
