//! Labels and what selects by them.

use super::cursor::{At, Errors};
use super::names;
use crate::kube::field::quoted;

/// Keys and values of labels; errors are said at the map itself.
pub(super) fn labels(labels: &At<'_>, errors: &mut Errors) {
    for (key, value) in labels.entries() {
        for message in names::qualified(key) {
            errors.bad_value(labels, quoted(key), message);
        }
        for message in names::label_value(value.text()) {
            errors.bad_value(labels, quoted(value.text()), message);
        }
    }
}

/// A `LabelSelector`; nothing if there is none.
pub(super) fn label_selector(selector: &At<'_>, errors: &mut Errors) {
    labels(&selector.field("matchLabels"), errors);
    for expression in selector.field("matchExpressions").items() {
        let (operator, values) = (expression.field("operator"), expression.field("values"));
        operands(&operator, &values, errors);
        let key = expression.field("key");
        errors.bad_texts(&key, names::qualified(key.text()));
        for value in values.items() {
            errors.bad_texts(&value, names::label_value(value.text()));
        }
    }
}

fn operands(operator: &At<'_>, values: &At<'_>, errors: &mut Errors) {
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => {
            errors.required(
                values,
                "must be specified when `operator` is 'In' or 'NotIn'",
            );
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(values, why);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.bad_text(operator, "not a valid selector operator"),
    }
}

/// Whether a selector selects nothing in particular.
pub(super) fn is_everything(selector: &At<'_>) -> bool {
    selector.field("matchLabels").is_empty() && selector.field("matchExpressions").is_empty()
}

/// Whether labels are selected; a selector that cannot be understood selects nothing.
pub(super) fn matches(selector: &At<'_>, labels: &At<'_>) -> bool {
    let of = |key: &str| labels.value.get(key).and_then(serde_json::Value::as_str);
    let wanted = selector.field("matchLabels");
    let mut wanted = wanted.entries();
    let expressions = selector.field("matchExpressions");
    let mut expressions = expressions.items();
    wanted.all(|(key, value)| of(key) == Some(value.text()))
        && expressions.all(|expression| {
            let found = of(expression.field("key").text());
            let values = expression.field("values").texts();
            match expression.field("operator").text() {
                "In" => found.is_some_and(|found| values.contains(&found)),
                "NotIn" => found.is_none_or(|found| !values.contains(&found)),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// A `NodeSelector`. `values_are_labels` where its values are judged as labels' values.
pub(super) fn node_selector(selector: &At<'_>, values_are_labels: bool, errors: &mut Errors) {
    let terms = selector.field("nodeSelectorTerms");
    if terms.is_empty() {
        return errors.required(&terms, "must have at least one node selector term");
    }
    for term in terms.items() {
        node_selector_term(&term, values_are_labels, errors);
    }
}

pub(super) fn node_selector_term(term: &At<'_>, values_are_labels: bool, errors: &mut Errors) {
    for expression in term.field("matchExpressions").items() {
        let (operator, values) = (expression.field("operator"), expression.field("values"));
        if matches!(operator.text(), "Gt" | "Lt") {
            if values.len() != 1 {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.required(&values, why);
            }
        } else {
            operands(&operator, &values, errors);
        }
        let key = expression.field("key");
        errors.bad_texts(&key, names::qualified(key.text()));
        for value in values.items().filter(|_| values_are_labels) {
            errors.bad_texts(&value, names::label_value(value.text()));
        }
    }
    for field in term.field("matchFields").items() {
        let (operator, values) = (field.field("operator"), field.field("values"));
        match operator.text() {
            "In" | "NotIn" if values.len() != 1 => errors.required(
                &values,
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            "In" | "NotIn" => {}
            _ => errors.bad_text(&operator, "not a valid selector operator"),
        }
        let key = field.field("key");
        if key.is("metadata.name") {
            for value in values.items() {
                errors.bad_texts(&value, names::subdomain(value.text()));
            }
        } else {
            errors.bad_text(&key, "not a valid field selector key");
        }
    }
}
