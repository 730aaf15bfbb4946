//! Types of expressions, and when one may stand for another.

use std::fmt;
use std::sync::Arc;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Anything; what it is shows when it is evaluated.
    Dyn,
    /// Of something that is wrong already.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    /// A structure by its name: of a schema, or `kubernetes.Quantity` and its kin.
    Object(Arc<str>),
    /// A type not known yet: its number while types are found, in declarations its place among the parameters.
    Var(u32),
    /// A type with parameters.
    Of(Arc<Compound>),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Compound {
    pub kind: Compounded,
    pub params: Vec<Type>,
    /// Types in this one, itself included.
    size: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compounded {
    List,
    Map,
    /// The type of a type; without a parameter the type of any.
    Type,
    Optional,
    /// `net.IP`, `net.CIDR`.
    Opaque(&'static str),
}

/// Types larger than this are refused: folds could double them at each step.
pub(super) const MAX_SIZE: u32 = 10_000;

impl Type {
    fn of(kind: Compounded, params: Vec<Self>) -> Self {
        let size = params
            .iter()
            .fold(1u32, |sum, param| sum.saturating_add(param.size()));
        Self::Of(Arc::new(Compound { kind, params, size }))
    }

    pub fn list(item: Self) -> Self {
        Self::of(Compounded::List, vec![item])
    }

    pub fn map(key: Self, value: Self) -> Self {
        Self::of(Compounded::Map, vec![key, value])
    }

    pub fn optional(value: Self) -> Self {
        Self::of(Compounded::Optional, vec![value])
    }

    pub fn type_of(value: Self) -> Self {
        Self::of(Compounded::Type, vec![value])
    }

    pub fn any_type() -> Self {
        Self::of(Compounded::Type, Vec::new())
    }

    pub fn opaque(name: &'static str) -> Self {
        Self::of(Compounded::Opaque(name), Vec::new())
    }

    pub fn object(name: &str) -> Self {
        Self::Object(name.into())
    }

    pub(super) fn size(&self) -> u32 {
        match self {
            Self::Of(compound) => compound.size,
            _ => 1,
        }
    }

    pub(super) fn is_dyn(&self) -> bool {
        matches!(self, Self::Dyn)
    }

    /// What a list has in it.
    pub(super) fn as_list(&self) -> Option<&Self> {
        match self.compound(&Compounded::List)? {
            [item] => Some(item),
            _ => None,
        }
    }

    /// Keys and values of a map.
    pub(super) fn as_map(&self) -> Option<(&Self, &Self)> {
        match self.compound(&Compounded::Map)? {
            [key, value] => Some((key, value)),
            _ => None,
        }
    }

    pub(super) fn as_optional(&self) -> Option<&Self> {
        self.compound(&Compounded::Optional)?.first()
    }

    fn compound(&self, kind: &Compounded) -> Option<&[Self]> {
        match self {
            Self::Of(compound) if compound.kind == *kind => Some(&compound.params),
            _ => None,
        }
    }

    /// The name without parameters, as it is known when expressions run.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Dyn => "dyn",
            Self::Error => "!error!",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Duration => "google.protobuf.Duration",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Object(name) => name,
            Self::Var(_) => "_",
            Self::Of(compound) => match compound.kind {
                Compounded::List => "list",
                Compounded::Map => "map",
                Compounded::Type => "type",
                Compounded::Optional => "optional_type",
                Compounded::Opaque(name) => name,
            },
        }
    }

    /// Replaces variables; those that `found` does not know stay.
    pub(super) fn replace(&self, found: &impl Fn(u32) -> Option<Self>) -> Self {
        match self {
            Self::Var(number) => found(*number).unwrap_or_else(|| self.clone()),
            Self::Of(compound) if !compound.params.is_empty() => {
                let params = compound.params.iter();
                let params = params.map(|param| param.replace(found)).collect();
                Self::of(compound.kind.clone(), params)
            }
            other => other.clone(),
        }
    }
}

/// As errors print it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Duration => f.write_str("duration"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Var(number) => write!(f, "_var{number}"),
            Self::Of(compound) => {
                f.write_str(self.name())?;
                for (at, param) in compound.params.iter().enumerate() {
                    f.write_str(if at == 0 { "(" } else { ", " })?;
                    write!(f, "{param}")?;
                }
                f.write_str(if compound.params.is_empty() { "" } else { ")" })
            }
            other => f.write_str(other.name()),
        }
    }
}

/// What is known of the type variables.
#[derive(Debug, Default)]
pub(super) struct Known {
    bound: Vec<Option<Type>>,
    /// Variables that were bound, and as what before: what fails is taken back.
    trail: Vec<(u32, Option<Type>)>,
    /// A type became larger than [`MAX_SIZE`]; nothing is assignable any more.
    pub(super) too_large: bool,
}

impl Known {
    pub(super) fn fresh(&mut self) -> Type {
        self.bound.push(None);
        let number = u32::try_from(self.bound.len() - 1).unwrap_or(u32::MAX);
        Type::Var(number)
    }

    /// Numbers for `count` parameters of a declaration; the first of them.
    pub(super) fn fresh_run(&mut self, count: u32) -> u32 {
        let first = u32::try_from(self.bound.len()).unwrap_or(u32::MAX);
        for _ in 0..count {
            self.bound.push(None);
        }
        first
    }

    fn find(&self, number: u32) -> Option<&Type> {
        self.bound.get(number as usize)?.as_ref()
    }

    fn bind(&mut self, number: u32, to: Type) {
        self.too_large |= to.size() > MAX_SIZE;
        if let Some(slot) = self.bound.get_mut(number as usize) {
            let before = slot.replace(to);
            self.trail.push((number, before));
        }
    }

    /// With what is known put in; what is not known is `dyn` if `finally`.
    pub(super) fn resolve(&self, of: &Type, finally: bool) -> Type {
        if self.too_large {
            return Type::Error;
        }
        of.replace(&|number| match self.find(number) {
            Some(bound) => Some(self.resolve(bound, finally)),
            None if finally => Some(Type::Dyn),
            None => None,
        })
    }

    /// Whether the first may stand where the second is wanted, and learns from it if so.
    pub(super) fn assignable(&mut self, one: &Type, other: &Type) -> bool {
        self.all_assignable(&[(one, other)])
    }

    pub(super) fn all_assignable(&mut self, pairs: &[(&Type, &Type)]) -> bool {
        let start = self.trail.len();
        let fits = pairs.iter().all(|(one, other)| self.fits(one, other)) && !self.too_large;
        if !fits {
            while self.trail.len() > start {
                if let Some((number, before)) = self.trail.pop()
                    && let Some(slot) = self.bound.get_mut(number as usize)
                {
                    *slot = before;
                }
            }
        }
        fits
    }

    fn fits(&mut self, one: &Type, other: &Type) -> bool {
        if let Type::Var(number) = other {
            let (valid, had) = self.substitute(one, *number);
            if valid {
                return true;
            }
            if had {
                return false;
            }
        }
        if let Type::Var(number) = one {
            return self.substitute(other, *number).0;
        }
        let loose = |of: &Type| matches!(of, Type::Dyn | Type::Error);
        if loose(one) || loose(other) {
            return true;
        }
        let null = |of: &Type| {
            matches!(
                of,
                Type::Null | Type::Object(_) | Type::Duration | Type::Timestamp
            ) || matches!(of, Type::Of(compound) if matches!(compound.kind, Compounded::Optional | Compounded::Opaque(_)))
        };
        match (one, other) {
            (Type::Null, of) | (of, Type::Null) => null(of),
            (Type::Of(one), Type::Of(other)) => {
                one.kind == other.kind
                    && (one.kind == Compounded::Type
                        || one.params.len() == other.params.len()
                            && one
                                .params
                                .iter()
                                .zip(&other.params)
                                .all(|(one, other)| self.fits(one, other)))
            }
            _ => one == other,
        }
    }

    /// Whether a variable may be the type, and whether it was bound before.
    fn substitute(&mut self, of: &Type, number: u32) -> (bool, bool) {
        if *of == Type::Var(number) {
            return (true, true);
        }
        if let Some(bound) = self.find(number).cloned() {
            if bound == *of {
                return (true, true);
            }
            if self.fits(of, &bound) {
                let general = if less_specific(of, &bound) {
                    of.clone()
                } else {
                    bound
                };
                if !self.occurs(number, &general) {
                    self.bind(number, general);
                }
                return (true, true);
            }
            return (false, true);
        }
        if self.occurs(number, of) {
            return (false, false);
        }
        self.bind(number, of.clone());
        (true, false)
    }

    fn occurs(&self, number: u32, within: &Type) -> bool {
        match within {
            Type::Var(other) => {
                *other == number
                    || self
                        .find(*other)
                        .is_some_and(|bound| self.occurs(number, bound))
            }
            Type::Of(compound) => compound
                .params
                .iter()
                .any(|param| self.occurs(number, param)),
            _ => false,
        }
    }

    /// The more general of two types that go together.
    pub(super) fn general(one: &Type, other: &Type) -> Type {
        if less_specific(one, other) {
            one
        } else {
            other
        }
        .clone()
    }
}

fn less_specific(one: &Type, other: &Type) -> bool {
    let open = |of: &Type| matches!(of, Type::Dyn | Type::Var(_));
    if open(one) {
        return true;
    }
    if open(other) {
        return false;
    }
    match (one, other) {
        (Type::Of(one), Type::Of(other)) => {
            one.kind == other.kind
                && (one.kind == Compounded::Type
                    || one.params.len() == other.params.len()
                        && one
                            .params
                            .iter()
                            .zip(&other.params)
                            .all(|(one, other)| less_specific(one, other)))
        }
        _ => one == other,
    }
}
