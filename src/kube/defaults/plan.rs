//! Where there is something to default below each type.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::table::{self, Code};
use crate::kube::amount::Amount;
use crate::kube::schema::{Leaf, ObjectType, Omit, Schema, Shape, TypeId};
use crate::kube::tree;

pub(super) static BUILT_IN: LazyLock<Plan> = LazyLock::new(|| Plan::of(Schema::built_in()));

/// What to do at each type and where to go on.
pub(super) struct Plan {
    types: HashMap<TypeId, Steps>,
}

#[derive(Default)]
struct Steps {
    constants: Vec<(&'static str, Value)>,
    code: Option<Code>,
    children: Vec<Child>,
}

struct Child {
    json: Box<str>,
    walk: Walk,
    /// A struct that Go has by value: it exists even where nothing is written.
    by_value: bool,
    /// Whether it is written when empty.
    written: bool,
}

#[derive(Clone)]
enum Walk {
    Object(TypeId),
    List(Box<Walk>),
    Map(Box<Walk>),
    /// A `ResourceList`, whose amounts are rounded up to thousandths.
    Amounts,
}

impl Plan {
    pub(super) fn of(schema: &Schema) -> Self {
        let mut types: HashMap<TypeId, Steps> = HashMap::new();
        for (id, of) in schema.iter() {
            let steps = Steps {
                constants: table::constants(&of.name),
                code: table::code(&of.name),
                children: Vec::new(),
            };
            if !steps.constants.is_empty() || steps.code.is_some() || holds_amounts(of) {
                types.insert(id, steps);
            }
        }
        // Whoever leads to a type with something to do has something to do: until nobody is found any more.
        loop {
            let found: Vec<TypeId> = schema
                .iter()
                .filter(|(id, of)| {
                    !types.contains_key(id)
                        && of.flat.iter().any(|f| walk(of, &f.shape, &types).is_some())
                })
                .map(|(id, _)| id)
                .collect();
            if found.is_empty() {
                break;
            }
            types.extend(found.into_iter().map(|id| (id, Steps::default())));
        }
        let children: Vec<(TypeId, Vec<Child>)> = types
            .keys()
            .map(|id| (*id, children(schema.get(*id), &types)))
            .collect();
        for (id, children) in children {
            if let Some(steps) = types.get_mut(&id) {
                steps.children = children;
            }
        }
        Self { types }
    }

    /// Depth is bounded by that of the object, which its decoder bounds.
    pub(super) fn apply(&self, schema: &Schema, of: TypeId, object: &mut Value) {
        let (Some(steps), Value::Object(map)) = (self.types.get(&of), object) else {
            return;
        };
        let of = schema.get(of);
        for (field, value) in &steps.constants {
            if tree::unset(of, map, field) {
                tree::set_in_order(of, map, field, value.clone());
            }
        }
        if let Some(code) = steps.code {
            code(schema, of, map);
        }
        for child in &steps.children {
            self.descend(schema, of, map, child);
        }
    }

    fn descend(
        &self,
        schema: &Schema,
        of: &ObjectType,
        map: &mut Map<String, Value>,
        child: &Child,
    ) {
        if let Some(value) = map.get_mut(&*child.json) {
            self.walk(schema, &child.walk, value);
        } else if child.by_value {
            let mut value = Value::Object(Map::new());
            self.walk(schema, &child.walk, &mut value);
            if child.written || !tree::is_zero(&value) {
                tree::set_in_order(of, map, &child.json, value);
            }
        }
    }

    fn walk(&self, schema: &Schema, walk: &Walk, value: &mut Value) {
        match (walk, value) {
            (Walk::Object(id), value) => self.apply(schema, *id, value),
            (Walk::List(inner), Value::Array(items)) => {
                for item in items {
                    self.walk(schema, inner, item);
                }
            }
            (Walk::Map(inner), Value::Object(map)) => {
                for (_, value) in map.iter_mut() {
                    self.walk(schema, inner, value);
                }
            }
            (Walk::Amounts, Value::Object(map)) => {
                for (_, value) in map.iter_mut() {
                    round_up(value);
                }
            }
            _ => {}
        }
    }
}

/// Finer than a thousandth are only what ends in `n` or `u` or has a negative exponent.
fn round_up(value: &mut Value) {
    let Some(text) = value.as_str() else {
        return;
    };
    if (text.ends_with(['n', 'u']) || text.contains("e-"))
        && let Some(amount) = Amount::parse(text)
    {
        *value = amount.round_up_to_milli().to_string().into();
    }
}

fn is_amounts(of: &ObjectType, shape: &Shape) -> bool {
    let Shape::Map(inner) = shape else {
        return false;
    };
    **inner == Shape::Leaf(Leaf::Quantity) && of.name.starts_with("core/v1.")
}

fn holds_amounts(of: &ObjectType) -> bool {
    of.flat.iter().any(|field| is_amounts(of, &field.shape))
}

fn walk(of: &ObjectType, shape: &Shape, types: &HashMap<TypeId, Steps>) -> Option<Walk> {
    if is_amounts(of, shape) {
        return Some(Walk::Amounts);
    }
    match shape {
        Shape::Object(id) => types.contains_key(id).then_some(Walk::Object(*id)),
        Shape::List(inner) | Shape::Items(inner) => {
            walk(of, inner, types).map(|inner| Walk::List(Box::new(inner)))
        }
        Shape::Map(inner) => walk(of, inner, types).map(|inner| Walk::Map(Box::new(inner))),
        Shape::Leaf(_) => None,
    }
}

fn children(of: &ObjectType, types: &HashMap<TypeId, Steps>) -> Vec<Child> {
    let fields = of.flat.iter().filter_map(|field| {
        Some(Child {
            json: field.json.clone(),
            walk: walk(of, &field.shape, types)?,
            by_value: matches!(field.shape, Shape::Object(_)) && !field.nullable,
            written: field.omit != Omit::Zero,
        })
    });
    fields.collect()
}
