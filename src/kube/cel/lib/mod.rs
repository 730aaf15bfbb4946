//! The functions that expressions may call. Which types they take is in `functions.txt`; here they look at the values.

mod convert;
mod core;
mod format_text;
mod formats;
mod lists;
mod net;
mod quantity;
mod regex;
mod semver;
mod strings;
mod times;
mod url;

use super::fault::Fault;
use super::value::Value;

pub use formats::Format;
pub use net::Cidr;
pub use quantity::Quantity;
pub use semver::Semver;
pub use url::Url;

pub(super) use convert::is_conversion;
pub(super) use format_text::{Clause, clauses};
pub(super) use lists::sum_of;
pub(super) use regex::compile as compile_regex;

/// A function over values; the target of a method is the first.
pub(super) type Builtin = for<'a> fn(&[Value<'a>]) -> Answer<'a>;

pub(super) type Answer<'a> = Result<Value<'a>, Fault>;

/// The function of a name, with whatever overloads.
pub(super) fn find(name: &str) -> Option<Builtin> {
    core::find(name)
        .or_else(|| convert::find(name))
        .or_else(|| strings::find(name))
        .or_else(|| lists::find(name))
        .or_else(|| times::find(name))
        .or_else(|| regex::find(name))
        .or_else(|| url::find(name))
        .or_else(|| quantity::find(name))
        .or_else(|| net::find(name))
        .or_else(|| semver::find(name))
        .or_else(|| formats::find(name))
}

/// An answer that is a list of texts.
fn texts<'a>(parts: impl IntoIterator<Item = impl AsRef<str>>) -> Value<'a> {
    let items = parts.into_iter().map(|part| Value::text(part.as_ref()));
    Value::list(items.collect())
}
