//! Named formats of texts.

use super::{Answer, Builtin, texts, url};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::time::Time;
use crate::kube::cel::value::Value;
use crate::kube::validate::names;

/// A format that texts can be held to.
#[derive(Debug)]
pub struct Format {
    /// As functions name it.
    key: &'static str,
    pub name: &'static str,
    check: fn(&str) -> Vec<String>,
    /// The length of the regular expression that it costs as much as.
    pub(in crate::kube::cel) regex: u64,
}

static FORMATS: [Format; 13] = [
    format(
        "dns1123Label",
        "DNS1123Label",
        |text| told(names::dns_label(text)),
        30,
    ),
    format(
        "dns1123Subdomain",
        "DNS1123Subdomain",
        |text| told(names::subdomain(text)),
        60,
    ),
    format(
        "dns1035Label",
        "DNS1035Label",
        |text| told(names::dns_1035_label(text)),
        30,
    ),
    format(
        "qualifiedName",
        "QualifiedName",
        |text| told(names::qualified(text)),
        60,
    ),
    format(
        "dns1123LabelPrefix",
        "DNS1123LabelPrefix",
        |text| told(names::dns_label(&names::masked(text))),
        30,
    ),
    format(
        "dns1123SubdomainPrefix",
        "DNS1123SubdomainPrefix",
        |text| told(names::subdomain(&names::masked(text))),
        60,
    ),
    format(
        "dns1035LabelPrefix",
        "DNS1035LabelPrefix",
        |text| told(names::dns_1035_label(&names::masked(text))),
        30,
    ),
    format(
        "labelValue",
        "LabelValue",
        |text| told(names::label_value(text)),
        40,
    ),
    format(
        "uri",
        "URI",
        |text| url::request(text).err().into_iter().collect(),
        1103,
    ),
    format(
        "uuid",
        "uuid",
        |text| unless(is_uuid(text), "does not match the UUID format"),
        70,
    ),
    format(
        "byte",
        "byte",
        |text| unless(is_base64(text), "invalid base64"),
        84,
    ),
    format(
        "date",
        "date",
        |text| unless(Time::date(text).is_ok(), "invalid date"),
        71,
    ),
    format(
        "datetime",
        "datetime",
        |text| {
            unless(
                Time::formatted(text).is_ok() && !text.is_empty(),
                "invalid datetime",
            )
        },
        71,
    ),
];

const fn format(
    key: &'static str,
    name: &'static str,
    check: fn(&str) -> Vec<String>,
    regex: u64,
) -> Format {
    Format {
        key,
        name,
        check,
        regex,
    }
}

fn told(messages: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    messages.into_iter().map(Into::into).collect()
}

fn unless(fits: bool, message: &str) -> Vec<String> {
    if fits {
        Vec::new()
    } else {
        vec![message.to_owned()]
    }
}

/// Hexadecimal digits in groups of 8, 4, 4, 4 and 12, with or without dashes.
fn is_uuid(text: &str) -> bool {
    let mut rest = text;
    for (at, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        match rest.split_at_checked(length) {
            Some((group, after)) if group.bytes().all(|b| b.is_ascii_hexdigit()) => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

fn is_base64(text: &str) -> bool {
    let padding = text.bytes().rev().take_while(|b| *b == b'=').count();
    let body = text.len() - padding;
    let plain = text
        .bytes()
        .take(body)
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    !text.is_empty() && text.len().is_multiple_of(4) && padding <= 2 && plain
}

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "validate" => |args| match args {
            [Value::Format(format), Value::String(text)] => {
                let problems = (format.check)(text);
                Ok(if problems.is_empty() {
                    Value::NONE
                } else {
                    Value::some(texts(problems))
                })
            }
            _ => Err(Fault::overload()),
        },
        "format.named" => |args| match args {
            [Value::String(name)] => Ok(named(name).map_or(Value::NONE, Value::some)),
            _ => Err(Fault::overload()),
        },
        "format.dns1123Label" => |_| known("dns1123Label"),
        "format.dns1123Subdomain" => |_| known("dns1123Subdomain"),
        "format.dns1035Label" => |_| known("dns1035Label"),
        "format.qualifiedName" => |_| known("qualifiedName"),
        "format.dns1123LabelPrefix" => |_| known("dns1123LabelPrefix"),
        "format.dns1123SubdomainPrefix" => |_| known("dns1123SubdomainPrefix"),
        "format.dns1035LabelPrefix" => |_| known("dns1035LabelPrefix"),
        "format.labelValue" => |_| known("labelValue"),
        "format.uri" => |_| known("uri"),
        "format.uuid" => |_| known("uuid"),
        "format.byte" => |_| known("byte"),
        "format.date" => |_| known("date"),
        "format.datetime" => |_| known("datetime"),
        _ => return None,
    })
}

fn named<'a>(key: &str) -> Option<Value<'a>> {
    let mut all = FORMATS.iter();
    all.find(|format| format.key == key).map(Value::Format)
}

fn known<'a>(key: &str) -> Answer<'a> {
    named(key).ok_or_else(Fault::overload)
}
