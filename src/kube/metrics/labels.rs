//! Labels: names are fixed, values are texts of the program or of a resource.

use std::borrow::Cow;

/// A value.
pub(super) type Text = Cow<'static, str>;
/// A name and its value.
pub(super) type Label = (&'static str, Text);

/// A value that outlives nothing.
pub(super) fn text(value: &str) -> Text {
    Cow::Owned(value.to_owned())
}
