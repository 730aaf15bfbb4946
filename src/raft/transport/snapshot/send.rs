//! The sending end of a transfer.

use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::super::context::Context;
use super::super::dial;
use super::super::error::{ConnectionError, SnapshotError};
use super::super::frame::Frame;
use super::super::framed::{FrameBatch, FrameReader};
use super::super::handshake::Channel;
use super::super::peer::Peer;
use super::offer::{self, Offer, Resume};
use super::read::read_files;
use super::{CHUNKS_AHEAD, blocking};
use crate::base::clock;
use crate::base::metrics::Raised;
use crate::raft::Snapshot;

/// Sends a snapshot and says whether it is on the peer's disk. One at a time for each peer: consensus asks
/// again when a transfer fails.
///
/// `None` while another is on its way to the peer: a leader that was deposed and elected again does not know
/// of it any more. The outcome of that one is the answer to both. To fail at once would have consensus ask
/// again with every heartbeat until then.
pub(in super::super) async fn send(
    ctx: &Context,
    peer: &Peer,
    message: Bytes,
    snapshot: &Snapshot,
) -> Option<bool> {
    let counters = &peer.counters.metrics.snapshots_sent;
    let started = clock::now();
    let Ok(_turn) = peer.snapshot_turn.try_acquire() else {
        tracing::debug!(peer = %peer.id, "a snapshot is on its way to the peer already");
        return None;
    };
    let _in_flight = Raised::new(&counters.in_flight);
    let outcome = tokio::select! {
        outcome = transfer(ctx, peer, message, snapshot) => outcome,
        () = peer.stop.cancelled() => Err(SnapshotError::Interrupted),
    };
    let took = clock::now().saturating_duration_since(started);
    match &outcome {
        Ok(()) => {
            counters.successes.inc();
            counters.durations.took(took);
            tracing::info!(peer = %peer.id, index = snapshot.state.index, ?took, "sent a snapshot");
        }
        Err(error) => {
            counters.failures.inc();
            tracing::warn!(peer = %peer.id, index = snapshot.state.index, %error, "snapshot was not sent");
        }
    }
    // The turn ends with this call and thus before the outcome is told, so nobody is left without an answer.
    Some(outcome.is_ok())
}

async fn transfer(
    ctx: &Context,
    peer: &Peer,
    message: Bytes,
    snapshot: &Snapshot,
) -> Result<(), SnapshotError> {
    let described = snapshot.clone();
    let offer = blocking(move || Offer::of(&described, message)).await?;
    offer.check(u64::MAX)?;
    let encoded = offer::encode("offer", &offer)?;
    let io = dial::dial(ctx, peer, Channel::Snapshot).await?;
    let (read, mut write) = tokio::io::split(io);
    let mut reader = FrameReader::new(read);
    write_frame(ctx, &mut write, &Frame::Offer(encoded)).await?;
    let Some(resume) = await_resume(ctx, &mut reader, &offer).await? else {
        return Ok(());
    };
    let (sender, frames) = mpsc::channel(CHUNKS_AHEAD);
    let dir = snapshot.dir.clone();
    // Ends by itself when the receiver of its frames is dropped.
    drop(tokio::task::spawn_blocking(move || {
        read_files(&dir, &offer.files, &resume, &sender);
    }));
    tokio::select! {
        verdict = await_verdict(ctx, &mut reader) => verdict,
        error = pump(ctx, frames, &mut write) => Err(error),
    }
}

/// Waits for how far the receiver has come in an earlier attempt; `None` if that was to the end.
async fn await_resume<R: AsyncRead + Unpin>(
    ctx: &Context,
    reader: &mut FrameReader<R>,
    offer: &Offer,
) -> Result<Option<Resume>, SnapshotError> {
    loop {
        match ctx.within_idle(reader.next()).await? {
            Frame::Ping(_) => {}
            Frame::Refused(text) => return Err(SnapshotError::Refused(text)),
            Frame::Done => return Ok(None),
            Frame::Resume(bytes) => return checked_resume(&bytes, offer).map(Some),
            other => return Err(ConnectionError::Unexpected(other.name()).into()),
        }
    }
}

fn checked_resume(bytes: &[u8], offer: &Offer) -> Result<Resume, SnapshotError> {
    let resume: Resume = offer::decode("resume", bytes)?;
    let fits = resume.offsets.len() == offer.files.len()
        && offer
            .files
            .iter()
            .zip(&resume.offsets)
            .all(|(file, &offset)| offset <= file.size);
    if fits {
        Ok(resume)
    } else {
        Err(SnapshotError::Malformed("resume"))
    }
}

async fn await_verdict<R: AsyncRead + Unpin>(
    ctx: &Context,
    reader: &mut FrameReader<R>,
) -> Result<(), SnapshotError> {
    loop {
        match ctx.within_idle(reader.next()).await? {
            Frame::Ping(_) => {}
            Frame::Done => return Ok(()),
            Frame::Refused(text) => return Err(SnapshotError::Refused(text)),
            other => return Err(ConnectionError::Unexpected(other.name()).into()),
        }
    }
}

/// Writes what the disk side reads, and pings while it has nothing. Returns only to say what went wrong:
/// success is the other side's to tell.
async fn pump(
    ctx: &Context,
    mut frames: mpsc::Receiver<Result<Frame, SnapshotError>>,
    write: &mut (impl AsyncWrite + Unpin),
) -> SnapshotError {
    let mut pings = interval(ctx.timing.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut moved = clock::now();
    loop {
        let frame = tokio::select! {
            Some(frame) = frames.recv() => frame.inspect(|_| moved = clock::now()),
            _ = pings.tick() => Ok(Frame::Ping(0)),
        };
        let written = match frame {
            Ok(frame) => write_frame(ctx, write, &frame).await,
            Err(error) => {
                let refusal = Frame::Refused(error.to_string());
                let _ = write_frame(ctx, write, &refusal).await;
                return error;
            }
        };
        if let Err(error) = written.and_then(|()| check_progress(ctx, moved)) {
            return error;
        }
    }
}

/// Refuses to wait for a transfer that stands still although both sides live.
pub(super) fn check_progress(ctx: &Context, moved: Instant) -> Result<(), SnapshotError> {
    let still = clock::now().saturating_duration_since(moved);
    if still > ctx.timing.stall {
        return Err(SnapshotError::Stalled(still));
    }
    Ok(())
}

/// Writes one frame; a receiver whose disk hangs stops reading, and is not waited for without end.
pub(super) async fn write_frame(
    ctx: &Context,
    io: &mut (impl AsyncWrite + Unpin),
    frame: &Frame,
) -> Result<(), SnapshotError> {
    let mut batch = FrameBatch::default();
    batch.push(frame);
    let stall = ctx.timing.stall;
    let written = timeout(stall, batch.write_to(io)).await;
    written.map_err(|_| SnapshotError::Stalled(stall))??;
    Ok(())
}
