//! pending
use super::rest::Call;
use super::schema::TypeId;
use super::status::{ApiError, ApiResult};
use serde_json::Value;
pub struct ManagerId;
impl ManagerId {
    pub fn apply(_: &str, _: &str, _: &str) -> Self {
        Self
    }
    pub fn update(_: &str, _: &str, _: &str) -> Self {
        Self
    }
}
pub fn apply(
    _: &Call,
    _: Option<TypeId>,
    _: Option<&Value>,
    _: &Value,
    _: &ManagerId,
    _: bool,
    _: u64,
) -> ApiResult<Value> {
    Err(ApiError::method_not_allowed())
}
pub fn track_update(_: &Call, _: Option<&Value>, new: Value, _: &ManagerId, _: u64) -> Value {
    new
}
