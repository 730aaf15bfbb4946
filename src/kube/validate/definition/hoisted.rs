//! What is equal in all versions, and stands above them in the internal form.

use serde_json::Value;

use super::super::cursor::{At, Errors};
use super::{Tolerated, same, selectable, version};

/// Fields of versions: whether each is equal in all of them.
#[derive(Debug, Default)]
pub(super) struct Hoisted {
    pub(super) schema: bool,
    pub(super) subresources: bool,
    pub(super) columns: bool,
    pub(super) selectable: bool,
}

impl Hoisted {
    pub(super) fn of(spec: &At<'_>) -> Self {
        let versions: Vec<At<'_>> = spec.field("versions").items().collect();
        let Some(first) = versions.first() else {
            return Self::default();
        };
        let equal = |name: &str| {
            let mut all = versions.iter().map(|one| one.field(name));
            all.all(|one| same(one.value, first.field(name).value))
        };
        Self {
            schema: equal("schema"),
            subresources: equal("subresources"),
            columns: equal("additionalPrinterColumns"),
            selectable: equal("selectableFields"),
        }
    }

    /// Versions without what stands above them.
    pub(super) fn without(&self, versions: &Value) -> Value {
        let mut versions = versions.clone();
        for version in versions.as_array_mut().into_iter().flatten() {
            for (above, name) in [
                (self.schema, "schema"),
                (self.subresources, "subresources"),
                (self.columns, "additionalPrinterColumns"),
                (self.selectable, "selectableFields"),
            ] {
                if let (true, Some(version)) = (above, version.as_object_mut()) {
                    version.shift_remove(name);
                }
            }
        }
        versions
    }

    /// Judges it, under the names that it has there.
    pub(super) fn judge(&self, spec: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
        let versions: Vec<At<'_>> = spec.field("versions").items().collect();
        let Some(first) = versions.first() else {
            return;
        };
        let here = |name: &str, known_as: &str| {
            first.field(name).named(format!("{}.{known_as}", spec.path))
        };
        let schema = here("schema", "validation");
        let with_status = versions.iter().any(version::has_status);
        if self.schema {
            version::schema(&schema, with_status, tolerated, errors);
        }
        if self.subresources {
            version::subresources(&here("subresources", "subresources"), errors);
        }
        if self.columns {
            let columns = here("additionalPrinterColumns", "additionalPrinterColumns");
            columns
                .items()
                .for_each(|one| version::column(&one, errors));
        }
        let fields = here("selectableFields", "selectableFields");
        if !self.selectable || fields.is_empty() {
            return;
        }
        if self.schema && schema.is_set() {
            let before = selectable::before(tolerated, first.field("name").text());
            selectable::fields(&fields, &schema.field("openAPIV3Schema"), before, errors);
        } else {
            let why = "may only be set when validations.schema is included";
            errors.bad_value(&fields, "\"\"", why);
        }
    }
}
