//! pending
use super::field::FieldError;
use super::schema::{Resource, Schema};
use serde_json::Value;
pub fn create(_: &Schema, _: &Resource, _: &Value) -> Vec<FieldError> {
    Vec::new()
}
pub fn update(_: &Schema, _: &Resource, _: &str, _: &Value, _: &Value) -> Vec<FieldError> {
    Vec::new()
}
