//! One version of a custom kind.

use serde_json::Value;

use super::super::cursor::{At, Errors};
use super::hoisted::Hoisted;
use super::{Tolerated, selectable};
use crate::kube::custom::rules;
use crate::kube::custom::structural::{self, CheckOptions, Structural};
use crate::kube::field::quoted;

const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const FORMATS: [&str; 8] = [
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
];

/// Bytes of a deprecation warning.
const WARNING: usize = 256;

pub(super) fn version(
    version: &At<'_>,
    hoisted: &Hoisted,
    tolerated: Tolerated<'_>,
    errors: &mut Errors,
) {
    warning(version, errors);
    let own = version.field("schema");
    if !hoisted.schema {
        schema(&own, has_status(version), tolerated, errors);
    }
    if !hoisted.subresources {
        subresources(&version.field("subresources"), errors);
    }
    if !hoisted.columns {
        let columns = version.field("additionalPrinterColumns");
        columns.items().for_each(|one| column(&one, errors));
    }
    let fields = version.field("selectableFields");
    if hoisted.selectable || fields.is_empty() {
        return;
    }
    let own = own.field("openAPIV3Schema");
    if hoisted.schema || !own.is_set() {
        let why = "may only be set when `version.schema.openAPIV3Schema` is not included";
        errors.bad_value(&fields, "\"\"", why);
    } else {
        let before = selectable::before(tolerated, version.field("name").text());
        selectable::fields(&fields, &own, before, errors);
    }
}

pub(super) fn has_status(version: &At<'_>) -> bool {
    version.down(&["subresources", "status"]).is_set()
}

fn warning(version: &At<'_>, errors: &mut Errors) {
    let warning = version.field("deprecationWarning");
    if !warning.is_set() {
        return;
    }
    if !version.field("deprecated").is_true() {
        return errors.bad_text(&warning, "can only be set for deprecated versions");
    }
    let text = warning.text();
    if text.len() > WARNING {
        errors.bad_text(&warning, format!("must be <= {WARNING} characters long"));
    }
    if text.is_empty() {
        errors.bad_text(&warning, "must not be an empty string");
    }
    let printable = |one: char| one == ' ' || !one.is_control() && !one.is_whitespace();
    if let Some((at, _)) = text.char_indices().find(|(_, one)| !printable(*one)) {
        errors.bad_text(&warning, format!("must only contain printable UTF-8 characters; non-printable character found at index {at}"));
    }
}

/// What is wrong with a schema; of one that takes the place of an old one, nothing that the old one had.
pub(super) fn schema(
    validation: &At<'_>,
    with_status: bool,
    tolerated: Tolerated<'_>,
    errors: &mut Errors,
) {
    let schema = validation.field("openAPIV3Schema");
    if !schema.is_set() {
        return;
    }
    let options = match tolerated.old {
        None => CheckOptions::new(with_status),
        Some(old) => {
            let spec = old.field("spec");
            let versions = spec.field("versions").items();
            let schemas: Vec<&Value> = versions
                .map(|version| version.down(&["schema", "openAPIV3Schema"]).value)
                .filter(|schema| !schema.is_null())
                .collect();
            let preserve = spec.field("preserveUnknownFields").is_true();
            CheckOptions::update(with_status, &schemas, preserve)
        }
    };
    let mut found = structural::check(schema.value, &schema.path, &options);
    // Rules of a schema that is wrong otherwise are not looked at.
    if found.is_empty()
        && let Ok(parsed) = Structural::parse(schema.value)
    {
        found = rules::check(&parsed, &schema.path);
    }
    errors.0.extend(found);
}

/// Whether any schema has a default anywhere.
pub(super) fn any_has_default(spec: &At<'_>) -> bool {
    let mut versions = spec.field("versions").items();
    versions.any(|version| has_default(version.down(&["schema", "openAPIV3Schema"]).value))
}

fn has_default(schema: &Value) -> bool {
    let Some(schema) = schema.as_object() else {
        return false;
    };
    schema.iter().any(|(key, value)| match key.as_str() {
        "default" => !value.is_null(),
        "properties" | "patternProperties" | "definitions" | "dependencies" => value
            .as_object()
            .is_some_and(|all| all.values().any(has_default)),
        "allOf" | "anyOf" | "oneOf" | "items" if value.is_array() => value
            .as_array()
            .is_some_and(|all| all.iter().any(has_default)),
        "items" | "not" | "additionalProperties" | "additionalItems" => has_default(value),
        _ => false,
    })
}

pub(super) fn subresources(subresources: &At<'_>, errors: &mut Errors) {
    let scale = subresources.field("scale");
    if !scale.is_set() {
        return;
    }
    for (name, below) in [
        ("specReplicasPath", ".spec."),
        ("statusReplicasPath", ".status."),
    ] {
        let path = scale.field(name);
        if path.is_empty() {
            errors.required(&path, "");
        } else if simple(&path, errors) && !path.text().starts_with(below) {
            let part = below.trim_end_matches('.');
            errors.bad_text(&path, format!("should be a json path under {part}"));
        }
    }
    let selector = scale.field("labelSelectorPath");
    let text = selector.text();
    if !text.is_empty()
        && simple(&selector, errors)
        && !text.starts_with(".spec.")
        && !text.starts_with(".status.")
    {
        errors.bad_text(
            &selector,
            "should be a json path under either .spec or .status",
        );
    }
}

/// Whether a path begins as simple ones do.
fn simple(path: &At<'_>, errors: &mut Errors) -> bool {
    let is = path.text().starts_with('.');
    if !is {
        errors.bad_text(path, "must be a simple json path starting with .");
    }
    is
}

pub(super) fn column(column: &At<'_>, errors: &mut Errors) {
    let name = column.field("name");
    if name.is_empty() {
        errors.required(&name, "");
    }
    let of_type = column.field("type");
    let one_of = format!("must be one of {}", TYPES.join(","));
    if of_type.is_empty() {
        errors.required(&of_type, one_of);
    } else if !TYPES.contains(&of_type.text()) {
        errors.bad_value(&of_type, quoted(of_type.text()), one_of);
    }
    let format = column.field("format");
    if !format.is_empty() && !FORMATS.contains(&format.text()) {
        errors.bad_text(&format, format!("must be one of {}", FORMATS.join(",")));
    }
    // Its name in the internal form.
    let path = column
        .field("jsonPath")
        .named(format!("{}.JSONPath", column.path));
    if path.is_empty() {
        errors.required(&path, "");
    } else {
        simple(&path, errors);
    }
}
