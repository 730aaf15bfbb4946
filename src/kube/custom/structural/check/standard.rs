//! What a schema may not say, be it structural or not, and what its list types and map types demand of it.

use serde_json::Value;

use super::CheckOptions;
use super::internal;
use super::props::{Props, Rest};
use super::rules;
use super::structure::told;
use crate::kube::custom::structural::prune::is_meta;
use crate::kube::custom::structural::value::quoted;
use crate::kube::field::FieldError;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Where a node stands.
#[derive(Clone, Copy)]
struct Place {
    root: bool,
    /// In what applies to the metadata of a resource.
    in_meta: bool,
    /// Why there may be no default here.
    no_default: Option<&'static str>,
}

pub(super) fn standard(schema: Props<'_>, path: &str, options: &CheckOptions) -> Vec<FieldError> {
    let mut walk = Walk {
        options,
        errors: Vec::new(),
    };
    let place = Place {
        root: true,
        in_meta: false,
        no_default: None,
    };
    walk.node(schema, path, place);
    walk.errors
}

struct Walk<'a> {
    options: &'a CheckOptions,
    errors: Vec<FieldError>,
}

impl Walk<'_> {
    fn forbid(&mut self, path: String, why: &str) {
        self.errors.push(FieldError::forbidden(path, why));
    }

    fn require(&mut self, path: String, why: &str) {
        self.errors.push(FieldError::required(path, why));
    }

    fn refuse(&mut self, path: String, value: String, why: &str) {
        self.errors.push(FieldError::invalid(path, value, why));
    }

    fn node(&mut self, schema: Props<'_>, path: &str, place: Place) {
        self.alone(schema, path, place);
        if schema.flag("uniqueItems") {
            let why =
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.forbid(format!("{path}.uniqueItems"), why);
        }
        self.additional(schema, path, place);
        self.fields(schema, path, place);
        let inside = Place {
            root: false,
            ..place
        };
        if let Some(not) = schema.child("not") {
            self.node(not, &format!("{path}.not"), inside);
        }
        for junction in ["allOf", "oneOf", "anyOf"] {
            for (at, inner) in schema.list(junction) {
                self.node(inner, &format!("{path}.{junction}[{at}]"), inside);
            }
        }
        for (name, inner) in schema.map("definitions") {
            self.node(inner, &format!("{path}.definitions[{name}]"), inside);
        }
        if let Some(items) = schema.child("items") {
            self.node(items, &format!("{path}.items"), inside);
        }
        for (at, inner) in schema.list("items") {
            self.node(inner, &format!("{path}.items[{at}]"), inside);
        }
        for (name, inner) in schema.map("dependencies") {
            self.node(inner, &format!("{path}.dependencies[{name}]"), inside);
        }
        if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
            let path = format!("{path}.x-kubernetes-preserve-unknown-fields");
            self.refuse(path, "false".into(), "must be true or undefined");
        }
        self.map_type(schema, path);
        self.list_type(schema, path);
        self.map_keys(schema, path);
        if self.options.map_keys {
            self.keys_are_there(schema, path);
        }
        rules::rules(schema, path, &mut self.errors);
    }

    /// What can be said of a node by itself.
    fn alone(&mut self, schema: Props<'_>, path: &str, place: Place) {
        let of = schema.of_type();
        if self.options.known_types && !of.is_empty() && !TYPES.contains(&of) {
            let error = FieldError::not_supported(format!("{path}.type"), of, &TYPES);
            self.errors.push(error);
        }
        if let (Some(why), Some(_)) = (place.no_default, schema.get("default")) {
            self.forbid(format!("{path}.default"), &format!("must not be set {why}"));
        }
        if !schema.text("id").is_empty() {
            self.forbid(format!("{path}.id"), "id is not supported");
        }
        for field in [
            "additionalItems",
            "patternProperties",
            "definitions",
            "dependencies",
            "$ref",
        ] {
            let said = match schema.get(field) {
                Some(Value::Object(map)) => !map.is_empty() || field == "additionalItems",
                said => said.is_some(),
            };
            if said {
                self.forbid(
                    format!("{path}.{field}"),
                    &format!("{field} is not supported"),
                );
            }
        }
        if of == "null" {
            let why = "type cannot be set to null, use nullable as an alternative";
            self.forbid(format!("{path}.type"), why);
        }
        if !schema.values("items").is_empty() {
            let why = "items must be a schema object and not an array";
            self.forbid(format!("{path}.items"), why);
        }
        if place.in_meta && schema.embedded() {
            let path = format!("{path}.x-kubernetes-embedded-resource");
            self.forbid(path, "must not be used inside of resource meta");
        }
    }

    fn additional(&mut self, schema: Props<'_>, path: &str, place: Place) {
        let (exclusive, inner) = match schema.additional() {
            Rest::Unsaid => return,
            Rest::Allowed(allowed) => (!allowed, None),
            Rest::Of(inner) => (true, Some(inner)),
        };
        let path = format!("{path}.additionalProperties");
        if exclusive && schema.properties().next().is_some() {
            let why = "additionalProperties and properties are mutual exclusive";
            self.forbid(path.clone(), why);
        }
        if let Some(inner) = inner {
            let why = "inside additionalProperties applying to object metadata";
            let no_default = if place.in_meta {
                Some(why)
            } else {
                place.no_default
            };
            let place = Place {
                root: false,
                no_default,
                ..place
            };
            self.node(inner, &path, place);
        }
    }

    fn fields(&mut self, schema: Props<'_>, path: &str, place: Place) {
        for (name, inner) in schema.properties() {
            let mut below = Place {
                root: false,
                ..place
            };
            if (place.root || schema.embedded()) && is_meta(name) {
                below.in_meta = true;
                if place.root {
                    below.no_default = Some(match name {
                        "apiVersion" => "in top-level apiVersion",
                        "kind" => "in top-level kind",
                        _ => "in top-level metadata",
                    });
                }
            }
            self.node(inner, &format!("{path}.properties[{name}]"), below);
        }
    }

    /// An extension that speaks of one type needs that type.
    fn needs_type(&mut self, schema: Props<'_>, path: &str, of: &str, extension: &str) {
        let why = format!("must be {of} if {extension} is specified");
        let path = format!("{path}.type");
        if schema.of_type().is_empty() {
            self.require(path, &why);
        } else {
            self.refuse(path, quoted(schema.of_type()), &why);
        }
    }

    fn map_type(&mut self, schema: Props<'_>, path: &str) {
        let name = "x-kubernetes-map-type";
        let Some(of) = schema.map_type() else {
            return;
        };
        if schema.of_type() != "object" {
            self.needs_type(schema, path, "object", name);
        }
        let known = ["atomic", "granular"];
        if !known.contains(&of) {
            let error = FieldError::not_supported(format!("{path}.{name}"), of, &known);
            self.errors.push(error);
        }
    }

    fn list_type(&mut self, schema: Props<'_>, path: &str) {
        let name = "x-kubernetes-list-type";
        let Some(of) = schema.list_type() else {
            return;
        };
        let atomic = "must be atomic as item of a list with x-kubernetes-list-type=set";
        if schema.of_type() != "array" {
            self.needs_type(schema, path, "array", name);
        } else if let Some(items) = schema.child("items")
            && self.options.atomic_sets
            && of == "set"
        {
            let value = told(items, name);
            match items.of_type() {
                "array" if items.list_type().is_some_and(|of| of != "atomic") => {
                    self.refuse(format!("{path}.items.{name}"), value, atomic);
                }
                "object" if items.map_type() != Some("atomic") => {
                    let path = format!("{path}.items.x-kubernetes-map-type");
                    self.refuse(path, value, atomic);
                }
                _ => {}
            }
        }
        let known = ["atomic", "set", "map"];
        if !known.contains(&of) {
            let error = FieldError::not_supported(format!("{path}.{name}"), of, &known);
            self.errors.push(error);
        }
    }

    fn map_keys(&mut self, schema: Props<'_>, path: &str) {
        let (name, type_name) = ("x-kubernetes-list-map-keys", "x-kubernetes-list-type");
        let keys = schema.texts(name);
        if !keys.is_empty() && schema.list_type() != Some("map") {
            let (path, why) = (
                format!("{path}.{type_name}"),
                "must be map if x-kubernetes-list-map-keys is non-empty",
            );
            match schema.list_type() {
                None => self.require(path, why),
                Some(of) => self.refuse(path, quoted(of), why),
            }
        }
        if schema.list_type() != Some("map") {
            return;
        }
        let at = format!("{path}.{name}");
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            self.require(at.clone(), why);
        }
        let Some(items) = schema.child("items") else {
            let path = format!("{path}.items");
            match schema.get("items") {
                None => {
                    let why = "must have a schema if x-kubernetes-list-type is map";
                    self.require(path, why);
                }
                Some(several) => {
                    let why = "must only have a single schema if x-kubernetes-list-type is map";
                    self.refuse(path, internal::several(several), why);
                }
            }
            return;
        };
        if items.of_type() != "object" {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            self.refuse(format!("{path}.items.type"), quoted(items.of_type()), why);
            return;
        }
        for (index, key) in keys.iter().enumerate() {
            match items.property(key) {
                None => {
                    let why = "entries must all be names of item properties";
                    self.refuse(at.clone(), told(schema, name), why);
                }
                Some(field) if matches!(field.of_type(), "array" | "object") => {
                    let why =
                        "must be a scalar type if parent array's x-kubernetes-list-type is map";
                    let path = format!("{path}.items.properties[{key}].type");
                    self.refuse(path, quoted(items.of_type()), why);
                }
                Some(_) => {}
            }
            if keys.iter().take(index).any(|other| other == key) {
                let why = "must not contain duplicate entries";
                self.refuse(at.clone(), told(schema, name), why);
            }
        }
    }

    fn keys_are_there(&mut self, schema: Props<'_>, path: &str) {
        for error in keys_are_there(schema, path) {
            self.errors.push(error);
        }
    }
}

/// Items of sets and maps are told apart by values: those must be there.
pub(super) fn keys_are_there(schema: Props<'_>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (Some(items), Some(of @ ("set" | "map"))) = (schema.child("items"), schema.list_type())
    else {
        return errors;
    };
    if items.flag("nullable") {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {of}");
        errors.push(FieldError::forbidden(format!("{path}.items.nullable"), why));
    }
    if of != "map" {
        return errors;
    }
    let required = items.texts("required");
    for key in schema.texts("x-kubernetes-list-map-keys") {
        let Some(field) = items.property(key) else {
            continue;
        };
        let path = format!("{path}.items.properties[{key}]");
        if !required.contains(&key) && field.get("default").is_none() {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::required(format!("{path}.default"), why));
        }
        if field.flag("nullable") {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(FieldError::forbidden(format!("{path}.nullable"), why));
        }
    }
    errors
}
