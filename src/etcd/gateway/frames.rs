//! gRPC messages in a stream of bytes.

use bytes::{Buf as _, Bytes, BytesMut};
use tonic::Status;

use crate::etcd::grpc::PREFIX_BYTES;

/// Messages behind their prefixes, cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    /// The next message that is complete.
    ///
    /// # Errors
    /// As [`length`].
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(length) = length(&self.0)? else {
            return Ok(None);
        };
        if self.0.len() - PREFIX_BYTES < length {
            return Ok(None);
        }
        self.0.advance(PREFIX_BYTES);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

/// The message of a stream that has one.
///
/// # Errors
/// As [`length`], and `Internal` for a stream of none or more than one.
pub(super) fn only(mut bytes: Bytes) -> Result<Bytes, Status> {
    match length(&bytes)? {
        Some(length) if bytes.len() - PREFIX_BYTES == length => Ok(bytes.split_off(PREFIX_BYTES)),
        _ => Err(Status::internal("grpc: answer is not one message")),
    }
}

/// The length of the message that begins, once its prefix is complete.
///
/// # Errors
/// `Internal` for one that is compressed, which nothing here asks for.
fn length(bytes: &[u8]) -> Result<Option<usize>, Status> {
    match bytes.first_chunk::<PREFIX_BYTES>() {
        Some([0, length @ ..]) => Ok(Some(u32::from_be_bytes(*length) as usize)),
        Some(_) => Err(Status::internal(
            "grpc: compressed answer was not asked for",
        )),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::etcd::grpc::put_prefix;

    proptest! {
        #[test]
        fn messages_are_found_wherever_the_stream_is_cut(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            step in 1_usize..400,
        ) {
            let mut bytes = BytesMut::new();
            for message in &messages {
                put_prefix(&mut bytes, message.len());
                bytes.extend_from_slice(message);
            }
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for part in bytes.chunks(step) {
                frames.push(part);
                while let Some(message) = frames.next().unwrap() {
                    found.push(message.to_vec());
                }
            }
            prop_assert_eq!(found, messages);
            prop_assert!(frames.0.is_empty());
        }
    }

    #[test]
    fn a_part_of_a_message_is_none_and_a_compressed_one_is_refused() {
        let mut frames = Frames::default();
        frames.push(b"\0\0\0\0\x05abc");
        assert!(matches!(frames.next(), Ok(None)));
        let mut frames = Frames::default();
        frames.push(b"\x01\0\0\0\0");
        assert!(frames.next().is_err());
    }

    #[test]
    fn one_message_is_neither_none_nor_two() {
        let of = |bytes: &'static [u8]| only(Bytes::from_static(bytes));
        assert_eq!(of(b"\0\0\0\0\x02ab").unwrap(), "ab");
        assert_eq!(of(b"\0\0\0\0\0").unwrap(), "");
        for wrong in [b"".as_slice(), b"\0\0\0\0\x02a", b"\0\0\0\0\x01ab"] {
            assert!(of(wrong).is_err());
        }
    }
}
