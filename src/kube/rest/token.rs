//! Continue tokens: where the next page of a list begins, and at which revision it is read.
//!
//! The form is kube-apiserver's, since some clients look inside: unpadded URL-safe base64 of
//! `{"v":"meta.k8s.io/v1","rv":REVISION,"start":"KEY\u0000"}`, the key relative to the list's prefix.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::kube::status::{ApiError, ApiResult};

const VERSION: &str = "meta.k8s.io/v1";
/// Tokens are short: a key and a number.
const MAX_TOKEN: usize = 8 << 10;

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continue {
    /// The revision of all pages; none for a list that goes on without consistency.
    pub revision: Option<i64>,
    /// The first key that may follow, behind the list's prefix.
    pub start: String,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

impl Continue {
    /// The page after `last`, a key relative to the list's prefix.
    pub fn after(last: &str, revision: Option<i64>) -> Self {
        Self {
            revision,
            start: format!("{last}\0"),
        }
    }

    pub fn encode(&self) -> String {
        let wire = Wire {
            v: VERSION.into(),
            rv: self.revision.unwrap_or(-1),
            start: self.start.clone(),
        };
        // A struct of numbers and strings has a JSON form.
        let json = serde_json::to_vec(&wire).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads what a client sent back.
    ///
    /// # Errors
    /// 400 for what was never given out.
    pub fn decode(token: &str) -> ApiResult<Self> {
        let invalid = |why: &str| {
            let why = format!("invalid continue token: continue key is not valid: {why}");
            ApiError::bad_request(why)
        };
        if token.len() > MAX_TOKEN {
            return Err(invalid("too long"));
        }
        let json = URL_SAFE_NO_PAD
            .decode(token)
            .or_else(|_| URL_SAFE.decode(token))
            .or_else(|_| STANDARD_NO_PAD.decode(token))
            .map_err(|_| {
                let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
                let at = token.bytes().position(odd).unwrap_or(token.len());
                invalid(&format!("illegal base64 data at input byte {at}"))
            })?;
        let wire: Wire =
            serde_json::from_slice(&json).map_err(|error| invalid(&not_json(&json, &error)))?;
        if wire.v != VERSION {
            return Err(invalid(&format!(
                "server does not recognize this encoded version {}",
                wire.v
            )));
        }
        let revision = match wire.rv {
            0 => {
                return Err(invalid(
                    "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
                ));
            }
            revision if revision < 0 => None,
            revision => Some(revision),
        };
        // One of kube-apiserver's two ways of making tokens puts a slash first.
        let start = wire.start.strip_prefix('/').unwrap_or(&wire.start);
        if start.is_empty() {
            return Err(invalid("encoded start key empty (version meta.k8s.io/v1)"));
        }
        if start.split('/').any(|part| part == "." || part == "..") {
            return Err(invalid(&format!("{:?}", wire.start)));
        }
        Ok(Self {
            revision,
            start: start.to_owned(),
        })
    }
}

/// What Go's decoder says of bytes that are no token's; what it says of wrong types inside is told in other words.
fn not_json(json: &[u8], error: &serde_json::Error) -> String {
    match json.first() {
        Some(byte) if *byte != b'{' && byte.is_ascii_graphic() => {
            let first = char::from(*byte);
            format!("invalid character {first:?} looking for beginning of value")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_of_either_form_is_understood() {
        let ours = Continue::after("default/a", Some(7)).encode();
        let theirs =
            URL_SAFE_NO_PAD.encode(br#"{"v":"meta.k8s.io/v1","rv":7,"start":"/default/a\u0000"}"#);
        assert_eq!(Continue::decode(&ours), Continue::decode(&theirs));
        assert_eq!(Continue::decode(&ours).unwrap().start, "default/a\0");
        let loose = Continue::after("a", None);
        assert_eq!(Continue::decode(&loose.encode()), Ok(loose));
    }

    #[test]
    fn what_was_never_given_out_is_refused() {
        for json in [
            r#"{"v":"meta.k8s.io/v2","rv":7,"start":"a"}"#,
            r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#,
            r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#,
            r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../secrets/a"}"#,
            "nothing",
        ] {
            let error = Continue::decode(&URL_SAFE_NO_PAD.encode(json)).unwrap_err();
            assert_eq!(error.code, 400, "{json}");
        }
        for (token, why) in [
            ("bad!!", "illegal base64 data at input byte 3"),
            (
                "abc",
                "invalid character 'i' looking for beginning of value",
            ),
            (
                "eyJ2IjoieCIsInJ2IjoxLCJzdGFydCI6ImEifQ",
                "server does not recognize this encoded version x",
            ),
        ] {
            let error = Continue::decode(token).unwrap_err();
            let expected = format!("invalid continue token: continue key is not valid: {why}");
            assert_eq!((error.code, error.message), (400, expected));
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(token in ".{0,200}") {
            let _ = Continue::decode(&token);
        }
    }
}
