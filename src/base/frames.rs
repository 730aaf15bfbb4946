//! Follows the frames in a stream of HTTP/2 bytes by their headers, wherever it is cut; the frames' contents
//! are passed over.

/// Bytes before each frame's content (RFC 9113, section 4.1).
pub(crate) const FRAME_HEADER: usize = 9;

/// What a client begins a connection with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of its content.
    pub(crate) length: u32,
    /// Its type.
    pub(crate) kind: u8,
    /// What else its type allows it to say.
    pub(crate) flags: u8,
    /// The stream that it belongs to; 0 is the connection.
    pub(crate) stream: u32,
}

impl Head {
    fn read(bytes: [u8; FRAME_HEADER]) -> Self {
        let [a, b, c, kind, flags, s, t, u, v] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            // The highest bit is reserved.
            stream: u32::from_be_bytes([s & 0x7f, t, u, v]),
        }
    }
}

/// The place that has been reached in a stream of frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The header that is being read, and how much of it has been.
    header: [u8; FRAME_HEADER],
    read: usize,
    /// Bytes of the present frame's content that are still to come.
    left: usize,
}

impl Frames {
    /// Goes on by `data` and tells of each frame whose header ends there.
    pub(crate) fn follow(&mut self, mut data: &[u8], mut began: impl FnMut(Head)) {
        loop {
            let skipped = self.left.min(data.len());
            self.left -= skipped;
            data = data.get(skipped..).unwrap_or_default();
            if data.is_empty() {
                return;
            }
            if let (0, Some((header, rest))) = (self.read, data.split_first_chunk()) {
                self.header = *header;
                data = rest;
            } else {
                let wanted = self.header.get_mut(self.read..).unwrap_or_default();
                let count = wanted.len().min(data.len());
                for (to, from) in wanted.iter_mut().zip(data) {
                    *to = *from;
                }
                self.read += count;
                data = data.get(count..).unwrap_or_default();
                if self.read < FRAME_HEADER {
                    return;
                }
                self.read = 0;
            }
            let head = Head::read(self.header);
            self.left = head.length as usize;
            began(head);
        }
    }

    /// Bytes that are known to come before the next frame; 0 only between frames.
    pub(crate) const fn rest(&self) -> usize {
        if self.read > 0 {
            FRAME_HEADER - self.read
        } else {
            self.left
        }
    }
}

/// Looks for HTTP/2's beginning in what a client sends.
#[derive(Debug, Default)]
pub(crate) struct Preface {
    seen: usize,
    other: bool,
}

impl Preface {
    /// What of `data` lies behind it; nothing for a client that speaks something else.
    pub(crate) fn behind<'a>(&mut self, data: &'a [u8]) -> Option<&'a [u8]> {
        if self.other {
            return None;
        }
        let wanted = PREFACE.get(self.seen..).unwrap_or_default();
        let count = wanted.len().min(data.len());
        let (begin, behind) = data.split_at_checked(count)?;
        self.seen += count;
        self.other = !wanted.starts_with(begin);
        (!self.other).then_some(behind)
    }

    /// Whether the client speaks something else.
    pub(crate) const fn is_other(&self) -> bool {
        self.other
    }
}

/// Follows any bytes at once and in pieces: the frames and the place reached are the same.
#[cfg(any(test, fuzzing))]
pub fn check(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else {
        return;
    };
    let run = |step: usize| {
        let (mut preface, mut frames, mut heads) = <(Preface, Frames, Vec<Head>)>::default();
        for part in data.chunks(step) {
            if let Some(behind) = preface.behind(part) {
                frames.follow(behind, |head| heads.push(head));
            }
        }
        (preface.is_other(), frames.rest(), heads)
    };
    let (other, rest, heads) = run(data.len().max(1));
    let pieces = run(usize::from(step).max(1));
    if !other {
        assert_eq!((other, rest, heads), pieces);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, stream: u32, length: usize) -> Vec<u8> {
        let mut bytes = (length as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, 5]);
        bytes.extend(stream.to_be_bytes());
        bytes.resize(bytes.len() + length, 0xff);
        bytes
    }

    proptest! {
        #[test]
        fn frames_are_found_wherever_the_stream_is_cut(
            wanted in proptest::collection::vec((0_u8..10, 0_u32..1 << 31, 0_usize..40), 0..8),
            step in 1_usize..60,
        ) {
            let mut bytes = PREFACE.to_vec();
            for &(kind, stream, length) in &wanted {
                bytes.extend(frame(kind, stream, length));
            }
            let (mut preface, mut frames, mut found) = <(Preface, Frames, Vec<_>)>::default();
            for part in bytes.chunks(step) {
                let behind = preface.behind(part).expect("HTTP/2");
                frames.follow(behind, |head| {
                    assert_eq!(head.flags, 5);
                    found.push((head.kind, head.stream, head.length as usize));
                });
            }
            prop_assert_eq!(found, wanted);
            prop_assert_eq!(frames.rest(), 0);
        }

        #[test]
        fn any_bytes_are_followed_alike(step: u8, bytes: Vec<u8>) {
            check(&[&[step], PREFACE.as_slice(), &bytes].concat());
            check(&[&[step], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn the_rest_of_a_frame_is_known() {
        let mut frames = Frames::default();
        let bytes = frame(0, 1, 3);
        for (at, rest) in [(0, 8), (7, 1), (8, 3), (9, 2), (11, 0)] {
            frames.follow(&bytes[..=at], |_| {});
            assert_eq!(frames.rest(), rest, "at {at}");
            frames = Frames::default();
        }
    }

    #[test]
    fn other_protocols_are_told_at_their_first_byte() {
        let mut preface = Preface::default();
        assert_eq!(preface.behind(b"PRI"), Some(&b""[..]));
        assert_eq!(preface.behind(b"X"), None);
        assert!(preface.is_other());
        assert_eq!(preface.behind(&PREFACE[4..]), None);
    }
}
