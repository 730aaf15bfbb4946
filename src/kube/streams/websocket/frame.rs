//! Frames of WebSocket (RFC 6455, section 5).
//!
//! Messages are handed on in pieces as they come, not collected first: clients send whole files as one message, and
//! what is done with them here is to pass them on. A library would hold each message as a whole, and so
//! its memory is bounded only by what a message may be; Kubernetes allows 32 MiB. Hence these few lines.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Bytes of a control frame (section 5.5).
const MAX_CONTROL: usize = 125;
/// The connection has done what it was for.
pub const NORMAL: u16 = 1000;

/// Who sends: clients mask what they send, servers do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// What comes out of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A piece of a message, possibly empty. The pieces of one message follow each other.
    Piece {
        text: bool,
        /// Whether it begins the message.
        first: bool,
        /// Whether it ends it.
        last: bool,
        bytes: Bytes,
    },
    /// To be answered by a pong with the same content.
    Ping(Bytes),
    Pong,
    /// The other side sends nothing further; its reason, if it has one.
    Close(Option<u16>),
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("bits of extensions that nobody has agreed on")]
    Reserved,
    #[error("a frame of kind {0}")]
    Kind(u8),
    #[error("a control frame that is long or in parts")]
    Control,
    #[error("a frame that is longer than can be")]
    TooLong,
    #[error("a frame of the client without a mask, or one of the server with it")]
    Mask,
    #[error("a part of a message that has not begun, or a message within another")]
    Order,
}

/// A frame of which more is to come.
#[derive(Debug, Clone, Copy)]
struct Open {
    left: u64,
    mask: [u8; 4],
    /// How far the mask has turned.
    turn: usize,
    first: bool,
    /// Whether the frame ends its message.
    fin: bool,
}

/// Reads what `from` has sent.
#[derive(Debug)]
pub struct Decoder {
    from: Role,
    buffer: BytesMut,
    open: Option<Open>,
    /// The message under way: whether it is text.
    message: Option<bool>,
}

/// A frame's beginning.
struct Head {
    fin: bool,
    kind: u8,
    length: u64,
    mask: [u8; 4],
    /// Its own length.
    size: usize,
}

impl Decoder {
    pub fn new(from: Role) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
            open: None,
            message: None,
        }
    }

    /// Where bytes that have come are appended.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next event; none if more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; nothing more can be read then.
    pub fn take(&mut self) -> Result<Option<Event>, FrameError> {
        if let Some(open) = self.open {
            return Ok(self.piece(open));
        }
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        if head.kind >= 8 {
            return self.control(&head);
        }
        let first = match (head.kind, self.message) {
            (0, Some(_)) => false,
            (1 | 2, None) => {
                self.message = Some(head.kind == 1);
                true
            }
            (0..=2, _) => return Err(FrameError::Order),
            (kind, _) => return Err(FrameError::Kind(kind)),
        };
        self.buffer.advance(head.size);
        Ok(self.piece(Open {
            left: head.length,
            mask: head.mask,
            turn: 0,
            first,
            fin: head.fin,
        }))
    }

    fn head(&self) -> Result<Option<Head>, FrameError> {
        let mut bytes = &self.buffer[..];
        let Ok(start) = bytes.try_get_u16() else {
            return Ok(None);
        };
        let [flags, length] = start.to_be_bytes();
        if flags & 0x70 != 0 {
            return Err(FrameError::Reserved);
        }
        let kind = flags & 0x0f;
        let masked = length & 0x80 != 0;
        if masked != (self.from == Role::Client) {
            return Err(FrameError::Mask);
        }
        let length = match length & 0x7f {
            126 => bytes.try_get_u16().map(u64::from),
            127 => bytes.try_get_u64(),
            short => Ok(short.into()),
        };
        let Ok(length) = length else { return Ok(None) };
        if length > u64::MAX >> 1 {
            return Err(FrameError::TooLong);
        }
        if kind >= 8 && (length > MAX_CONTROL as u64 || flags & 0x80 == 0) {
            return Err(FrameError::Control);
        }
        let mut mask = [0; 4];
        if masked && bytes.try_copy_to_slice(&mut mask).is_err() {
            return Ok(None);
        }
        Ok(Some(Head {
            fin: flags & 0x80 != 0,
            kind,
            length,
            mask,
            size: self.buffer.len() - bytes.len(),
        }))
    }

    /// What is there of a frame. An empty one is there at once.
    fn piece(&mut self, mut open: Open) -> Option<Event> {
        if self.buffer.is_empty() && open.left > 0 {
            self.open = Some(open);
            return None;
        }
        let here = usize::try_from(open.left).unwrap_or(usize::MAX);
        let here = here.min(self.buffer.len());
        let mut bytes = self.buffer.split_to(here);
        turn(&mut bytes, open.mask, open.turn);
        open.left -= here as u64;
        open.turn = (open.turn + here) % 4;
        let (first, last) = (open.first, open.fin && open.left == 0);
        open.first = false;
        self.open = (open.left > 0).then_some(open);
        let text = self.message == Some(true);
        if last {
            self.message = None;
        }
        Some(Event::Piece {
            text,
            first,
            last,
            bytes: bytes.freeze(),
        })
    }

    fn control(&mut self, head: &Head) -> Result<Option<Event>, FrameError> {
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if self.buffer.len() < head.size + length {
            return Ok(None);
        }
        self.buffer.advance(head.size);
        let mut bytes = self.buffer.split_to(length);
        turn(&mut bytes, head.mask, 0);
        match head.kind {
            8 => Ok(Some(Event::Close(bytes.try_get_u16().ok()))),
            9 => Ok(Some(Event::Ping(bytes.freeze()))),
            10 => Ok(Some(Event::Pong)),
            kind => Err(FrameError::Kind(kind)),
        }
    }
}

/// Masks or unmasks; the one undoes the other.
fn turn(bytes: &mut [u8], mask: [u8; 4], from: usize) {
    let key = mask.iter().cycle().skip(from);
    for (byte, key) in bytes.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Kinds of frames that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// Appends a whole message or a control frame of `parts` one behind the other. `mask` is drawn by a client for each
/// frame; servers have none.
pub fn encode(kind: Kind, parts: &[&[u8]], mask: Option<[u8; 4]>, out: &mut BytesMut) {
    let code = match kind {
        Kind::Text => 1,
        Kind::Binary => 2,
        Kind::Close => 8,
        Kind::Ping => 9,
        Kind::Pong => 10,
    };
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let masked = if mask.is_some() { 0x80 } else { 0 };
    out.reserve(length + 14);
    out.put_u8(0x80 | code);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.put_u8(masked | short),
        (_, Ok(middle)) => {
            out.put_u8(masked | 126);
            out.put_u16(middle);
        }
        _ => {
            out.put_u8(masked | 127);
            out.put_u64(length as u64);
        }
    }
    if let Some(mask) = mask {
        out.put_slice(&mask);
    }
    let begin = out.len();
    for part in parts {
        out.put_slice(part);
    }
    if let Some(mask) = mask
        && let Some(content) = out.get_mut(begin..)
    {
        turn(content, mask, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Messages put together, with the events between them.
    fn events(from: Role, parts: &[&[u8]]) -> Result<Vec<Event>, FrameError> {
        let mut decoder = Decoder::new(from);
        let mut all: Vec<Event> = Vec::new();
        for part in parts {
            decoder.buffer().extend_from_slice(part);
            while let Some(event) = decoder.take()? {
                match (all.last_mut(), event) {
                    (
                        Some(Event::Piece {
                            bytes: known,
                            last: end @ false,
                            ..
                        }),
                        Event::Piece { last, bytes, .. },
                    ) => {
                        *known = [known.as_ref(), &bytes].concat().into();
                        *end = last;
                    }
                    (_, event) => all.push(event),
                }
            }
        }
        Ok(all)
    }

    fn message(text: bool, bytes: &[u8]) -> Event {
        Event::Piece {
            text,
            first: true,
            last: true,
            bytes: Bytes::copy_from_slice(bytes),
        }
    }

    /// The examples of section 5.7.
    #[test]
    fn the_examples_of_the_specification() {
        let hello = message(true, b"Hello");
        let plain = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        let masked = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        let parts = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
        let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        assert_eq!(events(Role::Server, &[&plain]), Ok(vec![hello.clone()]));
        assert_eq!(events(Role::Client, &[&masked]), Ok(vec![hello.clone()]));
        assert_eq!(events(Role::Server, &[&parts]), Ok(vec![hello]));
        let wanted = Event::Ping(Bytes::from_static(b"Hello"));
        assert_eq!(events(Role::Server, &[&ping]), Ok(vec![wanted]));
        let mut out = BytesMut::new();
        let mask = Some([0x37, 0xfa, 0x21, 0x3d]);
        encode(Kind::Text, &[b"Hel", b"lo"], mask, &mut out);
        assert_eq!(out, &masked[..]);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for (bytes, why) in [
            (&[0xc1, 0x80][..], FrameError::Reserved),
            (&[0x83, 0x80, 0, 0, 0, 0], FrameError::Kind(3)),
            (&[0x8b, 0x80, 0, 0, 0, 0], FrameError::Kind(11)),
            (&[0x89, 0xfe, 0, 126], FrameError::Control),
            (&[0x09, 0x80], FrameError::Control),
            (&[0x82, 0x00], FrameError::Mask),
            (&[0x80, 0x80, 0, 0, 0, 0], FrameError::Order),
            (
                &[0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0],
                FrameError::Order,
            ),
            (
                &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
                FrameError::TooLong,
            ),
        ] {
            assert_eq!(events(Role::Client, &[bytes]), Err(why), "{bytes:?}");
        }
        let masked = [0x82, 0x80, 0, 0, 0, 0];
        assert_eq!(events(Role::Server, &[&masked]), Err(FrameError::Mask));
    }

    #[test]
    fn a_frame_that_says_it_is_long_costs_nothing() {
        let mut decoder = Decoder::new(Role::Server);
        let head = [0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        decoder.buffer().extend_from_slice(&head);
        assert_eq!(decoder.take(), Ok(None));
        decoder.buffer().extend_from_slice(b"abc");
        let piece = decoder.take().unwrap();
        assert!(matches!(piece, Some(Event::Piece { last: false, .. })));
        assert!(decoder.buffer().capacity() < 1 << 10);
    }

    proptest! {
        #[test]
        fn messages_are_read_however_their_bytes_come(
            lengths in prop::collection::vec(prop_oneof![0_usize..200, 65_500_usize..65_600], 1..6),
            cuts in prop::collection::vec(1_usize..9000, 0..20),
            mask in prop::option::of(any::<[u8; 4]>()),
        ) {
            let mut out = BytesMut::new();
            let mut wanted = Vec::new();
            for length in lengths {
                let content: Vec<u8> = (0..length).map(|n| n as u8).collect();
                encode(Kind::Binary, &[&content], mask, &mut out);
                wanted.push(message(false, &content));
                encode(Kind::Ping, &[b"p"], mask, &mut out);
                wanted.push(Event::Ping(Bytes::from_static(b"p")));
            }
            encode(Kind::Close, &[&NORMAL.to_be_bytes()], mask, &mut out);
            wanted.push(Event::Close(Some(NORMAL)));
            let mut rest = &out[..];
            let mut parts = Vec::new();
            for cut in cuts {
                let (part, left) = rest.split_at(cut.min(rest.len()));
                parts.push(part);
                rest = left;
            }
            parts.push(rest);
            let from = if mask.is_some() { Role::Client } else { Role::Server };
            prop_assert_eq!(events(from, &parts), Ok(wanted));
        }

        #[test]
        fn any_bytes_are_frames_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for from in [Role::Client, Role::Server] {
                let _refused = events(from, &[&bytes]);
            }
        }
    }
}
