//! Finds the type of every node, and says what does not fit.

use std::collections::HashMap;

use super::ast::{Entry, Expr, Field, Fold, Id, Item, Kind, Literal, op};
use super::declare::{FUNCTIONS, Overload, type_named};
use super::env::Environment;
use super::parse::{Nodes, Parsed};
use super::source::Issue;
use super::types::{Known, MAX_SIZE, Type};

/// What is known of a tree beyond its text.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) root: Expr,
    pub(super) nodes: Nodes,
    types: Vec<Option<Type>>,
    /// Overloads that a call may be.
    overloads: HashMap<Id, Vec<&'static str>>,
    /// Names of types.
    pub(super) named: HashMap<Id, Type>,
}

impl Checked {
    pub(super) fn of(&self, id: Id) -> &Type {
        let found = self.types.get(id as usize);
        found.and_then(Option::as_ref).unwrap_or(&Type::Dyn)
    }

    pub(super) fn overloads(&self, id: Id) -> &[&'static str] {
        self.overloads.get(&id).map_or(&[], Vec::as_slice)
    }
}

struct Checker<'e> {
    env: &'e Environment,
    nodes: Nodes,
    known: Known,
    types: Vec<Option<Type>>,
    overloads: HashMap<Id, Vec<&'static str>>,
    named: HashMap<Id, Type>,
    /// Variables of the folds around, the innermost last.
    scopes: Vec<(String, Type)>,
    issues: Vec<Issue>,
    /// The parts of the `&&` or `||` at hand.
    logic_args: Vec<Id>,
}

/// # Errors
/// What does not fit, in cel-go's words.
pub(super) fn check(parsed: Parsed, env: &Environment) -> Result<Checked, Vec<Issue>> {
    let Parsed { mut root, nodes } = parsed;
    let mut checker = Checker {
        env,
        types: vec![None; nodes.len()],
        nodes,
        known: Known::default(),
        overloads: HashMap::new(),
        named: HashMap::new(),
        scopes: Vec::new(),
        issues: Vec::new(),
        logic_args: Vec::new(),
    };
    checker.check(&mut root);
    if checker.known.too_large {
        checker.issues = vec![Issue {
            offset: None,
            message: "Internal error: types too large".into(),
        }];
    }
    if !checker.issues.is_empty() {
        return Err(checker.issues);
    }
    let known = checker.known;
    let types = checker.types.into_iter();
    Ok(Checked {
        root,
        nodes: checker.nodes,
        types: types
            .map(|found| found.map(|of| known.resolve(&of, true)))
            .collect(),
        overloads: checker.overloads,
        named: checker.named,
    })
}

impl Checker<'_> {
    fn issue(&mut self, id: Id, message: String) {
        self.issues.push(Issue {
            offset: Some(self.nodes.offset(id)),
            message,
        });
    }

    fn undeclared(&mut self, id: Id, name: &str) -> Type {
        self.issue(
            id,
            format!("undeclared reference to '{name}' (in container '')"),
        );
        Type::Error
    }

    fn mismatch(&mut self, id: Id, wanted: &Type, found: &Type) {
        self.issue(id, format!("expected type '{wanted}' but found '{found}'"));
    }

    fn resolved(&self, of: &Type) -> Type {
        self.known.resolve(of, false)
    }

    /// The type of a node, as far as it is known yet.
    fn check(&mut self, expr: &mut Expr) -> Type {
        let id = expr.id;
        let of = match &mut expr.kind {
            Kind::Literal(literal) => of_literal(literal),
            Kind::Ident(name) => {
                let name = name.clone();
                self.ident(id, &name)
                    .unwrap_or_else(|| self.undeclared(id, &name))
            }
            Kind::Select {
                operand,
                field,
                test,
            } => {
                let test = *test;
                match self.qualified(id, operand, field, test) {
                    Some((name, of)) => {
                        expr.kind = Kind::Ident(name);
                        of
                    }
                    None => {
                        let of = self.selected(id, operand, field, false);
                        if test { Type::Bool } else { self.resolved(&of) }
                    }
                }
            }
            Kind::Call { .. } => self.call(expr),
            Kind::List(items) => self.list(items),
            Kind::Map(entries) => self.map(entries),
            Kind::Struct { name, fields } => {
                let name = name.clone();
                self.message(id, &name, fields)
            }
            Kind::Fold(fold) => self.fold(fold),
            Kind::Broken => Type::Error,
        };
        self.known.too_large |= of.size() > MAX_SIZE;
        if let Some(slot) = self.types.get_mut(id as usize) {
            *slot = Some(of.clone());
        }
        of
    }

    /// The type of a variable or of the name of a type.
    fn ident(&mut self, id: Id, name: &str) -> Option<Type> {
        let plain = name.strip_prefix('.').unwrap_or(name);
        if name == plain
            && let Some((_, of)) = self.scopes.iter().rev().find(|(known, _)| known == plain)
        {
            return Some(of.clone());
        }
        if let Some((_, variable)) = self.env.find(plain) {
            return Some(variable.of.clone());
        }
        let of = type_named(plain)?;
        self.named.insert(id, of.clone());
        Some(Type::type_of(of))
    }

    /// A chain of names that together name something.
    fn qualified(
        &mut self,
        id: Id,
        operand: &Expr,
        field: &str,
        test: bool,
    ) -> Option<(String, Type)> {
        if test {
            return None;
        }
        let name = format!("{}.{field}", operand.qualified()?);
        let first = name.trim_start_matches('.').split('.').next()?;
        if self.scopes.iter().any(|(known, _)| known == first) {
            return None;
        }
        let of = self.ident(id, &name)?;
        Some((name, of))
    }

    fn selected(&mut self, id: Id, operand: &mut Expr, field: &str, optional: bool) -> Type {
        let found = self.check(operand);
        let found = self.resolved(&found);
        let (target, was_optional) = match found.as_optional() {
            Some(inner) => (inner.clone(), true),
            None => (found, false),
        };
        let result = match &target {
            Type::Object(name) => match self.env.object(name).map(|object| object.named(field)) {
                Some(Some(found)) => found.shape.of(),
                _ => {
                    self.issue(id, format!("undefined field '{field}'"));
                    Type::Error
                }
            },
            Type::Var(_) => {
                self.known.assignable(&Type::Dyn, &target);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            other => match other.as_map() {
                Some((_, value)) => value.clone(),
                None => {
                    self.issue(
                        id,
                        format!("type '{target}' does not support field selection"),
                    );
                    Type::Dyn
                }
            },
        };
        if was_optional || optional {
            Type::optional(result)
        } else {
            result
        }
    }

    fn call(&mut self, expr: &mut Expr) -> Type {
        let id = expr.id;
        let Kind::Call {
            function,
            target,
            args,
        } = &mut expr.kind
        else {
            return Type::Error;
        };
        if function == op::OPT_SELECT
            && let [operand, name] = args.as_mut_slice()
        {
            let Kind::Literal(Literal::String(field)) = &name.kind else {
                return Type::Error;
            };
            let field = field.clone();
            let of = self.selected(id, operand, &field, true);
            self.overloads.insert(id, vec!["select_optional_field"]);
            return self.resolved(&of);
        }
        let mut types: Vec<Type> = args.iter_mut().map(|arg| self.check(arg)).collect();
        if matches!(function.as_str(), op::AND | op::OR) {
            self.logic_args = args.iter().map(|arg| arg.id).collect();
        }
        let Some(receiver) = target else {
            let name = function.strip_prefix('.').unwrap_or(function).to_owned();
            let Some((name, overloads)) = FUNCTIONS.get_key_value(name.as_str()) else {
                return self.undeclared(id, &name);
            };
            *function = (*name).to_owned();
            return self.overload(id, name, overloads, &types, false);
        };
        // `a.b.c()` may be the function `a.b.c`.
        if let Some(prefix) = receiver.qualified() {
            let name = format!("{}.{function}", prefix.trim_start_matches('.'));
            if let Some((name, overloads)) = FUNCTIONS.get_key_value(name.as_str()) {
                *function = (*name).to_owned();
                *target = None;
                return self.overload(id, name, overloads, &types, false);
            }
        }
        let of = self.check(receiver);
        let Some((name, overloads)) = FUNCTIONS.get_key_value(function.as_str()) else {
            let name = function.clone();
            return self.undeclared(id, &name);
        };
        types.insert(0, of);
        self.overload(id, name, overloads, &types, true)
    }

    fn overload(
        &mut self,
        id: Id,
        name: &str,
        overloads: &'static [Overload],
        args: &[Type],
        method: bool,
    ) -> Type {
        let mut result: Option<Type> = None;
        let mut matching = Vec::new();
        if matches!(name, op::AND | op::OR) {
            return self.logic(id, name, args);
        }
        for overload in overloads {
            if overload.method != method || overload.args.len() != args.len() {
                continue;
            }
            let first = self.known.fresh_run(overload.params);
            let own = |of: &Type| of.replace(&|at| Some(Type::Var(first + at)));
            let wanted: Vec<Type> = overload.args.iter().map(own).collect();
            let pairs: Vec<(&Type, &Type)> = args.iter().zip(&wanted).collect();
            if !self.known.all_assignable(&pairs) {
                continue;
            }
            matching.push(overload.id);
            let of = self.resolved(&own(&overload.result));
            result = Some(match result {
                None => of,
                Some(known) if known.is_dyn() || known == of => known,
                Some(_) => Type::Dyn,
            });
        }
        let Some(result) = result else {
            let mut shown: Vec<String> = args
                .iter()
                .map(|arg| self.known.resolve(arg, true).to_string())
                .collect();
            let target = if method && !shown.is_empty() {
                format!("{}.", shown.remove(0))
            } else {
                String::new()
            };
            let signature = format!("{target}({})", shown.join(", "));
            self.issue(
                id,
                format!("found no matching overload for '{name}' applied to '{signature}'"),
            );
            return Type::Error;
        };
        self.overloads.insert(id, matching);
        result
    }

    /// `&&` and `||` say of each part that is no bool where it is.
    fn logic(&mut self, id: Id, name: &str, args: &[Type]) -> Type {
        let mut of = Type::Bool;
        let places = std::mem::take(&mut self.logic_args);
        for (arg, place) in args.iter().zip(places) {
            if !self.known.assignable(arg, &Type::Bool) {
                self.mismatch(place, &Type::Bool, arg);
                of = Type::Error;
            }
        }
        if of == Type::Bool {
            let overload = if name == op::AND {
                "logical_and"
            } else {
                "logical_or"
            };
            self.overloads.insert(id, vec![overload]);
        }
        of
    }

    /// The type of a value, and of what is in it if it is said to be optional.
    fn entry(&mut self, value: &mut Expr, optional: bool) -> Type {
        let of = self.check(value);
        if !optional {
            return of;
        }
        match of.as_optional() {
            Some(inner) => inner.clone(),
            None => {
                if !of.is_dyn() {
                    self.mismatch(value.id, &Type::optional(of.clone()), &of);
                }
                of
            }
        }
    }

    fn join(&mut self, before: Option<Type>, of: Type) -> Type {
        let Some(before) = before else {
            return of;
        };
        if self.known.assignable(&before, &of) {
            return Known::general(&before, &of);
        }
        // Mixed items are for the check of literals to refuse: formats may have them.
        Type::Dyn
    }

    fn list(&mut self, items: &mut [Item]) -> Type {
        let mut of = None;
        for item in items {
            let found = self.entry(&mut item.value, item.optional);
            of = Some(self.join(of, found));
        }
        let of = of.unwrap_or_else(|| self.known.fresh());
        Type::list(of)
    }

    fn map(&mut self, entries: &mut [Entry]) -> Type {
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            let key = self.check(&mut entry.key);
            keys = Some(self.join(keys, key));
            let value = self.entry(&mut entry.value, entry.optional);
            values = Some(self.join(values, value));
        }
        let keys = keys.unwrap_or_else(|| self.known.fresh());
        let values = values.unwrap_or_else(|| self.known.fresh());
        Type::map(keys, values)
    }

    /// No type can be made by naming its fields.
    fn message(&mut self, id: Id, name: &str, fields: &mut [Field]) -> Type {
        let plain = name.strip_prefix('.').unwrap_or(name);
        let known = type_named(plain).is_some() || self.env.object(plain).is_some();
        if self.env.find(plain).is_some() {
            self.issue(id, format!("'{plain}' is not a type"));
        } else if known {
            self.issue(id, format!("'{plain}' is not a message type"));
        } else {
            return self.undeclared(id, plain);
        }
        for field in fields {
            self.check(&mut field.value);
            self.issue(field.id, format!("undefined field '{}'", field.name));
        }
        Type::Error
    }

    fn fold(&mut self, fold: &mut Fold) -> Type {
        let range = self.check(&mut fold.range);
        let accu = self.check(&mut fold.init);
        let range = self.resolved(&range);
        let depth = self.scopes.len();
        self.scopes.push((fold.accu.clone(), accu.clone()));
        let two = fold.var2.is_some();
        let (first, second) = if let Some(item) = range.as_list() {
            let item = item.clone();
            if two {
                (Type::Int, item)
            } else {
                (item, Type::Error)
            }
        } else if let Some((key, value)) = range.as_map() {
            (key.clone(), value.clone())
        } else if matches!(range, Type::Dyn | Type::Error | Type::Var(_)) {
            self.known.assignable(&Type::Dyn, &range);
            (Type::Dyn, Type::Dyn)
        } else {
            let message = format!(
                "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
            );
            self.issue(fold.range.id, message);
            (Type::Error, Type::Error)
        };
        self.scopes.push((fold.var.clone(), first));
        if let Some(name) = &fold.var2 {
            self.scopes.push((name.clone(), second));
        }
        let cond = self.check(&mut fold.cond);
        self.assert(fold.cond.id, &Type::Bool, &cond);
        let step = self.check(&mut fold.step);
        self.assert(fold.step.id, &accu, &step);
        self.scopes.truncate(depth + 1);
        let result = self.check(&mut fold.result);
        self.scopes.truncate(depth);
        self.resolved(&result)
    }

    fn assert(&mut self, id: Id, wanted: &Type, found: &Type) {
        if !self.known.assignable(wanted, found) {
            self.mismatch(id, wanted, found);
        }
    }
}

fn of_literal(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}
