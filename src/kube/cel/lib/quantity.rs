//! Resource quantities: exact numbers.

use std::cmp::Ordering;
use std::fmt;

use super::{Answer, Builtin};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::value::Value;
use crate::kube::object::quantity;

/// A quantity as it was read, or what was computed of some.
#[derive(Debug, Clone)]
pub struct Quantity {
    exact: quantity::Quantity,
    /// Whether it is a whole number to the release, which does not look behind a decimal suffix below one.
    whole: bool,
}

const NANO: i128 = 1_000_000_000;
const TOO_LARGE: &str = "quantity too large to compute with";

impl Quantity {
    fn parse(text: &str) -> Result<Self, quantity::QuantityError> {
        let exact = quantity::Quantity::parse(text)?;
        let nanos = exact.scaled(-9);
        let whole = nanos.is_some_and(|nanos| nanos % NANO == 0);
        // A fraction is kept as it was said: 1000m is not whole.
        let fraction =
            text.contains('.') || text.ends_with(['m', 'u', 'n']) || has_negative_exponent(text);
        Ok(Self {
            exact,
            whole: whole && !fraction,
        })
    }

    fn nanos(&self) -> Result<i128, Fault> {
        self.exact.scaled(-9).ok_or_else(|| Fault::new(TOO_LARGE))
    }

    fn of_nanos(nanos: i128) -> Result<Self, Fault> {
        let sign = if nanos < 0 { "-" } else { "" };
        let (whole, rest) = (
            nanos.unsigned_abs() / NANO.unsigned_abs(),
            nanos.unsigned_abs() % NANO.unsigned_abs(),
        );
        let text = if rest == 0 {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{rest:09}")
        };
        Self::parse(&text).map_err(Fault::new)
    }

    fn int(&self) -> Option<i64> {
        let value = self.exact.scaled(0).filter(|_| self.whole)?;
        i64::try_from(value).ok()
    }

    pub(in crate::kube::cel) fn compare(&self, other: &Self) -> Ordering {
        self.exact.compare(&other.exact)
    }
}

fn has_negative_exponent(text: &str) -> bool {
    text.contains("e-") || text.contains("E-")
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exact.fmt(f)
    }
}

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "quantity" => |args| match args {
            [Value::String(text)] => Quantity::parse(text)
                .map(|quantity| Value::Quantity(quantity.into()))
                .map_err(Fault::new),
            _ => Err(Fault::overload()),
        },
        "isQuantity" => |args| match args {
            [Value::String(text)] => Ok(Value::Bool(Quantity::parse(text).is_ok())),
            _ => Err(Fault::overload()),
        },
        "sign" => |args| match args {
            [Value::Quantity(quantity)] => Ok(Value::Int(quantity.exact.sign().into())),
            _ => Err(Fault::overload()),
        },
        "isInteger" => |args| match args {
            [Value::Quantity(quantity)] => Ok(Value::Bool(quantity.int().is_some())),
            _ => Err(Fault::overload()),
        },
        "asInteger" => |args| match args {
            [Value::Quantity(quantity)] => {
                let int = quantity.int();
                int.map(Value::Int)
                    .ok_or_else(|| Fault::new("cannot convert value to integer"))
            }
            _ => Err(Fault::overload()),
        },
        "asApproximateFloat" => |args| match args {
            [Value::Quantity(quantity)] => approximate(quantity),
            _ => Err(Fault::overload()),
        },
        "isGreaterThan" => |args| Ok(Value::Bool(order(args)?.is_gt())),
        "isLessThan" => |args| Ok(Value::Bool(order(args)?.is_lt())),
        "compareTo" => |args| Ok(Value::Int(order(args)? as i64)),
        "add" => |args| combined(args, 1),
        "sub" => |args| combined(args, -1),
        _ => return None,
    })
}

fn approximate<'a>(quantity: &Quantity) -> Answer<'a> {
    let nanos = quantity.nanos()?;
    #[expect(clippy::cast_precision_loss, reason = "it is approximate")]
    let value = if nanos % NANO == 0 {
        (nanos / NANO) as f64
    } else {
        nanos as f64 / 1e9
    };
    Ok(Value::Double(value))
}

fn order(args: &[Value<'_>]) -> Result<Ordering, Fault> {
    match args {
        [Value::Quantity(one), Value::Quantity(other)] => Ok(one.compare(other)),
        [Value::Semver(one), Value::Semver(other)] => Ok(one.compare(other)),
        _ => Err(Fault::overload()),
    }
}

fn combined<'a>(args: &[Value<'a>], sign: i128) -> Answer<'a> {
    let (one, other) = match args {
        [Value::Quantity(one), Value::Quantity(other)] => (one.nanos()?, other.nanos()?),
        [Value::Quantity(one), Value::Int(other)] => (one.nanos()?, i128::from(*other) * NANO),
        _ => return Err(Fault::overload()),
    };
    let sum = other
        .checked_mul(sign)
        .and_then(|other| one.checked_add(other));
    let sum = sum.ok_or_else(|| Fault::new(TOO_LARGE))?;
    Ok(Value::Quantity(Quantity::of_nanos(sum)?.into()))
}
