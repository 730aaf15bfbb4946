//! Taking away what a schema does not name.

use serde_json::{Map, Value};

use super::{Additional, Structural};

/// How many unknown fields are told of one object; more are dropped in silence.
///
/// kube-apiserver tells all of them, and all of their paths; it tells at most as many of built-in kinds.
pub(super) const MAX_UNKNOWN: usize = 100;

/// Removes the fields that a schema does not name, and says which they were: `spec.foo`, `spec.list[0].bar`, sorted.
///
/// A resource keeps `apiVersion`, `kind` and `metadata`, whatever the schema says: that is what `root` says of the
/// object, and `x-kubernetes-embedded-resource` of what lies in it.
pub fn prune(schema: &Structural, object: &mut Value, root: bool) -> Vec<String> {
    let mut pruning = Pruning::default();
    pruning.value(object, Some(schema), root);
    pruning.unknown.sort_unstable();
    pruning.unknown
}

/// Whether a field is one that every resource has.
pub(super) fn is_meta(field: &str) -> bool {
    matches!(field, "apiVersion" | "kind" | "metadata")
}

#[derive(Debug, Default)]
struct Pruning {
    /// Where the walk is.
    path: String,
    unknown: Vec<String>,
}

impl Pruning {
    /// `root` holds for this value alone.
    fn value(&mut self, value: &mut Value, schema: Option<&Structural>, root: bool) {
        match value {
            Value::Object(map) => match schema {
                Some(schema) if schema.preserve_unknown => self.preserved(map, schema, root),
                Some(schema) => self.object(map, schema, root),
                None => {
                    for (key, _) in std::mem::take(map) {
                        self.record(&key);
                    }
                }
            },
            Value::Array(items) => {
                let skip = schema.is_some_and(|schema| schema.preserve_unknown);
                let schema = schema.and_then(|schema| schema.items.as_deref());
                for (at, item) in items.iter_mut().enumerate() {
                    self.step(&format!("[{at}]"), |this| match (skip, schema, item) {
                        (true, None, _) => {}
                        // What the items say of unknown fields counts where they lie in a list of preserved ones, too.
                        (true, Some(schema), Value::Object(map)) => {
                            this.preserved(map, schema, false);
                        }
                        (true, Some(schema), item) => this.kept(item, schema),
                        (false, schema, item) => this.value(item, schema, false),
                    });
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, map: &mut Map<String, Value>, schema: &Structural, root: bool) {
        let keeps = root || schema.embedded;
        map.retain(|key, value| {
            if keeps && is_meta(key) {
                return true;
            }
            let Some(inner) = known(schema, key) else {
                // A resource has these fields, be they named or not.
                if !is_meta(key) || !self.path.is_empty() {
                    self.record(key);
                }
                return false;
            };
            self.field(key, value, inner);
            true
        });
    }

    /// An object whose unknown fields stay: those that the schema does name are pruned.
    fn preserved(&mut self, map: &mut Map<String, Value>, schema: &Structural, root: bool) {
        let keeps = root || schema.embedded;
        for (key, value) in map.iter_mut() {
            if keeps && is_meta(key) {
                continue;
            }
            if let Some(inner) = known(schema, key) {
                self.field(key, value, inner);
            }
        }
    }

    /// An item of a list whose unknown fields stay, other than an object.
    fn kept(&mut self, value: &mut Value, schema: &Structural) {
        let (Value::Array(items), Some(inner)) = (value, schema.items.as_deref()) else {
            return;
        };
        for (at, item) in items.iter_mut().enumerate() {
            self.step(&format!("[{at}]"), |this| match item {
                Value::Object(map) => this.preserved(map, inner, false),
                item => this.kept(item, inner),
            });
        }
    }

    fn field(&mut self, key: &str, value: &mut Value, schema: Option<&Structural>) {
        if !value.is_object() && !value.is_array() {
            return;
        }
        let dot = if self.path.is_empty() { "" } else { "." };
        self.step(&format!("{dot}{key}"), |this| {
            this.value(value, schema, false);
        });
    }

    fn step(&mut self, step: &str, walk: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(step);
        walk(self);
        self.path.truncate(length);
    }

    fn record(&mut self, field: &str) {
        if self.unknown.len() < MAX_UNKNOWN {
            let dot = if self.path.is_empty() { "" } else { "." };
            self.unknown.push(format!("{}{dot}{field}", self.path));
        }
    }
}

/// What a schema says of a field: nothing, that it may be there, or what it is.
fn known<'s>(schema: &'s Structural, key: &str) -> Option<Option<&'s Structural>> {
    match (schema.properties.get(key), &schema.additional) {
        (Some(inner), _) => Some(Some(inner)),
        (None, Additional::Of(inner)) => Some(Some(inner)),
        (None, Additional::Allowed(_)) => Some(None),
        (None, Additional::Unsaid) => None,
    }
}
