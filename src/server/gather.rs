//! Gathers the frames of an HTTP/2 connection into few writes.
//!
//! The HTTP/2 library hands every larger DATA frame to the socket by itself: a system call for each response
//! of a watch, which costs more than all the rest of it. It flushes after each frame and once more, with
//! nothing new, when it has no further frame. So a flush right after a frame of several slices is put off, and
//! the next one, which finds nothing new, writes all that was gathered. To be safe against a change of that
//! habit the connection's task is woken to flush again whenever a flush was put off.
//!
//! Anything else passes through: HTTP/1.1, and small frames, which the library gathers itself.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gathered bytes that are written without waiting for a flush. With one frame more (16 KiB, unless the client
/// asked for larger ones) it bounds what a connection holds here.
const GATHERED: usize = 64 << 10;

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI ";

/// A stream that gathers what is written.
#[derive(Debug)]
pub(super) struct Gather<S> {
    inner: S,
    /// Whether the client speaks HTTP/2; unknown until it has spoken.
    http2: Option<bool>,
    gathered: Vec<u8>,
    /// What of it has been written.
    written: usize,
    /// Whether something was gathered since the last flush.
    fresh: bool,
}

impl<S> Gather<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self {
            inner,
            http2: None,
            gathered: Vec::new(),
            written: 0,
            fresh: false,
        }
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Writes all that was gathered, and gives its memory back: most connections are idle.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.gathered.get(self.written..)
            && !rest.is_empty()
        {
            let count = ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.gathered = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes the slices in, once there is room.
    fn poll_gather(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.gathered.len() >= GATHERED {
            ready!(self.poll_drain(context))?;
        }
        let mut taken = 0;
        for slice in slices {
            let part = slice
                .get(..slice.len().min(GATHERED - taken))
                .unwrap_or_default();
            self.gathered.extend_from_slice(part);
            taken += part.len();
        }
        self.fresh = true;
        Poll::Ready(Ok(taken))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buf))?;
        if self.http2.is_none()
            && let Some(first) = buf.filled().get(before..)
            && !first.is_empty()
        {
            self.http2 = Some(first.starts_with(PREFACE));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let several = slices.iter().filter(|slice| !slice.is_empty()).count() > 1;
        if !self.gathered.is_empty() || (several && self.http2 == Some(true)) {
            return self.poll_gather(context, slices);
        }
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.fresh) && self.gathered.len() < GATHERED {
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_drain(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Remembers the writes, and takes a thousand bytes at a time.
    #[derive(Debug, Default)]
    struct Socket {
        incoming: Vec<u8>,
        writes: Vec<Vec<u8>>,
        slices: usize,
    }

    impl AsyncRead for Socket {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buf.put_slice(&std::mem::take(&mut self.incoming));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Socket {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = buf.len().min(1000);
            self.writes.push(buf[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.slices += slices.len();
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            self.writes.push(all.clone());
            Poll::Ready(Ok(all.len()))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn opened(first: &[u8]) -> Gather<Socket> {
        use tokio::io::AsyncReadExt as _;
        let mut stream = Gather::new(Socket {
            incoming: first.to_vec(),
            ..Socket::default()
        });
        let mut read = [0; 64];
        let count = stream.read(&mut read).await.unwrap();
        assert_eq!(&read[..count], first);
        stream
    }

    async fn frame(stream: &mut Gather<Socket>, head: &[u8], payload: &[u8]) {
        let slices = [IoSlice::new(head), IoSlice::new(payload)];
        let mut stream = Pin::new(stream);
        let taken = poll_fn(|cx| stream.as_mut().poll_write_vectored(cx, &slices)).await;
        assert_eq!(taken.unwrap(), head.len() + payload.len());
        poll_fn(|cx| stream.as_mut().poll_flush(cx)).await.unwrap();
    }

    #[tokio::test]
    async fn frames_are_written_together_at_the_flush_that_finds_nothing_new() {
        let mut stream = opened(b"PRI * HTTP/2.0\r\n\r\n").await;
        frame(&mut stream, b"a", &[1; 400]).await;
        frame(&mut stream, b"b", &[2; 400]).await;
        assert!(stream.inner.writes.is_empty());
        // What is small in itself keeps its place.
        stream.write_all(b"c").await.unwrap();
        stream.flush().await.unwrap();
        assert!(stream.inner.writes.is_empty());
        stream.flush().await.unwrap();
        assert_eq!(stream.inner.writes.len(), 1);
        let all = [&b"a"[..], &[1; 400], b"b", &[2; 400], b"c"].concat();
        assert_eq!(stream.inner.writes.concat(), all);
        assert_eq!(stream.gathered.capacity(), 0);
    }

    #[tokio::test]
    async fn what_is_gathered_is_bounded_and_complete() {
        let mut stream = opened(b"PRI * HTTP/2.0\r\n\r\n").await;
        let mut expected = Vec::new();
        for number in 0..40 {
            let payload = [number; 16 << 10];
            frame(&mut stream, b"head", &payload).await;
            expected.extend_from_slice(b"head");
            expected.extend_from_slice(&payload);
            assert!(stream.gathered.len() <= GATHERED + (16 << 10) + 4);
        }
        stream.shutdown().await.unwrap();
        assert_eq!(stream.inner.writes.concat(), expected);
    }

    #[tokio::test]
    async fn other_protocols_and_small_frames_pass_through() {
        let mut stream = opened(b"GET / HTTP/1.1\r\n").await;
        frame(&mut stream, b"a", &[1; 400]).await;
        assert_eq!((stream.inner.writes.len(), stream.inner.slices), (1, 2));
        let mut stream = opened(b"PRI * HTTP/2.0\r\n\r\n").await;
        stream.write_all(b"small").await.unwrap();
        assert_eq!(stream.inner.writes, [b"small"]);
    }

    #[tokio::test]
    async fn a_slow_reader_gets_everything_in_order() {
        use tokio::io::AsyncReadExt as _;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(PREFACE).await.unwrap();
        let mut server = Gather::new(server);
        server.read_exact(&mut [0; 4]).await.unwrap();
        let write = async move {
            for number in 0..200_u32 {
                let head = number.to_be_bytes();
                let payload = [number as u8; 10_000];
                let mut at = 0;
                while at < head.len() + payload.len() {
                    let (a, b) = (head.len().min(at), at.saturating_sub(head.len()));
                    let slices = [IoSlice::new(&head[a..]), IoSlice::new(&payload[b..])];
                    let mut pinned = Pin::new(&mut server);
                    at += poll_fn(|cx| pinned.as_mut().poll_write_vectored(cx, &slices))
                        .await
                        .unwrap();
                    poll_fn(|cx| pinned.as_mut().poll_flush(cx)).await.unwrap();
                }
            }
            server.shutdown().await.unwrap();
        };
        let read = async {
            for number in 0..200_u32 {
                tokio::task::yield_now().await;
                assert_eq!(client.read_u32().await.unwrap(), number);
                let mut payload = [0; 10_000];
                client.read_exact(&mut payload).await.unwrap();
                assert_eq!(payload, [number as u8; 10_000]);
            }
        };
        tokio::join!(write, read);
    }
}
