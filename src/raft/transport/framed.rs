//! Frames over a byte stream: reading one at a time, writing many at once.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::ConnectionError;
use super::frame::{self, Frame, HEADER};

/// How much room a read has at least. Memory for a large frame grows with what has arrived, so that an
/// announced length alone costs nothing.
const READ_ROOM: usize = 64 * 1024;

/// Bodies below this are copied next to their header; above it, copying costs more than one more slice in
/// the vectored write (peers.md 2.7 puts the crossing at 2 to 4 KiB).
const COPY_BELOW: usize = 4 * 1024;

/// Reads frames.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    io: R,
    buf: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(io: R) -> Self {
        Self {
            io,
            buf: BytesMut::new(),
        }
    }

    /// The next frame. Dropping the future loses nothing: what was read stays buffered.
    pub(super) async fn next(&mut self) -> Result<Frame, ConnectionError> {
        loop {
            if let Some(frame) = frame::decode(&mut self.buf)? {
                return Ok(frame);
            }
            self.buf.reserve(READ_ROOM);
            let read = match self.io.read_buf(&mut self.buf).await {
                // What TLS makes of an end without a farewell; frames tell by themselves whether they are whole.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
                read => read?,
            };
            if read == 0 {
                return Err(if self.buf.is_empty() {
                    ConnectionError::Closed
                } else {
                    ConnectionError::Truncated
                });
            }
        }
    }
}

/// Encoded frames on their way out, as a list of chunks for vectored writes.
#[derive(Debug, Default)]
pub(super) struct FrameBatch {
    chunks: VecDeque<Bytes>,
    /// Headers and small bodies that follow the last of `chunks`.
    tail: BytesMut,
    remaining: usize,
}

impl FrameBatch {
    /// Appends a frame.
    pub(super) fn push(&mut self, frame: &Frame) {
        let before = self.tail.len();
        let body = frame::encode_head(frame, &mut self.tail);
        self.remaining += self.tail.len() - before + body.len();
        if body.len() < COPY_BELOW {
            self.tail.put_slice(&body);
        } else {
            self.seal();
            self.chunks.push_back(body);
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }

    /// Writes everything and returns how many bytes that was.
    pub(super) async fn write_to(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
    ) -> Result<usize, ConnectionError> {
        self.seal();
        let written = self.remaining;
        io.write_all_buf(self).await?;
        io.flush().await?;
        Ok(written)
    }
}

/// Reads sealed chunks; [`FrameBatch::write_to`] seals before it hands the batch out as a `Buf`.
impl Buf for FrameBatch {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], AsRef::as_ref)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.chunks);
        filled
            .map(|(slice, chunk)| *slice = IoSlice::new(chunk))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining = self.remaining.saturating_sub(count);
        while let Some(front) = self.chunks.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.chunks.pop_front();
        }
    }
}

/// Bytes of a frame on the wire, roughly: what budgets and counters add up.
pub(super) fn weight(frame: &Frame) -> usize {
    HEADER + 16 + frame.body_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_and_large_frames_arrive_in_order_through_a_narrow_pipe() {
        let sent: Vec<Frame> = (0..40_usize)
            .map(|n| Frame::Message(vec![n as u8; n * 700].into()))
            .collect();
        let (mut near, far) = tokio::io::duplex(1000);
        let mut batch = FrameBatch::default();
        sent.iter().for_each(|frame| batch.push(frame));
        let mut reader = FrameReader::new(far);
        let reading = async {
            let mut frames = Vec::new();
            while frames.len() < sent.len() {
                frames.push(reader.next().await.unwrap());
            }
            frames
        };
        let (written, received) = tokio::join!(batch.write_to(&mut near), reading);
        let expected: usize = sent.iter().map(|f| HEADER + f.body_len()).sum();
        assert_eq!(written.unwrap(), expected);
        assert_eq!(received, sent);
        drop(near);
        assert!(matches!(reader.next().await, Err(ConnectionError::Closed)));
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_told_from_an_end() {
        let (mut near, far) = tokio::io::duplex(1000);
        near.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
        drop(near);
        let end = FrameReader::new(far).next().await;
        assert!(matches!(end, Err(ConnectionError::Truncated)));
    }
}
