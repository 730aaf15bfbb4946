//! Defaults: they are values of their schemas, and say nothing that those do not know.

use serde_json::{Map, Value};

use crate::kube::custom::structural::metadata::{coerce_below, validate_metadata_at};
use crate::kube::custom::structural::prune::is_meta;
use crate::kube::custom::structural::validate::validate_default;
use crate::kube::custom::structural::value::shown;
use crate::kube::custom::structural::{Additional, Malformed, Structural, coerce, prune};
use crate::kube::field::FieldError;

/// One step from a resource down to a value.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Item,
}

/// What is wrong with the defaults of a schema.
pub(super) fn defaults(schema: &Structural, path: &str, pruned: bool) -> Vec<FieldError> {
    let mut walk = Walk {
        pruned,
        steps: Vec::new(),
        errors: Vec::new(),
    };
    let place = Place {
        resource: schema,
        is_resource: true,
        in_meta: false,
    };
    walk.node(schema, path, place);
    walk.errors
}

#[derive(Clone, Copy)]
struct Place<'a> {
    /// The resource that the value is in.
    resource: &'a Structural,
    /// The value is one.
    is_resource: bool,
    /// The value is in what every resource has.
    in_meta: bool,
}

struct Walk<'a> {
    pruned: bool,
    /// From the resource to the value.
    steps: Vec<Step<'a>>,
    errors: Vec<FieldError>,
}

impl<'a> Walk<'a> {
    fn node(&mut self, schema: &'a Structural, path: &str, place: Place<'a>) {
        if schema.embedded || place.is_resource {
            let before = std::mem::take(&mut self.steps);
            let place = Place {
                resource: schema,
                is_resource: true,
                in_meta: false,
            };
            self.here(schema, path, place);
            self.below(schema, path, place);
            self.steps = before;
        } else {
            self.here(schema, path, place);
            self.below(schema, path, place);
        }
    }

    fn here(&mut self, schema: &Structural, path: &str, place: Place<'_>) {
        let Some(default) = &schema.default else {
            return;
        };
        let path = format!("{path}.default");
        if place.in_meta {
            self.in_meta(schema, default, &path, place.resource);
            return;
        }
        if self.pruned {
            let mut left = default.clone();
            prune(schema, &mut left, place.is_resource);
            if left != *default {
                let why = "must not have unknown fields";
                self.errors
                    .push(FieldError::invalid(&*path, shown(default), why));
            }
        }
        let (mut value, root) = (default.clone(), place.is_resource);
        if let Err(error) = coerce_below(schema, &path, &mut value, root, Malformed::Refuse) {
            self.errors.push(error);
            return;
        }
        let mut errors = validate_metadata_at(schema, &path, &value, root);
        if errors.is_empty() {
            errors = validate_default(schema, &path, &value);
        }
        self.errors.append(&mut errors);
    }

    /// A default of a part of metadata is judged in metadata that has nothing else.
    fn in_meta(&mut self, schema: &Structural, default: &Value, path: &str, resource: &Structural) {
        let mut object = surrounded(default.clone(), &self.steps);
        if let Value::Object(map) = &mut object {
            for (name, value) in [("kind", "Validation"), ("apiVersion", "validation/v1")] {
                map.entry(name).or_insert_with(|| value.into());
            }
        }
        let refused = |why: String| {
            let why = format!("must result in valid metadata: {why}");
            FieldError::invalid(path, shown(default), why)
        };
        if let Err(error) = coerce_below(resource, "", &mut object, true, Malformed::Refuse) {
            self.errors.push(refused(error.to_string()));
            return;
        }
        let errors = validate_metadata_at(resource, "", &object, true);
        match errors.as_slice() {
            [] => self.errors.extend(validate_default(schema, path, default)),
            [one] => self.errors.push(refused(one.to_string())),
            several => {
                let several: Vec<String> = several.iter().map(ToString::to_string).collect();
                self.errors
                    .push(refused(format!("[{}]", several.join(", "))));
            }
        }
    }

    /// There are no defaults in values of maps.
    fn below(&mut self, schema: &'a Structural, path: &str, place: Place<'a>) {
        let inside = Place {
            is_resource: false,
            ..place
        };
        if let Some(items) = schema.items.as_deref() {
            self.steps.push(Step::Item);
            self.node(items, &format!("{path}.items"), inside);
            self.steps.pop();
        }
        for (name, inner) in &schema.properties {
            let in_meta = inside.in_meta || (place.is_resource && is_meta(name));
            self.steps.push(Step::Field(name));
            let path = format!("{path}.properties[{name}]");
            self.node(inner, &path, Place { in_meta, ..inside });
            self.steps.pop();
        }
    }
}

/// A value in objects and lists that have nothing but it.
fn surrounded(value: Value, steps: &[Step<'_>]) -> Value {
    steps.iter().rev().fold(value, |value, step| match step {
        Step::Field(name) => Map::from_iter([((*name).to_owned(), value)]).into(),
        Step::Item => vec![value].into(),
    })
}

/// The value in what [`surrounded`] it.
fn found<'v>(object: &'v mut Value, steps: &[Step<'_>]) -> Option<&'v mut Value> {
    steps.iter().try_fold(object, |at, step| match step {
        Step::Field(name) => at.get_mut(*name),
        Step::Item => at.get_mut(0),
    })
}

/// Takes out of defaults what their schemas do not know, and metadata that is malformed: a definition may have been
/// stored before anybody looked. Returns whether there was any.
///
/// # Errors
/// The default of the root is no object.
pub fn prune_defaults(schema: &mut Structural) -> Result<bool, String> {
    let root = schema.clone();
    prune_below(schema, &root, &mut Vec::new())
}

fn prune_below(
    schema: &mut Structural,
    root: &Structural,
    steps: &mut Vec<Step<'_>>,
) -> Result<bool, String> {
    let mut changed = false;
    if let Some(default) = schema.default.take() {
        let mut object = surrounded(default.clone(), steps);
        if !object.is_object() {
            return Err(
                "failed to prune default value: object root default value must be of object type"
                    .into(),
            );
        }
        coerce(root, &mut object, true, Malformed::Drop)
            .map_err(|error| format!("failed to prune default value: {error}"))?;
        prune(root, &mut object, true);
        schema.default = found(&mut object, steps).map(Value::take);
        changed = schema.default.as_ref() != Some(&default);
    }
    if let Additional::Of(inner) = &mut schema.additional {
        steps.push(Step::Field("*"));
        changed |= prune_below(inner, root, steps)?;
        steps.pop();
    }
    if let Some(inner) = schema.items.as_deref_mut() {
        steps.push(Step::Item);
        changed |= prune_below(inner, root, steps)?;
        steps.pop();
    }
    for (name, inner) in &mut schema.properties {
        let mut steps: Vec<Step<'_>> = steps.clone();
        steps.push(Step::Field(name));
        changed |= prune_below(inner, root, &mut steps)?;
    }
    Ok(changed)
}
