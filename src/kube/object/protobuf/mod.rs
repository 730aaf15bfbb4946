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
