//! Whether a value has its type, in the words of structured-merge-diff.

use std::collections::BTreeSet;

use serde_json::Value;

use super::keys;
use super::path::{self, Element};
use super::types::{Atom, ListType, MapType, Scalar, Type};
use crate::kube::patch::go_value;

/// # Errors
/// All that is wrong, one after the other.
pub(super) fn validate(of: Type, value: &Value) -> Result<(), String> {
    let mut found = Validation::default();
    found.walk(of, value);
    match found.errors.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        several => Err(format!("errors:\n  {}", several.join("\n  "))),
    }
}

#[derive(Default)]
struct Validation {
    path: Vec<Element>,
    errors: Vec<String>,
}

/// Errors that are reported at most: the first says enough.
const ENOUGH: usize = 100;

impl Validation {
    fn walk(&mut self, of: Type, value: &Value) {
        if self.errors.len() >= ENOUGH {
            return;
        }
        match (of.atom(Some(value)), value) {
            (_, Value::Null) => {}
            (Atom::Map(map), Value::Object(fields)) => self.map(&map, fields),
            (Atom::List(list), Value::Array(items)) => self.list(&list, items),
            (Atom::Scalar(scalar), value) => self.scalar(scalar, value),
            (Atom::Map(_), other) => {
                self.wrong(&format!("expected map, got &{{{}}}", go_value(other)));
            }
            (Atom::List(_), other) => {
                self.wrong(&format!("expected list, got &{{{}}}", go_value(other)));
            }
        }
    }

    fn wrong(&mut self, message: &str) {
        let path = path::print(&self.path);
        self.errors.push(if path.is_empty() {
            message.to_owned()
        } else {
            format!("{path}: {message}")
        });
    }

    fn below(&mut self, element: Element, of: Type, value: &Value) {
        self.path.push(element);
        self.walk(of, value);
        self.path.pop();
    }

    fn map(&mut self, of: &MapType, fields: &serde_json::Map<String, Value>) {
        for (name, value) in fields {
            let Some(item) = of.item(name) else {
                self.path.push(Element::field(name));
                self.wrong("field not declared in schema");
                self.path.pop();
                return;
            };
            self.below(Element::field(name), item, value);
        }
    }

    fn list(&mut self, of: &ListType, items: &[Value]) {
        let mut seen = BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let element = if of.atomic {
                Element::Index(i64::try_from(at).unwrap_or(i64::MAX))
            } else {
                match keys::element(of, item) {
                    Ok(element) => element,
                    Err(why) => {
                        self.wrong(&format!("element {at}: {why}"));
                        return;
                    }
                }
            };
            if !of.atomic && !seen.insert(element.clone()) {
                self.wrong(&format!("duplicate entries for key {element}"));
            }
            self.below(element, of.element, item);
        }
    }

    fn scalar(&mut self, of: Scalar, value: &Value) {
        let got = go_value(value);
        match (of, value) {
            (Scalar::Numeric, Value::Number(_))
            | (Scalar::String, Value::String(_))
            | (Scalar::Boolean, Value::Bool(_))
            | (Scalar::Untyped, Value::Number(_) | Value::String(_) | Value::Bool(_)) => {}
            (Scalar::Numeric, other) => {
                let got = go_type(other);
                self.wrong(&format!("expected numeric (int or float), got {got}"));
            }
            (Scalar::String, _) => {
                self.wrong(&format!(
                    "expected string, got &value.valueUnstructured{{Value:{}}}",
                    go_syntax(value)
                ));
            }
            (Scalar::Boolean, _) => self.wrong(&format!("expected boolean, got &{{{got}}}")),
            (Scalar::Untyped, _) => self.wrong(&format!("expected any scalar, got &{{{got}}}")),
        }
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// As Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::String(text) => crate::kube::field::quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields = fields
                .into_iter()
                .map(|(key, value)| format!("{key:?}:{}", go_syntax(value)));
            format!(
                "map[string]interface {{}}{{{}}}",
                fields.collect::<Vec<_>>().join(", ")
            )
        }
        other => other.to_string(),
    }
}
