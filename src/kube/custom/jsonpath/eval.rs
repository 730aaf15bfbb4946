//! Following paths.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::{Node, Slice};

/// Values that a path may come by before it is given up: a path of many `..` finds the same again and again.
const LIMIT: usize = 100_000;

type Found<'v> = Vec<Cow<'v, Value>>;

pub(super) fn find<'v>(nodes: &[Node], value: &'v Value) -> Result<Vec<Found<'v>>, String> {
    let mut eval = Eval { left: LIMIT };
    let roots = nodes.iter();
    roots
        .map(|node| eval.step(vec![Cow::Borrowed(value)], node))
        .collect()
}

struct Eval {
    left: usize,
}

impl Eval {
    fn steps<'v>(&mut self, values: Found<'v>, steps: &[Node]) -> Result<Found<'v>, String> {
        steps
            .iter()
            .try_fold(values, |values, step| self.step(values, step))
    }

    fn step<'v>(&mut self, values: Found<'v>, step: &Node) -> Result<Found<'v>, String> {
        let spent = self.left.checked_sub(values.len());
        self.left = spent.ok_or("too many values")?;
        let each = |value: Value| Ok(values.iter().map(|_| Cow::Owned(value.clone())).collect());
        match step {
            Node::Steps(steps) => self.steps(values, steps),
            Node::Text(text) => Ok(vec![Cow::Owned(text.as_str().into())]),
            Node::Int(number) => each((*number).into()),
            Node::Float(number) => each((*number).into()),
            Node::Bool(yes) => each((*yes).into()),
            Node::Field(name) => Ok(values
                .into_iter()
                .filter_map(|value| member(value, name))
                .collect()),
            Node::Wildcard => Ok(values.into_iter().flat_map(children).collect()),
            Node::Recursive => {
                let mut all = Vec::new();
                for value in values {
                    self.below(value, &mut all)?;
                }
                Ok(all)
            }
            Node::Slice(slice) => {
                let mut all = Vec::new();
                for value in values.into_iter().filter(|value| !value.is_null()) {
                    all.extend(cut(value, *slice)?);
                }
                Ok(all)
            }
            Node::Union(branches) => {
                let mut all = Vec::new();
                for branch in branches {
                    all.extend(self.steps(values.clone(), branch)?);
                }
                Ok(all)
            }
            Node::Filter { left, compare } => {
                let mut all = Vec::new();
                for value in values {
                    self.filter(value, left, compare.as_ref(), &mut all)?;
                }
                Ok(all)
            }
            Node::Word(word) => Err(format!("unrecognized identifier {word}")),
        }
    }

    /// A value that has something in it, and everything below it that has.
    fn below<'v>(&mut self, value: Cow<'v, Value>, all: &mut Found<'v>) -> Result<(), String> {
        let inner = children(value.clone());
        if inner.is_empty() {
            return Ok(());
        }
        let spent = self.left.checked_sub(inner.len());
        self.left = spent.ok_or("too many values")?;
        all.push(value);
        inner.into_iter().try_for_each(|one| self.below(one, all))
    }

    fn filter<'v>(
        &mut self,
        value: Cow<'v, Value>,
        left: &[Node],
        compare: Option<&(String, Vec<Node>)>,
        all: &mut Found<'v>,
    ) -> Result<(), String> {
        if !value.is_array() {
            return Err("what is not array or slice cannot be filtered".into());
        }
        for item in children(value) {
            let lefts = self.steps(vec![item.clone()], left);
            let Some((operator, right)) = compare else {
                if lefts.is_ok_and(|lefts| !lefts.is_empty()) {
                    all.push(item);
                }
                continue;
            };
            let Some(one) = single(lefts?)? else { continue };
            let rights = self.steps(vec![item.clone()], right)?;
            let Some(other) = single(rights)? else {
                continue;
            };
            if holds(&one, operator, &other)? {
                all.push(item);
            }
        }
        Ok(())
    }
}

fn single(mut found: Found<'_>) -> Result<Option<Cow<'_, Value>>, String> {
    if found.len() > 1 {
        return Err("can only compare one element at a time".into());
    }
    Ok(found.pop())
}

fn member<'v>(value: Cow<'v, Value>, name: &str) -> Option<Cow<'v, Value>> {
    match value {
        Cow::Borrowed(value) => value.get(name).map(Cow::Borrowed),
        Cow::Owned(value) => value.get(name).cloned().map(Cow::Owned),
    }
}

fn children(value: Cow<'_, Value>) -> Found<'_> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Value::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Value::Object(map)) => map.into_iter().map(|(_, one)| Cow::Owned(one)).collect(),
        Cow::Borrowed(Value::String(text)) => bytes(text),
        Cow::Owned(Value::String(text)) => bytes(&text),
        _ => Vec::new(),
    }
}

/// Strings are slices of bytes to Go.
fn bytes<'v>(text: &str) -> Found<'v> {
    let bytes = text.bytes();
    bytes.map(|byte| Cow::Owned(byte.into())).collect()
}

fn cut(value: Cow<'_, Value>, slice: Slice) -> Result<Found<'_>, String> {
    if !value.is_array() {
        return Err(format!("{} is not array or slice", go_type(&value)));
    }
    let items = children(value);
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let mut from = slice.from.unwrap_or(0);
    if from < 0 {
        from += length;
    }
    let mut to = slice.to.unwrap_or(length);
    if to < 0 || (to == 0 && slice.one) {
        to += length;
    }
    if from == to {
        return Ok(Vec::new());
    }
    let outside = |index: i64| format!("array index out of bounds: index {index}, length {length}");
    if from >= length || from < 0 {
        return Err(outside(from));
    }
    if to > length || to < 0 {
        return Err(outside(to - 1));
    }
    if from > to {
        return Err(format!(
            "starting index {from} is greater than ending index {to}"
        ));
    }
    let step = slice.step.unwrap_or(1);
    let step = usize::try_from(step).ok().filter(|step| *step > 0);
    let step = step.ok_or("step must be > 0")?;
    let start = usize::try_from(from).unwrap_or(usize::MAX);
    let count = usize::try_from(to - from).unwrap_or(0);
    Ok(items
        .into_iter()
        .skip(start)
        .take(count)
        .step_by(step)
        .collect())
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "map[string]interface {}",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::Null | Value::Array(_) => "[]interface {}",
    }
}

/// Compares as Go's templates do: only what is of one basic kind, and only numbers and strings have an order.
fn holds(one: &Value, operator: &str, other: &Value) -> Result<bool, String> {
    const KINDS: &str = "incompatible types for comparison";
    const KIND: &str = "invalid type for comparison";
    let order = match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => {
            return match operator {
                "==" => Ok(one == other),
                "!=" => Ok(one != other),
                _ => Err(KIND.into()),
            };
        }
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            (None, None) => one.as_f64().partial_cmp(&other.as_f64()),
            _ => return Err(KINDS.into()),
        },
        (Value::Null | Value::Array(_) | Value::Object(_), _)
        | (_, Value::Null | Value::Array(_) | Value::Object(_)) => return Err(KIND.into()),
        _ => return Err(KINDS.into()),
    };
    match operator {
        "==" => Ok(order == Some(Ordering::Equal)),
        "!=" => Ok(order != Some(Ordering::Equal)),
        "<" => Ok(order == Some(Ordering::Less)),
        ">" => Ok(order == Some(Ordering::Greater)),
        "<=" => Ok(order.is_some_and(Ordering::is_le)),
        ">=" => Ok(order.is_some_and(Ordering::is_ge)),
        other => Err(format!("unrecognized filter operator {other}")),
    }
}
