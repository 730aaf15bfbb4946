//! Objects: from the bytes of a request into Go form, and back into bytes.
//!
//! [`decode()`] reads bodies; [`conform()`] does the round trip through Go's structs for trees that come from elsewhere, such as
//! patched ones; [`protobuf`] transcodes; [`meta`] and [`splice`] read and change metadata.

mod conform;
mod decode;
mod go;
mod gotype;
mod json_out;
mod leaf;
mod node;
mod text;
mod untyped;
mod yaml;
mod zero;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

pub mod duration;
pub mod meta;
pub mod protobuf;
pub mod quantity;
pub mod splice;
pub mod time;

pub use conform::{Conformed, conform};
pub use decode::{Decoded, Expected, FieldValidation, Gvk, decode, decode_value, summary, tree};
pub(crate) use go::quote;
pub use json_out::{encode_json, write_json};
pub use node::MAX_DEPTH;
pub use yaml::encode_yaml;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Json,
    Yaml,
    Protobuf,
}

#[cfg(test)]
mod tests;
