//! Messages as gRPC frames them: a flag byte, four bytes of length, the message ("gRPC over HTTP2",
//! Length-Prefixed-Message).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;
use tonic::Status;

/// The flag and the length before each message.
const HEAD_BYTES: usize = 5;
/// The flag of a message that is not compressed. Compression is never offered.
const PLAIN: u8 = 0;
/// The largest answer that is accepted: lists of many keys pass gRPC's usual 4 MiB.
const MAX_MESSAGE_BYTES: usize = 512 << 20;

/// A frame around one message.
///
/// # Errors
/// `OutOfRange` when the length of the message does not fit into the frame.
pub(super) fn one(message: &impl Message) -> Result<Bytes, Status> {
    let mut frames = BytesMut::new();
    put(message, &mut frames)?;
    Ok(frames.freeze())
}

/// Adds a frame around `message` to `frames`.
///
/// # Errors
/// `OutOfRange` when the length of the message does not fit into the frame.
pub(super) fn put(message: &impl Message, frames: &mut BytesMut) -> Result<(), Status> {
    let length = message.encoded_len();
    let prefix = u32::try_from(length)
        .map_err(|_| Status::out_of_range(format!("a request of {length} bytes is too large")))?;
    frames.reserve(HEAD_BYTES + length);
    frames.put_u8(PLAIN);
    frames.put_u32(prefix);
    message.encode(frames).expect("a BytesMut grows as needed");
    Ok(())
}

/// Takes the first message out of what was received; `None` while it is not there as a whole.
///
/// # Errors
/// `Internal` when it is compressed, `OutOfRange` when it is larger than is accepted.
pub(super) fn take(received: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    let Some(&[flag, ref length @ ..]) = received.first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    if flag != PLAIN {
        let text = format!("an answer has the frame flag {flag}, but compression was not offered");
        return Err(Status::internal(text));
    }
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_MESSAGE_BYTES {
        let text = format!("an answer of {length} bytes, but {MAX_MESSAGE_BYTES} are accepted");
        return Err(Status::out_of_range(text));
    }
    let whole = HEAD_BYTES + length;
    if received.len() < whole {
        received.reserve(whole - received.len());
        return Ok(None);
    }
    received.advance(HEAD_BYTES);
    Ok(Some(received.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn framed(messages: &[&str]) -> BytesMut {
        let mut frames = BytesMut::new();
        for message in messages {
            put(&(*message).to_owned(), &mut frames).unwrap();
        }
        frames
    }

    #[test]
    fn a_frame_is_flag_length_message() {
        // A `String` is the message `google.protobuf.StringValue`.
        let frame = one(&"hello".to_owned()).unwrap();
        assert_eq!(&frame[..], b"\0\0\0\0\x07\x0a\x05hello");
    }

    #[test]
    fn messages_come_out_whole_however_they_arrive() {
        let sent = framed(&["one", "", "three"]);
        let (mut received, mut messages) = (BytesMut::new(), Vec::new());
        for byte in sent {
            received.put_u8(byte);
            while let Some(message) = take(&mut received).unwrap() {
                messages.push(String::decode(message).unwrap());
            }
        }
        assert_eq!(messages, ["one", "", "three"]);
        assert!(received.is_empty());
    }

    #[test]
    fn messages_that_arrive_together_come_out_one_by_one() {
        let mut received = framed(&["one", "two"]);
        let first = take(&mut received).unwrap().unwrap();
        assert_eq!(String::decode(first).unwrap(), "one");
        let second = take(&mut received).unwrap().unwrap();
        assert_eq!(String::decode(second).unwrap(), "two");
        assert_eq!(take(&mut received).unwrap(), None);
    }

    #[test]
    fn compressed_and_huge_messages_are_refused() {
        let mut compressed = BytesMut::from(&b"\x01\0\0\0\x01x"[..]);
        assert_eq!(take(&mut compressed).unwrap_err().code(), Code::Internal);

        let mut largest = BytesMut::from(&b"\0\x20\0\0\0"[..]);
        assert_eq!(take(&mut largest).unwrap(), None);
        let mut larger = BytesMut::from(&b"\0\x20\0\0\x01"[..]);
        assert_eq!(take(&mut larger).unwrap_err().code(), Code::OutOfRange);
    }
}
