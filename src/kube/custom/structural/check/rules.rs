//! Rules in CEL, but for what they say: whether they are written as rules are.

use serde_json::Value;

use super::props::Props;
use crate::kube::custom::structural::value::quoted;
use crate::kube::custom::structural::{Structural, field_path};
use crate::kube::field::FieldError;

const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

pub(super) fn rules(schema: Props<'_>, path: &str, errors: &mut Vec<FieldError>) {
    for (at, rule) in schema.list("x-kubernetes-validations") {
        let path = format!("{path}.x-kubernetes-validations[{at}]");
        messages(rule, &path, errors);
        if let Some(reason) = rule.get("reason").and_then(Value::as_str)
            && !REASONS.contains(&reason)
        {
            let path = format!("{path}.reason");
            errors.push(FieldError::not_supported(path, reason, &REASONS));
        }
        field(schema, rule.text("fieldPath"), &path, errors);
    }
}

fn messages(rule: Props<'_>, path: &str, errors: &mut Vec<FieldError>) {
    let (text, message) = (rule.text("rule").trim(), rule.text("message"));
    let said = message.trim();
    let refused = |why: &str| FieldError::invalid(format!("{path}.message"), quoted(message), why);
    if text.is_empty() {
        errors.push(FieldError::required(
            format!("{path}.rule"),
            "rule is not specified",
        ));
    } else if !message.is_empty() && said.is_empty() {
        errors.push(refused("must be non-empty if specified"));
    } else if has_breaks(said) {
        errors.push(refused("must not contain line breaks"));
    } else if has_breaks(text) && said.is_empty() {
        let why = "message must be specified if rule contains line breaks";
        errors.push(FieldError::required(format!("{path}.message"), why));
    }
    let expression = rule.text("messageExpression");
    if !expression.is_empty() && expression.trim().is_empty() {
        let why = "messageExpression must be non-empty if specified";
        errors.push(FieldError::required(
            format!("{path}.messageExpression"),
            why,
        ));
    }
}

fn field(schema: Props<'_>, field: &str, path: &str, errors: &mut Vec<FieldError>) {
    if field.is_empty() {
        return;
    }
    let mut refuse = |why: &str| {
        let path = format!("{path}.fieldPath");
        errors.push(FieldError::invalid(path, quoted(field), why));
    };
    if field.trim().is_empty() {
        refuse("must be non-empty if specified");
    }
    if has_breaks(field) {
        refuse("must not contain line breaks");
    }
    // Of what is no schema nothing can be said.
    if let Ok(schema) = Structural::parse(&schema.value())
        && field_path(field, &schema).is_err()
    {
        refuse("must be a valid path");
    }
}

fn has_breaks(text: &str) -> bool {
    text.contains(['\n', '\r'])
}
