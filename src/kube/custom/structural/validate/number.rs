//! Bounds of numbers.

use super::problem::{At, Outcome};
use crate::kube::custom::structural::value::{Num, shown_float};
use crate::kube::custom::structural::{Checks, SchemaType};

/// Checks a number against the bounds of a node, whose one type and format these are.
pub(super) fn number(
    value: Num,
    checks: &Checks,
    of: Option<SchemaType>,
    format: &str,
    at: &At<'_>,
) -> Outcome {
    let kind = Kind { of, format };
    let mut outcome = Outcome::default();
    if !kind.holds(value) {
        outcome.plain(kind.refusal("Checked", at));
    }
    if let Some(factor) = &checks.multiple_of {
        let factor = Num::of(factor).float();
        let native = kind.bound("MultipleOf", factor, at, &mut outcome);
        multiple(value, factor, native, at, &mut outcome);
    }
    if let Some(minimum) = &checks.minimum {
        let minimum = Num::of(minimum).float();
        let native = kind.bound("Minimum boundary", minimum, at, &mut outcome);
        let exclusive = checks.exclusive_minimum;
        let (wrong, bound) = compare(value, minimum, native, |order| {
            order.is_lt() || (exclusive && order.is_eq())
        });
        if wrong {
            let than = if exclusive {
                "than"
            } else {
                "than or equal to"
            };
            let rest = format!("should be greater {than} {bound}");
            outcome.invalid(at, value.shown(), &rest);
        }
    }
    if let Some(maximum) = &checks.maximum {
        let maximum = Num::of(maximum).float();
        let native = kind.bound("Maximum boundary", maximum, at, &mut outcome);
        let exclusive = checks.exclusive_maximum;
        let (wrong, bound) = compare(value, maximum, native, |order| {
            order.is_gt() || (exclusive && order.is_eq())
        });
        if wrong {
            let than = if exclusive {
                "than"
            } else {
                "than or equal to"
            };
            let rest = format!("should be less {than} {bound}");
            outcome.invalid(at, value.shown(), &rest);
        }
    }
    outcome.matches += 1;
    outcome
}

struct Kind<'a> {
    of: Option<SchemaType>,
    format: &'a str,
}

impl Kind<'_> {
    /// Whether a number is one of the type and format.
    fn holds(&self, value: Num) -> bool {
        match (self.of, self.format) {
            (Some(SchemaType::Integer), format) => {
                let whole = match value {
                    Num::Int(int) => Some(int),
                    Num::Float(float) => whole(float),
                };
                whole.is_some_and(|int| format != "int32" || i32::try_from(int).is_ok())
            }
            (Some(SchemaType::Number), "float") => {
                #[expect(clippy::cast_possible_truncation, reason = "that is what is asked")]
                let single = value.float() as f32;
                single.is_finite()
            }
            _ => true,
        }
    }

    fn refusal(&self, what: &str, at: &At<'_>) -> String {
        let of = self.of.map_or("", SchemaType::name);
        let path = at.path();
        if self.format.is_empty() {
            format!("{what} value must be of type {of} (default format) in {path}")
        } else {
            let format = self.format;
            format!("{what} value must be of type {of} with format {format} in {path}")
        }
    }

    /// Whether a bound is of the type itself, which is a fault of the schema if not.
    fn bound(&self, what: &str, bound: f64, at: &At<'_>, outcome: &mut Outcome) -> bool {
        let native = self.holds(Num::Float(bound));
        if !native {
            outcome.plain(self.refusal(what, at));
        }
        native
    }
}

/// The integer that a float is.
fn whole(float: f64) -> Option<i64> {
    // 2^63, which no i64 reaches.
    const END: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is within its bounds")]
    (float.fract() == 0.0 && (-END..END).contains(&float)).then_some(float as i64)
}

/// As Go converts floats to integers, where they are within bounds. What it makes of others differs between processors,
/// down to bounds that nothing holds to: here they are the nearest integer.
#[expect(clippy::cast_possible_truncation, reason = "that is what is asked")]
fn truncated(float: f64) -> i64 {
    float as i64
}

/// Whether a number and a bound are in a wrong order, and the bound as it is printed.
fn compare(
    value: Num,
    bound: f64,
    native: bool,
    wrong: impl Fn(std::cmp::Ordering) -> bool,
) -> (bool, String) {
    match (value, native) {
        (Num::Int(int), true) => {
            let bound = truncated(bound);
            (wrong(int.cmp(&bound)), bound.to_string())
        }
        (value, _) => {
            let order = value.float().partial_cmp(&bound);
            (order.is_some_and(wrong), shown_float(bound))
        }
    }
}

fn multiple(value: Num, factor: f64, native: bool, at: &At<'_>, outcome: &mut Outcome) {
    match (value, native) {
        (Num::Int(int), true) => {
            let factor = truncated(factor);
            if factor <= 0 {
                outcome.bad_factor(at, factor.to_string());
            } else if int % factor != 0 {
                let rest = format!("should be a multiple of {factor}");
                outcome.invalid(at, value.shown(), &rest);
            }
        }
        (value, _) => {
            let shown = shown_float(factor);
            let value = value.float();
            let ratio = if factor < 1.0 {
                1.0 / factor * value
            } else {
                value / factor
            };
            if factor <= 0.0 {
                outcome.bad_factor(at, shown);
            } else if !is_whole(ratio) {
                let rest = format!("should be a multiple of {shown}");
                outcome.invalid(at, shown_float(value), &rest);
            }
        }
    }
}

/// Whether a float is an integer of JSON, near enough: one that a float holds exactly.
pub(super) fn is_whole(float: f64) -> bool {
    const MOST: f64 = 9_007_199_254_740_991.0;
    const EPSILON: f64 = 1e-9;
    if !float.is_finite() || float.abs() > MOST {
        return false;
    }
    let rounded = float.round();
    float == rounded || (rounded != 0.0 && (float - rounded).abs() < EPSILON * rounded.abs())
}
