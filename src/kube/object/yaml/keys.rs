//! Maps as JSON can have them: keys are strings in their order, merge keys have brought in what they name.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Scalar, Tree};
use crate::kube::object::go::{self, quote};
use crate::kube::object::node::Node;

/// Makes keys strings, in their order, and lets merge keys bring in what they name. `twice` gathers the keys that a
/// map has already.
pub(super) fn to_node(tree: Tree, twice: &mut Vec<String>) -> Result<Node<'static>, String> {
    Ok(match tree {
        Tree::Scalar(scalar) => leaf(scalar)?,
        Tree::List(items) => {
            let items = items.into_iter().map(|item| to_node(item, twice));
            Node::List(items.collect::<Result<_, _>>()?)
        }
        Tree::Map(pairs) => {
            let mut map = Fields::default();
            map.extend(pairs, twice)?;
            let mut fields = map.fields;
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            let fields = fields
                .into_iter()
                .map(|(key, node)| (Cow::Owned(key), node));
            Node::Object(fields.collect())
        }
    })
}

/// How many keys that are there twice are told.
const MAX_TWICE: usize = 1000;

/// A map in the making.
#[derive(Default)]
struct Fields {
    fields: Vec<(String, Node<'static>)>,
    places: HashMap<String, usize>,
}

impl Fields {
    fn extend(
        &mut self,
        pairs: Vec<(Tree, Tree, usize)>,
        twice: &mut Vec<String>,
    ) -> Result<(), String> {
        for (key, value, line) in pairs {
            let key = match key {
                Tree::Scalar(Scalar::Merge) => {
                    self.merge(value, twice)?;
                    continue;
                }
                Tree::Scalar(scalar) => scalar,
                other => return Err(format!("yaml: invalid map key: {}", printed(&other))),
            };
            let shown = shown(&key);
            let key = name(key, &value)?;
            let node = to_node(value, twice)?;
            match self.places.get(&key) {
                Some(at) => {
                    if twice.len() < MAX_TWICE {
                        twice.push(format!("  line {line}: key {shown} already set in map"));
                    }
                    if let Some((_, before)) = self.fields.get_mut(*at) {
                        *before = node;
                    }
                }
                None => {
                    self.places.insert(key.clone(), self.fields.len());
                    self.fields.push((key, node));
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, value: Tree, twice: &mut Vec<String>) -> Result<(), String> {
        const WANT: &str = "yaml: map merge requires map or sequence of maps as the value";
        match value {
            Tree::Map(pairs) => self.extend(pairs, twice),
            // Earlier maps win.
            Tree::List(maps) => maps.into_iter().rev().try_for_each(|map| match map {
                Tree::Map(pairs) => self.extend(pairs, twice),
                _ => Err(WANT.into()),
            }),
            Tree::Scalar(_) => Err(WANT.into()),
        }
    }
}

fn leaf(scalar: Scalar) -> Result<Node<'static>, String> {
    Ok(match scalar {
        Scalar::Null => Node::Null,
        Scalar::Bool(it) => Node::Bool(it),
        Scalar::Int(value) => Node::Number(value.to_string().into()),
        Scalar::Uint(value) => Node::Number(value.to_string().into()),
        Scalar::Float(value) => Node::Number(json_float(value)?.into()),
        Scalar::String(text) => Node::String(text.into()),
        Scalar::Merge => Node::String("<<".into()),
    })
}

fn json_float(value: f64) -> Result<String, String> {
    match value {
        f64::INFINITY => Err("json: unsupported value: +Inf".into()),
        f64::NEG_INFINITY => Err("json: unsupported value: -Inf".into()),
        value if value.is_nan() => Err("json: unsupported value: NaN".into()),
        value => Ok(go::float(value)),
    }
}

/// A key as a string; `value` is what it leads to, for errors.
fn name(key: Scalar, value: &Tree) -> Result<String, String> {
    Ok(match key {
        Scalar::String(text) => text,
        Scalar::Int(value) => value.to_string(),
        Scalar::Bool(it) => it.to_string(),
        Scalar::Float(value) if value.is_nan() => ".nan".into(),
        Scalar::Float(f64::INFINITY) => ".inf".into(),
        Scalar::Float(f64::NEG_INFINITY) => "-.inf".into(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "keys have the precision of 32 bits"
        )]
        Scalar::Float(value) => format!("{}", value as f32),
        Scalar::Uint(key) => {
            let value = printed(value);
            return Err(format!(
                "unsupported map key of type: uint64, key: 0x{key:x}, value: {value}"
            ));
        }
        Scalar::Null => {
            let value = printed(value);
            return Err(format!(
                "unsupported map key of type: %!s(<nil>), key: <nil>, value: {value}"
            ));
        }
        Scalar::Merge => "<<".into(),
    })
}

/// A tree as `%+#v` prints it.
fn printed(tree: &Tree) -> String {
    match tree {
        Tree::Scalar(Scalar::Null) => "<nil>".into(),
        Tree::Scalar(scalar) => shown(scalar),
        Tree::List(items) => {
            let items: Vec<_> = items.iter().map(inside).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Tree::Map(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(key, value, _)| format!("{}:{}", inside(key), inside(value)))
                .collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", pairs.join(", "))
        }
    }
}

fn inside(tree: &Tree) -> String {
    match tree {
        Tree::Scalar(scalar) => shown(scalar),
        other => printed(other),
    }
}

/// A key as `%#v` prints it.
fn shown(key: &Scalar) -> String {
    match key {
        Scalar::String(text) => quote(text),
        Scalar::Int(value) => value.to_string(),
        Scalar::Uint(value) => format!("0x{value:x}"),
        Scalar::Bool(it) => it.to_string(),
        Scalar::Float(value) if value.is_finite() => go::float(*value),
        Scalar::Float(value) => if *value > 0.0 {
            "+Inf"
        } else if *value < 0.0 {
            "-Inf"
        } else {
            "NaN"
        }
        .into(),
        Scalar::Null => "interface {}(nil)".into(),
        Scalar::Merge => quote("<<"),
    }
}
