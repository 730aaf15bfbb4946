//! What an expression may cost at least and at most, from its text and the sizes that shapes allow.
//!
//! The release refuses definitions whose rules may cost too much by these very numbers, so they are computed as it
//! computes them, with what is odd about it: a value that comes from nowhere in a shape is taken for the shape's root.

use std::collections::HashMap;

use super::ast::{Entry, Expr, Fold, Id, Item, Kind, Literal};
use super::check::Checked;
use super::cost::{LIST, MAP, REGEX, TRAVERSAL};
use super::env::Environment;
use super::shape::{Shape, ShapeKind};
use super::types::{Compounded, Type};

mod calls;

/// The least and the most of a size or a cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub min: u64,
    pub max: u64,
}

impl Range {
    const UNKNOWN: Self = Self {
        min: 0,
        max: u64::MAX,
    };
    const ZERO: Self = Self::fixed(0);

    const fn fixed(value: u64) -> Self {
        Self {
            min: value,
            max: value,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            min: self.min.saturating_add(other.min),
            max: self.max.saturating_add(other.max),
        }
    }

    fn times(self, other: Self) -> Self {
        Self {
            min: self.min.saturating_mul(other.min),
            max: self.max.saturating_mul(other.max),
        }
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            min: scaled(self.min, factor),
            max: scaled(self.max, factor),
        }
    }

    fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates"
)]
fn scaled(value: u64, factor: f64) -> u64 {
    (value as f64 * factor).ceil() as u64
}

/// Where in a shape a value comes from.
#[derive(Debug, Clone, Copy)]
enum At<'c> {
    /// From no variable.
    Nowhere,
    /// From a variable, but from nothing that has a shape.
    Lost,
    Shape(&'c Shape),
    /// A key of a map.
    Key,
}

/// How a path goes on.
enum Next<'n> {
    Items,
    Values,
    Keys,
    Indices,
    Field(&'n str),
}

/// Sizes of what is in a list or map.
#[derive(Debug, Clone, Copy)]
struct Entries {
    list: bool,
    key: Range,
    value: Range,
}

#[derive(Debug, Clone, Copy)]
struct Local<'c> {
    at: At<'c>,
    size: Option<Range>,
    entries: Option<Entries>,
}

struct Estimator<'c> {
    checked: &'c Checked,
    env: &'c Environment,
    root: Option<&'c Shape>,
    paths: HashMap<Id, At<'c>>,
    locals: Vec<(&'c str, Local<'c>)>,
    sizes: HashMap<Id, Range>,
    entries: HashMap<Id, Entries>,
}

/// What calls know of a part.
struct Part<'c> {
    expr: &'c Expr,
    at: At<'c>,
    size: Option<Range>,
}

pub(super) fn estimate(checked: &Checked, env: &Environment) -> Range {
    let mut estimator = Estimator {
        checked,
        env,
        root: env.root(),
        paths: HashMap::new(),
        locals: Vec::new(),
        sizes: HashMap::new(),
        entries: HashMap::new(),
    };
    estimator.cost(&checked.root)
}

fn union(one: Option<Entries>, other: Option<Entries>) -> Option<Entries> {
    let (one, other) = (one?, other?);
    Some(Entries {
        list: one.list,
        key: one.key.union(other.key),
        value: one.value.union(other.value),
    })
}

impl<'c> Estimator<'c> {
    fn of(&self, expr: &Expr) -> &'c Type {
        self.checked.of(expr.id)
    }

    fn local(&self, name: &str) -> Option<Local<'c>> {
        let mut known = self.locals.iter().rev();
        known
            .find(|(known, _)| *known == name)
            .map(|(_, local)| *local)
    }

    fn path(&self, expr: &Expr) -> At<'c> {
        if let Kind::Ident(name) = &expr.kind
            && let Some(local) = self.local(name)
        {
            return local.at;
        }
        self.paths.get(&expr.id).copied().unwrap_or(At::Nowhere)
    }

    fn next(&self, at: At<'c>, next: &Next<'_>) -> At<'c> {
        let shape = match at {
            At::Nowhere => return self.root.map_or(At::Lost, At::Shape),
            At::Lost | At::Key => return At::Lost,
            At::Shape(shape) => shape,
        };
        match (next, &shape.kind) {
            (Next::Items | Next::Values, ShapeKind::List { items, .. }) => At::Shape(items),
            (Next::Items | Next::Values, ShapeKind::Map(values)) => At::Shape(values),
            (Next::Keys, ShapeKind::Map(_)) => At::Key,
            (Next::Field(name), ShapeKind::Object(object)) => match object.named(name) {
                Some(field) => At::Shape(&field.shape),
                None => At::Lost,
            },
            _ => At::Lost,
        }
    }

    fn shape_size(at: At<'_>) -> Option<Range> {
        match at {
            At::Shape(shape) => Some(Range {
                min: 0,
                max: shape.max,
            }),
            At::Key => Some(Range::ZERO),
            At::Nowhere | At::Lost => None,
        }
    }

    fn size(&mut self, expr: &Expr) -> Option<Range> {
        if let Some(known) = self.sizes.get(&expr.id) {
            return Some(*known);
        }
        let written = match &expr.kind {
            Kind::Literal(Literal::String(text)) => Some(text.chars().count()),
            Kind::Literal(Literal::Bytes(bytes)) => Some(bytes.len()),
            Kind::Literal(_) => Some(1),
            Kind::List(items) => Some(items.len()),
            Kind::Map(entries) => Some(entries.len()),
            _ => None,
        };
        if let Some(written) = written {
            return Some(Range::fixed(written as u64));
        }
        if let Some(size) = Self::shape_size(self.path(expr)) {
            self.sizes.insert(expr.id, size);
            return Some(size);
        }
        if is_scalar(self.of(expr)) {
            return Some(Range::fixed(1));
        }
        match &expr.kind {
            Kind::Ident(name) => self.local(name)?.size,
            _ => None,
        }
    }

    fn size_or_unknown(&mut self, expr: &Expr) -> Range {
        self.size(expr).unwrap_or(Range::UNKNOWN)
    }

    fn entries_of(&self, expr: &Expr) -> Option<Entries> {
        if let Some(known) = self.entries.get(&expr.id) {
            return Some(*known);
        }
        match &expr.kind {
            Kind::Ident(name) => self.local(name)?.entries,
            _ => None,
        }
    }

    fn set_size(&mut self, expr: &Expr, size: Option<Range>) {
        if let Some(size) = size {
            self.sizes.insert(expr.id, size);
        }
    }

    fn set_entries(&mut self, expr: &Expr, entries: Option<Entries>) {
        if let Some(entries) = entries {
            self.entries.insert(expr.id, entries);
        }
    }

    fn part(&mut self, expr: &'c Expr) -> Part<'c> {
        Part {
            expr,
            at: self.path(expr),
            size: self.size(expr),
        }
    }

    fn cost(&mut self, expr: &'c Expr) -> Range {
        match &expr.kind {
            Kind::Literal(_) | Kind::Broken => Range::ZERO,
            Kind::Ident(name) => {
                let at = match self.local(name) {
                    Some(local) => local.at,
                    None => match self.env.find(name.trim_start_matches('.')) {
                        Some((_, variable)) => {
                            variable.shape.as_deref().map_or(At::Lost, At::Shape)
                        }
                        // The name of a type is taken for the root as well.
                        None => self.next(At::Nowhere, &Next::Indices),
                    },
                };
                self.paths.insert(expr.id, at);
                Range::fixed(1)
            }
            Kind::Select {
                operand,
                test: true,
                ..
            } => self.cost(operand),
            Kind::Select { operand, field, .. } => {
                let cost = self.cost(operand);
                let of = self.of(operand);
                let counted = of.as_map().is_some() || matches!(of, Type::Object(_) | Type::Var(_));
                let at = self.next(self.path(operand), &Next::Field(field));
                self.paths.insert(expr.id, at);
                cost.plus(Range::fixed(u64::from(counted)))
            }
            Kind::Call {
                function,
                target,
                args,
            } => self.call(expr, function, target.as_deref(), args),
            Kind::List(items) => self.list(expr, items),
            Kind::Map(entries) => self.map(expr, entries),
            Kind::Struct { fields, .. } => {
                let costs = fields.iter().map(|field| self.cost(&field.value));
                costs.fold(Range::fixed(40), Range::plus)
            }
            Kind::Fold(fold) => self.fold(expr, fold),
        }
    }

    fn list(&mut self, expr: &Expr, items: &'c [Item]) -> Range {
        let mut cost = Range::fixed(LIST);
        let mut size = None;
        for item in items {
            cost = cost.plus(self.cost(&item.value));
            let one = self.size_or_unknown(&item.value);
            size = Some(size.map_or(one, |size: Range| size.union(one)));
        }
        let entries = Entries {
            list: true,
            key: Range::fixed(1),
            value: size.unwrap_or(Range::ZERO),
        };
        self.set_entries(expr, Some(entries));
        cost
    }

    fn map(&mut self, expr: &Expr, entries: &'c [Entry]) -> Range {
        let mut cost = Range::fixed(MAP);
        let mut sizes: Option<(Range, Range)> = None;
        for entry in entries {
            cost = cost
                .plus(self.cost(&entry.key))
                .plus(self.cost(&entry.value));
            let (key, value) = (
                self.size_or_unknown(&entry.key),
                self.size_or_unknown(&entry.value),
            );
            sizes = Some(sizes.map_or((key, value), |(keys, values)| {
                (keys.union(key), values.union(value))
            }));
        }
        let (key, value) = sizes.unwrap_or((Range::ZERO, Range::ZERO));
        let entries = Entries {
            list: false,
            key,
            value,
        };
        self.set_entries(expr, Some(entries));
        cost
    }

    fn bind(&mut self, name: &'c str, at: At<'c>, size: Option<Range>, entries: Option<Entries>) {
        self.locals.push((name, Local { at, size, entries }));
    }

    fn bind_value(&mut self, name: &'c str, value: &Expr) {
        let (at, entries) = (self.path(value), self.entries_of(value));
        let size = self.size(value);
        self.bind(name, at, size, entries);
    }

    /// The variables that go through a range.
    fn bind_vars(&mut self, fold: &'c Fold) {
        let entries = self.entries_of(&fold.range);
        let list = match entries {
            Some(entries) => entries.list,
            None => self.of(&fold.range).as_list().is_some(),
        };
        let at = self.path(&fold.range);
        let key = entries.map(|entries| entries.key);
        let value = entries.map(|entries| entries.value);
        match &fold.var2 {
            Some(second) => {
                let (keys, values) = if list {
                    (Next::Indices, Next::Items)
                } else {
                    (Next::Keys, Next::Values)
                };
                let (keys, values) = (self.next(at, &keys), self.next(at, &values));
                self.bind(&fold.var, keys, key, None);
                self.bind(second, values, value, None);
            }
            None if list => {
                let items = self.next(at, &Next::Items);
                self.bind(&fold.var, items, value, None);
            }
            None => {
                let keys = self.next(at, &Next::Keys);
                self.bind(&fold.var, keys, key, None);
            }
        }
    }

    fn fold(&mut self, expr: &Expr, fold: &'c Fold) -> Range {
        let depth = self.locals.len();
        let mut cost = self.cost(&fold.range).plus(self.cost(&fold.init));
        self.bind_value(&fold.accu, &fold.init);
        let nothing = matches!(&fold.range.kind, Kind::List(items) if items.is_empty());
        if nothing && fold.cond.kind == Kind::Literal(Literal::Bool(false)) {
            cost = cost.plus(self.cost(&fold.result));
            self.locals.truncate(depth);
            let size = self.size(&fold.result);
            self.set_size(expr, size);
            self.set_entries(expr, self.entries_of(&fold.result));
            return cost;
        }
        self.bind_vars(fold);
        let round = self.cost(&fold.cond).plus(self.cost(&fold.step));
        self.locals.truncate(depth + 1);
        cost = cost.plus(self.cost(&fold.result));
        self.locals.truncate(depth);
        let rounds = self.size_or_unknown(&fold.range);
        match &fold.init.kind {
            Kind::Literal(_) => {
                let size = self.size(&fold.init);
                self.set_size(expr, size);
            }
            Kind::List(_) | Kind::Map(_) => {
                self.set_size(expr, Some(rounds));
                self.set_entries(expr, self.entries_of(&fold.step));
            }
            _ => {}
        }
        cost.plus(rounds.times(round))
    }
}

fn is_scalar(of: &Type) -> bool {
    match of {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => {
            true
        }
        Type::Of(compound) if compound.kind == Compounded::Optional => {
            of.as_optional().is_some_and(is_scalar)
        }
        _ => false,
    }
}
