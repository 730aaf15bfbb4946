//! Holds an object to the rules of its schema.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::CompiledRules;
use super::compile::{Compiled, Node};
use super::ratchet::Correlated;
use crate::kube::cel::{Bindings, Evaluation, Fault, PER_CALL_LIMIT, Program, Shape, ShapeKind};
use crate::kube::custom::structural::Rule;
use crate::kube::field::{FieldError, FieldErrorKind};

/// What all rules may cost over one object.
pub const OBJECT_BUDGET: u64 = 10_000_000;
/// Longer messages of expressions are not told.
const MAX_MESSAGE: usize = 5 * 1024;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub errors: Vec<FieldError>,
    /// Errors of values that are as they were: told, and let pass.
    pub ratcheted: Vec<FieldError>,
}

/// Nothing is run any more: the budget is used up.
struct Spent;

struct Runner<'r> {
    left: &'r mut u64,
    verdict: Verdict,
    ratchets: bool,
}

/// A value, where it is, and what it was.
struct Place<'v> {
    path: String,
    value: &'v Json,
    old: Option<&'v Json>,
    correlated: Option<Correlated<'v>>,
    /// The nearest node above that can be told from its old value.
    parent: Option<Correlated<'v>>,
    root: bool,
}

/// Runs the rules over an object, as it is now and as it was. `budget` is [`OBJECT_BUDGET`] for a new object, and less after
/// every rule.
pub fn validate<'v>(
    rules: &'v CompiledRules,
    object: &'v Json,
    old: Option<&'v Json>,
    budget: &mut u64,
) -> Verdict {
    let correlated = old.map(|old| Correlated::new(object, old, &rules.schema));
    let mut runner = Runner {
        left: budget,
        verdict: Verdict::default(),
        ratchets: old.is_some(),
    };
    let place = Place {
        path: String::new(),
        value: object,
        old,
        correlated,
        parent: None,
        root: true,
    };
    // Whoever spends the budget has said so.
    let _ = runner.node(&rules.root, &place);
    runner.verdict
}

/// What is said where rules are not run at all, because the object is wrong otherwise.
pub fn skipped() -> FieldError {
    FieldError::invalid(
        "<nil>",
        "null",
        "some validation rules were not checked because the object was invalid; correct the existing errors to complete \
         validation",
    )
}

/// The value that errors print where a rule could not be judged: the node's type.
fn type_value(shape: &Shape) -> String {
    let name = match shape.kind {
        ShapeKind::Object(_) | ShapeKind::Map(_) => "object",
        ShapeKind::List { .. } => "array",
        ShapeKind::Bool => "boolean",
        ShapeKind::Int => "integer",
        ShapeKind::Double => "number",
        ShapeKind::IntOrString | ShapeKind::Dyn | ShapeKind::Opaque | ShapeKind::Broken(_) => "",
        _ => "string",
    };
    format!("{name:?}")
}

/// The value that errors print for a rule that failed.
fn value_of(shape: &Shape, value: &Json) -> String {
    match shape.kind {
        ShapeKind::Object(_) | ShapeKind::Map(_) | ShapeKind::List { .. } => String::new(),
        _ => value.to_string(),
    }
}

/// A rule as errors name it.
fn name(rule: &Rule) -> &str {
    if rule.message.is_empty() {
        &rule.rule
    } else {
        &rule.message
    }
    .trim()
}

const OUT: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

impl<'v> Runner<'_> {
    fn error(&mut self, error: FieldError) {
        self.verdict.errors.push(error);
    }

    fn node(&mut self, node: &'v Node, place: &Place<'v>) -> Result<(), Spent> {
        if place.value.is_null() {
            return Ok(());
        }
        self.rules(node, place)?;
        for part in &node.all_of {
            let place = Place {
                path: place.path.clone(),
                correlated: None,
                parent: place.parent,
                ..*place
            };
            self.node(part, &place)?;
        }
        match place.value {
            Json::Array(items) => self.items(node, place, items),
            Json::Object(fields) => self.fields(node, place, fields),
            _ => Ok(()),
        }
    }

    fn items(&mut self, node: &'v Node, place: &Place<'v>, items: &'v [Json]) -> Result<(), Spent> {
        let (Some(below), Some(declared)) = (&node.items, &node.declared) else {
            return Ok(());
        };
        let old = place.old.and_then(Json::as_array).map(Vec::as_slice);
        let mut known = Keyed::new(&declared.shape, old.unwrap_or_default());
        for (at, item) in items.iter().enumerate() {
            let (correlated, parent) = place.below(|correlated| correlated.index(at));
            let place = Place {
                path: format!("{}[{at}]", place.path),
                value: item,
                old: known.find(item),
                correlated,
                parent,
                root: false,
            };
            self.node(below, &place)?;
        }
        Ok(())
    }

    fn fields(
        &mut self,
        node: &'v Node,
        place: &Place<'v>,
        fields: &'v Map<String, Json>,
    ) -> Result<(), Spent> {
        let was = |key: &str| place.old.and_then(|old| old.get(key));
        if let Some(below) = &node.values {
            for (key, value) in fields {
                let (correlated, parent) = place.key(key);
                let place = Place {
                    path: format!("{}[{key}]", place.path),
                    value,
                    old: was(key),
                    correlated,
                    parent,
                    root: false,
                };
                self.node(below, &place)?;
            }
        }
        for (key, below) in &node.properties {
            let Some(value) = fields.get(&**key) else {
                continue;
            };
            let (correlated, parent) = place.key(key);
            let dot = if place.path.is_empty() { "" } else { "." };
            let place = Place {
                path: format!("{}{dot}{key}", place.path),
                value,
                old: was(key),
                correlated,
                parent,
                root: false,
            };
            self.node(below, &place)?;
        }
        Ok(())
    }

    fn rules(&mut self, node: &'v Node, place: &Place<'v>) -> Result<(), Spent> {
        let (Some(declared), false) = (&node.declared, node.rules.is_empty()) else {
            return Ok(());
        };
        let shape = &*declared.shape;
        let path = place.shown();
        if *self.left == 0 {
            self.error(FieldError::invalid(path, type_value(shape), OUT));
            return Err(Spent);
        }
        for rule in &node.rules {
            self.rule(rule, shape, place, &path)?;
        }
        Ok(())
    }

    /// Takes a cost from the budget; whether there was enough.
    fn pay(&mut self, cost: u64) -> bool {
        match self.left.checked_sub(cost) {
            Some(left) => {
                *self.left = left;
                true
            }
            None => {
                *self.left = 0;
                false
            }
        }
    }

    fn rule(
        &mut self,
        rule: &'v Compiled,
        shape: &'v Shape,
        place: &Place<'v>,
        path: &str,
    ) -> Result<(), Spent> {
        let program = match &rule.program {
            Ok(program) => program,
            Err(why) => {
                self.error(FieldError::invalid(
                    path,
                    type_value(shape),
                    format!("rule compile error: {why}"),
                ));
                return Ok(());
            }
        };
        let optional = rule.rule.optional_old_self == Some(true);
        if rule.uses_old && place.old.is_none() && !optional {
            return Ok(());
        }
        let done = evaluated(program, place, shape, optional);
        if !self.pay(done.cost) {
            self.error(FieldError::invalid(path, type_value(shape), OUT));
            return Err(Spent);
        }
        let told = name(&rule.rule);
        let fault = match done.value {
            Ok(true) => return Ok(()),
            Ok(false) => None,
            Err(fault) => Some(fault),
        };
        if let Some(fault) = fault {
            let cancelled = fault == Fault::Cancelled;
            let why = if fault.is_overload() {
                format!(
                    "'{fault}': call arguments did not match a supported operator, function or macro signature for rule: {told}"
                )
            } else if cancelled {
                format!(
                    "'{fault}': no further validation rules will be run due to call cost exceeds limit for rule: {told}"
                )
            } else {
                format!("{fault} evaluating rule: {told}")
            };
            self.error(FieldError::invalid(path, type_value(shape), why));
            return if cancelled { Err(Spent) } else { Ok(()) };
        }
        let below = match (rule.field_path.is_empty(), place.path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => rule.field_path.clone(),
            (false, false) => format!("{}.{}", place.path, rule.field_path),
        };
        let message = self.message(rule, shape, place, &below)?;
        let detail = message.unwrap_or_else(|| match rule.rule.message.trim() {
            _ if rule.rule.message.is_empty() => format!("failed rule: {told}"),
            message => message.to_owned(),
        });
        let value = value_of(shape, place.value);
        let error = match rule.rule.reason.as_str() {
            "FieldValueForbidden" => FieldError::forbidden(below, detail),
            "FieldValueRequired" => FieldError::required(below, detail),
            "FieldValueDuplicate" => FieldError::duplicate(below, value),
            _ => FieldError::invalid(below, value, detail),
        };
        self.failed(rule, place, error);
        Ok(())
    }

    /// Notes the failure of a rule, unless the value failed before and is as it was.
    fn failed(&mut self, rule: &Compiled, place: &Place<'v>, error: FieldError) {
        let same = match (&place.correlated, &place.parent) {
            (Some(own), _) => own.unchanged(),
            (None, Some(parent)) => parent.unchanged(),
            (None, None) => false,
        };
        if self.ratchets && !rule.uses_old && same {
            self.verdict.ratcheted.push(error);
        } else {
            self.verdict.errors.push(error);
        }
    }

    /// What a rule's own expression says, if it says something.
    fn message(
        &mut self,
        rule: &'v Compiled,
        shape: &'v Shape,
        place: &Place<'v>,
        below: &str,
    ) -> Result<Option<String>, Spent> {
        let Some(program) = &rule.message else {
            return Ok(None);
        };
        let bindings = bound(place, shape, rule.rule.optional_old_self == Some(true));
        let Evaluation { value, cost } = program.eval(&bindings, PER_CALL_LIMIT);
        let why = if cost > *self.left {
            Some("messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run".into())
        } else if value.as_ref().err() == Some(&Fault::Cancelled) {
            Some(format!(
                "no further validation rules will be run due to call cost exceeds limit for messageExpression: {:?}",
                rule.rule.message_expression
            ))
        } else {
            None
        };
        self.pay(cost);
        if let Some(why) = why {
            *self.left = 0;
            self.failed(
                rule,
                place,
                FieldError::new(FieldErrorKind::Invalid, below, type_value(shape), why),
            );
            return Err(Spent);
        }
        let text = value.ok();
        let text = text
            .as_ref()
            .and_then(|value| value.as_str())
            .map(str::trim);
        let fits = text
            .filter(|text| !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n'));
        Ok(fits.map(str::to_owned))
    }
}

impl<'v> Place<'v> {
    fn shown(&self) -> String {
        if self.path.is_empty() {
            "<nil>".into()
        } else {
            self.path.clone()
        }
    }

    fn below(
        &self,
        next: impl FnOnce(&Correlated<'v>) -> Option<Correlated<'v>>,
    ) -> (Option<Correlated<'v>>, Option<Correlated<'v>>) {
        match &self.correlated {
            None => (None, self.parent),
            Some(own) => (next(own), Some(*own)),
        }
    }

    fn key(&self, key: &str) -> (Option<Correlated<'v>>, Option<Correlated<'v>>) {
        // Old and new are converted to one version: that they were of others is not seen.
        if self.root && self.correlated.is_some() && matches!(key, "apiVersion" | "kind") {
            return (None, None);
        }
        self.below(|own| own.key(key))
    }
}

/// What `self` and `oldSelf` are.
fn bound<'b>(place: &Place<'b>, shape: &'b Shape, optional: bool) -> Bindings<'b> {
    let bindings = Bindings::new().json("self", place.value, shape);
    match place.old {
        _ if optional => bindings.optional("oldSelf", place.old, shape),
        Some(old) => bindings.json("oldSelf", old, shape),
        None => bindings,
    }
}

/// Whether a rule holds, and what it cost.
struct Done {
    value: Result<bool, Fault>,
    cost: u64,
}

fn evaluated<'b>(
    program: &'b Program,
    place: &Place<'b>,
    shape: &'b Shape,
    optional: bool,
) -> Done {
    let bindings = bound(place, shape, optional);
    let Evaluation { value, cost } = program.eval(&bindings, PER_CALL_LIMIT);
    Done {
        value: value.map(|value| value.as_bool() == Some(true)),
        cost,
    }
}

/// The old items of a list whose items have keys.
struct Keyed<'v> {
    keys: Vec<Box<str>>,
    items: HashMap<Vec<String>, &'v Json>,
}

impl<'v> Keyed<'v> {
    fn new(shape: &Shape, items: &'v [Json]) -> Self {
        let mut keyed = Self {
            keys: match &shape.kind {
                ShapeKind::List {
                    order: crate::kube::cel::ListOrder::Map(keys),
                    ..
                } => keys.to_vec(),
                _ => Vec::new(),
            },
            items: HashMap::new(),
        };
        for item in items {
            if let Some(key) = keyed.key(item) {
                keyed.items.entry(key).or_insert(item);
            }
        }
        keyed
    }

    fn key(&self, item: &Json) -> Option<Vec<String>> {
        super::ratchet::key(&self.keys, item)
    }

    fn find(&mut self, item: &Json) -> Option<&'v Json> {
        self.items.get(&self.key(item)?).copied()
    }
}
