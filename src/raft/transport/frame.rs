//! The frames of a peer connection once it has left HTTP: a pure codec, no I/O.
//!
//! ```text
//! length u32 | crc32c u32 | kind u8 | payload (length bytes)      all numbers big endian
//! ```
//!
//! The checksum covers length, kind and payload: TCP's own is too weak for the volume that replication
//! moves, and a flipped bit must end a connection rather than reach the log. Whatever does not decode is
//! a [`FrameError`] and closes the connection; nothing is skipped or guessed. The bound on a frame is
//! enforced before anything is allocated for it.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest raft message or call body, in bytes. An append carries up to 1 MiB of entries, or a single
/// larger one; requests above 10 MiB are advised against (etcd's own limit on `--max-request-bytes`
/// without a warning), so a message holds any of those.
pub const MAX_MESSAGE: usize = 16 << 20;

/// The longest payload: a message and the numbers in front of it.
const MAX_PAYLOAD: usize = MAX_MESSAGE + 64;

/// Bytes in front of a payload.
pub(super) const HEADER: usize = 9;

/// What two members tell each other. A kind's number never changes its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// An encoded raft message.
    Message(Bytes),
    /// Asks for a [`Frame::Pong`] with the same number; 0 only says "still here".
    Ping(u64),
    /// Answers a ping; 0 says "still receiving" without having been asked.
    Pong(u64),
    /// A request of one member to another.
    Call {
        /// Names the reply.
        id: u64,
        /// What is asked, for the handler.
        kind: u16,
        /// How long the caller waits, in milliseconds.
        timeout_ms: u32,
        /// The request.
        body: Bytes,
    },
    /// What came of a call.
    Reply {
        /// The call's number.
        id: u64,
        /// How it ended.
        outcome: Outcome,
        /// The answer, or the handler's error text.
        body: Bytes,
    },
    /// Opens a snapshot transfer: an encoded `Offer`.
    Offer(Bytes),
    /// Where to go on in each offered file: an encoded `Resume`.
    Resume(Bytes),
    /// A piece of an offered file.
    Chunk {
        /// The file's place in the offer.
        file: u32,
        /// Where in the file the piece begins.
        offset: u64,
        /// The piece.
        data: Bytes,
    },
    /// Ends a file with the checksum of all its bytes, those of earlier transfers included.
    FileEnd {
        /// The file's place in the offer.
        file: u32,
        /// crc32c of the whole file.
        crc: u32,
    },
    /// Every file has been sent.
    Finish,
    /// The snapshot is on disk and was handed to consensus.
    Done,
    /// The transfer cannot go on; the text says why.
    Refused(String),
}

/// How a call ended on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The body is the answer.
    Answered,
    /// The body is the handler's error text.
    Failed,
    /// The handler did not finish in the caller's time.
    TimedOut,
    /// Too many calls run already.
    Overloaded,
    /// No handler takes calls.
    Unhandled,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// The announced payload is larger than any this protocol has.
    #[error("frame of {0} bytes is larger than the limit of {MAX_PAYLOAD}")]
    TooLarge(usize),
    /// The checksum does not match.
    #[error("frame checksum does not match")]
    Checksum,
    /// This version of the protocol has no such kind.
    #[error("unknown frame kind {0}")]
    Kind(u8),
    /// The payload is shorter or longer than its kind has.
    #[error("frame of kind {0} has a malformed payload")]
    Payload(u8),
}

impl Frame {
    /// A name for errors: "unexpected call".
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::Call { .. } => "call",
            Self::Reply { .. } => "reply",
            Self::Offer(_) => "offer",
            Self::Resume(_) => "resume",
            Self::Chunk { .. } => "chunk",
            Self::FileEnd { .. } => "file end",
            Self::Finish => "finish",
            Self::Done => "done",
            Self::Refused(_) => "refusal",
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Message(_) => 1,
            Self::Ping(_) => 2,
            Self::Pong(_) => 3,
            Self::Call { .. } => 4,
            Self::Reply { .. } => 5,
            Self::Offer(_) => 6,
            Self::Resume(_) => 7,
            Self::Chunk { .. } => 8,
            Self::FileEnd { .. } => 9,
            Self::Finish => 10,
            Self::Done => 11,
            Self::Refused(_) => 12,
        }
    }

    /// Length of the variable part.
    pub(super) fn body_len(&self) -> usize {
        match self {
            Self::Message(body)
            | Self::Call { body, .. }
            | Self::Reply { body, .. }
            | Self::Offer(body)
            | Self::Resume(body)
            | Self::Chunk { data: body, .. } => body.len(),
            Self::Refused(text) => text.len(),
            Self::Ping(_) | Self::Pong(_) | Self::FileEnd { .. } | Self::Finish | Self::Done => 0,
        }
    }

    /// The variable part, shared and not copied.
    fn body(&self) -> Bytes {
        match self {
            Self::Message(body)
            | Self::Call { body, .. }
            | Self::Reply { body, .. }
            | Self::Offer(body)
            | Self::Resume(body)
            | Self::Chunk { data: body, .. } => body.clone(),
            Self::Refused(text) => Bytes::copy_from_slice(text.as_bytes()),
            Self::Ping(_) | Self::Pong(_) | Self::FileEnd { .. } | Self::Finish | Self::Done => {
                Bytes::new()
            }
        }
    }

    /// Appends the fixed numbers that precede the body.
    fn put_numbers(&self, buf: &mut BytesMut) {
        match *self {
            Self::Ping(nonce) | Self::Pong(nonce) => buf.put_u64(nonce),
            Self::Call {
                id,
                kind,
                timeout_ms,
                ..
            } => {
                buf.put_u64(id);
                buf.put_u16(kind);
                buf.put_u32(timeout_ms);
            }
            Self::Reply { id, outcome, .. } => {
                buf.put_u64(id);
                buf.put_u8(outcome.code());
            }
            Self::Chunk { file, offset, .. } => {
                buf.put_u32(file);
                buf.put_u64(offset);
            }
            Self::FileEnd { file, crc } => {
                buf.put_u32(file);
                buf.put_u32(crc);
            }
            Self::Message(_)
            | Self::Offer(_)
            | Self::Resume(_)
            | Self::Finish
            | Self::Done
            | Self::Refused(_) => {}
        }
    }

    fn from_payload(kind: u8, payload: Bytes) -> Result<Self, FrameError> {
        let malformed = || FrameError::Payload(kind);
        let (frame, rest) = Self::read(kind, payload).ok_or_else(malformed)?;
        let frame = frame.ok_or(FrameError::Kind(kind))?;
        if rest.is_empty() {
            Ok(frame)
        } else {
            Err(malformed())
        }
    }

    /// The frame and the bytes that it did not take, which is all of them for an unknown kind; `None` for
    /// a payload that ends too early or holds what the kind does not.
    fn read(kind: u8, mut payload: Bytes) -> Option<(Option<Self>, Bytes)> {
        let take = std::mem::take::<Bytes>;
        let frame = match kind {
            1 => Self::Message(take(&mut payload)),
            2 => Self::Ping(payload.try_get_u64().ok()?),
            3 => Self::Pong(payload.try_get_u64().ok()?),
            4 => Self::Call {
                id: payload.try_get_u64().ok()?,
                kind: payload.try_get_u16().ok()?,
                timeout_ms: payload.try_get_u32().ok()?,
                body: take(&mut payload),
            },
            5 => Self::Reply {
                id: payload.try_get_u64().ok()?,
                outcome: Outcome::from_code(payload.try_get_u8().ok()?)?,
                body: take(&mut payload),
            },
            6 => Self::Offer(take(&mut payload)),
            7 => Self::Resume(take(&mut payload)),
            8 => Self::Chunk {
                file: payload.try_get_u32().ok()?,
                offset: payload.try_get_u64().ok()?,
                data: take(&mut payload),
            },
            9 => Self::FileEnd {
                file: payload.try_get_u32().ok()?,
                crc: payload.try_get_u32().ok()?,
            },
            10 => Self::Finish,
            11 => Self::Done,
            12 => Self::Refused(String::from_utf8(take(&mut payload).to_vec()).ok()?),
            _ => return Some((None, payload)),
        };
        Some((Some(frame), payload))
    }
}

impl Outcome {
    const fn code(self) -> u8 {
        match self {
            Self::Answered => 0,
            Self::Failed => 1,
            Self::TimedOut => 2,
            Self::Overloaded => 3,
            Self::Unhandled => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Answered),
            1 => Some(Self::Failed),
            2 => Some(Self::TimedOut),
            3 => Some(Self::Overloaded),
            4 => Some(Self::Unhandled),
            _ => None,
        }
    }
}

/// Appends everything of a frame but its body, and returns the body, so that the caller decides whether
/// to copy it. The body must not be longer than [`MAX_MESSAGE`]; who queues a frame checks that.
pub(super) fn encode_head(frame: &Frame, buf: &mut BytesMut) -> Bytes {
    let body = frame.body();
    let mut numbers = BytesMut::with_capacity(16);
    frame.put_numbers(&mut numbers);
    let length = (numbers.len() + body.len()) as u32;
    let mut crc = crc32c::crc32c(&length.to_be_bytes());
    crc = crc32c::crc32c_append(crc, &[frame.kind()]);
    crc = crc32c::crc32c_append(crc, &numbers);
    crc = crc32c::crc32c_append(crc, &body);
    buf.put_u32(length);
    buf.put_u32(crc);
    buf.put_u8(frame.kind());
    buf.put_slice(&numbers);
    body
}

/// Takes the next frame off `buf`; `None` while it is not complete.
///
/// # Errors
/// [`FrameError`] if the bytes are not a frame; the stream cannot be read any further.
pub(super) fn decode(buf: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(&[l0, l1, l2, l3, c0, c1, c2, c3, kind]) = buf.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length_bytes = [l0, l1, l2, l3];
    let length = u32::from_be_bytes(length_bytes) as usize;
    if length > MAX_PAYLOAD {
        return Err(FrameError::TooLarge(length));
    }
    if buf.len() < HEADER + length {
        return Ok(None);
    }
    buf.advance(HEADER);
    let payload = buf.split_to(length).freeze();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&length_bytes), &[kind]);
    if crc32c::crc32c_append(crc, &payload) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err(FrameError::Checksum);
    }
    Frame::from_payload(kind, payload).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(frame: &Frame) -> BytesMut {
        let mut buf = BytesMut::new();
        let body = encode_head(frame, &mut buf);
        buf.put_slice(&body);
        buf
    }

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
    }

    fn frames() -> impl Strategy<Value = Frame> {
        prop_oneof![
            bytes().prop_map(Frame::Message),
            any::<u64>().prop_map(Frame::Ping),
            any::<u64>().prop_map(Frame::Pong),
            (any::<u64>(), any::<u16>(), any::<u32>(), bytes()).prop_map(
                |(id, kind, timeout_ms, body)| Frame::Call {
                    id,
                    kind,
                    timeout_ms,
                    body
                }
            ),
            (any::<u64>(), 0_u8..5, bytes()).prop_map(|(id, code, body)| Frame::Reply {
                id,
                outcome: Outcome::from_code(code).unwrap(),
                body
            }),
            bytes().prop_map(Frame::Offer),
            bytes().prop_map(Frame::Resume),
            (any::<u32>(), any::<u64>(), bytes()).prop_map(|(file, offset, data)| Frame::Chunk {
                file,
                offset,
                data
            }),
            (any::<u32>(), any::<u32>()).prop_map(|(file, crc)| Frame::FileEnd { file, crc }),
            Just(Frame::Finish),
            Just(Frame::Done),
            ".{0,40}".prop_map(Frame::Refused),
        ]
    }

    proptest! {
        #[test]
        fn frames_round_trip_however_they_are_cut(frames in proptest::collection::vec(frames(), 0..8), step in 1_usize..64) {
            let mut wire = Vec::new();
            for frame in &frames {
                wire.extend_from_slice(&encode(frame));
            }
            let mut buf = BytesMut::new();
            let mut decoded = Vec::new();
            for piece in wire.chunks(step) {
                buf.put_slice(piece);
                while let Some(frame) = decode(&mut buf).unwrap() {
                    decoded.push(frame);
                }
            }
            prop_assert!(buf.is_empty());
            prop_assert_eq!(decoded, frames);
        }

        #[test]
        fn any_bytes_are_an_error_or_wait_for_more(bytes: Vec<u8>) {
            let mut buf = BytesMut::from(bytes.as_slice());
            while let Ok(Some(_)) = decode(&mut buf) {}
        }

        #[test]
        fn any_payload_of_any_kind_is_read_without_panic(kind: u8, payload in bytes()) {
            let _ = Frame::from_payload(kind, payload);
        }

        #[test]
        fn a_flipped_bit_is_never_a_frame(frame in frames(), at: prop::sample::Index, bit in 0_u32..8) {
            let mut buf = encode(&frame);
            let index = at.index(buf.len());
            buf[index] ^= 1_u8 << bit;
            prop_assert!(!matches!(decode(&mut buf), Ok(Some(_))));
        }
    }

    #[test]
    fn the_bound_holds_before_the_payload_has_arrived() {
        let mut buf = BytesMut::new();
        buf.put_u32(MAX_PAYLOAD as u32 + 1);
        buf.put_slice(&[0; 5]);
        assert_eq!(decode(&mut buf), Err(FrameError::TooLarge(MAX_PAYLOAD + 1)));
    }

    #[test]
    fn golden_bytes() {
        let call = Frame::Call {
            id: 1,
            kind: 2,
            timeout_ms: 3,
            body: Bytes::from_static(b"hi"),
        };
        assert_eq!(
            encode(&call).as_ref(),
            [
                &[0, 0, 0, 16][..],
                &[0x88, 0x5f, 0xa4, 0x17],
                &[4],
                &[0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 3],
                b"hi"
            ]
            .concat()
        );
    }
}
