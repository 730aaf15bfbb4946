//! Names of a custom kind.

use super::super::cursor::{At, Errors};
use super::super::names;

/// Names that there must be.
pub(super) fn required(called: &At<'_>, errors: &mut Errors) {
    for field in ["plural", "singular", "kind", "listKind"] {
        if called.field(field).is_empty() {
            errors.required(&called.field(field), "");
        }
    }
}

/// What names that are there may be.
pub(super) fn form(called: &At<'_>, errors: &mut Errors) {
    for field in ["plural", "singular", "kind", "listKind"] {
        let name = called.field(field);
        let is_kind = matches!(field, "kind" | "listKind");
        // Kinds are labels but for their capitals.
        let text = if is_kind {
            name.text().to_lowercase()
        } else {
            name.text().to_owned()
        };
        let messages = names::dns_1035_label(&text);
        if !name.is_empty() && !messages.is_empty() {
            let messages = messages.join(",");
            let messages = if is_kind {
                format!("may have mixed case, but should otherwise match: {messages}")
            } else {
                messages
            };
            errors.bad_text(&name, messages);
        }
    }
    labels(&called.field("shortNames"), errors);
    let (kind, list) = (called.field("kind"), called.field("listKind"));
    if !kind.is_empty() && kind.is(list.text()) {
        errors.bad_text(&list, "kind and listKind may not be the same");
    }
    labels(&called.field("categories"), errors);
}

fn labels(list: &At<'_>, errors: &mut Errors) {
    for name in list.items() {
        let messages = names::dns_1035_label(name.text());
        if !messages.is_empty() {
            errors.bad_text(&name, messages.join(","));
        }
    }
}
