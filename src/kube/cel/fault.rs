//! Why an evaluation has no value.

use std::borrow::Cow;

use super::value::Value;

/// An error of an evaluation. `&&`, `||` and the macros like them absorb errors, except that of the budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Error(Cow<'static, str>),
    /// The budget is used up: nothing goes on.
    #[error("operation cancelled: actual cost limit exceeded")]
    Cancelled,
}

impl Fault {
    pub(super) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Error(message.into())
    }

    /// No function takes these values.
    pub(super) fn overload() -> Self {
        Self::new("no such overload")
    }

    /// As [`Fault::overload`], with what was called and on what.
    pub(super) fn overload_of(function: &str, args: &[Value<'_>]) -> Self {
        let types: Vec<&str> = args.iter().map(Value::type_name).collect();
        Self::new(format!(
            "no such overload: {function}({})",
            types.join(", ")
        ))
    }

    pub(super) fn key(key: &Value<'_>) -> Self {
        Self::new(format!("no such key: {}", key.shown()))
    }

    pub(super) fn index(index: &Value<'_>) -> Self {
        Self::new(format!("index out of bounds: {}", index.shown()))
    }

    pub fn is_overload(&self) -> bool {
        matches!(self, Self::Error(message) if message.starts_with("no such overload"))
    }
}
