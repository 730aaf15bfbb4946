//! The schemas of types, in OpenAPI 3.0: `components.schemas`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::schema::{Field, Leaf, ObjectType, Resources, Schema, Shape, TypeId};
use super::extensions::{default, enumerate, merging, union};
use super::leaves::{described, plain};
use super::{descriptions, names};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The definitions that a document needs: whatever is referred to, and what those refer to in turn.
pub(super) struct Definitions<'a> {
    schema: &'a Schema,
    resources: &'a Resources,
    /// The group and version whose document it is: kinds that all groups share belong to it, too.
    of: (&'a str, &'a str),
    done: BTreeMap<String, Value>,
    waiting: Vec<TypeId>,
}

impl<'a> Definitions<'a> {
    pub(super) fn new(
        schema: &'a Schema,
        resources: &'a Resources,
        of: (&'a str, &'a str),
    ) -> Self {
        Self {
            schema,
            resources,
            of,
            done: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    /// A reference to a type, which will be among the definitions.
    pub(super) fn reference(&mut self, id: TypeId) -> Value {
        let name = names::definition(&self.schema.get(id).name);
        if !self.done.contains_key(&name) {
            self.done.insert(name.clone(), Value::Null);
            self.waiting.push(id);
        }
        reference(&name)
    }

    /// A reference to a type by its name in the tables; to anything at all if there is none.
    pub(super) fn named(&mut self, name: &str) -> Value {
        match self.schema.find(name) {
            Some(id) => self.reference(id),
            None => json!({"type": "object"}),
        }
    }

    /// Whether there is a definition of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.done.contains_key(name)
    }

    /// Adds one that does not come from the tables.
    pub(super) fn add(&mut self, name: String, definition: Value) {
        self.done.insert(name, definition);
    }

    /// The definition of watch events, which is there wherever something can be watched.
    pub(super) fn watch_event(&mut self) {
        let object = self.shape(&Shape::Leaf(Leaf::Raw));
        let event = json!({
            "description": "A change that a watch tells of.",
            "type": "object",
            "required": ["type", "object"],
            "properties": {
                "object": {
                    "description": "The object as the change left it; a Status if the type is ERROR.",
                    "allOf": [object],
                },
                "type": {"type": "string", "default": ""},
            },
            "x-kubernetes-group-version-kind": self.shared_kind("WatchEvent"),
        });
        self.done.insert(format!("{META}.WatchEvent"), event);
    }

    /// Every definition by name.
    pub(super) fn finish(mut self) -> BTreeMap<String, Value> {
        while let Some(id) = self.waiting.pop() {
            let of = self.schema.get(id);
            let definition = self.definition(of);
            self.done.insert(names::definition(&of.name), definition);
        }
        self.done
    }

    fn definition(&mut self, of: &ObjectType) -> Value {
        let name = names::definition(&of.name);
        let mut definition = Map::new();
        if let Some(text) = descriptions::of_type(&name) {
            definition.insert("description".into(), text.into());
        }
        definition.insert("type".into(), "object".into());
        let required = of.flat.iter().filter(|field| field.required);
        let required: Vec<_> = required.map(|field| Value::from(&*field.json)).collect();
        if !required.is_empty() {
            definition.insert("required".into(), required.into());
        }
        let mut fields: Vec<&Field> = of.flat.iter().collect();
        fields.sort_by(|one, other| one.json.cmp(&other.json));
        let mut properties = Map::new();
        for field in fields {
            properties.insert(field.json.to_string(), self.property(&name, field));
        }
        if !properties.is_empty() {
            definition.insert("properties".into(), properties.into());
        }
        let kinds = self.kinds(of);
        if !kinds.is_empty() {
            definition.insert("x-kubernetes-group-version-kind".into(), kinds.into());
        }
        if of.atomic {
            definition.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        if let Some(union) = union(&of.name) {
            definition.insert("x-kubernetes-unions".into(), union);
        }
        definition.into()
    }

    fn property(&mut self, of: &str, field: &Field) -> Value {
        let text = descriptions::of_field(of, &field.json);
        let default = default(field);
        let mut shape = self.shape(&field.shape);
        let mut property = Map::new();
        if let Some(text) = text {
            property.insert("description".into(), text.into());
        }
        // What stands beside a reference is not read: then the reference goes one deeper.
        if shape.get("$ref").is_some() && (text.is_some() || default.is_some()) {
            if let Some(default) = default {
                property.insert("default".into(), default);
            }
            property.insert("allOf".into(), json!([shape]));
        } else {
            property.extend(
                shape
                    .as_object_mut()
                    .map(std::mem::take)
                    .unwrap_or_default(),
            );
            if let Some(default) = default {
                property.insert("default".into(), default);
            }
        }
        enumerate(field, &mut property);
        merging(field, &mut property);
        property.into()
    }

    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Object(id) => self.reference(*id),
            Shape::List(inner) | Shape::Items(inner) => {
                json!({"type": "array", "items": self.shape(inner)})
            }
            Shape::Map(inner) => {
                json!({"type": "object", "additionalProperties": self.shape(inner)})
            }
            Shape::Leaf(leaf) => match names::leaf(*leaf) {
                None => plain(*leaf),
                Some(name) => {
                    self.done
                        .entry(name.into())
                        .or_insert_with(|| described(name, *leaf));
                    reference(name)
                }
            },
        }
    }

    /// Group, version and kind, if it is a kind.
    fn kinds(&self, of: &ObjectType) -> Vec<Value> {
        if of.field("kind").is_none_or(|kind| kind.number.is_some()) {
            return Vec::new();
        }
        let (package, rest) = of.name.split_once('/').unwrap_or_default();
        let (version, kind) = rest.split_once('.').unwrap_or_default();
        match (package, kind) {
            ("meta", "DeleteOptions") => self.shared_kind(kind),
            ("meta" | "core", _) => vec![group_version_kind("", version, kind)],
            (package, _) => {
                let mut groups = self.resources.groups().iter();
                let group = groups.find(|one| one.group.split('.').next() == Some(package));
                let group = group.map_or(package, |one| &*one.group);
                vec![group_version_kind(group, version, kind)]
            }
        }
    }

    /// A kind that belongs to core and to the group at hand.
    fn shared_kind(&self, kind: &str) -> Vec<Value> {
        let mut kinds = vec![group_version_kind("", "v1", kind)];
        if self.of != ("", "v1") {
            kinds.push(group_version_kind(self.of.0, self.of.1, kind));
        }
        kinds
    }
}

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

pub(super) fn group_version_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "kind": kind, "version": version})
}
