//! The accepting end of a stream: hands over messages, answers pings and calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::context::Context;
use super::error::ConnectionError;
use super::frame::{Frame, Outcome};
use super::framed::{FrameBatch, FrameReader, weight};
use super::handshake::Lane;
use super::peer::{CALL_UNIT, Peer};
use super::stats::Active;
use super::{CallAnswer, MAX_CALL};
use crate::base::clock;

/// Answers that wait for the socket. A peer that does not read them only stops its own calls.
const WAITING_ANSWERS: usize = 16;

/// The longest that a handler may run, whatever the caller says.
const MAX_CALL_TIME: Duration = Duration::from_secs(60);

/// Reads a peer's stream until it ends or a newer one replaces it.
pub(super) async fn attend(
    ctx: Arc<Context>,
    peer: Arc<Peer>,
    lane: Lane,
    io: impl AsyncRead + AsyncWrite,
) {
    peer.came.notify_waiters();
    let (replaced, _running) = peer.inbound(lane).take().await;
    let _active = Active::new(&peer.counters);
    let (read, write) = tokio::io::split(io);
    let (answers, waiting) = mpsc::channel(WAITING_ANSWERS);
    let error = tokio::select! {
        biased;
        () = replaced.cancelled() => ConnectionError::Replaced,
        () = peer.stop.cancelled() => ConnectionError::Closed,
        error = listen(&ctx, &peer, read, answers) => error,
        error = write_answers(waiting, write) => error,
    };
    if !matches!(error, ConnectionError::Replaced | ConnectionError::Closed) {
        peer.counters.metrics.received_failures.inc();
    }
    if let Some(hidden) = peer.endings.pass(&error.to_string(), clock::now()) {
        tracing::info!(peer = %peer.id, lane = lane.name(), %error, hidden, "stream of peer ended");
    }
}

async fn listen(
    ctx: &Arc<Context>,
    peer: &Arc<Peer>,
    io: impl AsyncRead + Unpin,
    answers: mpsc::Sender<Frame>,
) -> ConnectionError {
    let mut reader = FrameReader::new(io);
    let mut pong = clock::now();
    loop {
        let frame = match ctx.within_idle(reader.next()).await {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        let now = clock::now();
        peer.counters.received(now, weight(&frame) as u64);
        let mut due = now.saturating_duration_since(pong) >= ctx.timing.ping;
        match frame {
            Frame::Message(message) => ctx.receive(peer.id, message),
            Frame::Ping(nonce) => {
                due = false;
                pong = now;
                let _ = answers.try_send(Frame::Pong(nonce));
            }
            Frame::Call { .. } => accept_call(ctx, peer, frame, answers.clone()),
            other => return ConnectionError::Unexpected(other.name()),
        }
        // Over a slow link the next ping may be megabytes behind; the peer must not take that for death.
        if due {
            pong = now;
            let _ = answers.try_send(Frame::Pong(0));
        }
    }
}

async fn write_answers(
    mut waiting: mpsc::Receiver<Frame>,
    mut io: impl AsyncWrite + Unpin,
) -> ConnectionError {
    let mut batch = FrameBatch::default();
    while let Some(frame) = waiting.recv().await {
        batch.push(&frame);
        while let Ok(frame) = waiting.try_recv() {
            batch.push(&frame);
        }
        if let Err(error) = batch.write_to(&mut io).await {
            return error;
        }
    }
    ConnectionError::Closed
}

/// Runs a call in a task of its own, if the peer has room left for it here.
fn accept_call(ctx: &Arc<Context>, peer: &Arc<Peer>, call: Frame, answers: mpsc::Sender<Frame>) {
    let Frame::Call {
        id,
        kind,
        timeout_ms,
        body,
    } = call
    else {
        return;
    };
    let refuse = |outcome| {
        let body = Bytes::new();
        let _ = answers.try_send(Frame::Reply { id, outcome, body });
    };
    let Some(handler) = ctx.handler.get() else {
        return refuse(Outcome::Unhandled);
    };
    let units = (body.len() / CALL_UNIT + 1) as u32;
    let Ok(room) = peer.call_room.clone().try_acquire_many_owned(units) else {
        return refuse(Outcome::Overloaded);
    };
    let limit = Duration::from_millis(timeout_ms.into()).min(MAX_CALL_TIME);
    let answer = handler.handle(peer.id, kind, body);
    ctx.spawn("peer call", run_call(id, answer, limit, answers, room));
}

async fn run_call(
    id: u64,
    answer: CallAnswer,
    limit: Duration,
    answers: mpsc::Sender<Frame>,
    _room: OwnedSemaphorePermit,
) {
    let (outcome, body) = match tokio::time::timeout(limit, answer).await {
        Err(_) => (Outcome::TimedOut, Bytes::new()),
        Ok(Ok(body)) if body.len() <= MAX_CALL => (Outcome::Answered, body),
        Ok(Ok(_)) => (Outcome::Failed, Bytes::from_static(b"answer is too large")),
        Ok(Err(text)) => (Outcome::Failed, text.into()),
    };
    // The connection may be gone, and with it the caller's interest.
    let _ = answers.send(Frame::Reply { id, outcome, body }).await;
}
