//! What a write of a definition warns of: formats of schemas that nobody knows, which are ignored.

use serde_json::Value;

use crate::kube::tree;

/// Of texts; a dash in a name counts for nothing.
const TEXTS: [&str; 26] = [
    "bsonobjectid",
    "byte",
    "cidr",
    "creditcard",
    "date",
    "datetime",
    "duration",
    "email",
    "hexcolor",
    "hostname",
    "ipv4",
    "ipv6",
    "isbn",
    "isbn10",
    "isbn13",
    "k8slongname",
    "k8sshortname",
    "mac",
    "password",
    "rgbcolor",
    "ssn",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

/// What a new definition or an update of `old` warns of; formats that were there are not told again.
pub fn of_write(old: Option<&Value>, new: &Value) -> Vec<String> {
    let known = old.map(formats).unwrap_or_default();
    let mut unknown = formats(new);
    unknown.retain(|format| !known.contains(format));
    let unknown = unknown.iter();
    unknown
        .map(|format| format!("unrecognized format {format:?}"))
        .collect()
}

/// Unknown formats; a schema that all versions share counts once.
fn formats(crd: &Value) -> Vec<&str> {
    let versions = tree::items(crd, &["spec", "versions"]).iter();
    let schemas: Vec<_> = versions
        .filter_map(|version| tree::get(version, &["schema", "openAPIV3Schema"]))
        .collect();
    let same = schemas.windows(2).all(|pair| pair.first() == pair.last());
    let told = if same { 1 } else { schemas.len() };
    let mut found = Vec::new();
    for schema in schemas.into_iter().take(told) {
        walk(schema, &mut found);
    }
    found
}

fn walk<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    let format = tree::text(schema, &["format"]);
    if !format.is_empty() && !is_known(tree::text(schema, &["type"]), format) {
        found.push(format);
    }
    let mut below = Vec::new();
    let one = |key: &str| schema.get(key).filter(|of| of.is_object());
    below.extend(one("items"));
    for key in ["items", "allOf", "anyOf", "oneOf"] {
        below.extend(tree::items(schema, &[key]));
    }
    below.extend(one("not"));
    below.extend(tree::entries(schema, &["properties"]).map(|(_, of)| of));
    below.extend(one("additionalProperties"));
    below.into_iter().for_each(|of| walk(of, found));
}

fn is_known(of_type: &str, format: &str) -> bool {
    match of_type {
        "" | "string" => TEXTS.contains(&format.replace('-', "").as_str()),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn crd(formats: &[&str]) -> Value {
        let properties: serde_json::Map<String, Value> = formats
            .iter()
            .map(|of| ((*of).to_owned(), json!({"type": "string", "format": of})))
            .collect();
        json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": properties}},
        }}}]}})
    }

    #[test]
    fn unknown_formats_are_told_once() {
        let new = crd(&["date-time", "color", "uuid"]);
        assert_eq!(of_write(None, &new), ["unrecognized format \"color\""]);
        assert!(of_write(Some(&new), &new).is_empty());
    }
}
