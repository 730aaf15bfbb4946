//! Whether every field of a message is given once in its JSON. protobuf-go refuses others, and so does etcd;
//! the library here takes the last one.

use std::collections::HashSet;
use std::fmt;

use prost_reflect::{Kind, MessageDescriptor};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use tonic::Status;

/// Refuses a message that says something twice, under whichever of a field's names. What is no JSON, or of another
/// shape than the message, is left for the reader to word.
///
/// # Errors
/// `InvalidArgument` in protobuf-go's words, with the place of the second field's name.
pub(super) fn check(kind: &MessageDescriptor, text: &[u8]) -> Result<(), Status> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let Err(error) = Message(kind).deserialize(&mut reader) else {
        return Ok(());
    };
    let said = error.to_string();
    let Some(name) = said
        .strip_prefix(TWICE)
        .and_then(|rest| rest.split_once(END))
    else {
        return Ok(());
    };
    let name = name.0;
    // The reader stands behind the name and its quotes.
    let column = (error.column() + 1).saturating_sub(name.len() + 2);
    Err(Status::invalid_argument(format!(
        "proto: (line {}:{column}): duplicate field {name:?}",
        error.line()
    )))
}

/// What comes before a name that was given twice, and after it: a character that no JSON string has unescaped and
/// no field name at all.
const TWICE: &str = "\u{1}";
const END: char = '\u{2}';

/// A message, or several of them, somewhere in JSON.
struct Message<'a>(&'a MessageDescriptor);

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            let by_name = || self.0.get_field_by_name(&name);
            let Some(field) = self.0.get_field_by_json_name(&name).or_else(by_name) else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            if !seen.insert(field.number()) {
                return Err(A::Error::custom(format_args!("{TWICE}{name}{END}")));
            }
            match field.kind() {
                Kind::Message(kind) if !field.is_map() => {
                    fields.next_value_seed(Message(&kind))?;
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<(), A::Error> {
        while messages.next_element_seed(Message(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::messages;
    use super::*;

    fn said(text: &str) -> Option<String> {
        let kind = messages().get_message_by_name("etcdserverpb.TxnRequest");
        let checked = check(&kind.unwrap(), text.as_bytes());
        checked.err().map(|status| status.message().to_owned())
    }

    #[test]
    fn a_field_is_given_once_at_every_depth() {
        for (text, place) in [
            (
                r#"{"success":[],"success":[]}"#,
                r#"(line 1:15): duplicate field "success""#,
            ),
            (
                "{\"compare\":[{\"key\":\"\",\n \"range_end\":\"\",\"rangeEnd\":\"\"}]}",
                r#"(line 2:17): duplicate field "rangeEnd""#,
            ),
            (
                r#"{"failure":[{},{"requestPut":{"key":"","key":""}}]}"#,
                r#"(line 1:40): duplicate field "key""#,
            ),
        ] {
            assert_eq!(said(text), Some(format!("proto: {place}")), "{text}");
        }
    }

    #[test]
    fn everything_else_is_the_readers() {
        for text in [
            "",
            "{",
            "[",
            "nonsense",
            "{}",
            "7",
            "null",
            r#"{"success":[{},{}],"failure":[{"requestPut":{"key":"","value":""}}]}"#,
            r#"{"stranger":1,"stranger":2}"#,
            r#"{"success":7,"compare":1e999}"#,
            r#"{"success":[]} {"success":[]}"#,
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }
}
