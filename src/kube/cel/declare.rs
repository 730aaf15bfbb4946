//! Which functions there are, and of which types: the environment of release 1.36.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::types::Type;

/// Written from the release's own environment: name, overload, `.` for methods, arguments, result.
const TABLE: &str = include_str!("functions.txt");

/// One form of a function.
#[derive(Debug)]
pub(super) struct Overload {
    pub(super) id: &'static str,
    pub(super) method: bool,
    /// The target of a method is the first. Type parameters are [`Type::Var`] from 0 on.
    pub(super) args: Vec<Type>,
    pub(super) result: Type,
    pub(super) params: u32,
}

pub(super) type Functions = HashMap<&'static str, Vec<Overload>>;

pub(super) static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    let mut functions = Functions::new();
    for line in TABLE.lines() {
        if let Some((name, overload)) = read(line) {
            functions.entry(name).or_default().push(overload);
        }
    }
    functions
});

fn read(line: &'static str) -> Option<(&'static str, Overload)> {
    // From the right: a name may have the mark in it.
    let mut columns = line.rsplitn(5, '|');
    let (result, args, method) = (columns.next()?, columns.next()?, columns.next()?);
    let (id, name) = (columns.next()?, columns.next()?);
    let mut reader = Reader { params: Vec::new() };
    let args = args.split("; ").filter(|arg| !arg.is_empty());
    let args = args.map(|arg| reader.whole(arg)).collect::<Option<_>>()?;
    let result = reader.whole(result)?;
    let overload = Overload {
        id,
        method: method == ".",
        args,
        result,
        params: u32::try_from(reader.params.len()).ok()?,
    };
    Some((name, overload))
}

/// Reads types as errors print them; `T` and other single capitals are parameters.
struct Reader {
    params: Vec<char>,
}

impl Reader {
    fn whole(&mut self, text: &'static str) -> Option<Type> {
        let (found, rest) = self.one(text)?;
        rest.is_empty().then_some(found)
    }

    fn one(&mut self, text: &'static str) -> Option<(Type, &'static str)> {
        let end = text.find(['(', ')', ',']).unwrap_or(text.len());
        let (name, mut rest) = text.split_at_checked(end)?;
        let mut inner = Vec::new();
        if let Some(after) = rest.strip_prefix('(') {
            rest = after;
            loop {
                let (param, after) = self.one(rest)?;
                inner.push(param);
                rest = match after.strip_prefix(", ") {
                    Some(more) => more,
                    None => {
                        rest = after.strip_prefix(')')?;
                        break;
                    }
                };
            }
        }
        Some((self.named(name, inner)?, rest))
    }

    fn named(&mut self, name: &'static str, inner: Vec<Type>) -> Option<Type> {
        let mut inner = inner.into_iter();
        Some(match (name, inner.next(), inner.next()) {
            ("list", Some(item), None) => Type::list(item),
            ("map", Some(key), Some(value)) => Type::map(key, value),
            ("optional_type", Some(value), None) => Type::optional(value),
            ("type", Some(of), None) => Type::type_of(of),
            ("type", None, None) => Type::any_type(),
            (_, Some(_), _) => return None,
            ("dyn", ..) => Type::Dyn,
            ("null", ..) => Type::Null,
            ("bool", ..) => Type::Bool,
            ("int", ..) => Type::Int,
            ("uint", ..) => Type::Uint,
            ("double", ..) => Type::Double,
            ("string", ..) => Type::String,
            ("bytes", ..) => Type::Bytes,
            ("duration", ..) => Type::Duration,
            ("timestamp", ..) => Type::Timestamp,
            ("net.IP" | "net.CIDR", ..) => Type::opaque(name),
            (name, ..) if name.len() == 1 => {
                let letter = name.chars().next()?;
                let known = self.params.iter().position(|known| *known == letter);
                let at = known.unwrap_or_else(|| {
                    self.params.push(letter);
                    self.params.len() - 1
                });
                Type::Var(u32::try_from(at).ok()?)
            }
            (name, ..) => Type::object(name),
        })
    }
}

/// Names of types that expressions can say.
pub(super) fn type_named(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "string" => Type::String,
        "null_type" => Type::Null,
        "type" => Type::any_type(),
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "dyn" => Type::Dyn,
        "optional_type" => Type::optional(Type::Dyn),
        "google.protobuf.Duration" => Type::Duration,
        "google.protobuf.Timestamp" => Type::Timestamp,
        "net.IP" => Type::opaque("net.IP"),
        "net.CIDR" => Type::opaque("net.CIDR"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::cel::lib;

    #[test]
    fn every_declared_function_can_be_called() {
        let special = [
            "_&&_",
            "_||_",
            "_==_",
            "_!=_",
            "_?_:_",
            "_[_]",
            "_[?_]",
            "_?._",
            "or",
            "orValue",
            "@not_strictly_false",
        ];
        let read = TABLE.lines().filter(|line| read(line).is_some()).count();
        assert_eq!(read, TABLE.lines().count());
        let mut missing: Vec<_> = FUNCTIONS
            .keys()
            .filter(|name| !special.contains(name) && lib::find(name).is_none())
            .collect();
        missing.sort();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
