//! `metadata.managedFields`: which manager owns which fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::Set;

/// The owners of an object's fields, by identity.
pub(super) type Managed = BTreeMap<Identity, Owned>;

/// Who manages fields: one entry for each. Applying has one entry whatever the version is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Identity {
    /// The JSON by which the release identifies and orders managers.
    json: String,
    pub(super) manager: String,
    pub(super) applies: bool,
    pub(super) api_version: String,
    pub(super) subresource: String,
}

/// What a manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) set: Set,
    /// The version in which the fields are named.
    pub(super) version: String,
    /// RFC 3339 in UTC; none if it has never changed anything.
    pub(super) time: Option<String>,
}

impl Identity {
    /// `version` counts for updates only.
    pub(super) fn new(manager: &str, applies: bool, version: &str, subresource: &str) -> Self {
        let operation = if applies { "Apply" } else { "Update" };
        let api_version = if applies { "" } else { version };
        let mut fields = Map::new();
        for (key, text) in [
            ("manager", manager),
            ("operation", operation),
            ("apiVersion", api_version),
            ("subresource", subresource),
        ] {
            if !text.is_empty() {
                fields.insert(key.into(), text.into());
            }
        }
        Self {
            json: Value::from(fields).to_string(),
            manager: manager.into(),
            applies,
            api_version: api_version.into(),
            subresource: subresource.into(),
        }
    }

    /// As conflicts name it: `"m" with subresource "status" using v1`.
    pub(super) fn print(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.applies {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

/// # Errors
/// The entry that is none.
pub(super) fn read(entries: Option<&Value>) -> Result<Managed, String> {
    let mut managed = Managed::new();
    let entries = entries.and_then(Value::as_array);
    for (at, entry) in entries.into_iter().flatten().enumerate() {
        let text = |name| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let applies = match text("operation") {
            "Apply" => true,
            "Update" => false,
            _ => return Err("operation must be `Apply` or `Update`".into()),
        };
        let version = text("apiVersion");
        if version.is_empty() {
            return Err("apiVersion must not be empty".into());
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
            other => {
                return Err(format!(
                    "invalid fieldsType {other:?} in managed fields entry {at}"
                ));
            }
        }
        let set = entry.get("fieldsV1").unwrap_or(&Value::Null);
        let set = Set::read(set).map_err(|why| format!("error decoding set: {why}"))?;
        let identity = Identity::new(text("manager"), applies, version, text("subresource"));
        let owned = Owned {
            set,
            version: version.into(),
            time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
        };
        managed.insert(identity, owned);
    }
    Ok(managed)
}

/// In the order of the API: those who apply first, then by time and name.
pub(super) fn write(managed: &Managed) -> Vec<Value> {
    let mut entries: Vec<_> = managed.iter().collect();
    entries.sort_by_key(|(identity, owned)| {
        let time = owned.time.as_deref().unwrap_or_default();
        (
            !identity.applies,
            time,
            &identity.manager,
            &owned.version,
            &identity.subresource,
        )
    });
    let write = |(identity, owned): (&Identity, &Owned)| {
        let mut entry = Map::new();
        let mut text = |name: &str, text: &str| {
            if !text.is_empty() {
                entry.insert(name.to_owned(), text.into());
            }
        };
        text("manager", &identity.manager);
        text(
            "operation",
            if identity.applies { "Apply" } else { "Update" },
        );
        text("apiVersion", &owned.version);
        text("time", owned.time.as_deref().unwrap_or_default());
        text("fieldsType", "FieldsV1");
        entry.insert("fieldsV1".into(), owned.set.write());
        if !identity.subresource.is_empty() {
            entry.insert("subresource".into(), identity.subresource.as_str().into());
        }
        entry.into()
    };
    entries.into_iter().map(write).collect()
}

/// `metadata.managedFields` of an object.
pub(super) fn of(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

/// Puts the owners into an object, where Go's encoder writes them: last in the metadata.
pub(super) fn put(object: &mut Value, managed: &Managed) {
    let Some(object) = object.as_object_mut() else {
        return;
    };
    let metadata = object
        .entry("metadata")
        .or_insert_with(|| Map::new().into());
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.shift_remove("managedFields");
        if !managed.is_empty() {
            metadata.insert("managedFields".into(), write(managed).into());
        }
    }
}
