//! Expressions as trees. Every node has a number, by which its place in the text, its type and the function that it
//! calls are known.

/// The number of a node.
pub(super) type Id = u32;

/// A node and what is below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expr {
    pub(super) id: Id,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Literal(Literal),
    Ident(String),
    Select {
        operand: Box<Expr>,
        field: String,
        /// `has(operand.field)`.
        test: bool,
    },
    Call {
        function: String,
        target: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    List(Vec<Item>),
    Map(Vec<Entry>),
    /// A message of a named type; no type of these environments can be made so.
    Struct {
        name: String,
        fields: Vec<Field>,
    },
    Fold(Box<Fold>),
    /// What could not be parsed.
    Broken,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

/// An item of a list, `?item` if it is optional.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) value: Expr,
    pub(super) optional: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Expr,
    pub(super) value: Expr,
    pub(super) optional: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) value: Expr,
    pub(super) optional: bool,
}

/// What the macros over lists and maps become: `accu` begins as `init`, becomes `step` for each item as long as `cond` is
/// not false, and `result` is what comes out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fold {
    pub(super) range: Expr,
    pub(super) var: String,
    /// With two variables the first is the index or key, and this the value.
    pub(super) var2: Option<String>,
    pub(super) accu: String,
    pub(super) init: Expr,
    pub(super) cond: Expr,
    pub(super) step: Expr,
    pub(super) result: Expr,
}

/// The name of the accumulator, which no text can say.
pub(super) const ACCU: &str = "@result";

/// Names of operators as functions.
pub(super) mod op {
    pub(in crate::kube::cel) const AND: &str = "_&&_";
    pub(in crate::kube::cel) const OR: &str = "_||_";
    pub(in crate::kube::cel) const NOT: &str = "!_";
    pub(in crate::kube::cel) const NEGATE: &str = "-_";
    pub(in crate::kube::cel) const CHOICE: &str = "_?_:_";
    pub(in crate::kube::cel) const ADD: &str = "_+_";
    pub(in crate::kube::cel) const EQUALS: &str = "_==_";
    pub(in crate::kube::cel) const NOT_EQUALS: &str = "_!=_";
    pub(in crate::kube::cel) const IN: &str = "@in";
    pub(in crate::kube::cel) const INDEX: &str = "_[_]";
    pub(in crate::kube::cel) const OPT_INDEX: &str = "_[?_]";
    pub(in crate::kube::cel) const OPT_SELECT: &str = "_?._";
    pub(in crate::kube::cel) const NOT_STRICTLY_FALSE: &str = "@not_strictly_false";
    pub(in crate::kube::cel) const MAP_INSERT: &str = "cel.@mapInsert";
    pub(in crate::kube::cel) const SORT_BY: &str = "@sortByAssociatedKeys";
}

impl Expr {
    /// `a.b.c` if the node is a plain chain of names.
    pub(super) fn qualified(&self) -> Option<String> {
        match &self.kind {
            Kind::Ident(name) => Some(name.clone()),
            Kind::Select {
                operand,
                field,
                test: false,
            } => Some(format!("{}.{field}", operand.qualified()?)),
            _ => None,
        }
    }

    /// Calls `visit` for the node and all below it, parents first.
    pub(super) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match &self.kind {
            Kind::Literal(_) | Kind::Ident(_) | Kind::Broken => {}
            Kind::Select { operand, .. } => operand.walk(visit),
            Kind::Call { target, args, .. } => {
                if let Some(target) = target {
                    target.walk(visit);
                }
                args.iter().for_each(|arg| arg.walk(visit));
            }
            Kind::List(items) => items.iter().for_each(|item| item.value.walk(visit)),
            Kind::Map(entries) => {
                for entry in entries {
                    entry.key.walk(visit);
                    entry.value.walk(visit);
                }
            }
            Kind::Struct { fields, .. } => fields.iter().for_each(|field| field.value.walk(visit)),
            Kind::Fold(fold) => {
                let parts = [
                    &fold.range,
                    &fold.init,
                    &fold.cond,
                    &fold.step,
                    &fold.result,
                ];
                parts.into_iter().for_each(|part| part.walk(visit));
            }
        }
    }
}
