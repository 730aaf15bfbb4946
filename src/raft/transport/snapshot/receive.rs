//! The receiving end of a transfer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::super::context::Context;
use super::super::error::{ConnectionError, SnapshotError};
use super::super::frame::Frame;
use super::super::framed::{FrameReader, weight};
use super::super::peer::Peer;
use super::offer::{self, Offer};
use super::send::{check_progress, write_frame};
use super::store::{Incoming, Store};
use super::{CHUNKS_AHEAD, blocking};
use crate::base::clock;
use crate::base::metrics::Raised;
use crate::raft::Snapshot;

/// How long to listen after a verdict. Closing a socket with unread bytes resets the connection, and the
/// sender might never read what it was told.
const LINGER: Duration = Duration::from_secs(2);

/// Receives one snapshot, hands it over, and tells the sender how it went.
pub(in super::super) async fn receive(
    ctx: &Context,
    incoming: &Arc<Incoming>,
    peer: &Peer,
    io: impl AsyncRead + AsyncWrite,
) {
    let counters = &peer.counters.metrics.snapshots_received;
    let _in_flight = Raised::new(&counters.in_flight);
    let started = clock::now();
    let (read, mut write) = tokio::io::split(io);
    let mut reader = FrameReader::new(read);
    let outcome = transfer(ctx, incoming, peer, &mut reader, &mut write).await;
    let verdict = match &outcome {
        Ok(()) => Frame::Done,
        Err(error) => Frame::Refused(error.to_string()),
    };
    let took = clock::now().saturating_duration_since(started);
    let told = write_frame(ctx, &mut write, &verdict).await;
    let drained = async { while reader.next().await.is_ok() {} };
    let _ = timeout(LINGER, drained).await;
    match outcome {
        Ok(()) => {
            counters.successes.inc();
            counters.durations.took(took);
            ctx.metrics.disk.received_save.took(took);
            tracing::info!(peer = %peer.id, ?took, told = told.is_ok(), "received a snapshot");
        }
        Err(error) => {
            counters.failures.inc();
            tracing::warn!(peer = %peer.id, %error, "snapshot was not received");
        }
    }
}

async fn transfer<R: AsyncRead + Unpin>(
    ctx: &Context,
    incoming: &Arc<Incoming>,
    peer: &Peer,
    reader: &mut FrameReader<R>,
    write: &mut (impl AsyncWrite + Unpin),
) -> Result<(), SnapshotError> {
    let offer = match ctx.within_idle(reader.next()).await? {
        Frame::Offer(bytes) => offer::decode::<Offer>("offer", &bytes)?,
        other => return Err(ConnectionError::Unexpected(other.name()).into()),
    };
    offer.check(incoming.max_bytes)?;
    let name = offer.dir_name(peer.id);
    let slot = incoming.begin(peer.id, &name)?;
    let opened = offer.clone();
    let found = blocking(move || match Store::open(slot, &name, &opened)? {
        Some(store) => store.resume().map(|resume| Some((store, resume))),
        None => Ok(None),
    });
    let Some((store, resume)) = found.await? else {
        return Ok(());
    };
    let resume = Frame::Resume(offer::encode("resume", &resume)?);
    write_frame(ctx, write, &resume).await?;
    let (steps, queue) = mpsc::channel(CHUNKS_AHEAD);
    let take_over = take_over(ctx, peer, offer);
    tokio::select! {
        // The disk's own error says more than what it does to the other two.
        biased;
        stored = blocking(move || store_all(store, queue, take_over)) => stored,
        error = forward(ctx, peer, reader, steps) => Err(error),
        error = ping(ctx, write) => Err(error),
    }
}

/// Gives a complete snapshot to consensus.
fn take_over(ctx: &Context, peer: &Peer, offer: Offer) -> impl FnOnce(&Path) -> bool + use<> {
    let inbox = ctx.inbox.get().cloned();
    let from = peer.id;
    move |dir| {
        let snapshot = Snapshot {
            state: offer.state(),
            dir: dir.to_owned(),
        };
        inbox.is_some_and(|inbox| inbox.receive_snapshot(from, offer.message, snapshot))
    }
}

/// Passes frames from the socket to the disk. Returns only to say what went wrong, and waits after the
/// last frame.
async fn forward<R: AsyncRead + Unpin>(
    ctx: &Context,
    peer: &Peer,
    reader: &mut FrameReader<R>,
    steps: mpsc::Sender<Frame>,
) -> SnapshotError {
    let mut moved = clock::now();
    loop {
        let frame = match ctx.within_idle(reader.next()).await {
            Ok(frame) => frame,
            Err(error) => return error.into(),
        };
        let bytes = weight(&frame) as u64;
        peer.counters.received(clock::now(), bytes);
        match frame {
            Frame::Ping(_) => {
                if let Err(stalled) = check_progress(ctx, moved) {
                    return stalled;
                }
            }
            Frame::Refused(text) => return SnapshotError::Refused(text),
            Frame::Chunk { .. } | Frame::FileEnd { .. } | Frame::Finish => {
                if steps.send(frame).await.is_err() {
                    // The disk side has ended and says why.
                    return std::future::pending().await;
                }
                moved = clock::now();
            }
            other => return ConnectionError::Unexpected(other.name()).into(),
        }
    }
}

/// Tells the sender that this member lives, however long its disk takes.
async fn ping(ctx: &Context, write: &mut (impl AsyncWrite + Unpin)) -> SnapshotError {
    let mut ticks = interval(ctx.timing.ping);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = write_frame(ctx, write, &Frame::Ping(0)).await {
            return error;
        }
    }
}

/// Writes what arrives until the snapshot is complete, and hands it over. Blocks.
fn store_all(
    mut store: Store,
    mut queue: mpsc::Receiver<Frame>,
    take_over: impl FnOnce(&Path) -> bool,
) -> Result<(), SnapshotError> {
    while let Some(step) = queue.blocking_recv() {
        match step {
            Frame::Chunk { file, offset, data } => store.chunk(file, offset, &data)?,
            Frame::FileEnd { file, crc } => store.file_end(file, crc)?,
            _ => return store.finish(take_over),
        }
    }
    Err(SnapshotError::Interrupted)
}
