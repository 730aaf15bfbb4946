//! Functions of texts. Places and lengths count characters.

use super::format_text::format;
use super::{Answer, Builtin, texts};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::fuel;
use crate::kube::cel::value::{List, Value};

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "charAt" => char_at,
        "indexOf" => index_of,
        "lastIndexOf" => last_index_of,
        "lowerAscii" => |args| map(args, str::to_ascii_lowercase),
        "upperAscii" => |args| map(args, str::to_ascii_uppercase),
        "trim" => |args| map(args, |text| text.trim().to_owned()),
        "strings.quote" => |args| map(args, quote),
        "replace" => replace,
        "split" => split,
        "substring" => substring,
        "join" => join,
        "format" => |args| match args {
            [Value::String(text), Value::List(values)] => format(text, values).map(Value::text),
            _ => Err(Fault::overload()),
        },
        _ => return None,
    })
}

fn map<'a>(args: &[Value<'a>], with: fn(&str) -> String) -> Answer<'a> {
    match args {
        [Value::String(text)] => Ok(Value::text(with(text))),
        _ => Err(Fault::overload()),
    }
}

fn out_of_range(index: i64) -> Fault {
    Fault::new(format!("index out of range: {index}"))
}

fn char_at<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let [Value::String(text), Value::Int(index)] = args else {
        return Err(Fault::overload());
    };
    let at = usize::try_from(*index).map_err(|_| out_of_range(*index))?;
    match text.chars().nth(at) {
        Some(found) => Ok(Value::text(found.to_string())),
        None if text.chars().count() == at => Ok(Value::text("")),
        None => Err(out_of_range(*index)),
    }
}

fn answer<'a>(place: Option<usize>) -> Value<'a> {
    Value::Int(
        place
            .and_then(|place| i64::try_from(place).ok())
            .unwrap_or(-1),
    )
}

fn index_of<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (text, part, from) = match args {
        [Value::String(text), Value::String(part)] => (text, part, 0),
        [Value::String(text), Value::String(part), Value::Int(from)] => (text, part, *from),
        [Value::List(list), item] => return super::lists::position(list, item, false),
        _ => return Err(Fault::overload()),
    };
    if part.is_empty() {
        return Ok(Value::Int(from));
    }
    let start = usize::try_from(from).map_err(|_| out_of_range(from))?;
    let Some((start, _)) = text.char_indices().nth(start) else {
        return Ok(answer(None));
    };
    let rest = text.get(start..).unwrap_or_default();
    let found = rest.find(&**part).and_then(|at| text.get(..start + at));
    Ok(answer(found.map(|before| before.chars().count())))
}

fn last_index_of<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (text, part, until) = match args {
        [Value::String(text), Value::String(part)] => {
            let length = text.chars().count();
            if part.is_empty() {
                return Ok(answer(Some(length)));
            }
            if text.len() < part.len() {
                return Ok(answer(None));
            }
            (text, part, i64::try_from(length).unwrap_or(i64::MAX) - 1)
        }
        [Value::String(text), Value::String(part), Value::Int(until)] => (text, part, *until),
        [Value::List(list), item] => return super::lists::position(list, item, true),
        _ => return Err(Fault::overload()),
    };
    if part.is_empty() {
        return Ok(Value::Int(until));
    }
    let until = usize::try_from(until).map_err(|_| out_of_range(until))?;
    let Some((start, _)) = text.char_indices().nth(until) else {
        return Ok(answer(None));
    };
    // The part may begin at the place, and reach beyond it.
    let end = (0..=(start + part.len()).min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    let within = text.get(..end).unwrap_or_default();
    let found = within.rfind(&**part).and_then(|at| text.get(..at));
    Ok(answer(found.map(|before| before.chars().count())))
}

fn replace<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (text, old, new, count) = match args {
        [Value::String(text), Value::String(old), Value::String(new)] => (text, old, new, -1),
        [
            Value::String(text),
            Value::String(old),
            Value::String(new),
            Value::Int(count),
        ] => (text, old, new, *count),
        _ => return Err(Fault::overload()),
    };
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let times = if old.is_empty() {
        text.len() + 1
    } else {
        text.len() / old.len()
    };
    if times.min(most).saturating_mul(new.len()) > fuel::MAX_BYTES {
        return Err(Fault::Cancelled);
    }
    let replaced = match usize::try_from(count) {
        Ok(count) => text.replacen(&**old, new, count),
        Err(_) => text.replace(&**old, new),
    };
    Ok(Value::text(replaced))
}

fn split<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (text, separator, count) = match args {
        [Value::String(text), Value::String(separator)] => (text, separator, -1),
        [
            Value::String(text),
            Value::String(separator),
            Value::Int(count),
        ] => (text, separator, *count),
        _ => return Err(Fault::overload()),
    };
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    if limit == 0 {
        return Ok(Value::list(Vec::new()));
    }
    if separator.is_empty() {
        return Ok(texts(characters(text, limit)));
    }
    Ok(texts(text.splitn(limit, &**separator)))
}

/// Each character, the last with the rest.
fn characters(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if parts.len() + 1 == limit {
            parts.push(rest);
            break;
        }
        let (one, after) = rest.split_at(first.len_utf8());
        parts.push(one);
        rest = after;
    }
    parts
}

fn substring<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (text, start, end) = match args {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(Fault::overload()),
    };
    if let Some(end) = end
        && start > end
    {
        let message = format!("invalid substring range. start: {start}, end: {end}");
        return Err(Fault::new(message));
    }
    let place = |index: i64| {
        let at = usize::try_from(index).map_err(|_| out_of_range(index))?;
        let mut places = text.char_indices().map(|(place, _)| place);
        match places.nth(at) {
            Some(place) => Ok(place),
            None if text.chars().count() == at => Ok(text.len()),
            None => Err(out_of_range(index)),
        }
    };
    let start = place(start)?;
    let end = end.map_or(Ok(text.len()), place)?;
    Ok(Value::text(text.get(start..end).unwrap_or_default()))
}

fn join<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let joined = |list: &List<'a>, separator: &str| {
        let mut text = String::new();
        for (at, item) in list.iter().enumerate() {
            let item = item?;
            if at > 0 {
                text.push_str(separator);
            }
            let Value::String(part) = &item else {
                let message = format!("join: invalid input: {}", item.shown());
                return Err(Fault::new(message));
            };
            text.push_str(part);
            if text.len() > fuel::MAX_BYTES {
                return Err(Fault::Cancelled);
            }
        }
        Ok(Value::text(text))
    };
    // Lists are told apart by what is first in them.
    if let Some(Value::List(list)) = args.first()
        && !matches!(list.get(0), None | Some(Ok(Value::String(_)) | Err(_)))
    {
        return Err(Fault::overload());
    }
    match args {
        [Value::List(list)] => joined(list, ""),
        [Value::List(list), Value::String(separator)] => joined(list, separator),
        _ => Err(Fault::overload()),
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for one in text.chars() {
        match one {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
