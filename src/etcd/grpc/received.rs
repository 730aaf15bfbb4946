//! A request's body, read for its one message, or handed on with what was read of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use smallvec::SmallVec;

/// Bytes before a message: whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(in crate::etcd) const PREFIX_BYTES: usize = 5;

/// Puts what goes before a message of `length` bytes that is not compressed.
pub(in crate::etcd) fn put_prefix(bytes: &mut BytesMut, length: usize) {
    bytes.put_u8(0);
    // No answer comes near the 4 GiB that gRPC can say: reads and watch responses end far below.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

/// A body of which the beginning may have been read already; it begins there all the same.
#[derive(Debug)]
pub(in crate::etcd) struct Received<B> {
    /// What was read, in reverse.
    read: SmallVec<[Bytes; 1]>,
    rest: B,
}

impl<B> Received<B> {
    /// Nothing was read yet.
    pub(super) fn untouched(rest: B) -> Self {
        let read = SmallVec::new();
        Self { read, rest }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Received<B> {
    /// The body's message, if it is one plain message of at most `limit` bytes and nothing else.
    ///
    /// # Errors
    /// Gives the body back to be read again, whatever it is.
    pub(super) async fn message(mut self, limit: usize) -> Result<(Bytes, Self), Self> {
        let mut bytes = 0;
        while let Some(Ok(frame)) = self.rest.frame().await {
            let Ok(data) = frame.into_data() else {
                continue;
            };
            bytes += data.len();
            self.read.push(data);
            if bytes > PREFIX_BYTES + limit {
                break;
            }
        }
        self.read.reverse();
        match plain(self.joined(bytes)) {
            Some(message) if message.len() <= limit && self.rest.is_end_stream() => {
                Ok((message, self))
            }
            _ => Err(self),
        }
    }

    /// What was read in one piece: a copy only if it came in several.
    fn joined(&self, bytes: usize) -> Bytes {
        if let [all] = self.read.as_slice() {
            return all.clone();
        }
        let mut all = BytesMut::with_capacity(bytes);
        for part in self.read.iter().rev() {
            all.extend_from_slice(part);
        }
        all.freeze()
    }
}

/// The message behind its prefix, if it is not compressed and ends where the bytes end.
fn plain(mut bytes: Bytes) -> Option<Bytes> {
    let [0, length @ ..] = *bytes.first_chunk::<PREFIX_BYTES>()? else {
        return None;
    };
    bytes.advance(PREFIX_BYTES);
    (bytes.len() == u32::from_be_bytes(length) as usize).then_some(bytes)
}

impl<B: Body<Data = Bytes> + Unpin> Body for Received<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.read.pop() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.read.is_empty() {
            self.rest.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 300;

    fn cut(bytes: &[u8], step: usize) -> impl Body<Data = Bytes, Error = &'static str> + Unpin {
        let parts: Vec<_> = bytes
            .chunks(step)
            .map(|part| Ok(Frame::data(Bytes::copy_from_slice(part))))
            .collect();
        Fused(StreamBody::new(stream::iter(parts)), false)
    }

    /// Knows that it has ended once it has, as a connection's body does.
    struct Fused<B>(B, bool);

    impl<B: Body + Unpin> Body for Fused<B> {
        type Data = B::Data;
        type Error = B::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
            let frame = std::task::ready!(Pin::new(&mut self.0).poll_frame(context));
            self.1 = frame.is_none();
            Poll::Ready(frame)
        }

        fn is_end_stream(&self) -> bool {
            self.1
        }
    }

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        let length = (message.len() as u32).to_be_bytes();
        [&[flag], &length[..], message].concat()
    }

    #[tokio::main(flavor = "current_thread")]
    async fn read(bytes: &[u8], step: usize) -> Result<Bytes, Vec<u8>> {
        let received = Received::untouched(cut(bytes, step));
        match received.message(LIMIT).await {
            Ok((message, _)) => Ok(message),
            Err(received) => Err(received.collect().await.unwrap().to_bytes().to_vec()),
        }
    }

    proptest! {
        #[test]
        fn one_message_is_read_wherever_it_is_cut(
            message in proptest::collection::vec(any::<u8>(), 0..=LIMIT),
            step in 1_usize..400,
        ) {
            prop_assert_eq!(read(&framed(0, &message), step), Ok(Bytes::from(message)));
        }

        #[test]
        fn anything_else_is_given_back_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..1000),
            step in 1_usize..400,
        ) {
            prop_assume!(bytes.first() != Some(&0) || bytes.len() < 5);
            prop_assert_eq!(read(&bytes, step), Err(bytes));
        }
    }

    #[test]
    fn messages_that_are_not_plain_are_given_back() {
        let two = [framed(0, b"a"), framed(0, b"b")].concat();
        let short = &framed(0, b"abc")[..6];
        let large = framed(0, &[7; LIMIT + 1]);
        for bytes in [framed(1, b"a"), two, short.to_vec(), large, Vec::new()] {
            assert_eq!(read(&bytes, 100), Err(bytes));
        }
    }

    #[tokio::test]
    async fn a_message_that_does_not_decode_can_be_read_again() {
        let bytes = framed(0, b"abc");
        let received = Received::untouched(cut(&bytes, 3));
        let (_, received) = received.message(LIMIT).await.unwrap_or_else(|_| panic!());
        assert_eq!(received.collect().await.unwrap().to_bytes(), bytes);
    }

    #[tokio::test]
    async fn a_broken_body_is_given_back_with_its_error() {
        let parts = [Ok(Frame::data(Bytes::from_static(b"\0\0"))), Err("broken")];
        let body = StreamBody::new(stream::iter(parts));
        let received = Received::untouched(body).message(LIMIT).await;
        let mut received = received.map(|_| ()).unwrap_err();
        let data = received
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(data, "\0\0");
        assert!(!received.is_end_stream());
    }
}
