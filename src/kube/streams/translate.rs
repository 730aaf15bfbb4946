//! `exec` and `attach` for clients that speak WebSocket, `v5.channel.k8s.io`, with a kubelet that speaks SPDY.
//!
//! A message's first byte is its channel; each channel is a stream. The fifth version has one more: 255 closes the
//! channel that the next byte names, which is how a client says that there is no more input. Bytes are passed on as they
//! come, whatever messages they come in. What the kubelet says on its error stream is passed on last, once all output
//! has been.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::options::ExecOptions;
use super::spdy::{self, Headers, Opener, Session, SpdyError, StreamReader, StreamWriter};
use super::verdict;
use super::websocket::{Connection, Kind, NORMAL, Piece, Reader, Role, Writer};
use crate::kube::status::ApiError;

/// Versions of the protocol over SPDY that are offered to kubelets. They differ by what is not in use here.
pub const VERSIONS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/// The version of the protocol over WebSocket that is translated; earlier ones cannot say that a channel is closed.
pub const TRANSLATED: &str = "v5.channel.k8s.io";

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// Between signs of life asked of a kubelet.
const PING: Duration = Duration::from_secs(5);
/// Bytes of what a kubelet says on its error stream.
const MAX_ERROR: usize = 64 << 10;
/// Time that a client has to take the last message.
const LAST_WORD: Duration = Duration::from_secs(10);

/// Translates until the process has ended or the client has gone. `kubelet` is its connection after the upgrade, or
/// why there is none.
pub async fn translate<C, K>(
    client: C,
    kubelet: impl Future<Output = Result<K, ApiError>>,
    wanted: &ExecOptions,
) where
    C: AsyncRead + AsyncWrite,
    K: AsyncRead + AsyncWrite,
{
    let Connection { reader, writer } = Connection::new(client, Role::Server);
    // An empty message says that the connection stands.
    let first = match (wanted.stdout, wanted.stderr) {
        (true, _) => STDOUT,
        (_, true) => STDERR,
        _ => ERROR,
    };
    if writer.send(Kind::Binary, &[&[first]]).await.is_err() {
        return;
    }
    let said = match kubelet.await {
        Ok(kubelet) => speak(kubelet, reader, &writer, wanted).await,
        Err(error) => Some(verdict::refused(&error).to_string().into_bytes()),
    };
    let Some(said) = said else { return };
    let last = async {
        writer.send(Kind::Binary, &[&[ERROR], &said]).await?;
        writer.close(NORMAL).await
    };
    if !matches!(tokio::time::timeout(LAST_WORD, last).await, Ok(Ok(()))) {
        tracing::debug!("a client did not hear how its process ended");
    }
}

/// The streams of a process.
struct Streams {
    error: spdy::Stream,
    stdin: Option<spdy::Stream>,
    stdout: Option<spdy::Stream>,
    stderr: Option<spdy::Stream>,
    resize: Option<spdy::Stream>,
}

impl Streams {
    /// Opens what is wanted, in the order of the release's own client.
    async fn open(opener: &Opener, wanted: &ExecOptions) -> Result<Self, SpdyError> {
        let open = async |kind: &str, wanted: bool| {
            let headers = Headers::default().with("streamType", kind);
            match wanted {
                true => opener.open(headers).await.map(Some),
                false => Ok(None),
            }
        };
        Ok(Self {
            error: opener
                .open(Headers::default().with("streamType", "error"))
                .await?,
            stdin: open("stdin", wanted.stdin).await?,
            stdout: open("stdout", wanted.stdout).await?,
            stderr: open("stderr", wanted.stderr && !wanted.tty).await?,
            resize: open("resize", wanted.tty).await?,
        })
    }
}

/// Speaks with both; returns what the client is to be told last, or nothing if it has gone.
async fn speak<C, K>(
    kubelet: K,
    reader: Reader<C>,
    writer: &Writer<C>,
    wanted: &ExecOptions,
) -> Option<Vec<u8>>
where
    C: AsyncRead + AsyncWrite,
    K: AsyncRead + AsyncWrite,
{
    let (session, opener, none) = Session::new(kubelet, spdy::Role::Client);
    drop(none);
    let session = async {
        if let Err(error) = session.run().await {
            tracing::debug!(%error, "the connection with a kubelet ended");
        }
        // The streams know it, and what they have brought is to be passed on first.
        std::future::pending::<()>().await;
    };
    let pings = async {
        while opener.ping().await.is_ok() {
            tokio::time::sleep(PING).await;
        }
        std::future::pending::<()>().await;
    };
    let talk = async {
        let streams = match Streams::open(&opener, wanted).await {
            Ok(streams) => streams,
            Err(error) => return Some(lost(&error.to_string())),
        };
        let Streams {
            error,
            stdin,
            stdout,
            stderr,
            resize,
        } = streams;
        let (stdin, stdin_ended) = halves(stdin);
        // Nothing comes on it.
        let (resize, _) = halves(resize);
        let input = Input {
            stdin,
            stdin_ended,
            resize,
            channel: None,
        };
        let output = async {
            let out = async { pass_on(stdout, STDOUT, writer).await };
            let err = async { pass_on(stderr, STDERR, writer).await };
            let (out, err, said) = tokio::join!(out, err, all(error.reader));
            (out && err).then_some(said)
        };
        tokio::select! {
            said = output => said,
            () = input.run(reader) => None,
        }
    };
    tokio::select! {
        said = talk => said,
        () = session => None,
        () = pings => None,
    }
}

fn halves(stream: Option<spdy::Stream>) -> (Option<StreamWriter>, Option<StreamReader>) {
    match stream {
        Some(stream) => (Some(stream.writer), Some(stream.reader)),
        None => (None, None),
    }
}

fn lost(why: &str) -> Vec<u8> {
    verdict::refused(&ApiError::internal(why))
        .to_string()
        .into_bytes()
}

/// Passes a stream on until it ends; false if the client does not take it.
async fn pass_on<C: AsyncWrite>(
    stream: Option<spdy::Stream>,
    channel: u8,
    writer: &Writer<C>,
) -> bool {
    let Some(mut stream) = stream else {
        return true;
    };
    while let Some(piece) = stream.reader.read().await {
        if writer
            .send(Kind::Binary, &[&[channel], &piece])
            .await
            .is_err()
        {
            return false;
        }
    }
    true
}

/// All of the error stream, and what is made of it.
async fn all(mut reader: StreamReader) -> Vec<u8> {
    let mut said = Vec::new();
    while let Some(piece) = reader.read().await {
        if said.len() + piece.len() > MAX_ERROR {
            return lost("the kubelet's error stream is too long");
        }
        said.extend_from_slice(&piece);
    }
    if said.is_empty() && !reader.is_finished() {
        return lost("the connection with the kubelet was lost");
    }
    verdict::told(&said)
}

/// What the client sends.
struct Input {
    stdin: Option<StreamWriter>,
    /// The kubelet's side of it, which says that nobody reads it any more.
    stdin_ended: Option<StreamReader>,
    resize: Option<StreamWriter>,
    /// The channel of the message under way.
    channel: Option<u8>,
}

impl Input {
    /// Passes on what the client sends, until it goes.
    async fn run<C: AsyncRead + AsyncWrite>(mut self, mut reader: Reader<C>) {
        loop {
            let piece = tokio::select! {
                piece = reader.next() => piece,
                () = ended(&mut self.stdin_ended) => {
                    self.stdin_ended = None;
                    finish(&mut self.stdin).await;
                    continue;
                }
            };
            let Some(piece) = piece else { return };
            if !self.take(piece).await {
                return;
            }
        }
    }

    /// Takes a piece; false if the client breaks the protocol.
    async fn take(&mut self, piece: Piece) -> bool {
        let mut bytes = piece.bytes;
        if piece.first {
            self.channel = None;
        }
        if self.channel.is_none() && !bytes.is_empty() {
            self.channel = bytes.split_to(1).first().copied();
        }
        match self.channel {
            Some(STDIN) => send(&mut self.stdin, bytes).await,
            Some(RESIZE) => send(&mut self.resize, bytes).await,
            Some(CLOSE) => return self.close(&bytes, piece.last).await,
            _ => {}
        }
        true
    }

    /// Closes a channel: one byte says which. A message without it, or with more, is none.
    async fn close(&mut self, bytes: &[u8], last: bool) -> bool {
        match bytes {
            [] => !last,
            [STDIN] => {
                finish(&mut self.stdin).await;
                true
            }
            [RESIZE] => {
                finish(&mut self.resize).await;
                true
            }
            [STDOUT | STDERR | ERROR] => true,
            _ => false,
        }
    }
}

/// Completes when the kubelet closes a stream; never if there is none.
async fn ended(stream: &mut Option<StreamReader>) {
    match stream {
        Some(stream) => while stream.read().await.is_some() {},
        None => std::future::pending().await,
    }
}

async fn send(stream: &mut Option<StreamWriter>, bytes: Bytes) {
    if let Some(writer) = stream
        && writer.write(bytes).await.is_err()
    {
        *stream = None;
    }
}

async fn finish(stream: &mut Option<StreamWriter>) {
    if let Some(writer) = stream.take() {
        // Nobody reads it any more, then.
        let _ended = writer.finish().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;
    use crate::kube::streams::spdy::Opened;

    /// A message, put together.
    async fn message(reader: &mut Reader<DuplexStream>) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let piece = reader.next().await?;
            all.extend_from_slice(&piece.bytes);
            if piece.last {
                return Some(all);
            }
        }
    }

    async fn stream(opened: &mut Opened, kind: &str) -> spdy::Stream {
        let stream = opened.next().await.unwrap();
        assert_eq!(stream.headers.get("streamtype"), Some(kind));
        stream
    }

    /// Runs a client and a kubelet with the translator between them.
    async fn between<F, G>(
        wanted: ExecOptions,
        client: impl FnOnce(Connection<DuplexStream>) -> F,
        kubelet: impl FnOnce(Opened) -> G,
    ) where
        F: Future<Output = ()>,
        G: Future<Output = ()>,
    {
        let (near, far) = tokio::io::duplex(1000);
        let (up, down) = tokio::io::duplex(1000);
        let (session, opener, opened) = Session::new(down, spdy::Role::Server);
        drop(opener);
        let served = async {
            let (_ended, ()) = tokio::join!(session.run(), kubelet(opened));
        };
        let asked = client(Connection::new(near, Role::Client));
        let translated = translate(far, async { Ok(up) }, &wanted);
        tokio::join!(translated, asked, served);
    }

    fn wanted(stdin: bool, tty: bool) -> ExecOptions {
        ExecOptions {
            stdin,
            tty,
            stdout: true,
            stderr: true,
            ..ExecOptions::default()
        }
    }

    #[tokio::test]
    async fn input_output_and_the_exit_code_are_passed_on() {
        let client = async |mut connection: Connection<DuplexStream>| {
            let writer = &connection.writer;
            writer.send(Kind::Binary, &[&[STDIN], b"in"]).await.unwrap();
            writer.send(Kind::Binary, &[&[9], b"?"]).await.unwrap();
            writer.send(Kind::Binary, &[]).await.unwrap();
            writer.send(Kind::Binary, &[&[CLOSE, STDIN]]).await.unwrap();
            let reader = &mut connection.reader;
            assert_eq!(message(reader).await.unwrap(), [STDOUT]);
            assert_eq!(message(reader).await.unwrap(), b"\x01IN");
            assert_eq!(message(reader).await.unwrap(), b"\x02oops");
            let last = message(reader).await.unwrap();
            assert_eq!(last.first(), Some(&ERROR));
            let said = String::from_utf8_lossy(&last);
            assert!(said.contains(r#""message":"7""#), "{said}");
            assert_eq!(message(reader).await, None);
        };
        let kubelet = async |mut opened: Opened| {
            let error = stream(&mut opened, "error").await;
            let mut stdin = stream(&mut opened, "stdin").await;
            let stdout = stream(&mut opened, "stdout").await;
            let stderr = stream(&mut opened, "stderr").await;
            let mut all = Vec::new();
            while let Some(piece) = stdin.reader.read().await {
                all.extend_from_slice(&piece);
            }
            assert!(stdin.reader.is_finished());
            assert_eq!(all, b"in");
            let code = r#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;
            error.writer.write(code.into()).await.unwrap();
            error.writer.finish().await.unwrap();
            stdout.writer.write("IN".into()).await.unwrap();
            stdout.writer.finish().await.unwrap();
            // The output of both streams has no order; the client's test wants one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            stderr.writer.write("oops".into()).await.unwrap();
            stderr.writer.finish().await.unwrap();
        };
        between(wanted(true, false), client, kubelet).await;
    }

    #[tokio::test]
    async fn a_terminal_has_sizes_and_no_stderr() {
        let client = async |mut connection: Connection<DuplexStream>| {
            let size = br#"{"Width":80,"Height":24}"#;
            let writer = &connection.writer;
            writer.send(Kind::Binary, &[&[RESIZE], size]).await.unwrap();
            while message(&mut connection.reader).await.is_some() {}
        };
        let kubelet = async |mut opened: Opened| {
            let error = stream(&mut opened, "error").await;
            let stdout = stream(&mut opened, "stdout").await;
            let mut resize = stream(&mut opened, "resize").await;
            let size = resize.reader.read().await.unwrap();
            assert_eq!(&size[..], br#"{"Width":80,"Height":24}"#);
            for writer in [stdout.writer, error.writer] {
                writer.finish().await.unwrap();
            }
        };
        between(wanted(false, true), client, kubelet).await;
    }

    #[tokio::test]
    async fn a_kubelet_that_vanishes_is_no_success() {
        let client = async |mut connection: Connection<DuplexStream>| {
            let mut last = Vec::new();
            while let Some(message) = message(&mut connection.reader).await {
                last = message;
            }
            let said = String::from_utf8_lossy(&last);
            assert!(said.contains("Failure"), "{said}");
        };
        let kubelet = async |mut opened: Opened| {
            stream(&mut opened, "error").await;
        };
        between(wanted(false, false), client, kubelet).await;
    }

    #[tokio::test]
    async fn a_client_that_goes_ends_the_session() {
        let client = async |connection: Connection<DuplexStream>| {
            connection.writer.close(NORMAL).await.unwrap();
        };
        let kubelet = async |mut opened: Opened| while opened.next().await.is_some() {};
        between(wanted(true, false), client, kubelet).await;
    }

    #[tokio::test]
    async fn a_kubelet_that_refuses_is_told_on_the_error_channel() {
        let (near, far) = tokio::io::duplex(1000);
        let refused = async { Err::<DuplexStream, _>(ApiError::internal("no way")) };
        let asks = async {
            let mut connection = Connection::new(near, Role::Client);
            let reader = &mut connection.reader;
            assert_eq!(message(reader).await.unwrap(), [STDOUT]);
            let said = message(reader).await.unwrap();
            let wanted = concat!(
                "\x03",
                r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: no way","#,
                r#""reason":"InternalError","details":{"causes":[{"message":"no way"}]},"code":500}"#
            );
            assert_eq!(String::from_utf8_lossy(&said), wanted);
            assert_eq!(message(reader).await, None);
        };
        let wanted = wanted(false, false);
        tokio::join!(translate(far, refused, &wanted), asks);
    }
}
