//! Fields that selectors may name.

use serde_json::Value;

use super::super::cursor::{At, Errors};
use super::Tolerated;

/// The most fields of a version.
const LIMIT: usize = 8;

/// The fields that a version had before, if there were too many: then they may stay.
pub(super) fn before<'a>(tolerated: Tolerated<'a>, version: &str) -> Option<At<'a>> {
    let mut versions = tolerated.old?.down(&["spec", "versions"]).items();
    let fields = versions.find(|one| one.field("name").is(version))?;
    Some(fields.field("selectableFields")).filter(|fields| fields.len() > LIMIT)
}

pub(super) fn fields(
    fields: &At<'_>,
    schema: &At<'_>,
    before: Option<At<'_>>,
    errors: &mut Errors,
) {
    let mut seen: Vec<Vec<&str>> = Vec::new();
    for field in fields.items() {
        let path = field.field("jsonPath");
        if path.is_empty() {
            errors.required(&path, "");
            continue;
        }
        let (names, of) = match follow(path.text(), schema.value) {
            Ok(found) => found,
            Err(why) => {
                errors.bad_text(&path, format!("is an invalid path: {why}"));
                continue;
            }
        };
        if names.first() == Some(&"metadata") {
            errors.bad_text(&path, "must not point to fields in metadata");
        }
        let of_type = of.get("type").and_then(Value::as_str).unwrap_or_default();
        if !matches!(of_type, "string" | "boolean" | "integer") {
            errors.bad_text(&path, "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.");
        }
        if seen.contains(&names) {
            errors.duplicate(&path);
        } else {
            seen.push(names);
        }
    }
    let unchanged = before.is_some_and(|before| before.value == fields.value);
    if seen.len() > LIMIT && !unchanged {
        let error = crate::kube::field::FieldError::too_many(&fields.path, seen.len(), LIMIT);
        errors.0.push(error);
    }
}

/// The names of a path `.spec.color` and the schema that it leads to.
fn follow<'p, 's>(path: &'p str, schema: &'s Value) -> Result<(Vec<&'p str>, &'s Value), String> {
    const NO_FIELD: &str = "does not refer to a valid field";
    let (mut rest, mut at, mut names) = (path, schema, Vec::new());
    while !rest.is_empty() {
        let (token, after) = token(rest);
        match token {
            "[" => return Err("array notation is not allowed".into()),
            "." if after.is_empty() => return Err("unexpected end of JSON path".into()),
            "." => {
                let (name, after) = self::token(after);
                let fields = at.get("properties").and_then(Value::as_object);
                let rest_of = at.get("additionalProperties");
                at = match (fields, rest_of) {
                    (Some(fields), _) => fields.get(name).ok_or(NO_FIELD)?,
                    (None, Some(of)) if of.is_object() => of,
                    _ => return Err(NO_FIELD.into()),
                };
                names.push(name);
                rest = after;
            }
            other => return Err(format!("expected [ or . but got: {other}")),
        }
    }
    Ok((names, at))
}

/// A delimiter, a text in single quotes, or what comes before the next delimiter.
fn token(text: &str) -> (&str, &str) {
    let is_delimiter = |one: char| matches!(one, '.' | '[' | ']');
    let end = if text.starts_with('\'') {
        let mut before = '\'';
        let close = text.char_indices().skip(1).find(|(_, one)| {
            let closes = *one == '\'' && before != '\\';
            before = *one;
            closes
        });
        close.map_or(text.len(), |(at, _)| at + 1)
    } else if text.starts_with(is_delimiter) {
        1
    } else {
        text.find(is_delimiter).unwrap_or(text.len())
    };
    text.split_at(end)
}
