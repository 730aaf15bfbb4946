//! Expressions in CEL, the Common Expression Language, with the environment of Kubernetes release 1.36.
//!
//! An expression is compiled once ([`compile`]): parsed, checked against the types of its variables, and planned. It runs
//! ([`Program::eval`]) on values that stay where they are, mostly JSON of a [`Shape`], and counts what it costs: limits are
//! in the release's units, and an expression costs here what it costs there. [`Program::estimate`] is the most that it may
//! cost. Why not a crate: `docs/decisions/0015-cel.md`.
//!
//! Language: <https://github.com/google/cel-spec>; libraries: <https://kubernetes.io/docs/reference/using-api/cel/>.

mod ast;
mod check;
mod cost;
mod declare;
mod env;
mod equal;
mod estimate;
mod eval;
mod fault;
mod fuel;
mod lib;
mod literals;
mod macros;
pub mod names;
mod parse;
mod plan;
mod print;
mod shape;
mod source;
mod time;
mod token;
mod types;
mod unescape;
mod value;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::HashSet;

use serde_json::Value as Json;

pub use env::Environment;
pub use estimate::Range;
pub use fault::Fault;
pub use lib::{Cidr, Format, Quantity, Semver, Url};
pub use shape::{FieldShape, ListOrder, ObjectShape, Shape, ShapeKind};
pub use source::Issue;
pub use time::Time;
pub use types::{Compounded, Type};
pub use value::{Key, List, Map, Text, Value};

/// What one evaluation may cost.
pub const PER_CALL_LIMIT: u64 = 1_000_000;

/// Why an expression cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// All that is wrong, as cel-go prints it: `ERROR: <input>:1:1: ...` with the line and a mark.
    #[error("{shown}")]
    Issues { issues: Vec<Issue>, shown: String },
    /// It is right by its types, but a constant in it cannot be computed.
    #[error("{0}")]
    Constant(String),
}

/// A compiled expression.
#[derive(Debug)]
pub struct Program {
    checked: check::Checked,
    node: plan::Node,
    used: HashSet<usize>,
    env: Environment,
}

/// What came of an evaluation.
#[derive(Debug, Clone)]
pub struct Evaluation<'a> {
    pub value: Result<Value<'a>, Fault>,
    pub cost: u64,
}

/// Values of variables.
#[derive(Debug, Clone, Default)]
pub struct Bindings<'a> {
    values: Vec<(&'a str, Result<Value<'a>, Fault>)>,
}

impl<'a> Bindings<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn value(mut self, name: &'a str, value: Value<'a>) -> Self {
        self.values.push((name, Ok(value)));
        self
    }

    /// JSON of a shape. If it is not, whoever uses it gets the error.
    #[must_use]
    pub fn json(mut self, name: &'a str, json: &'a Json, shape: &'a Shape) -> Self {
        self.values.push((name, shape.value(json)));
        self
    }

    /// An optional that may have JSON of a shape.
    #[must_use]
    pub fn optional(mut self, name: &'a str, json: Option<&'a Json>, shape: &'a Shape) -> Self {
        let value = match json {
            Some(json) => shape.value(json).map(Value::some),
            None => Ok(Value::NONE),
        };
        self.values.push((name, value));
        self
    }
}

/// Compiles an expression.
///
/// # Errors
/// What is wrong with it.
pub fn compile(env: &Environment, text: &str) -> Result<Program, CompileError> {
    let source = source::Source::new(text);
    let wrong = |issues: Vec<Issue>| {
        let shown = source.show(&issues);
        CompileError::Issues { issues, shown }
    };
    let parsed = parse::parse(&source).map_err(wrong)?;
    let checked = check::check(parsed, env).map_err(wrong)?;
    let issues = literals::check(&checked);
    if !issues.is_empty() {
        return Err(wrong(issues));
    }
    let (node, used) = plan::plan(&checked, env).map_err(CompileError::Constant)?;
    Ok(Program {
        checked,
        node,
        used,
        env: env.clone(),
    })
}

impl Program {
    /// The type of what it evaluates to.
    pub fn result(&self) -> &Type {
        self.checked.of(self.checked.root.id)
    }

    /// Whether it names a variable.
    pub fn uses(&self, variable: &str) -> bool {
        let found = self.env.find(variable);
        found.is_some_and(|(index, _)| self.used.contains(&index))
    }

    /// Evaluates it; it ends when it has cost more than `limit`.
    pub fn eval<'a>(&'a self, bindings: &Bindings<'a>, limit: u64) -> Evaluation<'a> {
        let mut variables = Vec::new();
        for index in &self.used {
            let value = bindings.values.iter().rev().find(|(name, _)| {
                self.env
                    .find(name)
                    .is_some_and(|(found, _)| found == *index)
            });
            if variables.len() <= *index {
                variables.resize(*index + 1, None);
            }
            if let (Some(slot), Some((_, value))) = (variables.get_mut(*index), value) {
                *slot = Some(value.clone());
            }
        }
        fuel::refill();
        let mut run = eval::Run::new(&variables, limit);
        let value = run.eval(&self.node);
        Evaluation {
            value,
            cost: run.cost,
        }
    }

    /// What it may cost, from the sizes that shapes allow.
    pub fn estimate(&self) -> Range {
        estimate::estimate(&self.checked, &self.env)
    }
}
