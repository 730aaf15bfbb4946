//! Parts of points in time and of durations.

use super::{Answer, Builtin};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::value::Value;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "getFullYear" => |args| part(args, "getFullYear"),
        "getMonth" => |args| part(args, "getMonth"),
        "getDate" => |args| part(args, "getDate"),
        "getDayOfMonth" => |args| part(args, "getDayOfMonth"),
        "getDayOfWeek" => |args| part(args, "getDayOfWeek"),
        "getDayOfYear" => |args| part(args, "getDayOfYear"),
        "getHours" => |args| part(args, "getHours"),
        "getMinutes" => |args| part(args, "getMinutes"),
        "getSeconds" => |args| part(args, "getSeconds"),
        "getMilliseconds" => |args| part(args, "getMilliseconds"),
        _ => return None,
    })
}

/// Of a time in UTC or in a zone, or of a duration as a whole.
fn part<'a>(args: &[Value<'a>], name: &str) -> Answer<'a> {
    let found = match args {
        [Value::Timestamp(time)] => time.part(name, 0),
        [Value::Timestamp(time), Value::String(zone)] => {
            let offset = time.offset_in(zone).map_err(Fault::new)?;
            time.part(name, offset)
        }
        [Value::Duration(nanos)] => match name {
            "getHours" => Some(nanos / 3_600_000_000_000),
            "getMinutes" => Some(nanos / 60_000_000_000),
            "getSeconds" => Some(nanos / 1_000_000_000),
            "getMilliseconds" => Some(nanos / 1_000_000),
            _ => None,
        },
        _ => None,
    };
    found.map(Value::Int).ok_or_else(Fault::overload)
}
