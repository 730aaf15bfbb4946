//! Macros: calls that are written out as other expressions before types are checked.

use super::ast::{ACCU, Expr, Fold, Id, Item, Kind, Literal, op};
use super::parse::Nodes;

/// What becomes of a call.
pub(super) enum Expanded {
    Node(Expr),
    /// The macro is misused: where and how.
    Wrong(usize, String),
    /// It is no macro.
    Call(Option<Expr>, Vec<Expr>),
}

/// The variable of folds over nothing.
const UNUSED: &str = "#unused";
const SORT_INPUT: &str = "@__sortBy_input__";

const NOT_SIMPLE: &str = "argument must be a simple name";
const NOT_IDENT: &str = "argument is not an identifier";
const OVERWRITES: &str = "iteration variable overwrites accumulator variable";

/// Makes the nodes of one expansion; all of them are where the call is.
struct Maker<'a> {
    nodes: &'a mut Nodes,
    at: usize,
}

type Made = Result<Expr, (usize, String)>;

pub(super) fn expand(
    nodes: &mut Nodes,
    at: usize,
    function: &str,
    target: Option<Expr>,
    args: Vec<Expr>,
) -> Expanded {
    let mut maker = Maker { nodes, at };
    let made = match (function, target, args.len()) {
        ("has", None, 1) => maker.has(args),
        ("all" | "exists" | "exists_one", Some(target), 2 | 3) | ("existsOne", Some(target), 3) => {
            maker.quantifier(function, target, args)
        }
        ("map", Some(target), 2 | 3) => maker.mapped(target, args),
        ("filter", Some(target), 2) => maker.filtered(target, args),
        ("transformList" | "transformMap" | "transformMapEntry", Some(target), 3 | 4) => {
            maker.transformed(function, target, args)
        }
        ("optMap" | "optFlatMap", Some(target), 2) => maker.optional(function, target, args),
        ("sortBy", Some(target), 2) => maker.sorted(target, args),
        (_, target, _) => return Expanded::Call(target, args),
    };
    match made {
        Ok(expr) => Expanded::Node(expr),
        Err((at, message)) => Expanded::Wrong(at, message),
    }
}

impl Maker<'_> {
    fn node(&mut self, kind: Kind) -> Expr {
        Expr {
            id: self.nodes.next(self.at),
            kind,
        }
    }

    fn literal(&mut self, literal: Literal) -> Expr {
        self.node(Kind::Literal(literal))
    }

    fn truth(&mut self) -> Expr {
        self.literal(Literal::Bool(true))
    }

    fn ident(&mut self, name: &str) -> Expr {
        self.node(Kind::Ident(name.into()))
    }

    fn accu(&mut self) -> Expr {
        self.ident(ACCU)
    }

    fn list(&mut self, items: Vec<Expr>) -> Expr {
        let items = items.into_iter().map(|value| Item {
            value,
            optional: false,
        });
        let items = items.collect();
        self.node(Kind::List(items))
    }

    fn call(&mut self, function: &str, args: Vec<Expr>) -> Expr {
        self.node(Kind::Call {
            function: function.into(),
            target: None,
            args,
        })
    }

    fn member(&mut self, target: Expr, function: &str, args: Vec<Expr>) -> Expr {
        self.node(Kind::Call {
            function: function.into(),
            target: Some(Box::new(target)),
            args,
        })
    }

    fn wrong(&self, id: Id, message: impl Into<String>) -> (usize, String) {
        (self.nodes.offset(id), message.into())
    }

    fn name(&self, expr: &Expr, message: &'static str) -> Result<String, (usize, String)> {
        let Kind::Ident(name) = &expr.kind else {
            return Err(self.wrong(expr.id, message));
        };
        if name == "__result__" {
            return Err(self.wrong(expr.id, OVERWRITES));
        }
        Ok(name.clone())
    }

    /// The two variables of a comprehension.
    fn names(&self, first: &Expr, second: &Expr) -> Result<(String, String), (usize, String)> {
        for expr in [first, second] {
            if !matches!(expr.kind, Kind::Ident(_)) {
                return Err(self.wrong(expr.id, NOT_SIMPLE));
            }
        }
        let names = (
            self.name(first, NOT_SIMPLE)?,
            self.name(second, NOT_SIMPLE)?,
        );
        if names.0 == names.1 {
            let message = format!("duplicate variable name: {}", names.0);
            return Err(self.wrong(second.id, message));
        }
        Ok(names)
    }

    fn has(&mut self, args: Vec<Expr>) -> Made {
        let Some(arg) = args.into_iter().next() else {
            return Err((self.at, "invalid argument to has() macro".into()));
        };
        match arg.kind {
            Kind::Select { operand, field, .. } => Ok(self.node(Kind::Select {
                operand,
                field,
                test: true,
            })),
            _ => Err(self.wrong(arg.id, "invalid argument to has() macro")),
        }
    }

    fn fold(&mut self, range: Expr, vars: (String, Option<String>), parts: [Expr; 4]) -> Expr {
        let [init, cond, step, result] = parts;
        self.node(Kind::Fold(Box::new(Fold {
            range,
            var: vars.0,
            var2: vars.1,
            accu: ACCU.into(),
            init,
            cond,
            step,
            result,
        })))
    }

    fn quantifier(&mut self, function: &str, target: Expr, args: Vec<Expr>) -> Made {
        let (vars, predicate) = match <[Expr; 2]>::try_from(args) {
            Ok([var, predicate]) => ((self.name(&var, NOT_SIMPLE)?, None), predicate),
            Err(args) => {
                let [first, second, predicate] = three(args, self.at)?;
                let (first, second) = self.names(&first, &second)?;
                ((first, Some(second)), predicate)
            }
        };
        let accu = self.accu();
        let parts = match function {
            "all" => {
                let init = self.truth();
                let cond = self.call(op::NOT_STRICTLY_FALSE, vec![accu]);
                let accu = self.accu();
                let step = self.call(op::AND, vec![accu, predicate]);
                [init, cond, step, self.accu()]
            }
            "exists" => {
                let init = self.literal(Literal::Bool(false));
                let not = self.call(op::NOT, vec![accu]);
                let cond = self.call(op::NOT_STRICTLY_FALSE, vec![not]);
                let accu = self.accu();
                let step = self.call(op::OR, vec![accu, predicate]);
                [init, cond, step, self.accu()]
            }
            _ => {
                let init = self.literal(Literal::Int(0));
                let cond = self.truth();
                let one = self.literal(Literal::Int(1));
                let more = self.call(op::ADD, vec![accu, one]);
                let accu = self.accu();
                let step = self.call(op::CHOICE, vec![predicate, more, accu]);
                let accu = self.accu();
                let one = self.literal(Literal::Int(1));
                [init, cond, step, self.call(op::EQUALS, vec![accu, one])]
            }
        };
        Ok(self.fold(target, vars, parts))
    }

    /// `init` is empty, and each step that passes the filter is `step`.
    fn gathered(
        &mut self,
        target: Expr,
        vars: (String, Option<String>),
        init: Expr,
        step: Expr,
        filter: Option<Expr>,
    ) -> Expr {
        let cond = self.truth();
        let step = match filter {
            Some(filter) => {
                let accu = self.accu();
                self.call(op::CHOICE, vec![filter, step, accu])
            }
            None => step,
        };
        let result = self.accu();
        self.fold(target, vars, [init, cond, step, result])
    }

    fn appended(&mut self, item: Expr) -> Expr {
        let accu = self.accu();
        let item = self.list(vec![item]);
        self.call(op::ADD, vec![accu, item])
    }

    fn mapped(&mut self, target: Expr, mut args: Vec<Expr>) -> Made {
        let Some(transform) = args.pop() else {
            return Err((self.at, NOT_IDENT.into()));
        };
        let mut args = args.into_iter();
        let var = match args.next() {
            Some(var) => self.name(&var, NOT_IDENT)?,
            None => return Err((self.at, NOT_IDENT.into())),
        };
        let init = self.list(Vec::new());
        let step = self.appended(transform);
        Ok(self.gathered(target, (var, None), init, step, args.next()))
    }

    fn filtered(&mut self, target: Expr, args: Vec<Expr>) -> Made {
        let mut args = args.into_iter();
        let Some(item) = args.next() else {
            return Err((self.at, NOT_IDENT.into()));
        };
        let var = self.name(&item, NOT_IDENT)?;
        let init = self.list(Vec::new());
        let step = self.appended(item);
        Ok(self.gathered(target, (var, None), init, step, args.next()))
    }

    fn transformed(&mut self, function: &str, target: Expr, mut args: Vec<Expr>) -> Made {
        let Some(transform) = args.pop() else {
            return Err((self.at, NOT_SIMPLE.into()));
        };
        let mut args = args.into_iter();
        let (Some(first), Some(second)) = (args.next(), args.next()) else {
            return Err((self.at, NOT_SIMPLE.into()));
        };
        let (first, second) = self.names(&first, &second)?;
        let (init, step) = match function {
            "transformList" => (self.list(Vec::new()), self.appended(transform)),
            _ => {
                let init = self.node(Kind::Map(Vec::new()));
                let mut parts = vec![self.accu()];
                if function == "transformMap" {
                    parts.push(self.ident(&first));
                }
                parts.push(transform);
                (init, self.call(op::MAP_INSERT, parts))
            }
        };
        Ok(self.gathered(target, (first, Some(second)), init, step, args.next()))
    }

    /// `accu` bound to `value` in `result`: a fold over nothing.
    fn bound(&mut self, accu: &str, value: Expr, result: Expr) -> Expr {
        let range = self.list(Vec::new());
        let cond = self.literal(Literal::Bool(false));
        let step = self.ident(accu);
        self.node(Kind::Fold(Box::new(Fold {
            range,
            var: UNUSED.into(),
            var2: None,
            accu: accu.into(),
            init: value,
            cond,
            step,
            result,
        })))
    }

    fn optional(&mut self, function: &str, target: Expr, args: Vec<Expr>) -> Made {
        let mut args = args.into_iter();
        let (Some(var), Some(result)) = (args.next(), args.next()) else {
            return Err((self.at, NOT_SIMPLE.into()));
        };
        let Kind::Ident(name) = var.kind else {
            let message = if function == "optMap" {
                "optMap() variable name must be a simple identifier"
            } else {
                "optFlatMap() variable name must be a simple identifier"
            };
            return Err(self.wrong(var.id, message));
        };
        let copy = self.copy(&target);
        let has = self.member(target, "hasValue", Vec::new());
        let value = self.member(copy, "value", Vec::new());
        let mut bound = self.bound(&name, value, result);
        if function == "optMap" {
            bound = self.call("optional.of", vec![bound]);
        }
        let none = self.call("optional.none", Vec::new());
        Ok(self.call(op::CHOICE, vec![has, bound, none]))
    }

    fn sorted(&mut self, target: Expr, args: Vec<Expr>) -> Made {
        if matches!(
            target.kind,
            Kind::Literal(_) | Kind::Map(_) | Kind::Struct { .. }
        ) {
            let message = "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
            return Err(self.wrong(target.id, message));
        }
        let input = self.ident(SORT_INPUT);
        let keys = self.mapped(input, args)?;
        let input = self.ident(SORT_INPUT);
        let sorted = self.member(input, op::SORT_BY, vec![keys]);
        Ok(self.bound(SORT_INPUT, target, sorted))
    }

    /// The same again with numbers of its own.
    fn copy(&mut self, expr: &Expr) -> Expr {
        let mut copy = expr.clone();
        self.renumber(&mut copy);
        copy
    }

    fn renumber(&mut self, expr: &mut Expr) {
        let offset = self.nodes.offset(expr.id);
        expr.id = self.nodes.next(offset);
        match &mut expr.kind {
            Kind::Literal(_) | Kind::Ident(_) | Kind::Broken => {}
            Kind::Select { operand, .. } => self.renumber(operand),
            Kind::Call { target, args, .. } => {
                if let Some(target) = target {
                    self.renumber(target);
                }
                args.iter_mut().for_each(|arg| self.renumber(arg));
            }
            Kind::List(items) => items
                .iter_mut()
                .for_each(|item| self.renumber(&mut item.value)),
            Kind::Map(entries) => {
                for entry in entries {
                    self.renumber(&mut entry.key);
                    self.renumber(&mut entry.value);
                }
            }
            Kind::Struct { fields, .. } => {
                for field in fields {
                    field.id = self.nodes.next(offset);
                    self.renumber(&mut field.value);
                }
            }
            Kind::Fold(fold) => {
                let Fold {
                    range,
                    init,
                    cond,
                    step,
                    result,
                    ..
                } = &mut **fold;
                for part in [range, init, cond, step, result] {
                    self.renumber(part);
                }
            }
        }
    }
}

fn three(args: Vec<Expr>, at: usize) -> Result<[Expr; 3], (usize, String)> {
    <[Expr; 3]>::try_from(args).map_err(|_| (at, NOT_SIMPLE.into()))
}
