//! Tokens as text: compact JWS by RFC 7515.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::keys::{PublicKey, SigningKey};

/// A token that has been taken apart, and not yet believed.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// What the signature is of.
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    /// `""` without.
    key: String,
    pub(super) claims: Value,
}

impl<'a> Token<'a> {
    /// Takes a token apart; None for what is no token of this form.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = decode(header)?;
        let word = |key: &str| header.get(key).and_then(Value::as_str).unwrap_or_default();
        // An extension that must be understood is not.
        if header.get("crit").is_some() {
            return None;
        }
        Some(Self {
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            algorithm: word("alg").to_owned(),
            key: word("kid").to_owned(),
            claims: decode(claims)?,
        })
    }

    pub(super) fn issuer(&self) -> &str {
        self.text("iss")
    }

    pub(super) fn text(&self, claim: &str) -> &str {
        let claim = self.claims.get(claim).and_then(Value::as_str);
        claim.unwrap_or_default()
    }

    /// Whether one of the keys has signed it: those with the id that it names, or all if it names none. A key
    /// takes its own algorithm alone, so there is nothing to be talked into.
    ///
    /// # Errors
    /// The words of the release.
    pub(super) fn verify(&self, keys: &[PublicKey]) -> Result<(), String> {
        let named = |key: &&PublicKey| self.key.is_empty() || key.id == self.key;
        let mut keys = keys.iter().filter(named).peekable();
        if keys.peek().is_none() {
            return Err("invalid signature, no keys found".to_owned());
        }
        let has_signed = |key: &PublicKey| {
            key.algorithm() == self.algorithm && key.verify(self.signed.as_bytes(), &self.signature)
        };
        if keys.any(has_signed) {
            return Ok(());
        }
        Err("go-jose/go-jose: error in cryptographic primitive".to_owned())
    }

    /// A number of seconds since the Unix epoch; fractions are cut off.
    pub(super) fn seconds(&self, claim: &str) -> Option<i64> {
        seconds(self.claims.get(claim)?)
    }

    /// One audience or several.
    pub(super) fn audiences(&self) -> Vec<String> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => {
                let all = all.iter().filter_map(Value::as_str);
                all.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }
}

pub(super) fn seconds(value: &Value) -> Option<i64> {
    // A cast saturates.
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|number| number as i64))
}

/// Signs claims, which have to be in the order of their names, as Go writes them.
pub(super) fn sign(key: &SigningKey, claims: &Map<String, Value>) -> Option<String> {
    let mut header = Map::new();
    header.insert("alg".into(), key.public.algorithm().into());
    header.insert("kid".into(), key.public.id.as_str().into());
    let part = |part: &Map<String, Value>| serde_json::to_vec(part).ok();
    let mut token = URL_SAFE_NO_PAD.encode(part(&header)?);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(part(claims)?, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Some(token)
}

fn decode(part: &str) -> Option<Value> {
    let part: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    part.is_object().then_some(part)
}
