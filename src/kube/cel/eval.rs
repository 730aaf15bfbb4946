//! Runs what was planned, and counts what it costs.

use super::cost::{self, Made};
use super::equal::equal;
use super::fault::Fault;
use super::lib::Answer;
use super::plan::{Attr, By, Call, Folded, Node, Root, Step};
use super::value::{Key, List, Map, Value};

use std::sync::Arc;

use indexmap::IndexMap;

/// A variable of a fold.
#[derive(Debug, Clone, Default)]
enum Slot<'a> {
    #[default]
    Empty,
    /// Not computed before it is used.
    Lazy(&'a Node),
    Set(Result<Value<'a>, Fault>),
}

/// One evaluation.
pub(super) struct Run<'a, 'b> {
    variables: &'b [Option<Result<Value<'a>, Fault>>],
    slots: Vec<Slot<'a>>,
    pub(super) cost: u64,
    limit: u64,
}

impl<'a, 'b> Run<'a, 'b> {
    pub(super) fn new(variables: &'b [Option<Result<Value<'a>, Fault>>], limit: u64) -> Self {
        Self {
            variables,
            slots: Vec::new(),
            cost: 0,
            limit,
        }
    }
}

/// The value of a node without variables.
pub(super) fn constant(node: &Node) -> Option<Value<'static>> {
    // Constants share what they have, and borrow nothing.
    match node {
        Node::Const(value) => Some(value.clone()),
        Node::List(items) => {
            let items = items.iter().map(|(item, _)| constant(item));
            items.collect::<Option<Vec<_>>>().map(Value::list)
        }
        Node::Map(entries) => {
            let mut found = IndexMap::new();
            for (key, value, _) in entries {
                let (key, value) = (constant(key)?, constant(value)?);
                found.insert(Key::of(&key)?, (key, value));
            }
            Some(Value::Map(Map::Made(Arc::new(found))))
        }
        _ => None,
    }
}

/// Everything but `false` lets a fold go on, an error too.
pub(super) fn not_strictly_false<'a>(args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Bool(!matches!(args, [Value::Bool(false)])))
}

/// What `&&` and `||` make of their parts.
fn logic<'a>(one: Answer<'a>, other: Option<Answer<'a>>) -> Answer<'a> {
    let part = |answer: Answer<'a>| match answer {
        Ok(Value::Bool(yes)) => Ok(Value::Bool(yes)),
        Ok(_) => Err(Fault::overload()),
        Err(fault) => Err(fault),
    };
    match (part(one), other.map(part)) {
        (Err(fault), _) => Err(fault),
        (Ok(_), Some(other)) => other,
        (one, None) => one,
    }
}

impl<'a> Run<'a, '_> {
    fn charge(&mut self, cost: u64) -> Result<(), Fault> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > self.limit {
            return Err(Fault::Cancelled);
        }
        Ok(())
    }

    pub(super) fn eval(&mut self, node: &'a Node) -> Answer<'a> {
        match node {
            Node::Const(value) => Ok(value.clone()),
            Node::Attr(attr) => self.attr(attr),
            Node::Has(attr) => {
                let found = self.resolve(attr);
                self.uncancelled(&found)?;
                match found? {
                    Value::Optional(value) => Ok(Value::Bool(value.is_some())),
                    other => Ok(other),
                }
            }
            Node::And(parts) => self.short(parts, false),
            Node::Or(parts) => self.short(parts, true),
            Node::Equal { args, not } => self.equal(args, *not),
            Node::Call(call) => self.call(call),
            Node::OneOf(item, keys) => {
                let item = self.eval(item)?;
                let found = Key::of(&item).is_some_and(|key| keys.contains(&key));
                Ok(Value::Bool(found))
            }
            Node::OptionalOr(parts) => match self.optional(parts)? {
                (Some(Value::Optional(Some(value))), _) => Ok(Value::Optional(Some(value))),
                (Some(other), _) => Ok(other),
                (None, other) => self.eval(other),
            },
            Node::OptionalOrValue(parts) => match self.optional(parts)? {
                (Some(Value::Optional(Some(value))), _) => Ok((*value).clone()),
                (Some(other), _) => Ok(other),
                (None, other) => self.eval(other),
            },
            Node::List(items) => {
                let made = self.list(items);
                self.uncancelled(&made)?;
                self.charge(cost::LIST)?;
                made
            }
            Node::Map(entries) => {
                let made = self.map(entries);
                self.uncancelled(&made)?;
                self.charge(cost::MAP)?;
                made
            }
            Node::Fold(fold) => self.fold(fold),
            Node::Append { slot, item, made } => self.append(*slot, item, *made),
            Node::Insert { slot, key, value } => self.insert(*slot, key, value),
        }
    }

    /// Passes a cancellation on; other errors are looked at later.
    fn uncancelled(&self, answer: &Answer<'a>) -> Result<(), Fault> {
        match answer {
            Err(Fault::Cancelled) => Err(Fault::Cancelled),
            _ => Ok(()),
        }
    }

    fn attr(&mut self, attr: &'a Attr) -> Answer<'a> {
        let found = self.resolve(attr);
        self.uncancelled(&found)?;
        if !matches!(attr.root, Root::Choice(_)) {
            self.charge(1)?;
        }
        found
    }

    /// The value of a chain, without the cost of the chain itself.
    fn resolve(&mut self, attr: &'a Attr) -> Answer<'a> {
        let root = match &attr.root {
            Root::Variable(index) => match self.variables.get(*index) {
                Some(Some(value)) => value.clone()?,
                _ => return Err(Fault::new("no such attribute(s)")),
            },
            Root::Slot(slot) => self.slot(*slot)?,
            Root::Value(node) => self.eval(node)?,
            Root::Choice(choice) => {
                let (cond, yes, no) = &**choice;
                match self.eval(cond)? {
                    Value::Bool(true) => self.resolve(yes)?,
                    Value::Bool(false) => self.resolve(no)?,
                    _ => return Err(Fault::overload()),
                }
            }
        };
        if attr.steps.is_empty() {
            return Ok(root);
        }
        let (mut at, mut optional) = match root {
            Value::Optional(None) => return Ok(Value::NONE),
            Value::Optional(Some(value)) => ((*value).clone(), true),
            other => (other, false),
        };
        for step in &attr.steps {
            optional |= step.optional;
            match self.step(&at, step, optional)? {
                Some(next) => at = next,
                None => return Ok(Value::NONE),
            }
        }
        Ok(if optional { Value::some(at) } else { at })
    }

    /// One step of a chain; None if an optional one leads nowhere.
    fn step(
        &mut self,
        at: &Value<'a>,
        step: &'a Step,
        optional: bool,
    ) -> Result<Option<Value<'a>>, Fault> {
        let key = match &step.by {
            By::Const(value) => Ok(value.clone()),
            By::Attr(attr) => self.resolve(attr),
        };
        self.uncancelled(&key)?;
        let found = key.and_then(|key| chosen(at, &key, optional || step.test));
        if optional {
            return match found? {
                Some(found) => {
                    self.charge(1)?;
                    Ok(Some(found))
                }
                None => Ok(None),
            };
        }
        self.charge(1)?;
        match found? {
            found if step.test => Ok(Some(Value::Bool(found.is_some()))),
            Some(found) => Ok(Some(found)),
            None => Err(Fault::overload()),
        }
    }

    fn slot(&mut self, slot: usize) -> Answer<'a> {
        let lazy = match self.slots.get(slot) {
            Some(Slot::Set(value)) => return value.clone(),
            Some(Slot::Lazy(node)) => *node,
            _ => return Err(Fault::new("no such attribute(s)")),
        };
        let value = self.eval(lazy);
        self.uncancelled(&value)?;
        self.set(slot, value.clone());
        value
    }

    fn set(&mut self, slot: usize, value: Answer<'a>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Slot::Set(value);
        }
    }

    /// `&&` and `||`: `decides` alone decides, and then no error counts.
    fn short(&mut self, parts: &'a [Node; 2], decides: bool) -> Answer<'a> {
        let [one, other] = parts;
        let decided =
            |answer: &Answer<'a>| matches!(answer, Ok(Value::Bool(yes)) if *yes == decides);
        let one = self.eval(one);
        self.uncancelled(&one)?;
        if decided(&one) {
            return one;
        }
        let other = self.eval(other);
        self.uncancelled(&other)?;
        if decided(&other) {
            return other;
        }
        logic(one, Some(other))
    }

    fn equal(&mut self, args: &'a [Node; 2], not: bool) -> Answer<'a> {
        let [one, other] = args;
        let one = self.eval(one);
        self.uncancelled(&one)?;
        let other = self.eval(other);
        self.uncancelled(&other)?;
        let args = [one, other];
        let result = match &args {
            [Ok(one), Ok(other)] => match equal(one, other) {
                Ok(same) => Ok(Value::Bool(same != not)),
                Err(_) if not => Ok(Value::Bool(true)),
                Err(fault) => Err(fault),
            },
            [Err(fault), _] | [_, Err(fault)] => Err(fault.clone()),
        };
        let made = Made {
            function: if not { "_!=_" } else { "_==_" },
            overload: Some(if not { "not_equals" } else { "equals" }),
            args: &args,
            result: &result,
        };
        let cost = made.cost();
        self.charge(cost)?;
        result
    }

    fn call(&mut self, call: &'a Call) -> Answer<'a> {
        let mut args = Vec::with_capacity(call.args.len());
        for (at, node) in call.args.iter().enumerate() {
            let arg = self.eval(node);
            self.uncancelled(&arg)?;
            // The rest is left alone, and the call costs nothing.
            if call.lazy && at + 1 < call.args.len() {
                args.push(Ok(arg?));
            } else {
                args.push(arg);
            }
        }
        let absorbs = call.function == super::ast::op::NOT_STRICTLY_FALSE;
        let fault = args.iter().find_map(|arg| arg.as_ref().err());
        let result = match fault {
            Some(_) if absorbs => Ok(Value::Bool(true)),
            Some(fault) => Err(fault.clone()),
            None => {
                let values: Vec<Value<'a>> = args.iter().flatten().cloned().collect();
                (call.run)(&values).map_err(|fault| named(fault, &call.function, &values))
            }
        };
        self.uncancelled(&result)?;
        let made = Made {
            function: &call.function,
            overload: call.overload,
            args: &args,
            result: &result,
        };
        let cost = made.cost();
        self.charge(cost)?;
        result
    }

    /// The first part's value, or the second part if it is an optional without one.
    fn optional(&mut self, parts: &'a [Node; 2]) -> Result<(Option<Value<'a>>, &'a Node), Fault> {
        let [one, other] = parts;
        Ok(match self.eval(one)? {
            Value::Optional(None) => (None, other),
            value => (Some(value), other),
        })
    }

    fn list(&mut self, items: &'a [(Node, bool)]) -> Answer<'a> {
        let mut made = Vec::with_capacity(items.len());
        for (item, optional) in items {
            let value = self.eval(item)?;
            match (value, optional) {
                (Value::Optional(None), true) => {}
                (Value::Optional(Some(value)), true) => made.push((*value).clone()),
                (value, true) => {
                    let shown = value.shown();
                    let message = format!(
                        "cannot initialize optional list element from non-optional value {shown}"
                    );
                    return Err(Fault::new(message));
                }
                (value, false) => made.push(value),
            }
        }
        Ok(Value::list(made))
    }

    fn map(&mut self, entries: &'a [(Node, Node, bool)]) -> Answer<'a> {
        let mut made = IndexMap::with_capacity(entries.len());
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            let value = self.eval(value)?;
            let Some(name) = Key::of(&key) else {
                return Err(Fault::new("unsupported key type"));
            };
            let value = match (value, optional) {
                (Value::Optional(None), true) => {
                    made.shift_remove(&name);
                    continue;
                }
                (Value::Optional(Some(value)), true) => (*value).clone(),
                (value, true) => {
                    let message = format!(
                        "cannot initialize optional entry '{}' from non-optional value {}",
                        key.shown(),
                        value.shown()
                    );
                    return Err(Fault::new(message));
                }
                (value, false) => value,
            };
            made.insert(name, (key, value));
        }
        Ok(Value::Map(Map::Made(Arc::new(made))))
    }

    fn append(&mut self, slot: usize, item: &'a Node, made: bool) -> Answer<'a> {
        // Computed where it is, so that the list in its place is the only one.
        let before = self.slot(slot);
        self.uncancelled(&before)?;
        drop(before);
        self.charge(1)?;
        let item = self.eval(item);
        self.uncancelled(&item)?;
        self.charge(if made { cost::LIST } else { 0 })?;
        self.charge(1)?;
        let place = self.slots.get_mut(slot).map(std::mem::take);
        match (place, item) {
            (Some(Slot::Set(Err(fault))), _) | (_, Err(fault)) => Err(fault),
            (Some(Slot::Set(Ok(Value::List(mut list)))), Ok(item)) => {
                list.push(item);
                Ok(Value::List(list))
            }
            _ => Err(Fault::overload()),
        }
    }

    fn insert(&mut self, slot: usize, key: &'a Node, value: &'a Node) -> Answer<'a> {
        let before = self.slot(slot);
        self.uncancelled(&before)?;
        self.charge(1)?;
        before.map(drop)?;
        let key = self.eval(key)?;
        let value = self.eval(value);
        self.uncancelled(&value)?;
        self.charge(1)?;
        let value = value?;
        match self.slots.get_mut(slot).map(std::mem::take) {
            Some(Slot::Set(Ok(Value::Map(mut map)))) => {
                if !map.insert(&key, value)? {
                    return Err(Fault::new(format!(
                        "insert failed: key {} already exists",
                        key.shown()
                    )));
                }
                Ok(Value::Map(map))
            }
            _ => Err(Fault::overload()),
        }
    }

    fn fold(&mut self, fold: &'a Folded) -> Answer<'a> {
        let range = self.eval(&fold.range)?;
        let size = fold.var2.unwrap_or(fold.var) + 1;
        self.slots.resize(size.max(self.slots.len()), Slot::Empty);
        if let Some(slot) = self.slots.get_mut(fold.accu) {
            *slot = Slot::Lazy(&fold.init);
        }
        let result = match range {
            Value::List(list) => self.fold_list(fold, &list),
            Value::Map(map) => self.fold_map(fold, &map),
            other => {
                let of = other.go_type();
                Err(Fault::new(match fold.var2 {
                    None => format!("got '{of}', expected iterable type"),
                    Some(_) => format!("unsupported comprehension range type: {of}"),
                }))
            }
        };
        result?;
        self.eval(&fold.result)
    }

    fn fold_list(&mut self, fold: &'a Folded, list: &List<'a>) -> Result<(), Fault> {
        for at in 0..list.len() {
            let Some(item) = list.get(at) else {
                break;
            };
            let go_on = match fold.var2 {
                Some(second) => {
                    let index = Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                    self.once(fold, Ok(index), Some((second, item)))?
                }
                None => self.once(fold, item, None)?,
            };
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    fn fold_map(&mut self, fold: &'a Folded, map: &Map<'a>) -> Result<(), Fault> {
        for key in map.keys() {
            let second = fold.var2.map(|second| {
                let value = map.find(&key);
                (
                    second,
                    value.and_then(|value| value.ok_or_else(|| Fault::key(&key))),
                )
            });
            if !self.once(fold, Ok(key), second)? {
                break;
            }
        }
        Ok(())
    }

    /// One round; false if it was not to be.
    fn once(
        &mut self,
        fold: &'a Folded,
        first: Answer<'a>,
        second: Option<(usize, Answer<'a>)>,
    ) -> Result<bool, Fault> {
        self.set(fold.var, first);
        if let Some((slot, value)) = second {
            self.set(slot, value);
        }
        let cond = self.eval(&fold.cond);
        self.uncancelled(&cond)?;
        if matches!(cond, Ok(Value::Bool(false))) {
            return Ok(false);
        }
        let step = self.eval(&fold.step);
        self.uncancelled(&step)?;
        self.set(fold.accu, step);
        Ok(true)
    }
}

/// Functions of libraries say what they were called on where they have no overload for it; the language's own do not.
pub(super) fn named(fault: Fault, function: &str, args: &[Value<'_>]) -> Fault {
    if fault != Fault::overload() {
        return fault;
    }
    match function {
        "matches" | "contains" | "startsWith" | "endsWith" | "containsIP" => fault,
        "sum" if matches!(args, [Value::List(_)]) => fault,
        "size" => Fault::new("no such overload: size"),
        // Operators are named if the first value knows none of their kind.
        name if is_operator(name) => match args.first() {
            Some(first) if !first.knows(name) => Fault::new(format!("no such overload: {name}")),
            _ => fault,
        },
        name => Fault::overload_of(name, args),
    }
}

pub(super) fn is_operator(function: &str) -> bool {
    function.starts_with(['_', '@', '!', '-'])
}

/// What a field, key or index leads to. None if there is nothing, where that may be.
fn chosen<'a>(at: &Value<'a>, key: &Value<'a>, lenient: bool) -> Result<Option<Value<'a>>, Fault> {
    match at {
        Value::Map(map) => match map.find(key)? {
            None if !lenient => Err(Fault::key(key)),
            found => Ok(found),
        },
        Value::List(list) => {
            let index = index(key)?;
            let item = usize::try_from(index)
                .ok()
                .and_then(|index| list.get(index));
            match item {
                Some(item) => item.map(Some),
                None if lenient => Ok(None),
                None => Err(Fault::index(key)),
            }
        }
        _ if lenient => Ok(None),
        _ => Err(Fault::key(key)),
    }
}

fn index(key: &Value<'_>) -> Result<i64, Fault> {
    let unsupported = || Fault::new(format!("unsupported index value {} in list", key.shown()));
    match key {
        Value::Int(int) => Ok(*int),
        Value::Uint(uint) => i64::try_from(*uint).map_err(|_| unsupported()),
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        Value::Double(double) if double.fract() == 0.0 && double.abs() < 9e18 => Ok(*double as i64),
        Value::Double(_) => Err(unsupported()),
        other => Err(Fault::new(format!(
            "unsupported index type '{}' in list",
            other.type_name()
        ))),
    }
}
