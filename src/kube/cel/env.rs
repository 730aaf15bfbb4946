//! What an expression may name.

use std::collections::HashMap;
use std::sync::Arc;

use super::shape::{FieldShape, ObjectShape, Shape, ShapeKind};
use super::types::Type;

/// Variables and the types of structures; the functions are those of the release.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Vec<Variable>,
    objects: HashMap<Arc<str>, Arc<ObjectShape>>,
}

#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) of: Type,
    /// What its JSON may be at most, for estimates of costs.
    pub(super) shape: Option<Arc<Shape>>,
}

impl Environment {
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a variable of a type.
    #[must_use]
    pub fn variable(mut self, name: &str, of: Type) -> Self {
        self.declare(name, of, None);
        self
    }

    /// Declares a variable that is JSON of a shape.
    #[must_use]
    pub fn shaped(mut self, name: &str, shape: &Arc<Shape>) -> Self {
        self.register(shape);
        self.declare(name, shape.of(), Some(shape.clone()));
        self
    }

    /// Declares a variable that may have JSON of a shape.
    #[must_use]
    pub fn shaped_optional(mut self, name: &str, shape: &Arc<Shape>) -> Self {
        self.register(shape);
        self.declare(name, Type::optional(shape.of()), Some(shape.clone()));
        self
    }

    fn declare(&mut self, name: &str, of: Type, shape: Option<Arc<Shape>>) {
        self.variables.retain(|variable| variable.name != name);
        self.variables.push(Variable {
            name: name.to_owned(),
            of,
            shape,
        });
    }

    fn register(&mut self, shape: &Shape) {
        match &shape.kind {
            ShapeKind::List { items, .. } => self.register(items),
            ShapeKind::Map(values) => self.register(values),
            ShapeKind::Object(object) => {
                let before = self.objects.insert(object.name.clone(), object.clone());
                let fields = before.is_none().then(|| object.fields.values());
                for field in fields.into_iter().flatten() {
                    self.register(&field.shape);
                }
            }
            _ => {}
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<(usize, &Variable)> {
        let mut all = self.variables.iter().enumerate();
        all.find(|(_, variable)| variable.name == name)
    }

    /// The shape that estimates take for that of everything: of the first variable that has one.
    pub(super) fn root(&self) -> Option<&Shape> {
        self.variables
            .iter()
            .find_map(|variable| variable.shape.as_deref())
    }

    pub(super) fn object(&self, name: &str) -> Option<&ObjectShape> {
        self.objects.get(name).map(|object| &**object)
    }
}

impl ObjectShape {
    /// The field that expressions call so.
    pub(super) fn named(&self, name: &str) -> Option<&FieldShape> {
        let find = |name: &str| {
            let mut fields = self.fields.values();
            fields.find(|field| field.exposed && field.escaped.as_deref() == Some(name))
        };
        // Words of the language may be said plainly: a field can be nothing else.
        find(name)
            .or_else(|| find(&format!("__{name}__")).filter(|_| super::names::is_reserved(name)))
    }
}
