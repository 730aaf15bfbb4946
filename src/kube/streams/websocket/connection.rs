//! A WebSocket connection: pieces of messages come out, messages go in, pings are answered on the way.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::Mutex;

use super::frame::{Decoder, Event, Kind, Role, encode};

/// Bytes that are read at once.
const PIECE: usize = 32 << 10;

/// Both halves of a connection whose handshake is done.
pub struct Connection<S> {
    pub reader: Reader<S>,
    pub writer: Writer<S>,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: bool,
    pub first: bool,
    pub last: bool,
    pub bytes: Bytes,
}

/// Takes messages from the other side.
pub struct Reader<S> {
    input: ReadHalf<S>,
    decoder: Decoder,
    answers: Writer<S>,
}

/// Sends messages. Cheap to clone.
pub struct Writer<S> {
    role: Role,
    output: Arc<Mutex<Output<S>>>,
}

struct Output<S> {
    output: WriteHalf<S>,
    /// What has not been written yet: whoever sends next writes what one who gave up has left, so that no frame
    /// is torn.
    left: BytesMut,
    closed: bool,
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    /// `role` is that of this side.
    pub fn new(io: S, role: Role) -> Self {
        let (input, output) = tokio::io::split(io);
        let output = Output {
            output,
            left: BytesMut::new(),
            closed: false,
        };
        let writer = Writer {
            role,
            output: Arc::new(Mutex::new(output)),
        };
        let from = match role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        Self {
            reader: Reader {
                input,
                decoder: Decoder::new(from),
                answers: writer.clone(),
            },
            writer,
        }
    }
}

impl<S: AsyncRead + AsyncWrite> Reader<S> {
    /// The next piece of a message; none once the other side has closed, or has sent what cannot be read. Nothing is
    /// lost if the wait is given up.
    pub async fn next(&mut self) -> Option<Piece> {
        loop {
            match self.decoder.take() {
                Ok(Some(Event::Piece {
                    text,
                    first,
                    last,
                    bytes,
                })) => {
                    return Some(Piece {
                        text,
                        first,
                        last,
                        bytes,
                    });
                }
                Ok(Some(Event::Ping(content))) => {
                    self.answers.send(Kind::Pong, &[&content]).await.ok()?;
                }
                Ok(Some(Event::Pong)) => {}
                Ok(Some(Event::Close(_))) => return None,
                Ok(None) => {
                    self.decoder.buffer().reserve(PIECE);
                    let read = self.input.read_buf(self.decoder.buffer()).await;
                    if !read.is_ok_and(|read| read > 0) {
                        return None;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a WebSocket that cannot be read");
                    return None;
                }
            }
        }
    }
}

impl<S> Clone for Writer<S> {
    fn clone(&self) -> Self {
        Self {
            role: self.role,
            output: Arc::clone(&self.output),
        }
    }
}

impl<S: AsyncWrite> Writer<S> {
    /// Sends a frame that consists of `parts`.
    ///
    /// # Errors
    /// What the connection says.
    pub async fn send(&self, kind: Kind, parts: &[&[u8]]) -> std::io::Result<()> {
        let mut output = self.output.lock().await;
        if output.closed {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        let mask = (self.role == Role::Client).then(rand::random);
        encode(kind, parts, mask, &mut output.left);
        output.flush().await
    }

    /// Says goodbye and ends the connection's direction.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn close(&self, code: u16) -> std::io::Result<()> {
        self.send(Kind::Close, &[&code.to_be_bytes()]).await?;
        let mut output = self.output.lock().await;
        output.closed = true;
        output.output.shutdown().await
    }
}

impl<S: AsyncWrite> Output<S> {
    async fn flush(&mut self) -> std::io::Result<()> {
        while self.left.has_remaining() {
            self.output.write_buf(&mut self.left).await?;
        }
        self.output.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_arrive_and_pings_are_answered() {
        let (near, far) = tokio::io::duplex(64);
        let mut client = Connection::new(near, Role::Client);
        let mut server = Connection::new(far, Role::Server);
        let long = vec![7; 100_000];
        let asks = async {
            let writer = &client.writer;
            writer.send(Kind::Ping, &[b"are you there"]).await.unwrap();
            writer.send(Kind::Binary, &[&[0], &long]).await.unwrap();
            writer.close(super::super::NORMAL).await.unwrap();
            let late = writer.send(Kind::Text, &[b"late"]).await;
            assert!(late.is_err());
            while client.reader.next().await.is_some() {}
        };
        let answers = async {
            let mut all = Vec::new();
            while let Some(piece) = server.reader.next().await {
                assert_eq!(piece.first, all.is_empty());
                all.extend_from_slice(&piece.bytes);
                assert_eq!(piece.last, all.len() == long.len() + 1);
            }
            assert_eq!(all.get(1..), Some(&long[..]));
            server.writer.close(super::super::NORMAL).await.unwrap();
        };
        tokio::join!(asks, answers);
    }

    #[tokio::test]
    async fn a_frame_that_somebody_gave_up_is_not_torn() {
        let (near, far) = tokio::io::duplex(16);
        let client = Connection::new(near, Role::Client);
        let mut server = Connection::new(far, Role::Server);
        let content = [1; 100];
        let parts: [&[u8]; 1] = [&content];
        let given_up = client.writer.send(Kind::Binary, &parts);
        let waited = std::time::Duration::from_millis(5);
        assert!(tokio::time::timeout(waited, given_up).await.is_err());
        let parts: [&[u8]; 1] = [b"next"];
        let next = client.writer.send(Kind::Text, &parts);
        let reads = async {
            let mut texts = Vec::new();
            while let Some(piece) = server.reader.next().await {
                texts.extend_from_slice(&piece.bytes);
                if piece.text && piece.last {
                    break;
                }
            }
            texts
        };
        let (sent, read) = tokio::join!(next, reads);
        sent.unwrap();
        assert_eq!(read, [&content[..], b"next"].concat());
    }
}
