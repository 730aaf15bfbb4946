//! Custom objects on their way in and out, by the schema of their version.

use serde_json::Value;

use super::kinds::Kind;
use super::structural::{Malformed, default, receive};
use super::{judge, rules};
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

    /// What is wrong with a new object.
    pub fn judge_create(&self, resource: &Resource, object: &Value) -> Vec<FieldError> {
        judge::create(resource, self, object, &|new, old| self.run_rules(new, old))
    }

    /// What is wrong with an update of an object, or of its status.
    pub fn judge_update(&self, subresource: &str, old: &Value, new: &Value) -> Vec<FieldError> {
        judge::update(self, subresource, old, new, &|new, old| {
            self.run_rules(new, old)
        })
    }

    fn run_rules(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let Some(rules) = self.version.rules() else {
            return Vec::new();
        };
        let mut budget = rules::OBJECT_BUDGET;
        rules::validate(rules, new, old, &mut budget).errors
    }
}
