//! The dialling end of a stream: keeps one connection to one peer up and writes what its outbox holds.
//!
//! Whatever is lost with a connection is reported as unreachable, so that consensus probes the peer
//! instead of waiting for acknowledgements that will not come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};

use super::context::{Context, Timing};
use super::dial;
use super::error::ConnectionError;
use super::frame::Frame;
use super::framed::{FrameBatch, FrameReader};
use super::handshake::{Channel, Lane, RefusalKind};
use super::peer::Peer;
use super::stats::{Active, Counters};
use crate::base::clock;

/// How much goes into one write. More saves nothing and keeps a ping waiting.
const WRITE_BYTES: usize = 1 << 20;

/// Dials, writes until the connection breaks, and dials again, until the peer is retired.
pub(super) async fn keep_up(ctx: Arc<Context>, peer: Arc<Peer>, lane: Lane) {
    let mut backoff = Backoff::new(ctx.timing);
    loop {
        peer.outbox(lane).open();
        let error = match dial::dial(&ctx, &peer, Channel::Stream(lane)).await {
            Ok(io) => {
                let began = clock::now();
                let error = converse(&ctx, &peer, lane, io).await;
                // A peer that lets this member in and drops it at once is no better than one that does
                // not answer.
                if clock::now().saturating_duration_since(began) > ctx.timing.retry_max {
                    backoff.reset();
                    peer.complaints.reset();
                }
                error
            }
            Err(error) => {
                let lost = peer.outbox(lane).close();
                peer.counters.metrics.sent_failures.add(lost as u64);
                error
            }
        };
        report(&ctx, &peer, lane, &error);
        let pause = backoff.next(&error);
        // A member that starts dials all others: without the second arm it would hear of their news only after
        // their pauses.
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = peer.came.notified() => {}
        }
    }
}

/// Uses one connection until it breaks, and says how it did.
async fn converse(
    ctx: &Context,
    peer: &Peer,
    lane: Lane,
    io: impl AsyncRead + AsyncWrite,
) -> ConnectionError {
    tracing::info!(peer = %peer.id, lane = lane.name(), "connected to peer");
    let _up = Up::new(&peer.counters);
    let started = clock::now();
    let (read, write) = tokio::io::split(io);
    tokio::select! {
        error = listen(ctx, peer, read, started) => error,
        error = write_out(ctx, peer, lane, write, started) => error,
    }
}

/// Writes what waits in the outbox, and pings. Returns when a write fails.
async fn write_out(
    ctx: &Context,
    peer: &Peer,
    lane: Lane,
    mut io: impl AsyncWrite + Unpin,
    started: Instant,
) -> ConnectionError {
    let outbox = peer.outbox(lane);
    let mut ticks = tokio::time::interval(ctx.timing.ping);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut batch = FrameBatch::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => batch.push(&Frame::Ping(nanos_since(started))),
            () = outbox.filled() => {}
        }
        let frames = outbox.take(WRITE_BYTES);
        for frame in &frames {
            if is_wanted(peer, frame) {
                batch.push(frame);
            }
        }
        match batch.write_to(&mut io).await {
            Ok(bytes) => {
                peer.counters.metrics.sent_bytes.add(bytes as u64);
            }
            Err(error) => {
                let lost = frames.len() as u64;
                peer.counters.metrics.sent_failures.add(lost);
                return error;
            }
        }
    }
}

/// A call whose caller has gone need not be sent.
fn is_wanted(peer: &Peer, frame: &Frame) -> bool {
    match frame {
        Frame::Call { id, .. } => peer.calls.mark_sent(*id),
        _ => true,
    }
}

/// Reads pongs and replies. Returns when the peer is silent or the connection ends.
async fn listen(
    ctx: &Context,
    peer: &Peer,
    io: impl AsyncRead + Unpin,
    started: Instant,
) -> ConnectionError {
    let mut reader = FrameReader::new(io);
    loop {
        let frame = match ctx.within_idle(reader.next()).await {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        peer.counters.heard(clock::now());
        match frame {
            Frame::Pong(nonce) => note_round_trip(peer, nonce, started),
            Frame::Reply { id, outcome, body } => peer.calls.answered(id, outcome, body),
            other => return ConnectionError::Unexpected(other.name()),
        }
    }
}

/// Pings carry their own time of sending, so nothing has to be remembered. Zero is no answer to a ping.
fn note_round_trip(peer: &Peer, nonce: u64, started: Instant) {
    if nonce != 0
        && let Some(took) = nanos_since(started).checked_sub(nonce)
    {
        let round_trips = &peer.counters.metrics.round_trips;
        round_trips.took(Duration::from_nanos(took));
    }
}

fn nanos_since(start: Instant) -> u64 {
    let elapsed = clock::now().saturating_duration_since(start);
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// Tells consensus, the callers and the log.
fn report(ctx: &Context, peer: &Peer, lane: Lane, error: &ConnectionError) {
    if lane == Lane::Control {
        peer.calls.fail_all();
    }
    ctx.unreachable(peer.id);
    if let ConnectionError::Refused(refusal) = error
        && refusal.kind == RefusalKind::Removed
        && let Some(inbox) = ctx.inbox.get()
    {
        inbox.removed(peer.id);
    }
    if let Some(hidden) = peer.complaints.pass(&error.to_string(), clock::now()) {
        tracing::warn!(peer = %peer.id, lane = lane.name(), %error, hidden, "no connection to peer");
    }
}

/// Counts a stream as up while it lives.
struct Up<'a> {
    counters: &'a Counters,
    _active: Active<'a>,
}

impl<'a> Up<'a> {
    fn new(counters: &'a Counters) -> Self {
        counters.connected(clock::now(), Lane::ALL.len());
        Self {
            counters,
            _active: Active::new(counters),
        }
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.counters.disconnected();
    }
}

/// How long to wait before dialling again: doubling, with jitter, so that members that lost each other at
/// the same moment do not come back at the same moment.
struct Backoff {
    timing: Timing,
    next: Duration,
}

impl Backoff {
    const fn new(timing: Timing) -> Self {
        Self {
            timing,
            next: timing.retry_min,
        }
    }

    const fn reset(&mut self) {
        self.next = self.timing.retry_min;
    }

    fn next(&mut self, error: &ConnectionError) -> Duration {
        let pause = if error.is_lasting() {
            self.timing.retry_refused
        } else {
            let pause = self.next;
            self.next = (pause * 2).min(self.timing.retry_max);
            pause
        };
        pause.mul_f64(rand::random_range(0.5..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_election_timeout_and_refusals_wait_long() {
        let timing = Timing::from_heartbeat(Duration::from_millis(100));
        let mut backoff = Backoff::new(timing);
        for expected in [50, 100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next(&ConnectionError::Closed);
            let longest = Duration::from_millis(expected);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.next(&ConnectionError::Closed) <= timing.retry_min);
        assert!(backoff.next(&ConnectionError::NoUrl) >= timing.retry_refused / 2);
    }
}
