//! What the fuzz target of schemas checks.

use serde_json::Value;

use super::{
    CheckOptions, Malformed, Structural, check, coerce, default, drop_nulls, prune, prune_defaults,
    validate, validate_lists, validate_metadata,
};

/// Fuzz check: the first line is a schema, the rest an object of it. Whatever they are, nothing panics; pruning and
/// defaulting have nothing left to do the second time.
pub fn custom_schema(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let mut next = || serde_json::from_slice::<Value>(parts.next().unwrap_or_default());
    let (Ok(schema), Ok(object)) = (next(), next()) else {
        return;
    };
    let accepted = check(&schema, "schema", &CheckOptions::new(true)).is_empty();
    let Ok(mut node) = Structural::parse(&schema) else {
        assert!(!accepted, "a schema that cannot be read is not accepted");
        return;
    };
    if prune_defaults(&mut node).is_err() {
        return;
    }
    assert_eq!(prune_defaults(&mut node), Ok(false));
    let mut new = object.clone();
    prune(&node, &mut new, true);
    let once = new.clone();
    assert!(prune(&node, &mut new, true).is_empty());
    assert_eq!(new, once);
    drop_nulls(&node, &mut new);
    default(&node, &mut new);
    let once = new.clone();
    default(&node, &mut new);
    assert_eq!(new, once);
    if coerce(&node, &mut new, true, Malformed::Refuse).is_ok() {
        let once = new.clone();
        assert_eq!(
            coerce(&node, &mut new, true, Malformed::Drop),
            Ok(Vec::new())
        );
        assert_eq!(new, once);
    }
    validate(&node, &new, Some(&object));
    validate_lists(&node, &new);
    validate_metadata(&node, &new, true);
}
