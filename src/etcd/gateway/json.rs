//! Messages to JSON and back, by the protobuf specification's mapping with etcd's choices: names as in the
//! `.proto` files, fields that are zero left out, unknown fields and enum values passed over.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use tonic::Status;

use super::once;
use crate::etcd::grpc::{PREFIX_BYTES, put_prefix};

/// What the build wrote of all messages and services.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

static MESSAGES: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS).expect("the build writes a valid description")
});

const READ: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(false);

const WRITE: SerializeOptions = SerializeOptions::new().use_proto_field_name(true);

/// All messages and services of the API.
pub(super) fn messages() -> &'static DescriptorPool {
    &MESSAGES
}

/// The first JSON value of `text` as a gRPC message with its prefix. No value at all is an empty message.
///
/// # Errors
/// `InvalidArgument` when it is not JSON, or not of this kind of message. Values within values are read to a
/// depth of 128.
pub(super) fn decode(kind: &MessageDescriptor, text: &[u8]) -> Result<Bytes, Status> {
    let message = read(kind, text)?;
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    put_prefix(&mut bytes, length);
    message.encode_raw(&mut bytes);
    Ok(bytes.freeze())
}

pub(super) fn read(kind: &MessageDescriptor, text: &[u8]) -> Result<DynamicMessage, Status> {
    if text.trim_ascii().is_empty() {
        return Ok(DynamicMessage::new(kind.clone()));
    }
    once::check(kind, text)?;
    let mut reader = serde_json::Deserializer::from_slice(text);
    DynamicMessage::deserialize_with_options(kind.clone(), &mut reader, &READ)
        .map_err(|error| Status::invalid_argument(format!("proto: {error}")))
}

/// A message as JSON.
///
/// # Errors
/// `Internal` when the bytes are none of this kind of message.
pub(super) fn encode(kind: &MessageDescriptor, message: Bytes) -> Result<Vec<u8>, Status> {
    // Base64 is four thirds of what it stands for.
    let mut text = Vec::with_capacity(message.len() / 3 * 4);
    write(kind, message, &mut text)?;
    Ok(text)
}

/// Appends a message as JSON.
///
/// # Errors
/// As [`encode`].
pub(super) fn write(
    kind: &MessageDescriptor,
    message: Bytes,
    text: &mut Vec<u8>,
) -> Result<(), Status> {
    let internal = |error: &dyn std::fmt::Display| Status::internal(format!("proto: {error}"));
    let message = DynamicMessage::decode(kind.clone(), message).map_err(|e| internal(&e))?;
    let mut writer = serde_json::Serializer::new(text);
    message
        .serialize_with_options(&mut writer, &WRITE)
        .map_err(|e| internal(&e))
}
