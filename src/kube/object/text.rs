//! JSON text, read as Go's decoder reads it: the same refusals in the same words, bad UTF-8 replaced.

use std::borrow::Cow;

use super::go;
use super::node::{MAX_DEPTH, Node};

/// Reads one document and nothing behind it.
///
/// # Errors
/// What Go's scanner says of the first byte that is wrong.
pub(super) fn parse(text: &[u8]) -> Result<Node<'_>, String> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let node = parser.value(MAX_DEPTH)?;
    parser.space();
    match parser.peek() {
        None => Ok(node),
        Some(byte) => Err(wrong(byte, "after top-level value")),
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

/// Go's words for a byte that cannot stand where it does.
fn wrong(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => r"\'".to_owned(),
        b'"' => "\"".to_owned(),
        _ => go::escaped(&char::from(byte).to_string()),
    };
    format!("invalid character '{shown}' {context}")
}

const ENDED: &str = "unexpected end of JSON input";

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The byte here cannot be.
    fn refuse<T>(&self, context: &str) -> Result<T, String> {
        Err(self
            .peek()
            .map_or_else(|| ENDED.to_owned(), |byte| wrong(byte, context)))
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, String> {
        match self.peek() {
            Some(b'"') => self.string().map(Node::String),
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(b'[') => self.list(self.deeper(depth)?),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            _ => self.refuse("looking for beginning of value"),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, String> {
        match depth.checked_sub(1) {
            Some(left) => Ok(left),
            None => self.refuse("exceeded max depth"),
        }
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, String> {
        for expected in word.chars() {
            if self.peek().map(char::from) != Some(expected) {
                return self.refuse(&format!("in literal {word} (expecting '{expected}')"));
            }
            self.at += 1;
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node<'a>, String> {
        self.at += 1;
        self.space();
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.refuse("after array element"),
            }
            self.space();
        }
        self.at += 1;
        Ok(Node::List(items))
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, String> {
        self.at += 1;
        self.space();
        let mut fields = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Node::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.refuse("looking for beginning of object key string");
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return self.refuse("after object key");
            }
            self.at += 1;
            self.space();
            fields.push((key, self.value(depth)?));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.refuse("after object key:value pair"),
            }
            self.space();
        }
        self.at += 1;
        Ok(Node::Object(fields))
    }

    fn number(&mut self) -> Result<Node<'a>, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits("in numeric literal")?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        Ok(Node::Number(String::from_utf8_lossy(digits)))
    }

    /// At least one.
    fn digits(&mut self, context: &str) -> Result<(), String> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.refuse(context);
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        self.at += 1;
        let start = self.at;
        let mut escapes = false;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return self.refuse("in string literal"),
            }
        }
        let inside = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        let text = replaced(inside);
        Ok(if escapes {
            unescape(&text).into()
        } else {
            text
        })
    }

    fn escape(&mut self) -> Result<(), String> {
        self.at += 1;
        match self.peek() {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.refuse("in \\u hexadecimal character escape");
                    }
                    self.at += 1;
                }
            }
            _ => return self.refuse("in string escape code"),
        }
        Ok(())
    }
}

/// Every byte that is no UTF-8 becomes a replacement character of its own, as in Go.
pub(super) fn replaced(bytes: &[u8]) -> Cow<'_, str> {
    let mut rest = match std::str::from_utf8(bytes) {
        Ok(text) => return text.into(),
        Err(_) => bytes,
    };
    let mut text = String::with_capacity(bytes.len() + 8);
    loop {
        match std::str::from_utf8(rest) {
            Ok(last) => {
                text.push_str(last);
                return text.into();
            }
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(good).unwrap_or_default());
                text.push(char::REPLACEMENT_CHARACTER);
                rest = bad.get(1..).unwrap_or_default();
            }
        }
    }
}

/// Takes the escapes out of a string that [`Parser::string`] has accepted.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let mut chars = after.chars();
        let kind = chars.next().unwrap_or('\\');
        rest = chars.as_str();
        plain.push(match kind {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unit(&mut rest),
            other => other,
        });
    }
    plain.push_str(rest);
    plain
}

/// The character of `XXXX` or of a pair of surrogates; half a pair is replaced.
fn unit(rest: &mut &str) -> char {
    fn four(text: &str) -> Option<(u16, &str)> {
        let (digits, rest) = text.split_at_checked(4)?;
        Some((u16::from_str_radix(digits, 16).ok()?, rest))
    }
    let Some((first, after)) = four(rest) else {
        return char::REPLACEMENT_CHARACTER;
    };
    *rest = after;
    if let Some(alone) = char::from_u32(u32::from(first)) {
        return alone;
    }
    let second = after.strip_prefix("\\u").and_then(four);
    let pair = second.and_then(|(second, after)| {
        let mut decoded = char::decode_utf16([first, second]);
        Some((decoded.next()?.ok()?, after))
    });
    match pair {
        Some((both, after)) => {
            *rest = after;
            both
        }
        None => char::REPLACEMENT_CHARACTER,
    }
}
