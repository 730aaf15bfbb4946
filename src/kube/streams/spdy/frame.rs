//! Frames of SPDY/3.1, as far as Kubernetes speaks it.
//!
//! Specification: draft-mbelshe-httpbis-spdy-00, section 2. The decoder takes bytes as they come. Control frames
//! are collected, up to a bound; data is handed on piece by piece, so that a frame that says it is long costs no
//! memory.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::SpdyError;
use super::block::{BlockReader, BlockWriter, Headers};

/// Bytes of a control frame. The longest that is sent here has some headers.
const MAX_CONTROL: usize = 64 << 10;
/// Bytes before a frame's content.
const HEAD: usize = 8;
const VERSION: u16 = 3;
const FIN: u8 = 1;

/// A frame, or a piece of one that carries data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Begins a stream.
    SynStream {
        stream: u32,
        headers: Headers,
        /// Whether its sender has no data for it.
        fin: bool,
    },
    SynReply {
        stream: u32,
        headers: Headers,
        fin: bool,
    },
    /// Ends a stream at once.
    RstStream {
        stream: u32,
        status: u32,
    },
    Ping(u32),
    GoAway {
        last: u32,
    },
    Headers {
        stream: u32,
        headers: Headers,
        fin: bool,
    },
    /// A frame of data or a piece of it; only the last piece says that its sender has no more.
    Data {
        stream: u32,
        bytes: Bytes,
        fin: bool,
    },
    /// What is understood and asks for nothing: settings and windows. The library that kubelets use knows no
    /// windows either and gives none.
    Other,
}

/// Writes frames.
#[derive(Debug, Default)]
pub struct Encoder {
    blocks: BlockWriter,
}

impl Encoder {
    /// Appends a frame. Data is up to 2^24 - 1 bytes.
    pub fn write(&mut self, frame: &Frame, out: &mut BytesMut) {
        match frame {
            Frame::SynStream {
                stream,
                headers,
                fin,
            } => self.control(1, *fin, out, |blocks, out| {
                out.put_u32(*stream);
                // No stream that it belongs to, the highest priority, no slot.
                out.put_u32(0);
                out.put_u16(0);
                blocks.write(headers, out);
            }),
            Frame::SynReply {
                stream,
                headers,
                fin,
            } => self.control(2, *fin, out, |blocks, out| {
                out.put_u32(*stream);
                blocks.write(headers, out);
            }),
            Frame::RstStream { stream, status } => self.control(3, false, out, |_, out| {
                out.put_u32(*stream);
                out.put_u32(*status);
            }),
            Frame::Ping(id) => self.control(6, false, out, |_, out| out.put_u32(*id)),
            Frame::GoAway { last } => self.control(7, false, out, |_, out| {
                out.put_u32(*last);
                out.put_u32(0);
            }),
            Frame::Headers {
                stream,
                headers,
                fin,
            } => self.control(8, *fin, out, |blocks, out| {
                out.put_u32(*stream);
                blocks.write(headers, out);
            }),
            Frame::Data { stream, bytes, fin } => {
                out.reserve(HEAD + bytes.len());
                out.put_u32(stream & 0x7fff_ffff);
                out.put_u8(u8::from(*fin) * FIN);
                out.put_uint(bytes.len() as u64, 3);
                out.put_slice(bytes);
            }
            Frame::Other => {}
        }
    }

    fn control(
        &mut self,
        kind: u16,
        fin: bool,
        out: &mut BytesMut,
        content: impl FnOnce(&mut BlockWriter, &mut BytesMut),
    ) {
        let mut written = BytesMut::new();
        content(&mut self.blocks, &mut written);
        out.put_u16(0x8000 | VERSION);
        out.put_u16(kind);
        out.put_u8(u8::from(fin) * FIN);
        out.put_uint(written.len() as u64, 3);
        out.put_slice(&written);
    }
}

/// Data of which more is to come.
#[derive(Debug, Clone, Copy)]
struct Open {
    stream: u32,
    left: usize,
    fin: bool,
}

/// Reads frames.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    open: Option<Open>,
    blocks: BlockReader,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            open: None,
            blocks: BlockReader::new(),
        }
    }
}

impl Decoder {
    /// Where bytes that have come are appended.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether the bytes that have come end within a frame.
    pub fn is_within(&self) -> bool {
        self.open.is_some() || !self.buffer.is_empty()
    }

    /// The next frame; none if more bytes are needed.
    ///
    /// # Errors
    /// [`SpdyError`]; nothing more can be read then.
    pub fn take(&mut self) -> Result<Option<Frame>, SpdyError> {
        if let Some(open) = self.open {
            return Ok(self.data(open));
        }
        let Some(head) = self.buffer.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let mut head = &head[..];
        let (first, flags) = (head.get_u32(), head.get_u8());
        let length = usize::try_from(head.get_uint(3)).unwrap_or(usize::MAX);
        if first & 0x8000_0000 == 0 {
            self.buffer.advance(HEAD);
            return Ok(self.data(Open {
                stream: first,
                left: length,
                fin: flags & FIN != 0,
            }));
        }
        let [version, kind] = [first >> 16 & 0x7fff, first & 0xffff];
        if version != u32::from(VERSION) {
            return Err(SpdyError::Version(version));
        }
        if length > MAX_CONTROL {
            return Err(SpdyError::TooLong(length));
        }
        if self.buffer.len() < HEAD + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        let content = self.buffer.split_to(length);
        self.read(kind, flags & FIN != 0, &content).map(Some)
    }

    /// What is there of a frame's data. A frame without data is there at once.
    fn data(&mut self, open: Open) -> Option<Frame> {
        if self.buffer.is_empty() && open.left > 0 {
            self.open = Some(open);
            return None;
        }
        let here = open.left.min(self.buffer.len());
        let left = open.left - here;
        self.open = (left > 0).then_some(Open { left, ..open });
        Some(Frame::Data {
            stream: open.stream,
            bytes: self.buffer.split_to(here).freeze(),
            fin: open.fin && left == 0,
        })
    }

    fn read(&mut self, kind: u32, fin: bool, mut content: &[u8]) -> Result<Frame, SpdyError> {
        let frame = match kind {
            1 => {
                let stream = stream_id(&mut content)?;
                let block = content.get(6..).ok_or(SpdyError::TooShort)?;
                Frame::SynStream {
                    stream,
                    headers: self.blocks.read(block)?,
                    fin,
                }
            }
            2 => Frame::SynReply {
                stream: stream_id(&mut content)?,
                headers: self.blocks.read(content)?,
                fin,
            },
            3 => Frame::RstStream {
                stream: stream_id(&mut content)?,
                status: content.try_get_u32().map_err(|_| SpdyError::TooShort)?,
            },
            6 => Frame::Ping(content.try_get_u32().map_err(|_| SpdyError::TooShort)?),
            7 => Frame::GoAway {
                last: stream_id(&mut content)?,
            },
            8 => Frame::Headers {
                stream: stream_id(&mut content)?,
                headers: self.blocks.read(content)?,
                fin,
            },
            // Frames of other kinds are to be passed over (section 2.2.1).
            _ => Frame::Other,
        };
        Ok(frame)
    }
}

fn stream_id(content: &mut &[u8]) -> Result<u32, SpdyError> {
    let id = content.try_get_u32().map_err(|_| SpdyError::TooShort)?;
    Ok(id & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(name: &str, value: &str) -> Headers {
        Headers::default().with(name, value)
    }

    fn frames() -> Vec<Frame> {
        vec![
            Frame::SynStream {
                stream: 1,
                headers: headers("streamtype", "error"),
                fin: false,
            },
            Frame::Other,
            Frame::SynReply {
                stream: 1,
                headers: Headers::default(),
                fin: false,
            },
            Frame::Data {
                stream: 1,
                bytes: Bytes::from_static(b"hello"),
                fin: false,
            },
            Frame::Ping(7),
            Frame::Data {
                stream: 1,
                bytes: Bytes::new(),
                fin: true,
            },
            Frame::Headers {
                stream: 3,
                headers: headers("a", "b"),
                fin: true,
            },
            Frame::RstStream {
                stream: 3,
                status: 5,
            },
            Frame::GoAway { last: 3 },
        ]
    }

    fn decode(parts: impl Iterator<Item = Vec<u8>>) -> Vec<Frame> {
        let mut decoder = Decoder::default();
        let mut all = Vec::new();
        for part in parts {
            decoder.buffer().extend_from_slice(&part);
            while let Some(frame) = decoder.take().unwrap() {
                all.push(frame);
            }
        }
        assert!(!decoder.is_within());
        all
    }

    /// Pieces of data put together again.
    fn joined(frames: Vec<Frame>) -> Vec<Frame> {
        let mut all: Vec<Frame> = Vec::new();
        let mut within = false;
        for frame in frames {
            let Frame::Data { stream, bytes, fin } = frame else {
                within = false;
                all.push(frame);
                continue;
            };
            match all.last_mut() {
                Some(Frame::Data {
                    bytes: known,
                    fin: last,
                    ..
                }) if within => {
                    *known = [known.as_ref(), &bytes].concat().into();
                    *last = fin;
                }
                _ => all.push(Frame::Data { stream, bytes, fin }),
            }
            within = true;
        }
        all
    }

    fn encoded() -> (Vec<Frame>, Vec<u8>) {
        let mut encoder = Encoder::default();
        let mut out = BytesMut::new();
        for frame in frames() {
            encoder.write(&frame, &mut out);
        }
        let frames = frames().into_iter().filter(|frame| *frame != Frame::Other);
        (frames.collect(), out.to_vec())
    }

    proptest! {
        #[test]
        fn frames_are_read_however_their_bytes_come(cuts in prop::collection::vec(1_usize..40, 1..60)) {
            let (frames, bytes) = encoded();
            let mut rest = &bytes[..];
            let mut parts = Vec::new();
            for cut in cuts {
                let (part, left) = rest.split_at(cut.min(rest.len()));
                parts.push(part.to_vec());
                rest = left;
            }
            parts.push(rest.to_vec());
            prop_assert_eq!(joined(decode(parts.into_iter())), frames);
        }

        #[test]
        fn any_bytes_are_frames_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = Decoder::default();
            decoder.buffer().extend_from_slice(&bytes);
            while let Ok(Some(_)) = decoder.take() {}
        }
    }

    #[test]
    fn long_control_frames_are_refused_by_their_head() {
        let mut decoder = Decoder::default();
        decoder
            .buffer()
            .extend_from_slice(&[0x80, 3, 0, 1, 0, 1, 0, 1]);
        assert_eq!(decoder.take(), Err(SpdyError::TooLong(65537)));
    }

    #[test]
    fn long_data_is_handed_on_as_it_comes() {
        let mut decoder = Decoder::default();
        decoder
            .buffer()
            .extend_from_slice(&[0, 0, 0, 9, 1, 0xff, 0xff, 0xff]);
        assert_eq!(decoder.take(), Ok(None));
        for _ in 0..3 {
            decoder.buffer().extend_from_slice(b"abc");
            let piece = decoder.take().unwrap().unwrap();
            let bytes = Bytes::from_static(b"abc");
            assert_eq!(
                piece,
                Frame::Data {
                    stream: 9,
                    bytes,
                    fin: false
                }
            );
            assert_eq!(decoder.take(), Ok(None));
        }
        assert!(decoder.is_within());
    }

    #[test]
    fn frames_without_their_content_are_refused() {
        for kind in [1, 2, 3, 6, 7, 8] {
            let mut decoder = Decoder::default();
            decoder
                .buffer()
                .extend_from_slice(&[0x80, 3, 0, kind, 0, 0, 0, 2, 0, 0]);
            assert!(decoder.take().is_err(), "{kind}");
        }
        let mut decoder = Decoder::default();
        decoder
            .buffer()
            .extend_from_slice(&[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]);
        assert_eq!(decoder.take(), Err(SpdyError::Version(2)));
    }
}
