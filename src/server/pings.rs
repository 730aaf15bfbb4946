//! Holds clients to grpc-go's rule on pings (its `keepalive.EnforcementPolicy`): those that come more often
//! than `--grpc-keepalive-min-time` during a call, or more often than every two hours outside one, count until
//! the client is sent data or headers; the third ends the connection with a GOAWAY that says `too_many_pings`.
//!
//! The HTTP/2 library answers pings and tells nobody of them, and it cannot be told to end a connection with
//! a reason. So the frames are followed here, below it, by their headers: no byte is copied, and a read or
//! write costs a few comparisons for each frame in it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::base::clock;
use crate::base::frames::{FRAME_HEADER, Frames, Head, Preface};

/// Least time between pings while no call is under way.
const IDLE: Duration = Duration::from_secs(2 * 60 * 60);

/// Pings out of turn that are forgiven.
const FORGIVEN: u32 = 2;

/// Time for a client that is sent away to be told why, and to read it. Closing at once would take it away from
/// it: the system answers what such a client still sends with a reset.
const LINGER: Duration = Duration::from_secs(5);

/// What a client that pings too often is told.
const WHY: &[u8; 14] = b"too_many_pings";

/// HTTP/2's ENHANCE_YOUR_CALM (RFC 9113, section 7).
const ENHANCE_YOUR_CALM: u32 = 0xb;

const GOAWAY_BYTES: usize = FRAME_HEADER + 8 + WHY.len();

/// Frame types (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// A ping's flag that says that it is an answer.
const ACK: u8 = 1;

/// A connection whose pings are counted.
#[derive(Debug)]
pub(super) struct Pings<S> {
    inner: S,
    /// Nothing where any number of pings is welcome.
    watch: Option<Box<Watch>>,
}

impl<S> Pings<S> {
    /// `calls` is the number of calls under way; without a `least` time any number of pings is welcome.
    pub(super) fn new(inner: S, least: Option<Duration>, calls: Arc<AtomicUsize>) -> Self {
        let watch = least.map(|least| {
            Box::new(Watch {
                preface: Preface::default(),
                received: Frames::default(),
                sent: Frames::default(),
                newest_call: 0,
                call_begun: false,
                calls,
                rule: Rule {
                    least,
                    last: None,
                    answered: false,
                    strikes: 0,
                },
                end: None,
            })
        });
        Self { inner, watch }
    }
}

/// What is known of one connection.
#[derive(Debug)]
struct Watch {
    preface: Preface,
    received: Frames,
    sent: Frames,
    /// The highest stream that the client has begun.
    newest_call: u32,
    /// Whether a call was begun that `calls` may not count yet.
    call_begun: bool,
    calls: Arc<AtomicUsize>,
    rule: Rule,
    /// Set once the client is sent away.
    end: Option<End>,
}

/// The rule and how the client keeps to it.
#[derive(Debug)]
struct Rule {
    /// Least time between pings during a call.
    least: Duration,
    last: Option<Instant>,
    /// Whether the client was sent data or headers since the last ping.
    answered: bool,
    strikes: u32,
}

impl Rule {
    /// Whether a ping is one too many.
    fn is_broken_by(&mut self, ping: Instant, during_call: bool) -> bool {
        let last = self.last.replace(ping);
        if std::mem::take(&mut self.answered) {
            self.strikes = 0;
            return false;
        }
        let least = if during_call { self.least } else { IDLE };
        if last.is_some_and(|last| ping.saturating_duration_since(last) < least) {
            self.strikes += 1;
        }
        self.strikes > FORGIVEN
    }
}

/// How far the end of a connection has come.
#[derive(Debug)]
struct End {
    frame: [u8; GOAWAY_BYTES],
    said: usize,
    /// Whether this side is closed.
    closed: bool,
    /// When the connection ends, whatever the client does.
    deadline: Pin<Box<Sleep>>,
}

impl End {
    /// `newest_call` is the last one that was looked at.
    fn new(newest_call: u32) -> Self {
        let length = (GOAWAY_BYTES - FRAME_HEADER) as u8;
        let mut frame = [0; GOAWAY_BYTES];
        let parts: [&[u8]; 4] = [
            &[0, 0, length, GOAWAY, 0, 0, 0, 0, 0],
            &newest_call.to_be_bytes(),
            &ENHANCE_YOUR_CALM.to_be_bytes(),
            WHY,
        ];
        for (to, from) in frame.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        Self {
            frame,
            said: 0,
            closed: false,
            deadline: Box::pin(tokio::time::sleep(LINGER)),
        }
    }
}

impl Watch {
    /// Takes note of what was received; tells whether the client is to be sent away for it.
    fn received(&mut self, data: &[u8]) -> bool {
        let Some(frames) = self.preface.behind(data) else {
            return false;
        };
        let mut broken = false;
        self.received.follow(frames, |head| match head.kind {
            HEADERS => {
                self.newest_call = self.newest_call.max(head.stream);
                self.call_begun = true;
            }
            PING if head.flags & ACK == 0 => {
                let during_call = self.call_begun || self.calls.load(Ordering::Relaxed) > 0;
                broken |= self.rule.is_broken_by(clock::now(), during_call);
            }
            _ => {}
        });
        broken
    }

    fn sent(&mut self, data: &[u8]) {
        if !self.preface.is_other() {
            self.sent.follow(data, |Head { kind, .. }| {
                self.rule.answered |= matches!(kind, DATA | HEADERS);
            });
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pings<S> {
    /// Says why, once the frame that is being sent has been, and waits until the client has closed its side.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(Watch { sent, end, .. }) = self.watch.as_deref_mut() else {
            return Poll::Pending;
        };
        let Some(end) = end else { return Poll::Pending };
        let ended = || {
            let why = "too many pings from the client";
            Poll::Ready(io::Error::new(io::ErrorKind::ConnectionAborted, why))
        };
        if end.deadline.as_mut().poll(context).is_ready() {
            return ended();
        }
        let mut inner = Pin::new(&mut self.inner);
        while let Some(rest) = end.frame.get(end.said..)
            && !rest.is_empty()
        {
            if sent.rest() > 0 {
                // The library has the rest of the frame; writing it wakes this task.
                return Poll::Pending;
            }
            match ready!(inner.as_mut().poll_write(context, rest)) {
                Ok(0) => return Poll::Ready(io::ErrorKind::WriteZero.into()),
                Ok(count) => end.said += count,
                Err(error) => return Poll::Ready(error),
            }
        }
        if !end.closed {
            if let Err(error) = ready!(inner.as_mut().poll_shutdown(context)) {
                return Poll::Ready(error);
            }
            end.closed = true;
        }
        let mut bytes = [0; 1024];
        loop {
            let mut unread = ReadBuf::new(&mut bytes);
            match ready!(inner.as_mut().poll_read(context, &mut unread)) {
                Ok(()) if !unread.filled().is_empty() => {}
                _ => return ended(),
            }
        }
    }

    /// Writes for a connection that is ending: the rest of the frame that is being sent, and nothing more.
    fn poll_write_rest(
        &mut self,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(watch) = self.watch.as_deref_mut() else {
            return Poll::Ready(Ok(data.len()));
        };
        let rest = watch.sent.rest().min(data.len());
        let Some(rest) = data.get(..rest).filter(|rest| !rest.is_empty()) else {
            return Poll::Ready(Ok(data.len()));
        };
        let count = ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
        watch.sent(rest.get(..count).unwrap_or_default());
        context.waker().wake_by_ref();
        Poll::Ready(Ok(count))
    }

    fn is_ending(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.end.is_some())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Pings<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(watch) = this.watch.as_deref_mut() else {
            return Pin::new(&mut this.inner).poll_read(context, buf);
        };
        if watch.end.is_none() {
            let before = buf.filled().len();
            let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(context, buf) else {
                // What has been read is looked at before this is asked again.
                watch.call_begun = false;
                return Poll::Pending;
            };
            read?;
            if !watch.received(buf.filled().get(before..).unwrap_or_default()) {
                return Poll::Ready(Ok(()));
            }
            buf.set_filled(before);
            watch.end = Some(End::new(watch.newest_call));
        }
        this.poll_end(context).map(Err)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Pings<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_ending() {
            return this.poll_write_rest(context, buf);
        }
        let count = ready!(Pin::new(&mut this.inner).poll_write(context, buf))?;
        if let Some(watch) = this.watch.as_deref_mut() {
            watch.sent(buf.get(..count).unwrap_or_default());
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_ending() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return this.poll_write_rest(context, first.map_or(&[], |slice| slice));
        }
        let count = ready!(Pin::new(&mut this.inner).poll_write_vectored(context, slices))?;
        if let Some(watch) = this.watch.as_deref_mut() {
            let mut left = count;
            for slice in slices {
                let taken = left.min(slice.len());
                watch.sent(slice.get(..taken).unwrap_or_default());
                left -= taken;
            }
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_ending() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "pings_test.rs"]
mod tests;
