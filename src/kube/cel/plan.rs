//! From a checked tree to what is run: names become places, constants are computed, and chains of fields and indexes become
//! one step. The steps are cel-go's, because costs are counted by them.

use std::collections::HashSet;

use super::ast::{Expr, Fold, Id, Kind, Literal, op};
use super::check::Checked;
use super::env::Environment;
use super::eval;
use super::lib::{self, Builtin};
use super::value::{Key, Value};

/// A step.
#[derive(Debug)]
pub(super) enum Node {
    Const(Value<'static>),
    Attr(Box<Attr>),
    /// Whether the last of the chain is there.
    Has(Box<Attr>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Equal {
        args: Box<[Node; 2]>,
        not: bool,
    },
    Call(Box<Call>),
    /// Whether a value is one of some constants.
    OneOf(Box<Node>, HashSet<Key>),
    /// The first optional if it has a value, or the second.
    OptionalOr(Box<[Node; 2]>),
    /// What an optional has, or a value.
    OptionalOrValue(Box<[Node; 2]>),
    List(Vec<(Node, bool)>),
    Map(Vec<(Node, Node, bool)>),
    Fold(Box<Folded>),
    /// Adds to the list in a place, which nobody else sees; `made` if the item is not constant.
    Append {
        slot: usize,
        item: Box<Node>,
        made: bool,
    },
    /// Adds to the map in a place.
    Insert {
        slot: usize,
        key: Box<Node>,
        value: Box<Node>,
    },
}

/// A value and what is chosen from it, step by step.
#[derive(Debug)]
pub(super) struct Attr {
    pub(super) root: Root,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Root {
    Variable(usize),
    /// A variable of a fold.
    Slot(usize),
    Value(Node),
    Choice(Box<(Node, Attr, Attr)>),
}

/// A field, key or index.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) by: By,
    pub(super) optional: bool,
    /// Only whether it is there.
    pub(super) test: bool,
}

#[derive(Debug)]
pub(super) enum By {
    Const(Value<'static>),
    Attr(Attr),
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) function: String,
    pub(super) overload: Option<&'static str>,
    pub(super) run: Builtin,
    pub(super) args: Vec<Node>,
    /// Whether an argument that fails keeps the next from being computed: with more than two, and where only the values
    /// tell which function of a library it is.
    pub(super) lazy: bool,
}

#[derive(Debug)]
pub(super) struct Folded {
    pub(super) range: Node,
    pub(super) accu: usize,
    pub(super) var: usize,
    pub(super) var2: Option<usize>,
    pub(super) init: Node,
    pub(super) cond: Node,
    pub(super) step: Node,
    pub(super) result: Node,
}

pub(super) struct Planner<'c> {
    checked: &'c Checked,
    env: &'c Environment,
    /// Variables of folds by place; the name of those that are out of sight is empty.
    slots: Vec<String>,
    /// Variables of the environment that are used.
    pub(super) used: HashSet<usize>,
}

/// # Errors
/// If a constant cannot be computed.
pub(super) fn plan(checked: &Checked, env: &Environment) -> Result<(Node, HashSet<usize>), String> {
    let mut planner = Planner {
        checked,
        env,
        slots: Vec::new(),
        used: HashSet::new(),
    };
    let node = planner.node(&checked.root)?;
    Ok((node, planner.used))
}

type Planned = Result<Node, String>;

pub(super) fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(yes) => Value::Bool(*yes),
        Literal::Int(int) => Value::Int(*int),
        Literal::Uint(uint) => Value::Uint(*uint),
        Literal::Double(double) => Value::Double(*double),
        Literal::String(text) => Value::text(text.as_str()),
        Literal::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
    }
}

/// As the start of a chain: a chain goes on, everything else is a value.
fn into_attr(node: Node) -> Attr {
    match node {
        Node::Attr(attr) | Node::Has(attr) => *attr,
        other => Attr {
            root: Root::Value(other),
            steps: Vec::new(),
        },
    }
}

fn pair(mut args: Vec<Node>) -> Result<Box<[Node; 2]>, String> {
    match (args.pop(), args.pop(), args.pop()) {
        (Some(second), Some(first), None) => Ok(Box::new([first, second])),
        _ => Err("no such overload".into()),
    }
}

impl Planner<'_> {
    fn nodes<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<Vec<Node>, String> {
        exprs.into_iter().map(|expr| self.node(expr)).collect()
    }

    fn node(&mut self, expr: &Expr) -> Planned {
        if let Some(of) = self.checked.named.get(&expr.id) {
            return Ok(Node::Const(Value::Type(of.clone())));
        }
        match &expr.kind {
            Kind::Literal(literal) => Ok(Node::Const(constant(literal))),
            Kind::Ident(name) => self.name(name),
            Kind::Select {
                operand,
                field,
                test,
            } => {
                let operand = self.node(operand)?;
                let step = Step {
                    by: By::Const(Value::text(field.as_str())),
                    optional: false,
                    test: *test,
                };
                let mut attr = self.started(operand);
                attr.steps.push(step);
                let attr = Box::new(attr);
                Ok(if *test {
                    Node::Has(attr)
                } else {
                    Node::Attr(attr)
                })
            }
            Kind::Call {
                function,
                target,
                args,
            } => {
                let all = target.as_deref().into_iter().chain(args);
                self.call(expr.id, function, all)
            }
            Kind::List(items) => {
                let values = self.nodes(items.iter().map(|item| &item.value))?;
                let optional = items.iter().map(|item| item.optional);
                Ok(self.folded(Node::List(values.into_iter().zip(optional).collect())))
            }
            Kind::Map(entries) => {
                let mut planned = Vec::with_capacity(entries.len());
                for entry in entries {
                    planned.push((
                        self.node(&entry.key)?,
                        self.node(&entry.value)?,
                        entry.optional,
                    ));
                }
                Ok(self.folded(Node::Map(planned)))
            }
            Kind::Fold(fold) => self.fold(fold),
            Kind::Struct { .. } | Kind::Broken => Err("unsupported expression".into()),
        }
    }

    /// A chain that may be gone on with: `has` ends one.
    fn started(&self, node: Node) -> Attr {
        match node {
            Node::Attr(attr) => *attr,
            other => Attr {
                root: Root::Value(other),
                steps: Vec::new(),
            },
        }
    }

    fn name(&mut self, name: &str) -> Planned {
        let plain = name.strip_prefix('.').unwrap_or(name);
        let slot = (name == plain).then(|| self.slots.iter().rposition(|slot| slot == name));
        let root = match slot.flatten() {
            Some(slot) => Root::Slot(slot),
            None => {
                let (index, _) = self
                    .env
                    .find(plain)
                    .ok_or_else(|| format!("no such attribute(s): {plain}"))?;
                self.used.insert(index);
                Root::Variable(index)
            }
        };
        Ok(Node::Attr(Box::new(Attr {
            root,
            steps: Vec::new(),
        })))
    }

    /// A list or map of constants is a constant.
    fn folded(&self, node: Node) -> Node {
        let constant = |node: &Node| matches!(node, Node::Const(_));
        let all = match &node {
            Node::List(items) => items
                .iter()
                .all(|(item, optional)| constant(item) && !optional),
            Node::Map(entries) => entries
                .iter()
                .all(|(key, value, optional)| constant(key) && constant(value) && !optional),
            _ => false,
        };
        match all.then(|| eval::constant(&node)).flatten() {
            Some(value) => Node::Const(value),
            None => node,
        }
    }

    fn call<'e>(
        &mut self,
        id: Id,
        function: &str,
        args: impl Iterator<Item = &'e Expr>,
    ) -> Planned {
        let args: Vec<&Expr> = args.collect();
        if let Some(added) = self.added(function, &args)? {
            return Ok(added);
        }
        let args = self.nodes(args)?;
        match function {
            op::AND => return pair(args).map(Node::And),
            op::OR => return pair(args).map(Node::Or),
            op::EQUALS | op::NOT_EQUALS => {
                return Ok(Node::Equal {
                    args: pair(args)?,
                    not: function == op::NOT_EQUALS,
                });
            }
            op::CHOICE => {
                let mut args = args.into_iter();
                let (Some(cond), Some(yes), Some(no)) = (args.next(), args.next(), args.next())
                else {
                    return Err("no such overload".into());
                };
                let choice = (cond, into_attr(yes), into_attr(no));
                return Ok(Node::Attr(Box::new(Attr {
                    root: Root::Choice(Box::new(choice)),
                    steps: Vec::new(),
                })));
            }
            op::INDEX => return self.indexed(args, false),
            op::OPT_INDEX | op::OPT_SELECT => return self.indexed(args, true),
            "or" => return pair(args).map(Node::OptionalOr),
            "orValue" => return pair(args).map(Node::OptionalOrValue),
            _ => {}
        }
        let overload = match self.checked.overloads(id) {
            [only] => Some(*only),
            _ => None,
        };
        self.plain(function, overload, args)
    }

    fn plain(
        &mut self,
        function: &str,
        overload: Option<&'static str>,
        args: Vec<Node>,
    ) -> Planned {
        let run = match function {
            op::NOT_STRICTLY_FALSE => eval::not_strictly_false,
            "sum" => overload
                .and_then(lib::sum_of)
                .unwrap_or(lib::find("sum").ok_or("no sum")?),
            _ => lib::find(function).ok_or_else(|| format!("no such overload: {function}"))?,
        };
        if let (true, [Node::Const(value)]) = (lib::is_conversion(function), args.as_slice()) {
            let args = std::slice::from_ref(value);
            let made = run(args).map_err(|fault| eval::named(fault, function, args).to_string())?;
            return Ok(Node::Const(made));
        }
        if overload == Some("in_list")
            && let [_, Node::Const(Value::List(list))] = args.as_slice()
            && let Some(keys) = keys(list)
        {
            let mut args = args;
            args.truncate(1);
            if keys.is_empty() {
                return Ok(Node::Const(Value::Bool(false)));
            }
            return match args.pop() {
                Some(item) => Ok(Node::OneOf(Box::new(item), keys)),
                None => Err("no such overload".into()),
            };
        }
        if matches!(function, "matches" | "find" | "findAll")
            && let Some(Node::Const(Value::String(pattern))) = args.get(1)
        {
            lib::compile_regex(pattern)?;
        }
        Ok(Node::Call(Box::new(Call {
            function: function.to_owned(),
            overload,
            run,
            lazy: args.len() > 2 || overload.is_none() && !eval::is_operator(function),
            args,
        })))
    }

    fn indexed(&mut self, args: Vec<Node>, optional: bool) -> Planned {
        let [operand, index] = *pair(args)?;
        let by = match index {
            Node::Const(
                value @ (Value::String(_)
                | Value::Int(_)
                | Value::Uint(_)
                | Value::Bool(_)
                | Value::Double(_)),
            ) => By::Const(value),
            Node::Const(value) => {
                return Err(format!("invalid qualifier type: {}", value.go_type()));
            }
            other => By::Attr(into_attr(other)),
        };
        let mut attr = self.started(operand);
        attr.steps.push(Step {
            by,
            optional,
            test: false,
        });
        Ok(Node::Attr(Box::new(attr)))
    }

    /// `accu + [item]` and `insert(accu, key, value)` change what they add to: nobody else has it.
    fn added(&mut self, function: &str, args: &[&Expr]) -> Result<Option<Node>, String> {
        let accu = match args.first().map(|first| &first.kind) {
            Some(Kind::Ident(name)) if name == super::ast::ACCU => {
                self.slots.iter().rposition(|slot| slot == name)
            }
            _ => None,
        };
        let Some(slot) = accu else {
            return Ok(None);
        };
        match (function, args) {
            (op::ADD, [_, list]) => {
                let Kind::List(items) = &list.kind else {
                    return Ok(None);
                };
                let [item] = items.as_slice() else {
                    return Ok(None);
                };
                let item = self.node(&item.value)?;
                let made = !matches!(item, Node::Const(_));
                Ok(Some(Node::Append {
                    slot,
                    item: Box::new(item),
                    made,
                }))
            }
            (op::MAP_INSERT, [_, key, value]) => Ok(Some(Node::Insert {
                slot,
                key: Box::new(self.node(key)?),
                value: Box::new(self.node(value)?),
            })),
            _ => Ok(None),
        }
    }

    fn fold(&mut self, fold: &Fold) -> Planned {
        let init = self.node(&fold.init)?;
        let range = self.node(&fold.range)?;
        let accu = self.slots.len();
        self.slots.push(fold.accu.clone());
        let var = self.slots.len();
        self.slots.push(fold.var.clone());
        let var2 = fold.var2.as_ref().map(|name| {
            self.slots.push(name.clone());
            var + 1
        });
        let cond = self.node(&fold.cond)?;
        let step = self.node(&fold.step)?;
        for slot in self.slots.iter_mut().skip(var) {
            slot.clear();
        }
        let result = self.node(&fold.result)?;
        self.slots.truncate(accu);
        Ok(Node::Fold(Box::new(Folded {
            range,
            accu,
            var,
            var2,
            init,
            cond,
            step,
            result,
        })))
    }
}

/// The items of a constant list as keys, if all are of plain types.
fn keys(list: &super::value::List<'static>) -> Option<HashSet<Key>> {
    let plain = |value: Value<'static>| {
        matches!(
            value,
            Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_)
        )
        .then(|| Key::of(&value))
        .flatten()
    };
    list.iter().map(|item| plain(item.ok()?)).collect()
}
