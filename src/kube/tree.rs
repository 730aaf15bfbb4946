//! Reading and writing JSON trees in Go form: fields in the order of their struct, keys of maps sorted.

use serde_json::{Map, Value};

use super::schema::{Leaf, ObjectType, Omit, Schema, Shape, TypeId};

/// What a path leads to; a null is nothing.
pub fn get<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let found = path.iter().try_fold(value, |at, key| at.get(*key))?;
    (!found.is_null()).then_some(found)
}

/// The string at a path, `""` without.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    get(value, path).and_then(Value::as_str).unwrap_or_default()
}

pub fn int(value: &Value, path: &[&str]) -> Option<i64> {
    get(value, path)?.as_i64()
}

pub fn flag(value: &Value, path: &[&str]) -> bool {
    get(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The elements of the list at a path, none without.
pub fn items<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    get(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The entries of the map or struct at a path.
pub fn entries<'a>(
    value: &'a Value,
    path: &[&str],
) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    let map = get(value, path).and_then(Value::as_object);
    map.into_iter()
        .flat_map(|map| map.iter().map(|(key, value)| (key.as_str(), value)))
}

/// The struct at a key of an object, if there is one.
pub fn child<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key)?.as_object_mut()
}

/// Whether a field is as good as not there: absent, null or, unless it is a pointer, Go's zero value.
pub fn unset(of: &ObjectType, map: &Map<String, Value>, key: &str) -> bool {
    let Some(value) = map.get(key) else {
        return true;
    };
    let pointer = of.field(key).is_some_and(|field| field.nullable);
    value.is_null() || (!pointer && is_zero(value))
}

/// Whether `omitempty` leaves a value out.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Sets a field of a struct at its place in the struct's order.
pub fn set_in_order(of: &ObjectType, map: &mut Map<String, Value>, key: &str, value: Value) {
    if let Some(slot) = map.get_mut(key) {
        *slot = value;
        return;
    }
    let before = of.flat.iter().take_while(|field| &*field.json != key);
    let at = before
        .filter(|field| map.contains_key(&*field.json))
        .count();
    map.shift_insert(at.min(map.len()), key.into(), value);
}

/// Sets an entry of a map, whose keys Go writes sorted.
pub fn set_sorted(map: &mut Map<String, Value>, key: &str, value: Value) {
    if let Some(slot) = map.get_mut(key) {
        *slot = value;
        return;
    }
    let at = map.keys().take_while(|other| other.as_str() < key).count();
    map.shift_insert(at, key.into(), value);
}

/// Takes a field away without disturbing the others' order.
pub fn remove(map: &mut Map<String, Value>, key: &str) -> Option<Value> {
    map.shift_remove(key)
}

/// Makes a field what it is in another object of the type: that value, or absent.
pub fn keep(of: &ObjectType, map: &mut Map<String, Value>, old: &Map<String, Value>, key: &str) {
    match old.get(key) {
        Some(value) => set_in_order(of, map, key, value.clone()),
        None => {
            remove(map, key);
        }
    }
}

/// The struct in a field, made with its place if it is not there. None if something else stands there.
pub fn make<'a>(
    of: &ObjectType,
    map: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    if map.get(key).is_none_or(Value::is_null) {
        set_in_order(of, map, key, Map::new().into());
    }
    child(map, key)
}

/// What Go writes for a struct that nobody has filled.
pub fn zero(schema: &Schema, id: TypeId) -> Value {
    let mut map = Map::new();
    for field in &schema.get(id).flat {
        let zero = match (&field.shape, field.nullable) {
            // Recursion ends where types do: only pointers and lists lead back to a type.
            (Shape::Object(inner), false) if field.omit != Omit::Zero => zero(schema, *inner),
            // A time by value is a struct to `omitempty`, and writes itself as null.
            (Shape::Leaf(Leaf::Time | Leaf::MicroTime), false) if field.omit == Omit::Empty => {
                Value::Null
            }
            _ if field.omit != Omit::Never => continue,
            (_, true) => Value::Null,
            (Shape::Leaf(leaf), false) => leaf_zero(*leaf),
            _ => Value::Null,
        };
        map.insert(field.json.to_string(), zero);
    }
    map.into()
}

fn leaf_zero(leaf: Leaf) -> Value {
    match leaf {
        Leaf::Bool => false.into(),
        Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::IntOrString => 0.into(),
        Leaf::String => "".into(),
        Leaf::Quantity => "0".into(),
        Leaf::Duration => "0s".into(),
        _ => Value::Null,
    }
}

/// The type of a struct field, through no list or map.
pub fn type_of<'a>(schema: &'a Schema, of: &ObjectType, key: &str) -> Option<&'a ObjectType> {
    match of.field(key)?.shape {
        Shape::Object(id) => Some(schema.get(id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(name: &str) -> &'static ObjectType {
        let schema = Schema::built_in();
        schema.get(schema.find(name).unwrap())
    }

    #[test]
    fn fields_go_to_their_place() {
        let mut map = json!({"name": "a", "resources": {}});
        set_in_order(
            of("core/v1.Container"),
            map.as_object_mut().unwrap(),
            "image",
            "b".into(),
        );
        assert_eq!(
            map.to_string(),
            r#"{"name":"a","image":"b","resources":{}}"#
        );
        let mut labels = json!({"a": "1", "c": "3"});
        set_sorted(labels.as_object_mut().unwrap(), "b", "2".into());
        assert_eq!(labels.to_string(), r#"{"a":"1","b":"2","c":"3"}"#);
    }

    #[test]
    fn zero_structs_are_as_go_writes_them() {
        let schema = Schema::built_in();
        let status = |name| zero(schema, schema.find(name).unwrap()).to_string();
        assert_eq!(status("apps/v1.DeploymentStatus"), "{}");
        assert_eq!(
            status("apps/v1.DaemonSetStatus"),
            r#"{"currentNumberScheduled":0,"numberMisscheduled":0,"desiredNumberScheduled":0,"numberReady":0}"#
        );
    }
}
