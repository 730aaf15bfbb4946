//! The check of incoming snapshots: an offer of any kind, and any frames after it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::super::error::SnapshotError;
use super::super::frame::Frame;
use super::super::fuzzing::frames;
use super::Incoming;
use super::offer::{self, Offer, Resume};
use super::store::Store;
use crate::base::fuzzing::Script;
use crate::base::ids::MemberId;
use crate::base::metrics::Metrics;

/// Room for what a script can hold, and little more.
const MAX_BYTES: u64 = 1 << 16;

/// Receives what a script of frames offers and sends. Whatever it says, nothing is written outside the
/// snapshot's own directory, and a snapshot that is taken over has the files that were offered.
pub fn snapshot(data: &[u8], scratch: &Path) {
    if let Ok(resume) = offer::decode::<Resume>("resume", data) {
        assert_eq!(encoded(&resume), data);
    }
    let mut script = Script::new(data);
    let offered = script.long_bytes();
    let Ok(offer) = offer::decode::<Offer>("offer", offered) else {
        return;
    };
    assert_eq!(encoded(&offer), offered);
    if offer.check(MAX_BYTES).is_err() {
        return;
    }
    let dir = scratch.join("snapshot");
    // Nothing is there the first time.
    let _ = fs::remove_dir_all(&dir);
    let outcome = receive(&offer, &frames(&mut script), &dir.join("incoming"));
    assert_eq!(names(&dir), ["incoming"]);
    if let Err(error) = outcome {
        assert!(!error.to_string().is_empty());
    }
}

fn receive(offer: &Offer, frames: &[Frame], dir: &Path) -> Result<(), SnapshotError> {
    let syncs = Metrics::new().disk.received_sync;
    let incoming = Incoming::open(dir.to_owned(), MAX_BYTES, syncs);
    let incoming = Arc::new(incoming.expect("scratch space is writable"));
    let name = offer.dir_name(MemberId(2));
    let slot = incoming.begin(MemberId(2), &name)?;
    let store = Store::open(slot, &name, offer)?;
    let mut store = store.expect("the directory is new");
    assert!(store.resume()?.offsets.iter().all(|&offset| offset == 0));
    for frame in frames {
        match frame {
            Frame::Chunk { file, offset, data } => store.chunk(*file, *offset, data)?,
            Frame::FileEnd { file, crc } => store.file_end(*file, *crc)?,
            _ => return store.finish(|dir| check_complete(offer, dir)),
        }
        let names = names(dir);
        assert_eq!(names.len(), 1, "{names:?}");
    }
    Ok(())
}

fn check_complete(offer: &Offer, dir: &Path) -> bool {
    for file in &offer.files {
        let metadata = fs::metadata(dir.join(&file.name)).expect("every offered file is there");
        assert_eq!(metadata.len(), file.size);
    }
    assert_eq!(names(dir).len(), offer.files.len());
    true
}

fn encoded(value: &impl serde::Serialize) -> Bytes {
    offer::encode("again", value).expect("it was as small before")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("scratch space is readable");
    let names = entries.map(|entry| entry.expect("scratch space is readable").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}
