//! Finds JSON objects that follow each other in a stream of bytes.

use bytes::{Bytes, BytesMut};

/// Objects of a stream, cut anywhere. Looks at each byte once, however the stream is cut.
#[derive(Debug)]
pub(super) struct Objects {
    text: BytesMut,
    /// Bytes of `text` that were looked at.
    seen: usize,
    /// Braces and brackets that are open.
    depth: usize,
    place: Place,
    /// The largest object in bytes.
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not in a string.
    Open,
    /// In a string.
    String,
    /// In a string, behind a backslash.
    Escape,
}

/// The stream does not go on with an object, or with one that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoObject;

impl Objects {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            text: BytesMut::new(),
            seen: 0,
            depth: 0,
            place: Place::Open,
            limit,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// The next object that is complete. What is between its braces is not checked.
    ///
    /// # Errors
    /// [`NoObject`], from then on.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, NoObject> {
        if self.seen == 0 {
            self.skip_space();
            if self.text.first().is_some_and(|&first| first != b'{') {
                return Err(NoObject);
            }
        }
        while let Some(&byte) = self.text.get(self.seen) {
            self.seen += 1;
            self.look_at(byte);
            if self.depth == 0 {
                if byte != b'}' {
                    // Looked at again, it is none again.
                    self.seen = 0;
                    return Err(NoObject);
                }
                let object = self.text.split_to(self.seen).freeze();
                self.seen = 0;
                return Ok(Some(object));
            }
        }
        if self.text.len() > self.limit {
            return Err(NoObject);
        }
        Ok(None)
    }

    fn skip_space(&mut self) {
        let begin = self
            .text
            .iter()
            .position(|byte| !byte.is_ascii_whitespace());
        let _ = self.text.split_to(begin.unwrap_or(self.text.len()));
    }

    fn look_at(&mut self, byte: u8) {
        self.place = match (self.place, byte) {
            // Brackets can be counted with braces: JSON that mixes them up is refused by who reads it.
            (Place::Open, b'{' | b'[') => {
                self.depth += 1;
                Place::Open
            }
            (Place::Open, b'}' | b']') => {
                self.depth -= 1;
                Place::Open
            }
            (Place::Open, b'"') | (Place::Escape, _) => Place::String,
            (Place::String, b'"') => Place::Open,
            (Place::String, b'\\') => Place::Escape,
            (place, _) => place,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &[u8], step: usize) -> (Vec<Bytes>, bool) {
        let mut objects = Objects::new(1 << 20);
        let mut found = Vec::new();
        for part in text.chunks(step.max(1)) {
            objects.push(part);
            loop {
                match objects.next() {
                    Ok(Some(object)) => found.push(object),
                    Ok(None) => break,
                    Err(NoObject) => return (found, true),
                }
            }
        }
        (found, false)
    }

    fn object() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(serde_json::Value::from),
            "[\\[\\]{}\"\\\\ a-z]{0,8}".prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
        ];
        let value = leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                proptest::collection::btree_map("[a-z{\"]{1,3}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        });
        proptest::collection::btree_map("[a-z}]{1,3}", value, 0..4)
            .prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn objects_are_found_wherever_the_stream_is_cut(
            objects in proptest::collection::vec(object(), 0..5),
            gap in "[ \\n\\t]{0,3}",
            step in 1_usize..40,
        ) {
            let texts: Vec<_> = objects.iter().map(ToString::to_string).collect();
            let text = texts.join(&gap);
            let (found, failed) = split(text.as_bytes(), step);
            prop_assert!(!failed);
            prop_assert_eq!(found, texts);
        }

        #[test]
        fn any_bytes_are_split_or_refused(bytes: Vec<u8>, step in 1_usize..9) {
            let (found, _) = split(&bytes, step);
            let total: usize = found.iter().map(Bytes::len).sum();
            prop_assert!(total <= bytes.len());
        }
    }

    #[test]
    fn a_stream_of_anything_else_is_refused() {
        for text in ["5", "[1]", "null", "{} x", "\"{}\"", "}", "{]", "{[}}}"] {
            assert!(split(text.as_bytes(), 1).1, "{text}");
        }
        let mut objects = Objects::new(100);
        objects.push(b"{]");
        for more in [b"}", b"{", b"}"] {
            assert_eq!(objects.next(), Err(NoObject));
            objects.push(more);
        }
        assert_eq!(split(b"{\"a\":", 2), (vec![], false));
    }

    #[test]
    fn an_object_without_end_is_refused() {
        let mut objects = Objects::new(10);
        objects.push(b"{\"key\":\"0");
        assert_eq!(objects.next(), Ok(None));
        objects.push(b"123");
        assert_eq!(objects.next(), Err(NoObject));
    }
}
