//! Values as recorded answers print them.

use super::value::Value;

pub(crate) fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Uint(uint) => format!("{uint}u"),
        Value::Double(double) if double.is_infinite() => {
            if *double > 0.0 { "inf" } else { "-inf" }.into()
        }
        Value::Double(double) if double.is_nan() => "NaN".into(),
        Value::Double(double) => format!("{double:e}"),
        Value::String(text) => serde_json::Value::from(&**text).to_string(),
        Value::Bytes(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("b{digits}")
        }
        Value::Duration(nanos) => format!("duration({nanos})"),
        Value::Timestamp(time) => {
            let (seconds, nanos) = time.key();
            format!("timestamp({seconds}.{nanos:09})")
        }
        Value::Optional(None) => "optional.none".into(),
        Value::Optional(Some(value)) => format!("optional({})", shown(value)),
        Value::Type(of) => format!("type({})", of.name()),
        Value::List(list) => {
            let items = list.iter().map(|item| match item {
                Ok(item) => shown(&item),
                Err(fault) => format!("err({fault})"),
            });
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) => {
            let entries = map.keys().into_iter().map(|key| {
                let value = match map.find(&key) {
                    Ok(Some(value)) => shown(&value),
                    Ok(None) => format!("err(no such key: {})", key.shown()),
                    Err(fault) => format!("err({fault})"),
                };
                format!("{}: {value}", shown(&key))
            });
            let mut entries: Vec<String> = entries.collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Quantity(_) => format!("quantity({})", value.shown()),
        Value::Ip(_) => format!("ip({})", value.shown()),
        Value::Cidr(_) => format!("cidr({})", value.shown()),
        Value::Url(_) => format!("url({})", value.shown()),
        Value::Semver(_) => format!("semver({})", value.shown()),
        Value::Format(format) => format!("format({})", format.name),
        other => other.shown(),
    }
}
