//! Snapshots between members: a directory of immutable files over a connection of its own.
//!
//! ```text
//! sender                                receiver
//! Offer (names, sizes, raft message) -> checks names, sizes, room
//!                                    <- Resume (how much of each file is there already) | Refused
//! Chunk* FileEnd, file by file       -> appends, checks the whole file's crc32c, syncs it
//! Finish                             -> syncs the directory, moves it into place, hands it over
//!                                    <- Done | Refused (Done at once for what was handed over before)
//! ```
//!
//! Both sides ping throughout, so a dead peer is told from a slow disk. Files are read and written on
//! blocking threads, a few chunks ahead of the socket.
//!
//! The checksum follows the file instead of leading it: in front it would make the sender read everything
//! twice, and nothing could be sent before the first reading ends. It covers the whole file as each side
//! finds it on its own disk, including what earlier transfers left, so a resumed file is verified as
//! strictly as a fresh one. A file that fails is deleted, the others stay for the next attempt.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod offer;
mod read;
mod receive;
mod send;
mod store;

pub(super) use self::receive::receive;
pub(super) use self::send::send;
pub(super) use self::store::Incoming;
use super::error::SnapshotError;

/// Bytes of a file in one frame.
const CHUNK: usize = 256 * 1024;

/// Chunks between a disk and a socket: enough to keep both busy, 1 MiB of memory.
const CHUNKS_AHEAD: usize = 4;

/// Runs disk work off the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SnapshotError> + Send + 'static,
) -> Result<T, SnapshotError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(SnapshotError::Interrupted))
}

/// An offer as a sender encodes it, for tests that play one.
#[cfg(test)]
pub(super) fn encoded_offer(files: &[(&str, u64)]) -> bytes::Bytes {
    let offer = offer::tests::offer(files);
    offer::encode("offer", &offer).expect("a small offer encodes")
}

/// Where a snapshot of `from` is collected, for tests that leave something there.
#[cfg(test)]
pub(super) fn dir_name(
    snapshot: &crate::raft::Snapshot,
    from: crate::base::ids::MemberId,
) -> String {
    let offer = offer::Offer::of(snapshot, bytes::Bytes::new()).expect("a readable directory");
    offer.dir_name(from)
}

/// The offer of a snapshot, for tests that play its sender.
#[cfg(test)]
pub(super) fn encoded(snapshot: &crate::raft::Snapshot) -> bytes::Bytes {
    let offer = offer::Offer::of(snapshot, bytes::Bytes::new()).expect("a readable directory");
    offer::encode("offer", &offer).expect("a small offer encodes")
}
