//! What a sender announces, and everything that is checked before a byte is accepted.

use std::collections::HashSet;
use std::fs;

use bincode::Options;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::error::SnapshotError;
use super::super::frame::MAX_MESSAGE;
use crate::base::ids::MemberId;
use crate::raft::{AppliedState, Configuration, Snapshot};

/// Files in a snapshot: 4 TiB of 64 MiB tables.
const MAX_FILES: usize = 65_536;

/// Bytes of a file name.
const MAX_NAME: usize = 128;

/// Opens a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offer {
    index: u64,
    term: u64,
    configuration: Configuration,
    /// The raft message that announces the snapshot to consensus.
    pub(super) message: Bytes,
    /// In the order in which they are sent.
    pub(super) files: Vec<OfferedFile>,
}

/// One file of the directory; directories within it are not part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfferedFile {
    pub(super) name: String,
    pub(super) size: u64,
}

/// Where to go on: for each offered file, how many bytes the receiver has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resume {
    pub(super) offsets: Vec<u64>,
}

impl Offer {
    /// Describes a snapshot's directory.
    pub(super) fn of(snapshot: &Snapshot, message: Bytes) -> Result<Self, SnapshotError> {
        let mut files = Vec::new();
        let in_dir = SnapshotError::file(&snapshot.dir);
        for entry in fs::read_dir(&snapshot.dir).map_err(in_dir)? {
            let entry = entry.map_err(SnapshotError::file(&snapshot.dir))?;
            files.push(describe(&entry)?);
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let state = snapshot.state.clone();
        Ok(Self {
            index: state.index,
            term: state.term,
            configuration: state.configuration,
            message,
            files,
        })
    }

    /// Refuses what this member will not store. Both sides ask: the sender to fail early.
    pub(super) fn check(&self, max_bytes: u64) -> Result<(), SnapshotError> {
        if self.files.len() > MAX_FILES {
            return Err(SnapshotError::TooManyFiles(self.files.len()));
        }
        let mut names = HashSet::new();
        let mut bytes = 0_u64;
        for file in &self.files {
            if !is_plain_name(&file.name) {
                return Err(SnapshotError::BadName(file.name.clone()));
            }
            if !names.insert(file.name.as_str()) {
                return Err(SnapshotError::Duplicate(file.name.clone()));
            }
            bytes = bytes.saturating_add(file.size);
        }
        if bytes > max_bytes {
            let limit = max_bytes;
            return Err(SnapshotError::TooLarge { bytes, limit });
        }
        Ok(())
    }

    /// The directory's name: the same for the same snapshot of the same member, so that an interrupted
    /// transfer finds what it left; another for any other list of files.
    pub(super) fn dir_name(&self, from: MemberId) -> String {
        let list = self.files.iter().fold(0, |crc, file| {
            let crc = crc32c::crc32c_append(crc, file.name.as_bytes());
            crc32c::crc32c_append(crc, &file.size.to_be_bytes())
        });
        format!("{from}-{:x}-{:x}-{list:08x}", self.term, self.index)
    }

    /// What the files contain.
    pub(super) fn state(&self) -> AppliedState {
        AppliedState {
            index: self.index,
            term: self.term,
            configuration: self.configuration.clone(),
        }
    }
}

fn describe(entry: &fs::DirEntry) -> Result<OfferedFile, SnapshotError> {
    let metadata = entry
        .metadata()
        .map_err(SnapshotError::file(&entry.path()))?;
    let name = entry
        .file_name()
        .into_string()
        .map_err(|name| SnapshotError::BadName(name.to_string_lossy().into_owned()))?;
    if !metadata.is_file() {
        return Err(SnapshotError::NotAFile(name));
    }
    let size = metadata.len();
    Ok(OfferedFile { name, size })
}

/// Whether a name is one path component that no system treats specially. The letters are those that
/// RocksDB and this crate use in file names.
fn is_plain_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(legal)
}

/// Encodes an offer or an answer to one.
pub(super) fn encode(what: &'static str, value: &impl Serialize) -> Result<Bytes, SnapshotError> {
    let encoded = codec().serialize(value);
    encoded
        .map(Bytes::from)
        .map_err(|_| SnapshotError::Malformed(what))
}

/// Decodes an offer or an answer to one.
pub(super) fn decode<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, SnapshotError> {
    let decoded = codec().deserialize(bytes);
    decoded.map_err(|_| SnapshotError::Malformed(what))
}

/// Bounded by what a frame carries, so that an announced length cannot make this member allocate.
fn codec() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(MAX_MESSAGE as u64)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn offer(files: &[(&str, u64)]) -> Offer {
        Offer {
            index: 7,
            term: 3,
            configuration: Configuration {
                voters: vec![1, 2],
                ..Configuration::default()
            },
            message: Bytes::from_static(b"raft"),
            files: files
                .iter()
                .map(|&(name, size)| OfferedFile {
                    name: name.into(),
                    size,
                })
                .collect(),
        }
    }

    #[test]
    fn names_that_could_leave_the_directory_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            ".hidden",
            "a\0b",
            "é",
            "a b",
        ] {
            let refused = offer(&[("CURRENT", 1), (name, 1)]).check(100);
            assert!(
                matches!(&refused, Err(SnapshotError::BadName(bad)) if bad == name),
                "{name:?}: {refused:?}"
            );
        }
        let long = "x".repeat(MAX_NAME + 1);
        assert!(offer(&[(&long, 1)]).check(100).is_err());
        let usual = [("000012.sst", 9), ("MANIFEST-000005", 1), ("CURRENT", 0)];
        assert!(offer(&usual).check(100).is_ok());
    }

    #[test]
    fn sizes_add_up_without_wrapping_and_names_are_unique() {
        let huge = offer(&[("a", u64::MAX), ("b", u64::MAX)]).check(u64::MAX - 1);
        assert!(matches!(huge, Err(SnapshotError::TooLarge { .. })));
        let twice = offer(&[("a", 1), ("a", 1)]).check(100);
        assert!(matches!(twice, Err(SnapshotError::Duplicate(_))));
    }

    #[test]
    fn a_directory_name_stands_for_one_list_of_files() {
        let name = |files: &[(&str, u64)]| offer(files).dir_name(MemberId(0xa));
        assert_eq!(name(&[("a", 1)]), name(&[("a", 1)]));
        assert_ne!(name(&[("a", 1)]), name(&[("a", 2)]));
        assert!(is_plain_name(&name(&[])));
    }

    #[test]
    fn offers_round_trip() {
        let said = offer(&[("a", 1), ("b", 2)]);
        let bytes = encode("offer", &said).unwrap();
        assert_eq!(decode::<Offer>("offer", &bytes).unwrap(), said);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            let _ = decode::<Offer>("offer", &bytes);
            let _ = decode::<Resume>("resume", &bytes);
        }
    }
}
