//! A connection's streams: one future that reads and writes the connection, and handles for everything else.
//!
//! What waits is bounded: a stream holds a few pieces that nobody has taken yet, and then the connection is not read
//! further, as in the library that kubelets use, which has no windows. Whoever opens streams has to read them, or
//! to drop their readers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::SpdyError;
use super::block::Headers;
use super::frame::{Decoder, Encoder, Frame};

/// Pieces of a stream that nobody has taken yet.
const PIECES: usize = 8;
/// Frames that are to be written.
const FRAMES: usize = 8;
/// Bytes of data in a frame that is written, and what is read at once.
const PIECE: usize = 32 << 10;
/// Streams at a time. A port-forward has two for each of its connections.
const STREAMS: usize = 1024;

/// Who began the connection: its streams have odd numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// How a stream's other side stands.
#[derive(Debug, Default)]
struct Standing(AtomicU8);

impl Standing {
    const OPEN: u8 = 0;
    const FINISHED: u8 = 1;
    const RESET: u8 = 2;

    fn set(&self, to: u8) {
        let from = Self::OPEN;
        let order = Ordering::Relaxed;
        // What it came to first is what it is.
        let _first = self.0.compare_exchange(from, to, order, order);
    }

    fn is(&self, what: u8) -> bool {
        self.0.load(Ordering::Relaxed) == what
    }
}

/// What the reading half knows of a stream.
struct Inbox {
    pieces: mpsc::Sender<Bytes>,
    standing: Arc<Standing>,
}

type Inboxes = Arc<Mutex<HashMap<u32, Inbox>>>;

/// What is to be written.
enum Order {
    Open(Headers, oneshot::Sender<Stream>),
    Frame(Frame),
    Ping,
}

/// Opens streams. The connection ends once no opener and no writer of a stream is left.
#[derive(Clone)]
pub struct Opener {
    orders: mpsc::Sender<Order>,
}

impl Opener {
    /// Begins a stream. That the other side takes it is not waited for.
    ///
    /// # Errors
    /// [`SpdyError::Broken`] once the connection has ended.
    pub async fn open(&self, headers: Headers) -> Result<Stream, SpdyError> {
        let (reply, opened) = oneshot::channel();
        send(&self.orders, Order::Open(headers, reply)).await?;
        opened.await.map_err(|_| ended())
    }

    /// Asks for a sign of life; what has vanished is noticed by the system then.
    ///
    /// # Errors
    /// [`SpdyError::Broken`] once the connection has ended.
    pub async fn ping(&self) -> Result<(), SpdyError> {
        send(&self.orders, Order::Ping).await
    }
}

/// Streams that the other side has opened.
pub struct Opened {
    streams: mpsc::Receiver<Stream>,
    /// The connection goes on as long as somebody waits here.
    _open: mpsc::Sender<Order>,
}

impl Opened {
    /// The next stream; none once the connection has ended.
    pub async fn next(&mut self) -> Option<Stream> {
        self.streams.recv().await
    }
}

/// A stream.
#[derive(Debug)]
pub struct Stream {
    /// What it was opened with.
    pub headers: Headers,
    pub reader: StreamReader,
    pub writer: StreamWriter,
}

/// What the other side sends on a stream. Once it is dropped, that is thrown away.
#[derive(Debug)]
pub struct StreamReader {
    pieces: mpsc::Receiver<Bytes>,
    standing: Arc<Standing>,
}

impl StreamReader {
    /// The next piece; none once there is no more.
    pub async fn read(&mut self) -> Option<Bytes> {
        self.pieces.recv().await
    }

    /// Whether the other side has said that this was all, rather than broken off.
    pub fn is_finished(&self) -> bool {
        self.standing.is(Standing::FINISHED)
    }
}

/// Sends on a stream.
#[derive(Debug)]
pub struct StreamWriter {
    stream: u32,
    orders: mpsc::Sender<Order>,
    standing: Arc<Standing>,
}

impl StreamWriter {
    /// Sends; waits until there is room.
    ///
    /// # Errors
    /// [`SpdyError::Broken`] once the stream or the connection has ended.
    pub async fn write(&self, mut bytes: Bytes) -> Result<(), SpdyError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            self.send(piece, false).await?;
        }
        Ok(())
    }

    /// Says that this was all.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn finish(self) -> Result<(), SpdyError> {
        self.send(Bytes::new(), true).await
    }

    async fn send(&self, bytes: Bytes, fin: bool) -> Result<(), SpdyError> {
        if self.standing.is(Standing::RESET) {
            return Err(ended());
        }
        let stream = self.stream;
        let frame = Frame::Data { stream, bytes, fin };
        send(&self.orders, Order::Frame(frame)).await
    }
}

/// A connection. [`Self::run`] has to be polled for anything to happen.
pub struct Session<S> {
    io: S,
    role: Role,
    orders: mpsc::Receiver<Order>,
    reading: Reading,
}

impl<S: AsyncRead + AsyncWrite> Session<S> {
    /// A connection that has just been made.
    pub fn new(io: S, role: Role) -> (Self, Opener, Opened) {
        let (sender, orders) = mpsc::channel(FRAMES);
        let (opened, streams) = mpsc::channel(PIECES);
        let session = Self {
            io,
            role,
            orders,
            reading: Reading {
                role,
                inboxes: Inboxes::default(),
                orders: sender.downgrade(),
                opened,
                last: 0,
            },
        };
        let opener = Opener {
            orders: sender.clone(),
        };
        let streams = Opened {
            streams,
            _open: sender,
        };
        (session, opener, streams)
    }

    /// Reads and writes the connection until it ends, or until nobody holds a part of it.
    ///
    /// # Errors
    /// Why it ended, if it did not in an orderly way.
    pub async fn run(self) -> Result<(), SpdyError> {
        let (input, output) = tokio::io::split(self.io);
        let writing = Writing {
            next: if self.role == Role::Client { 1 } else { 2 },
            ping: if self.role == Role::Client { 1 } else { 2 },
            inboxes: Arc::clone(&self.reading.inboxes),
            orders: self.reading.orders.clone(),
            encoder: Encoder::default(),
        };
        let inboxes = Arc::clone(&self.reading.inboxes);
        let ended = tokio::select! {
            read = self.reading.run(input) => read,
            written = writing.run(output, self.orders) => written,
        };
        // Readers of its streams are told.
        inboxes.lock().clear();
        ended
    }
}

async fn send(orders: &mpsc::Sender<Order>, order: Order) -> Result<(), SpdyError> {
    orders.send(order).await.map_err(|_| ended())
}

fn ended() -> SpdyError {
    SpdyError::Broken("it has ended".into())
}

/// A stream and the place where the reading half puts what comes for it.
fn stream(number: u32, headers: Headers, orders: mpsc::Sender<Order>) -> (Stream, Inbox) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let standing = Arc::<Standing>::default();
    let inbox = Inbox {
        pieces: sender,
        standing: Arc::clone(&standing),
    };
    let stream = Stream {
        headers,
        reader: StreamReader {
            pieces,
            standing: Arc::clone(&standing),
        },
        writer: StreamWriter {
            stream: number,
            orders,
            standing,
        },
    };
    (stream, inbox)
}

/// The half that writes.
struct Writing {
    /// The number of the next stream.
    next: u32,
    ping: u32,
    inboxes: Inboxes,
    orders: mpsc::WeakSender<Order>,
    encoder: Encoder,
}

impl Writing {
    async fn run(
        mut self,
        mut output: impl AsyncWrite + Unpin,
        mut orders: mpsc::Receiver<Order>,
    ) -> Result<(), SpdyError> {
        let mut bytes = BytesMut::new();
        while let Some(order) = orders.recv().await {
            self.encode(order, &mut bytes)?;
            while bytes.len() < PIECE
                && let Ok(order) = orders.try_recv()
            {
                self.encode(order, &mut bytes)?;
            }
            output.write_all(&bytes).await.map_err(broken)?;
            output.flush().await.map_err(broken)?;
            bytes.clear();
        }
        let bye = Frame::GoAway { last: 0 };
        self.encoder.write(&bye, &mut bytes);
        output.write_all(&bytes).await.map_err(broken)?;
        output.shutdown().await.map_err(broken)
    }

    fn encode(&mut self, order: Order, out: &mut BytesMut) -> Result<(), SpdyError> {
        match order {
            Order::Frame(frame) => self.encoder.write(&frame, out),
            Order::Ping => {
                self.encoder.write(&Frame::Ping(self.ping), out);
                self.ping = self.ping.wrapping_add(2).max(self.ping & 1);
            }
            Order::Open(headers, reply) => {
                // Whoever has asked holds a sender.
                let Some(orders) = self.orders.upgrade() else {
                    return Ok(());
                };
                let number = self.next;
                self.next = number.checked_add(2).ok_or(SpdyError::TooManyStreams)?;
                let frame = Frame::SynStream {
                    stream: number,
                    headers: headers.clone(),
                    fin: false,
                };
                self.encoder.write(&frame, out);
                let (stream, inbox) = stream(number, headers, orders);
                self.inboxes.lock().insert(number, inbox);
                let _given_up = reply.send(stream);
            }
        }
        Ok(())
    }
}

/// The half that reads.
struct Reading {
    role: Role,
    inboxes: Inboxes,
    orders: mpsc::WeakSender<Order>,
    opened: mpsc::Sender<Stream>,
    /// The last stream that the other side has opened.
    last: u32,
}

impl Reading {
    async fn run(mut self, mut input: impl AsyncRead + Unpin) -> Result<(), SpdyError> {
        let mut decoder = Decoder::default();
        loop {
            while let Some(frame) = decoder.take()? {
                if let Frame::GoAway { .. } = frame {
                    return Ok(());
                }
                self.take(frame).await?;
            }
            decoder.buffer().reserve(PIECE);
            let read = input.read_buf(decoder.buffer()).await.map_err(broken)?;
            if read == 0 {
                return if decoder.is_within() {
                    Err(SpdyError::CutOff)
                } else {
                    Ok(())
                };
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), SpdyError> {
        match frame {
            Frame::SynStream {
                stream,
                headers,
                fin,
            } => {
                self.begin(stream, headers).await?;
                if fin {
                    self.end(stream, Standing::FINISHED);
                }
            }
            Frame::SynReply { stream, fin, .. } | Frame::Headers { stream, fin, .. } => {
                if fin {
                    self.end(stream, Standing::FINISHED);
                }
            }
            Frame::Data { stream, bytes, fin } => {
                if let Some(pieces) = self.pieces_of(stream)
                    && !bytes.is_empty()
                {
                    // Nobody may want it any more.
                    let _dropped = pieces.send(bytes).await;
                }
                if fin {
                    self.end(stream, Standing::FINISHED);
                }
            }
            Frame::RstStream { stream, .. } => self.end(stream, Standing::RESET),
            // Ours come back as they are.
            Frame::Ping(id) if (id & 1 == 1) != (self.role == Role::Client) => {
                self.answer(Frame::Ping(id)).await;
            }
            Frame::Ping(_) | Frame::GoAway { .. } | Frame::Other => {}
        }
        Ok(())
    }

    /// Where data for a stream goes.
    fn pieces_of(&self, stream: u32) -> Option<mpsc::Sender<Bytes>> {
        let inboxes = self.inboxes.lock();
        inboxes.get(&stream).map(|inbox| inbox.pieces.clone())
    }

    /// Takes a stream that the other side opens. Those of a client count up, in odd numbers.
    async fn begin(&mut self, number: u32, headers: Headers) -> Result<(), SpdyError> {
        let theirs = (number & 1 == 1) == (self.role == Role::Server);
        let Some(orders) = self.orders.upgrade() else {
            return Ok(());
        };
        if !theirs || number <= self.last {
            // PROTOCOL_ERROR.
            self.answer(Frame::RstStream {
                stream: number,
                status: 1,
            })
            .await;
            return Ok(());
        }
        self.last = number;
        if self.inboxes.lock().len() >= STREAMS {
            return Err(SpdyError::TooManyStreams);
        }
        let (stream, inbox) = stream(number, headers, orders);
        self.inboxes.lock().insert(number, inbox);
        self.answer(Frame::SynReply {
            stream: number,
            headers: Headers::default(),
            fin: false,
        })
        .await;
        let _unwanted = self.opened.send(stream).await;
        Ok(())
    }

    fn end(&self, stream: u32, how: u8) {
        if let Some(inbox) = self.inboxes.lock().remove(&stream) {
            inbox.standing.set(how);
        }
    }

    async fn answer(&self, frame: Frame) {
        if let Some(orders) = self.orders.upgrade() {
            let _over = orders.send(Order::Frame(frame)).await;
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is mapped by value")]
fn broken(error: std::io::Error) -> SpdyError {
    SpdyError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(kind: &str) -> Headers {
        Headers::default().with("streamType", kind)
    }

    async fn all(reader: &mut StreamReader) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(piece) = reader.read().await {
            all.extend_from_slice(&piece);
        }
        all
    }

    #[tokio::test]
    async fn streams_carry_bytes_both_ways() {
        let (near, far) = tokio::io::duplex(100);
        let (client, opener, _none) = Session::new(near, Role::Client);
        let (server, _unused, mut opened) = Session::new(far, Role::Server);
        drop(_unused);
        let long: Bytes = (0..200_000_u32).map(|n| n as u8).collect::<Vec<_>>().into();
        let sent = long.clone();
        let asks = async move {
            let a = opener.open(headers("stdin")).await.unwrap();
            let b = opener.open(headers("stdout")).await.unwrap();
            opener.ping().await.unwrap();
            drop(_none);
            a.writer.write(sent.clone()).await.unwrap();
            a.writer.finish().await.unwrap();
            let mut reader = b.reader;
            assert_eq!(all(&mut reader).await, sent);
            assert!(reader.is_finished());
        };
        let answers = async move {
            let a = opened.next().await.unwrap();
            let b = opened.next().await.unwrap();
            assert_eq!(a.headers.get("streamtype"), Some("stdin"));
            let (mut from, to) = (a.reader, b.writer);
            while let Some(piece) = from.read().await {
                to.write(piece).await.unwrap();
            }
            assert!(from.is_finished());
            to.finish().await.unwrap();
            assert!(opened.next().await.is_none());
        };
        let (asked, answered, (), ()) = tokio::join!(client.run(), server.run(), asks, answers);
        assert_eq!((asked, answered), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn a_lost_connection_is_no_end_of_a_stream() {
        let (near, far) = tokio::io::duplex(100);
        let (client, opener, _none) = Session::new(near, Role::Client);
        let asks = async {
            let mut stream = opener.open(headers("error")).await.unwrap();
            drop(far);
            assert_eq!(stream.reader.read().await, None);
            assert!(!stream.reader.is_finished());
            assert!(opener.open(headers("late")).await.is_err());
        };
        let (ended, ()) = tokio::join!(client.run(), asks);
        assert!(ended.is_ok() || matches!(ended, Err(SpdyError::Broken(_))));
    }

    #[tokio::test]
    async fn a_reset_ends_both_directions() {
        let (near, far) = tokio::io::duplex(1000);
        let (client, opener, _none) = Session::new(near, Role::Client);
        let (_read, mut write) = tokio::io::split(far);
        let asks = async move {
            let mut stream = opener.open(headers("error")).await.unwrap();
            let mut out = BytesMut::new();
            let reset = Frame::RstStream {
                stream: 1,
                status: 3,
            };
            Encoder::default().write(&reset, &mut out);
            write.write_all(&out).await.unwrap();
            assert_eq!(stream.reader.read().await, None);
            assert!(!stream.reader.is_finished());
            assert!(stream.writer.write(Bytes::from_static(b"x")).await.is_err());
        };
        tokio::select! {
            ended = client.run() => panic!("{ended:?}"),
            () = asks => {}
        }
    }

    #[tokio::test]
    async fn streams_of_the_wrong_side_are_refused() {
        let (near, far) = tokio::io::duplex(1000);
        let (server, _opener, _opened) = Session::new(near, Role::Server);
        let asks = async move {
            let (mut read, mut write) = tokio::io::split(far);
            let mut out = BytesMut::new();
            let wrong = Frame::SynStream {
                stream: 2,
                headers: headers("error"),
                fin: false,
            };
            Encoder::default().write(&wrong, &mut out);
            write.write_all(&out).await.unwrap();
            let mut decoder = Decoder::default();
            loop {
                if let Some(frame) = decoder.take().unwrap() {
                    break frame;
                }
                read.read_buf(decoder.buffer()).await.unwrap();
            }
        };
        let frame = tokio::select! {
            ended = server.run() => panic!("{ended:?}"),
            frame = asks => frame,
        };
        assert_eq!(
            frame,
            Frame::RstStream {
                stream: 2,
                status: 1
            }
        );
    }
}
