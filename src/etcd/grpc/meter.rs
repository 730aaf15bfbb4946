//! Bodies that count the messages and bytes that pass through them, and how the call ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tonic::Code;

use super::methods::Method;
use super::received::PREFIX_BYTES;
use crate::base::clock;
use crate::base::trace::CallSpan;

/// A call that has begun and is counted when it ends. Dropping it before that means that the client went
/// away.
#[derive(Debug)]
pub(in crate::etcd) struct Call {
    method: Arc<Method>,
    /// Looked at only if calls are timed.
    began: Option<Instant>,
    /// Only of a call that is traced.
    span: Option<CallSpan>,
    open: bool,
}

impl Call {
    pub(super) fn begin(method: &Arc<Method>, headers: &HeaderMap) -> Self {
        method.calls.started.inc();
        Self {
            method: Arc::clone(method),
            began: method.times.as_ref().map(|_| clock::now()),
            span: method.traces.as_ref().and_then(|traces| {
                let header = |name: &str| headers.get(name)?.to_str().ok();
                traces.call(method.path, header)
            }),
            open: true,
        }
    }

    /// The call's span, if it is traced.
    pub(super) const fn span(&self) -> Option<&CallSpan> {
        self.span.as_ref()
    }

    /// Counts messages to the client, and their bytes with all prefixes.
    pub(super) fn sent(&self, messages: u64, bytes: usize) {
        self.method.sent_bytes.add(bytes as u64);
        self.method.calls.sent.add(messages);
    }

    /// Counts the end, once.
    pub(super) fn end(&mut self, code: Code) {
        if std::mem::take(&mut self.open) {
            self.method.calls.ended(code as usize);
            if let (Some(times), Some(began)) = (&self.method.times, self.began) {
                times.since(began);
            }
            if let Some(span) = &self.span {
                span.end(code as i32);
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The status code in headers or trailers.
pub(super) fn code(headers: &HeaderMap) -> Option<Code> {
    let value = headers.get("grpc-status")?;
    Some(Code::from_bytes(value.as_bytes()))
}

/// A body whose frames are counted.
#[derive(Debug)]
pub(super) struct Metered<B> {
    inner: B,
    meter: Meter,
}

#[derive(Debug)]
enum Meter {
    /// Nothing to count: the whole answer was in the headers.
    Off,
    /// From the client.
    Received(Arc<Method>, Messages),
    /// To the client; ends the call.
    Sent(Call, Messages),
}

impl<B> Metered<B> {
    pub(super) const fn off(inner: B) -> Self {
        let meter = Meter::Off;
        Self { inner, meter }
    }

    pub(super) fn received(inner: B, method: &Arc<Method>) -> Self {
        let meter = Meter::Received(Arc::clone(method), Messages::default());
        Self { inner, meter }
    }

    pub(super) fn sent(inner: B, call: Call) -> Self {
        let meter = Meter::Sent(call, Messages::default());
        Self { inner, meter }
    }
}

impl Meter {
    fn count(&mut self, frame: &Frame<Bytes>) {
        match self {
            Self::Off => {}
            Self::Received(method, messages) => {
                if let Some(data) = frame.data_ref() {
                    method.received_bytes.add(data.len() as u64);
                    method.calls.received.add(messages.begun_in(data));
                }
            }
            Self::Sent(call, messages) => {
                if let Some(data) = frame.data_ref() {
                    call.method.sent_bytes.add(data.len() as u64);
                    call.method.calls.sent.add(messages.begun_in(data));
                } else if let Some(code) = frame.trailers_ref().and_then(code) {
                    call.end(code);
                }
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            this.meter.count(frame);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Finds messages in a stream of bytes that is cut anywhere.
#[derive(Debug, Default)]
struct Messages {
    /// Bytes of the current prefix that were seen.
    prefix: usize,
    /// Bytes of the current message that are still to come, or the part of its length seen so far.
    left: u32,
}

impl Messages {
    /// How many messages have the end of their prefix in `data`.
    fn begun_in(&mut self, mut data: &[u8]) -> u64 {
        let mut begun = 0;
        while let Some((&byte, rest)) = data.split_first() {
            if self.prefix == PREFIX_BYTES {
                let skipped = data.len().min(self.left as usize);
                data = data.get(skipped..).unwrap_or_default();
                self.left -= skipped as u32;
            } else {
                // The flag, first, is shifted out by the four bytes of the length.
                self.left = self.left << 8 | u32::from(byte);
                self.prefix += 1;
                data = rest;
                begun += u64::from(self.prefix == PREFIX_BYTES);
            }
            if self.prefix == PREFIX_BYTES && self.left == 0 {
                self.prefix = 0;
            }
        }
        begun
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(lengths: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &length in lengths {
            bytes.push(1);
            bytes.extend_from_slice(&u32::from(length).to_be_bytes());
            bytes.resize(bytes.len() + usize::from(length), 0xff);
        }
        bytes
    }

    proptest! {
        #[test]
        fn messages_are_counted_wherever_the_stream_is_cut(
            lengths in proptest::collection::vec(0_u16..300, 0..8),
            cut in 1_usize..40,
        ) {
            let bytes = stream(&lengths);
            let mut messages = Messages::default();
            let begun: u64 = bytes.chunks(cut).map(|data| messages.begun_in(data)).sum();
            prop_assert_eq!(begun, lengths.len() as u64);
            prop_assert_eq!(messages.prefix, 0);
        }

        #[test]
        fn any_bytes_are_counted_without_panic(data: Vec<u8>) {
            Messages::default().begun_in(&data);
        }
    }
}
