//! A check of what reads the bytes of streams.

use bytes::Bytes;

use super::proxy::html;
use super::spdy::{self, Frame};
use super::websocket::{self, Event, Role};

/// The first byte says whose bytes the rest is: frames of SPDY, or of a WebSocket's client or server, or a page.
///
/// # Panics
/// When what is read depends on how the bytes come, or is more than there is.
pub fn kube_streams(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => same(data, spdy_frames),
        1 => same(data, |pieces| events(Role::Client, pieces)),
        2 => same(data, |pieces| events(Role::Server, pieces)),
        _ => {
            assert_eq!(html::rewrite(data, |_| None), data);
            let _rewritten = html::rewrite(data, |link| Some(format!("/{link}")));
        }
    }
}

/// What is read is the same at once, byte by byte, and in pieces of seven.
fn same<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    read: impl Fn(&mut dyn Iterator<Item = &[u8]>) -> T,
) {
    let whole = read(&mut std::iter::once(data));
    for size in [1, 7] {
        assert_eq!(read(&mut data.chunks(size)), whole);
    }
}

type Read<T, E> = (Vec<T>, Option<E>);

fn spdy_frames(pieces: &mut dyn Iterator<Item = &[u8]>) -> Read<Frame, spdy::SpdyError> {
    let mut decoder = spdy::Decoder::default();
    let mut all = Vec::new();
    for piece in pieces {
        decoder.buffer().extend_from_slice(piece);
        loop {
            match decoder.take() {
                Ok(Some(frame)) => add(&mut all, frame),
                Ok(None) => break,
                Err(error) => return (all, Some(error)),
            }
        }
    }
    (all, None)
}

/// Adds a frame; pieces of one frame's data are put together.
fn add(all: &mut Vec<Frame>, frame: Frame) {
    if let Frame::Data { stream, bytes, fin } = &frame
        && let Some(Frame::Data {
            stream: of,
            bytes: known,
            fin: last,
        }) = all.last_mut()
        && stream == of
        && !*last
    {
        *known = joined(known, bytes);
        *last = *fin;
        return;
    }
    all.push(frame);
}

fn joined(known: &Bytes, more: &Bytes) -> Bytes {
    [known.as_ref(), more.as_ref()].concat().into()
}

fn events(
    from: Role,
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> Read<Event, websocket::FrameError> {
    let mut decoder = websocket::Decoder::new(from);
    let mut all = Vec::new();
    for piece in pieces {
        decoder.buffer().extend_from_slice(piece);
        loop {
            match decoder.take() {
                Ok(Some(event)) => add_event(&mut all, event),
                Ok(None) => break,
                Err(error) => return (all, Some(error)),
            }
        }
    }
    (all, None)
}

fn add_event(all: &mut Vec<Event>, event: Event) {
    if let Event::Piece {
        last, bytes, first, ..
    } = &event
        && !first
        && let Some(Event::Piece {
            bytes: known,
            last: end,
            ..
        }) = all.last_mut()
        && !*end
    {
        *known = joined(known, bytes);
        *end = *last;
        return;
    }
    all.push(event);
}
