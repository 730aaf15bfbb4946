//! Which element of an associative list a value is.

use serde_json::Value;

use super::path::Element;
use super::types::ListType;

/// # Errors
/// Why a value cannot be an element of the list.
pub(super) fn element(list: &ListType, item: &Value) -> Result<Element, String> {
    if list.keys.is_empty() {
        of_set(item)
    } else {
        of_map(list, item)
    }
}

fn of_set(item: &Value) -> Result<Element, String> {
    let problem = match item {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        scalar => return Ok(Element::Value(scalar.clone())),
    };
    Err(problem.into())
}

fn of_map(list: &ListType, item: &Value) -> Result<Element, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".into()),
        _ => return Err("associative list with keys may not have non-map elements".into()),
    };
    let mut keys = Vec::with_capacity(list.keys.len());
    for name in list.keys {
        let value = fields.get(&**name).cloned();
        let default = || list.element.map()?.default_of(name);
        if let Some(value) = value.or_else(default) {
            keys.push((name.clone(), value));
        }
    }
    if keys.is_empty() {
        let names: Vec<_> = list.keys.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(" ");
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{names}] (and doesn't have default values for any key fields)"
        ));
    }
    Ok(Element::key(keys))
}
