//! Custom objects on their way in and out, by the schema of their version.

use serde_json::Value;

use super::judge::{self, Judges};
use super::kinds::Kind;
use super::structural::{
    Malformed, default, receive, validate_at, validate_lists, validate_metadata,
};
use crate::kube::field::FieldError;
use crate::kube::schema::Resource;

impl Kind {
    /// As `apiVersion` has it.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.definition.group, self.version.name)
    }

    /// Brings what a client has sent into the form of its schema, with defaults. Returns the paths of fields that the
    /// schema does not know, which are gone.
    ///
    /// # Errors
    /// What of its metadata is not of its type.
    pub fn receive(&self, object: &mut Value) -> Result<Vec<String>, String> {
        self.shape(object, Malformed::Refuse)
    }

    /// Makes of what is stored, in whatever version, an object of this one.
    pub fn read(&self, object: &mut Value) {
        if let Some(map) = object.as_object_mut() {
            map.insert("apiVersion".into(), self.api_version().into());
        }
        // What is malformed is dropped here, so that nothing is refused.
        let _ = self.shape(object, Malformed::Drop);
    }

    /// The object that is stored for one of this version.
    pub fn to_storage(&self, object: &Value) -> Value {
        let mut stored = object.clone();
        if let Some(map) = stored.as_object_mut() {
            let definition = &self.definition;
            let version = format!("{}/{}", definition.group, definition.storage_version);
            map.insert("apiVersion".into(), version.into());
        }
        stored
    }

    fn shape(&self, object: &mut Value, malformed: Malformed) -> Result<Vec<String>, String> {
        let Some(schema) = &self.version.schema else {
            return Ok(Vec::new());
        };
        if self.definition.preserve_unknown {
            default(schema, object);
            return Ok(Vec::new());
        }
        let unknown = receive(schema, object, malformed)?;
        default(schema, object);
        Ok(unknown)
    }

    fn judged(&self, judge: impl FnOnce(Judges<'_>) -> Vec<FieldError>) -> Vec<FieldError> {
        let Some(schema) = self.version.schema.as_deref() else {
            return judge(Judges {
                values: &|_, _, _| Vec::new(),
                embedded: &|_| Vec::new(),
                lists: &|_| Vec::new(),
                rules: &|_, _| Vec::new(),
            });
        };
        judge(Judges {
            values: &|value, old, path| {
                let of = match path {
                    "" => Some(schema),
                    part => schema.properties.get(part),
                };
                of.map_or_else(Vec::new, |of| validate_at(of, path, value, old))
            },
            embedded: &|object| validate_metadata(schema, object, false),
            lists: &|object| validate_lists(schema, object),
            rules: &|_, _| Vec::new(),
        })
    }

    /// What is wrong with a new object.
    pub fn judge_create(&self, resource: &Resource, object: &Value) -> Vec<FieldError> {
        self.judged(|judges| judge::create(resource, self, object, judges))
    }

    /// What is wrong with an update of an object, or of its status.
    pub fn judge_update(&self, subresource: &str, old: &Value, new: &Value) -> Vec<FieldError> {
        self.judged(|judges| judge::update(self, subresource, old, new, judges))
    }
}
