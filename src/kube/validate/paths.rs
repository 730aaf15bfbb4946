//! Paths in containers and volumes.

use super::cursor::{At, Errors};

pub(super) fn no_back_steps(at: &At<'_>, errors: &mut Errors) {
    if at.text().split('/').any(|part| part == "..") {
        errors.bad_text(at, "must not contain '..'");
    }
}

/// Relative, and never upwards.
pub(super) fn descending(at: &At<'_>, errors: &mut Errors) {
    if at.text().starts_with('/') {
        errors.bad_text(at, "must be a relative path");
    }
    no_back_steps(at, errors);
}

/// [`descending`], and not one of the names that volumes keep for themselves.
pub(super) fn not_reserved(at: &At<'_>, errors: &mut Errors) {
    descending(at, errors);
    if at.text().starts_with("..") && !at.text().starts_with("../") {
        errors.bad_text(at, "must not start with '..'");
    }
}
