//! Options of writes and deletions: query parameters, and for deletions the body.

use super::query::{Query, invalid_options};
use crate::kube::field::{FieldError, FieldErrorKind, quoted};
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
        Self::parse_after(query, kind, Vec::new())
    }

    /// Reads those of a patch, whose kind decides what else must or may not be said.
    ///
    /// # Errors
    /// As [`WriteOptions::parse`].
    pub fn parse_patch(query: &Query, is_apply: bool) -> ApiResult<Self> {
        let is_named = query
            .get("fieldManager")
            .is_some_and(|name| !name.is_empty());
        let errors = if is_apply && !is_named {
            vec![FieldError::required(
                "fieldManager",
                "is required for apply patch",
            )]
        } else if !is_apply && query.flag("force").is_some() {
            let why = "may not be specified for non-apply patch";
            vec![FieldError::forbidden("force", why)]
        } else {
            Vec::new()
        };
        Self::parse_after(query, "PatchOptions", errors)
    }

    fn parse_after(
        query: &Query,
        kind: &'static str,
        mut errors: Vec<FieldError>,
    ) -> ApiResult<Self> {
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
            "invalid character U+{:04X} (at position {})",
            u32::from(strange),
            manager.find(strange).unwrap_or(0)
        );
        errors.push(FieldError::invalid("fieldManager", quoted(manager), detail));
    }
}

fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut Vec<FieldError>) -> bool {
    let values: Vec<&str> = values.collect();
    if values.iter().any(|value| *value != "All") {
        // The release shows the whole list.
        let shown: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        errors.push(FieldError::new(
            FieldErrorKind::NotSupported,
            "dryRun",
            format!("[{}]", shown.join(",")),
            r#"supported values: "All""#,
        ));
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
        assert!(!parse("").unwrap().dry_run);
        assert_eq!(
            parse("dryRun=x").unwrap_err().message,
            r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["x"]: supported values: "All""#
        );
        assert_eq!(parse("dryRun=").unwrap_err().code, 422);
        let strange = parse("fieldManager=a%09b").unwrap_err().message;
        assert!(
            strange.ends_with("invalid character U+0009 (at position 1)"),
            "{strange}"
        );
        assert_eq!(parse("fieldValidation=Loose").unwrap_err().code, 422);
        let patch =
            |query: &str, is_apply: bool| WriteOptions::parse_patch(&Query::parse(query), is_apply);
        assert_eq!(
            patch("dryRun=None", true).unwrap_err().message,
            r#"PatchOptions.meta.k8s.io "" is invalid: [fieldManager: Required value: is required for apply patch, dryRun: Unsupported value: ["None"]: supported values: "All"]"#
        );
        assert_eq!(patch("force=true", false).unwrap_err().code, 422);
        assert!(patch("fieldManager=m&force=true", true).is_ok());
        assert_eq!(
            parse(&format!("fieldManager={}", "x".repeat(129)))
                .unwrap_err()
                .code,
            422
        );
    }
}
