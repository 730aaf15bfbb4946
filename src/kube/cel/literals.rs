//! What types do not show: literals that their functions refuse, lists of mixed types, formats and their values.

use super::ast::{Entry, Expr, Id, Item, Kind, Literal};
use super::check::Checked;
use super::lib;
use super::source::Issue;
use super::types::Type;

struct Literals<'c> {
    checked: &'c Checked,
    issues: Vec<Issue>,
}

/// What is wrong with the literals of a checked tree.
pub(super) fn check(checked: &Checked) -> Vec<Issue> {
    let mut literals = Literals {
        checked,
        issues: Vec::new(),
    };
    checked.root.walk(&mut |expr| literals.call(expr));
    literals.mixed(&checked.root);
    literals.issues
}

fn string(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        Kind::Literal(Literal::String(text)) => Some(text),
        _ => None,
    }
}

impl Literals<'_> {
    fn issue(&mut self, id: Id, message: String) {
        self.issues.push(Issue {
            offset: Some(self.checked.nodes.offset(id)),
            message,
        });
    }

    fn call(&mut self, expr: &Expr) {
        let Kind::Call {
            function,
            target,
            args,
        } = &expr.kind
        else {
            return;
        };
        let Some(arg) = args.first() else {
            return;
        };
        let wrong = match function.as_str() {
            "duration" | "timestamp" => match &arg.kind {
                Kind::Literal(literal) => {
                    let value = super::plan::constant(literal);
                    lib::find(function).is_some_and(|run| run(&[value]).is_err())
                }
                _ => false,
            },
            "matches" => string(arg).is_some_and(|pattern| lib::compile_regex(pattern).is_err()),
            "format" => {
                if let Some(format) = target.as_deref().and_then(string) {
                    self.format(expr.id, format, arg);
                }
                false
            }
            _ => false,
        };
        if wrong {
            self.issue(arg.id, format!("invalid {function} argument"));
        }
    }

    /// A format and a list of values that are both literal.
    fn format(&mut self, id: Id, format: &str, values: &Expr) {
        let Kind::List(items) = &values.kind else {
            return;
        };
        let clauses = lib::clauses(format);
        for (at, clause) in clauses.iter().enumerate() {
            let Some(item) = items.get(at) else {
                return self.issue(id, format!("index {at} out of range"));
            };
            let clause = match clause {
                Ok(clause) => *clause,
                Err(error) => return self.issue(id, error.clone()),
            };
            if let Some(bad) = self.refused(clause, &item.value) {
                let given = self.checked.of(bad).name().to_owned();
                return self.issue(bad, clause.refusal(&given));
            }
        }
        if items.len() > clauses.len() {
            let (wanted, found) = (clauses.len(), items.len());
            self.issue(
                id,
                format!(
                    "too many arguments supplied to string.format (expected {wanted}, got {found})"
                ),
            );
        }
    }

    /// The node that a clause does not take.
    fn refused(&self, clause: lib::Clause, value: &Expr) -> Option<Id> {
        let of = self.checked.of(value.id);
        let takes = match (clause.verb, of) {
            (_, Type::Dyn) => true,
            ('s', Type::Of(_)) => {
                of.as_list().is_some() || of.as_map().is_some() || of.name() == "type"
            }
            ('s', of) => !matches!(of, Type::Object(_) | Type::Error | Type::Var(_)),
            ('d' | 'o', of) => matches!(of, Type::Int | Type::Uint),
            ('f' | 'e', of) => matches!(of, Type::Double | Type::String),
            ('b', of) => matches!(of, Type::Int | Type::Uint | Type::Bool),
            (_, of) => matches!(of, Type::Int | Type::Uint | Type::String | Type::Bytes),
        };
        if !takes {
            return Some(value.id);
        }
        match (&value.kind, clause.verb) {
            (Kind::List(items), 's') => items
                .iter()
                .find_map(|item| self.refused(clause, &item.value)),
            (Kind::Map(entries), 's') => entries.iter().find_map(|entry| {
                self.refused(clause, &entry.key)
                    .or_else(|| self.refused(clause, &entry.value))
            }),
            _ => None,
        }
    }

    /// Lists and maps must have items of one type, except as values of a format.
    fn mixed(&mut self, expr: &Expr) {
        match &expr.kind {
            Kind::Literal(_) | Kind::Ident(_) | Kind::Broken => {}
            Kind::Select { operand, .. } => self.mixed(operand),
            Kind::Call {
                function,
                target,
                args,
            } => {
                if function != "format" {
                    let all = target.as_deref().into_iter().chain(args);
                    all.for_each(|arg| self.mixed(arg));
                }
            }
            Kind::List(items) => {
                self.list(items);
                items.iter().for_each(|item| self.mixed(&item.value));
            }
            Kind::Map(entries) => {
                self.map(entries);
                for entry in entries {
                    self.mixed(&entry.key);
                    self.mixed(&entry.value);
                }
            }
            Kind::Struct { fields, .. } => fields.iter().for_each(|field| self.mixed(&field.value)),
            Kind::Fold(fold) => {
                let parts = [
                    &fold.range,
                    &fold.init,
                    &fold.cond,
                    &fold.step,
                    &fold.result,
                ];
                parts.into_iter().for_each(|part| self.mixed(part));
            }
        }
    }

    fn of(&self, expr: &Expr, optional: bool) -> Type {
        let of = self.checked.of(expr.id);
        match of.as_optional().filter(|_| optional) {
            Some(inner) => inner.clone(),
            None => of.clone(),
        }
    }

    fn mismatch(&mut self, id: Id, wanted: &Type, found: &Type) {
        self.issue(id, format!("expected type '{wanted}' but found '{found}'"));
    }

    fn list(&mut self, items: &[Item]) {
        let mut items = items.iter();
        let Some(first) = items.next().map(|item| self.of(&item.value, item.optional)) else {
            return;
        };
        for item in items {
            let of = self.of(&item.value, item.optional);
            if of != first {
                return self.mismatch(item.value.id, &first, &of);
            }
        }
    }

    fn map(&mut self, entries: &[Entry]) {
        let mut entries = entries.iter();
        let Some(first) = entries.next() else {
            return;
        };
        let (keys, values) = (
            self.of(&first.key, false),
            self.of(&first.value, first.optional),
        );
        for entry in entries {
            let key = self.of(&entry.key, false);
            if key != keys {
                self.mismatch(entry.key.id, &keys, &key);
            }
            let value = self.of(&entry.value, entry.optional);
            if value != values {
                self.mismatch(entry.value.id, &values, &value);
            }
        }
    }
}
