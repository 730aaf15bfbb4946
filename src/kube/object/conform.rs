//! The round trip through Go's structs: a document becomes the tree that Go's encoder would write of what Go's
//! decoder has read.
//!
//! Fields stand in the order of the struct, `null` and absence are one, what a struct always has is there,
//! and leaves have their canonical form. What the type does not know is dropped and reported.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::go::quote;
use super::leaf;
use super::node::{Node, sorted};
use crate::kube::schema::{Field, Leaf, ObjectType, Omit, Schema, Shape, TypeId};

/// How many strict errors one document can have: more are not told.
const MAX_STRICT_ERRORS: usize = 100;

/// An object in Go form and what strict decoding says against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Conformed {
    pub value: Value,
    /// `unknown field "spec.foo"`, `duplicate field "data.a"`, in the order of the document.
    pub strict: Vec<String>,
}

/// Brings a tree into Go form.
///
/// # Errors
/// A value of the wrong type, or a tree deeper than [`super::MAX_DEPTH`], in the words of Go's decoder.
pub fn conform(schema: &Schema, id: TypeId, value: &Value) -> Result<Conformed, String> {
    let node = Node::of(value).ok_or("json: exceeded max depth")?;
    conform_node(schema, id, &node)
}

pub(super) fn conform_node(
    schema: &Schema,
    id: TypeId,
    node: &Node<'_>,
) -> Result<Conformed, String> {
    let mut walk = Walk::new(schema);
    let value = match node {
        Node::Object(fields) => walk.object(id, fields).map_err(|stop| stop.0)?,
        Node::Null => zero_object(schema, id),
        other => {
            walk.mismatch(other.said(), &format!("v1.{}", schema.get(id).short_name()));
            Value::Null
        }
    };
    match walk.wrong {
        Some(error) => Err(error),
        None => Ok(Conformed {
            value,
            strict: walk.strict,
        }),
    }
}

/// What ends decoding at once; other errors let it go on and are told at its end.
pub(super) struct Stop(pub(super) String);

/// One step from the object to where the walk is.
enum Step<'s, 'n> {
    Field(&'s ObjectType, &'s str),
    Key(&'n str),
    Index(usize),
}

struct Walk<'s, 'n> {
    schema: &'s Schema,
    steps: Vec<Step<'s, 'n>>,
    strict: Vec<String>,
    /// Off inside types that decode themselves.
    strictly: bool,
    /// The first value of a wrong type.
    wrong: Option<String>,
    /// How many steps led to the outermost type that decodes itself: errors name the struct around that.
    within: Option<usize>,
}

/// A place for a value: its type, and the struct that has the field it belongs to.
#[derive(Clone, Copy)]
struct Place<'s> {
    of: TypeId,
    field: &'s Field,
    shape: &'s Shape,
}

impl<'s, 'n> Walk<'s, 'n> {
    fn new(schema: &'s Schema) -> Self {
        Self {
            schema,
            steps: Vec::new(),
            strict: Vec::new(),
            strictly: true,
            wrong: None,
            within: None,
        }
    }

    fn object(
        &mut self,
        id: TypeId,
        fields: &'n [(Cow<'_, str>, Node<'_>)],
    ) -> Result<Value, Stop> {
        let of = self.schema.get(id);
        let mut slots: Vec<Option<Value>> = vec![None; of.flat.len()];
        let mut seen = vec![false; of.flat.len()];
        let mut next = 0;
        for (name, node) in fields {
            // Most documents are written in the order of the struct.
            let expected = of.flat.get(next).filter(|field| *field.json == **name);
            let Some(at) = expected.map(|_| next).or_else(|| of.position(name)) else {
                self.complain("unknown field", name);
                continue;
            };
            next = at + 1;
            let (Some(field), Some(slot), Some(seen)) =
                (of.flat.get(at), slots.get_mut(at), seen.get_mut(at))
            else {
                continue;
            };
            if std::mem::replace(seen, true) {
                self.complain("duplicate field", name);
            }
            self.steps.push(Step::Field(of, &field.json));
            let place = Place {
                of: id,
                field,
                shape: &field.shape,
            };
            *slot = self.value(place, node)?;
            self.steps.pop();
        }
        let mut object = Map::with_capacity(fields.len());
        for (field, slot) in of.flat.iter().zip(slots) {
            if let Some(value) = written(self.schema, of, field, slot) {
                object.insert(field.json.to_string(), value);
            }
        }
        Ok(object.into())
    }

    /// None for what leaves a field as it was: `null`, and values of a wrong type.
    fn value(&mut self, place: Place<'s>, node: &'n Node<'_>) -> Result<Option<Value>, Stop> {
        match (place.shape, node) {
            (Shape::Leaf(kind), node) => self.leaf(place, *kind, node),
            (_, Node::Null) => Ok(None),
            (Shape::Object(id), Node::Object(fields)) => self.object(*id, fields).map(Some),
            (Shape::List(inner) | Shape::Items(inner), Node::List(items)) => {
                let mut list = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    self.steps.push(Step::Index(at));
                    let item = self.value(
                        Place {
                            shape: inner,
                            ..place
                        },
                        item,
                    )?;
                    list.push(item.unwrap_or_else(|| zero(self.schema, inner)));
                    self.steps.pop();
                }
                Ok(Some(list.into()))
            }
            (Shape::Map(inner), Node::Object(fields)) => self.map(place, inner, fields).map(Some),
            (_, other) => {
                self.mismatch(other.said(), &self.type_name(place));
                Ok(None)
            }
        }
    }

    fn map(
        &mut self,
        place: Place<'s>,
        inner: &'s Shape,
        fields: &'n [(Cow<'_, str>, Node<'_>)],
    ) -> Result<Value, Stop> {
        let mut entries: Vec<(String, Value)> = Vec::with_capacity(fields.len());
        for (key, node) in fields {
            self.steps.push(Step::Key(key));
            let value = self.value(
                Place {
                    shape: inner,
                    ..place
                },
                node,
            )?;
            self.steps.pop();
            let value = value.unwrap_or_else(|| match inner {
                // Lost on the way through the store: bytes there are never absent.
                Shape::Leaf(Leaf::Bytes) => Value::String(String::new()),
                other => zero(self.schema, other),
            });
            entries.push((key.to_string(), value));
        }
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let twice = entries
            .windows(2)
            .any(|pair| matches!(pair, [(one, _), (other, _)] if one == other));
        if twice {
            self.duplicate_keys(fields);
        }
        Ok(Value::Object(entries.into_iter().collect()))
    }

    fn duplicate_keys(&mut self, fields: &[(Cow<'_, str>, Node<'_>)]) {
        let mut seen = std::collections::HashSet::new();
        for (key, _) in fields {
            if !seen.insert(key) {
                self.complain("duplicate field", key);
            }
        }
    }

    fn leaf(
        &mut self,
        place: Place<'s>,
        kind: Leaf,
        node: &'n Node<'_>,
    ) -> Result<Option<Value>, Stop> {
        match kind {
            Leaf::SchemaOrBool | Leaf::SchemaOrArray | Leaf::SchemaOrStrings => {
                self.schema_or(place, kind, node)
            }
            kind => match leaf::read(kind, node) {
                Ok(value) => Ok(value),
                Err(leaf::Problem::Mismatch { value, go }) => {
                    let go = go.map_or_else(|| self.type_name(place), str::to_owned);
                    self.mismatch(&value, &go);
                    Ok(None)
                }
                Err(leaf::Problem::Saved(error)) => {
                    self.wrong.get_or_insert(error);
                    Ok(None)
                }
                Err(leaf::Problem::Fatal(error)) => Err(Stop(error)),
                Err(leaf::Problem::FatalMismatch { value, go }) => {
                    let context = self.context(&value, go);
                    Err(Stop(context))
                }
            },
        }
    }

    /// A schema in a place that also takes something else; it decodes itself, and not strictly.
    fn schema_or(
        &mut self,
        place: Place<'s>,
        kind: Leaf,
        node: &'n Node<'_>,
    ) -> Result<Option<Value>, Stop> {
        let strictly = std::mem::replace(&mut self.strictly, false);
        let outer = self.wrong.take();
        let entered = self.within;
        self.within.get_or_insert(self.steps.len());
        let value = match (kind, node) {
            (_, Node::Object(fields)) => self.object(place.of, fields).map(Some),
            (Leaf::SchemaOrBool, Node::Bool(it)) => Ok(Some(Value::Bool(*it))),
            (Leaf::SchemaOrBool, Node::Null) if place.field.nullable => Ok(None),
            (Leaf::SchemaOrBool, _) => Err(Stop("boolean or JSON schema expected".into())),
            (Leaf::SchemaOrArray, Node::List(items)) => self.schemas(place, items),
            (Leaf::SchemaOrStrings, Node::List(items)) => self.strings(items),
            _ => Ok(None),
        };
        self.strictly = strictly;
        // What it finds wrong ends decoding, other than in the structs around it.
        if let (Ok(_), Some(inner)) = (&value, self.wrong.take()) {
            return Err(Stop(inner));
        }
        self.wrong = outer;
        self.within = entered;
        value
    }

    fn schemas(&mut self, place: Place<'s>, items: &'n [Node<'_>]) -> Result<Option<Value>, Stop> {
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            list.push(match item {
                Node::Object(fields) => self.object(place.of, fields)?,
                Node::Null => zero_object(self.schema, place.of),
                other => {
                    let context = self.context(other.said(), "v1.JSONSchemaProps");
                    return Err(Stop(context));
                }
            });
        }
        Ok((!list.is_empty()).then(|| list.into()))
    }

    fn strings(&mut self, items: &[Node<'_>]) -> Result<Option<Value>, Stop> {
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            list.push(match item {
                Node::String(text) => Value::String(text.to_string()),
                Node::Null => Value::String(String::new()),
                other => {
                    let context = self.context(other.said(), "string");
                    return Err(Stop(context));
                }
            });
        }
        Ok((!list.is_empty()).then(|| list.into()))
    }

    /// Where the walk is, as strict errors write it.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Index(at) => path.push_str(&format!("[{at}]")),
                Step::Field(_, name) | Step::Key(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
            }
        }
        path
    }

    fn complain(&mut self, what: &str, name: &str) {
        if !self.strictly || self.strict.len() >= MAX_STRICT_ERRORS {
            return;
        }
        let mut path = self.path();
        if !self.steps.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        let error = format!("{what} {}", quote(&path));
        if !self.strict.contains(&error) {
            self.strict.push(error);
        }
    }

    fn mismatch(&mut self, value: &str, go: &str) {
        if self.wrong.is_none() {
            self.wrong = Some(self.context(value, go));
        }
    }

    /// `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`.
    fn context(&self, value: &str, go: &str) -> String {
        let mut innermost = None;
        let mut path = String::new();
        for (at, step) in self.steps.iter().enumerate() {
            if let Step::Field(of, name) = step {
                if self.within.is_none_or(|within| at < within) {
                    innermost = Some(of.short_name());
                }
                for inline in inlines(self.schema, of, name).iter().rev() {
                    path.push_str(inline);
                    path.push('.');
                }
                path.push_str(name);
                path.push('.');
            }
        }
        match innermost {
            Some(of) => {
                let path = path.trim_end_matches('.');
                format!(
                    "json: cannot unmarshal {value} into Go struct field {of}.{path} of type {go}"
                )
            }
            None => format!("json: cannot unmarshal {value} into Go value of type {go}"),
        }
    }

    fn type_name(&self, place: Place<'s>) -> String {
        let mut shape = &place.field.shape;
        let mut go = place.field.go.as_deref();
        // From the type of the field to that of what lies in it.
        while !std::ptr::eq(shape, place.shape) {
            (shape, go) = match shape {
                Shape::List(inner) | Shape::Items(inner) => {
                    (&**inner, go.and_then(|go| go.strip_prefix("[]")))
                }
                Shape::Map(inner) => (
                    &**inner,
                    go.and_then(|go| Some(go.strip_prefix("map[")?.split_once(']')?.1)),
                ),
                Shape::Leaf(_) | Shape::Object(_) => break,
            };
        }
        go.map_or_else(|| go_type(self.schema, place.shape), str::to_owned)
    }
}

/// The names of the inline structs that a field lies in, innermost first.
fn inlines<'s>(schema: &'s Schema, of: &'s ObjectType, name: &str) -> Vec<&'s str> {
    if matches!(name, "kind" | "apiVersion")
        && of
            .fields
            .first()
            .is_some_and(|field| &*field.json == "kind" && field.number.is_none())
    {
        return vec!["TypeMeta"];
    }
    for field in of.fields.iter().filter(|field| field.inline) {
        let Shape::Object(id) = field.shape else {
            continue;
        };
        let inner = schema.get(id);
        if inner.position(name).is_some() {
            let mut path = inlines(schema, inner, name);
            path.push(inner.short_name());
            return path;
        }
    }
    Vec::new()
}

/// A type as Go's reflection prints it.
fn go_type(schema: &Schema, shape: &Shape) -> String {
    match shape {
        Shape::Leaf(kind) => leaf::go_type(*kind).to_owned(),
        Shape::Object(id) => {
            let of = schema.get(*id);
            let version = of.name.split(['/', '.']).nth(1).unwrap_or("v1");
            format!("{version}.{}", of.short_name())
        }
        Shape::List(inner) | Shape::Items(inner) => format!("[]{}", go_type(schema, inner)),
        Shape::Map(inner) => format!("map[string]{}", go_type(schema, inner)),
    }
}

/// What Go's encoder writes of a field that holds `value`, or nothing; none if it is left out.
pub(super) fn written(
    schema: &Schema,
    of: &ObjectType,
    field: &Field,
    value: Option<Value>,
) -> Option<Value> {
    match value {
        value if field.nullable => value.or((field.omit == Omit::Never).then_some(Value::Null)),
        None => match field.omit {
            Omit::Never => Some(zero(schema, &field.shape)),
            Omit::Empty => always(&field.shape).then(|| zero(schema, &field.shape)),
            Omit::Zero => None,
        },
        Some(value) => {
            let kept = match field.omit {
                Omit::Never => true,
                Omit::Empty => always(&field.shape) || !empty(&value),
                Omit::Zero => value != zero(schema, &field.shape),
            };
            let bare = empty(&value)
                && matches!(
                    field.shape,
                    Shape::List(_) | Shape::Map(_) | Shape::Items(_)
                )
                && !keeps_empty(of, field);
            kept.then(|| if bare { Value::Null } else { value })
        }
    }
}

/// Whether an empty list is told apart from none. The release stores objects in protobuf, from which none comes back,
/// but for those of two groups; the elements of a list kind are made anew with every answer.
fn keeps_empty(of: &ObjectType, field: &Field) -> bool {
    of.name.starts_with("apiextensions/")
        || of.name.starts_with("apiregistration/")
        || &*field.json == "items"
}

/// Structs by value are never empty to Go's encoder, whatever is in them.
fn always(shape: &Shape) -> bool {
    match shape {
        Shape::Object(_) => true,
        Shape::Leaf(kind) => leaf::is_struct(*kind),
        Shape::List(_) | Shape::Map(_) | Shape::Items(_) => false,
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(it) => !it,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// What Go writes of a zero value.
pub(super) fn zero(schema: &Schema, shape: &Shape) -> Value {
    match shape {
        Shape::Object(id) => zero_object(schema, *id),
        Shape::List(_) | Shape::Map(_) | Shape::Items(_) => Value::Null,
        Shape::Leaf(kind) => leaf::zero(*kind),
    }
}

pub(super) fn zero_object(schema: &Schema, id: TypeId) -> Value {
    let of = schema.get(id);
    let fields = of.flat.iter();
    let fields = fields.filter_map(|field| {
        let value = written(schema, of, field, None)?;
        Some((field.json.to_string(), value))
    });
    Value::Object(fields.collect())
}

/// An object of a kind that no table knows: maps in the order of their keys, as Go writes them.
pub(super) fn untyped(node: &Node<'_>) -> Conformed {
    let mut strict = Vec::new();
    let value = untyped_at(node, &mut String::new(), &mut strict);
    Conformed { value, strict }
}

fn untyped_at(node: &Node<'_>, path: &mut String, strict: &mut Vec<String>) -> Value {
    let length = path.len();
    match node {
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                path.push_str(&format!("[{at}]"));
                list.push(untyped_at(item, path, strict));
                path.truncate(length);
            }
            list.into()
        }
        Node::Object(fields) => {
            let mut seen = std::collections::HashSet::new();
            let mut entries = Vec::with_capacity(fields.len());
            for (key, value) in fields {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                if !seen.insert(key) {
                    let error = format!("duplicate field {}", quote(path));
                    if strict.len() < MAX_STRICT_ERRORS && !strict.contains(&error) {
                        strict.push(error);
                    }
                }
                entries.push((key.to_string(), untyped_at(value, path, strict)));
                path.truncate(length);
            }
            Value::Object(sorted(entries))
        }
        other => other.to_value(),
    }
}
