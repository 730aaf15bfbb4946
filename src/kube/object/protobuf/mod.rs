//! Protobuf.
use super::Expected;
use crate::kube::status::ApiError;
use serde_json::Value;
pub struct ProtobufError;
impl ProtobufError {
    pub(super) fn status(self, _e: &Expected, _b: &[u8]) -> ApiError {
        ApiError::bad_request("")
    }
}
pub(super) fn decode_body(_body: &[u8], _expected: &Expected) -> Result<Value, ProtobufError> {
    Err(ProtobufError)
}

pub fn is_envelope(bytes: &[u8]) -> bool {
    bytes.starts_with(b"k8s\0")
}
pub fn decode_envelope(_: &crate::kube::schema::Schema, _: &[u8]) -> Result<Value, String> {
    Err("pending".into())
}
pub fn encode_envelope(
    _: &crate::kube::schema::Schema,
    _: crate::kube::schema::TypeId,
    _: &Value,
) -> Result<Vec<u8>, String> {
    Err("pending".into())
}
pub fn watch_frame(_: &str, _: &[u8]) -> Vec<u8> {
    Vec::new()
}
