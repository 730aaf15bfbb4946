//! Values as text.

use super::fuel;
use super::value::Value;

/// `%g` of Go: the shortest decimal, with an exponent if it is small or large.
pub(super) fn double_g(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

/// Seconds of a duration as Go's shortest decimal.
#[expect(clippy::cast_precision_loss, reason = "as Go counts seconds")]
pub(super) fn seconds(nanos: i64) -> String {
    let whole = (nanos / 1_000_000_000) as f64;
    let rest = (nanos % 1_000_000_000) as f64;
    format!("{}s", whole + rest / 1e9)
}

/// As `%v` of Go prints it in errors.
pub(super) fn literal(value: &Value<'_>) -> String {
    if !fuel::burn() {
        return "...".into();
    }
    match value {
        Value::Null => "null".into(),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Uint(uint) => uint.to_string(),
        Value::Double(double) => double_g(*double),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::Duration(nanos) => crate::kube::object::duration::written(*nanos),
        Value::Timestamp(time) => time.to_string(),
        Value::List(list) => {
            let items = list.iter().map(|item| match item {
                Ok(item) => literal(&item),
                Err(fault) => fault.to_string(),
            });
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) => {
            let entries = map.keys().into_iter().map(|key| {
                let value = map.find(&key).ok().flatten();
                let value = value.map(|value| literal(&value)).unwrap_or_default();
                format!("{}: {value}", literal(&key))
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Type(of) => of.name().into(),
        Value::Optional(Some(value)) => format!("optional({})", literal(value)),
        Value::Optional(None) => "optional.none()".into(),
        Value::Quantity(quantity) => quantity.to_string(),
        Value::Url(url) => url.text.clone(),
        Value::Semver(version) => version.to_string(),
        Value::Format(format) => format.name.into(),
        Value::Ip(ip) => ip.to_string(),
        Value::Cidr(cidr) => cidr.to_string(),
        Value::Opaque(json) => json.to_string(),
    }
}
