//! The checks of what peers say before and after a connection leaves HTTP.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::UPGRADE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::frame::{self, Frame, FrameError};
use super::handshake::{Hello, PROTOCOL, SNAPSHOT_PATH, STREAM_PATH, answers_for};
use super::lane_of;
use crate::base::fuzzing::Script;
use crate::base::ids::{ClusterId, MemberId};

pub use super::snapshot::fuzzing::snapshot;

/// Reads bytes as a stream of frames, as frames with checksums that match, as the headers of a handshake
/// and as the message that chooses a lane. Frames and handshakes that are read are written the same.
pub fn peer(data: &[u8]) {
    let _ = lane_of(data);
    stream(BytesMut::from(data));
    for frame in frames(&mut Script::new(data)) {
        assert_eq!(again(&frame), Ok(Some(frame)));
    }
    hello(data);
}

/// Frames as they arrive. What is taken off the buffer is what the frame is written as.
fn stream(mut buf: BytesMut) {
    loop {
        let before = buf.clone();
        match frame::decode(&mut buf) {
            Ok(Some(frame)) => {
                let taken = before.len() - buf.len();
                assert_eq!(before.get(..taken), Some(encoded(&frame).as_ref()));
            }
            Ok(None) => {
                assert_eq!(before, buf);
                return;
            }
            Err(_) => return,
        }
    }
}

/// Whatever of the script's kinds and payloads are frames, read behind headers that fit them.
pub(super) fn frames(script: &mut Script<'_>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !script.is_over() {
        let kind = script.byte();
        let payload = script.long_bytes();
        let mut buf = BytesMut::new();
        let length = payload.len() as u32;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&length.to_be_bytes()), &[kind]);
        buf.put_u32(length);
        buf.put_u32(crc32c::crc32c_append(crc, payload));
        buf.put_u8(kind);
        buf.put_slice(payload);
        match frame::decode(&mut buf) {
            Ok(frame) => frames.extend(frame),
            Err(error) => assert!(matches!(
                error,
                FrameError::Kind(_) | FrameError::Payload(_)
            )),
        }
    }
    frames
}

fn encoded(frame: &Frame) -> BytesMut {
    let mut buf = BytesMut::new();
    let body: Bytes = frame::encode_head(frame, &mut buf);
    buf.put_slice(&body);
    buf
}

fn again(frame: &Frame) -> Result<Option<Frame>, FrameError> {
    frame::decode(&mut encoded(frame))
}

/// Lines of the form `name:value` as headers. An upgrade to our protocol is among them if there is none.
fn hello(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        let Some(at) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(at);
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
        .entry(UPGRADE)
        .or_insert(HeaderValue::from_static(PROTOCOL));
    let _ = answers_for(&headers, ClusterId(1), MemberId(2));
    for path in [STREAM_PATH, SNAPSHOT_PATH] {
        let Ok(hello) = Hello::parse(path, &headers) else {
            continue;
        };
        let _ = hello.check(ClusterId(1), MemberId(2));
        let request = hello.request("peer");
        let request = request.expect("what was in headers can stand in headers");
        let again = Hello::parse(request.uri().path(), request.headers());
        assert_eq!(again, Ok(hello));
    }
}
