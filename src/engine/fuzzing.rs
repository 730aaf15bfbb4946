//! The checks of replicated commands, of backups and of tokens.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::auth::{Jwt, JwtSettings};
use super::command::{Command, Envelope};
use super::lessor::Lessor;
pub use super::membership::fuzzing::members;
use super::restore;
use crate::base::clock;
use crate::base::ids::LeaseId;
use crate::base::range::KeyRange;
use crate::mvcc::ops::{DeleteOp, PutOp};
use crate::mvcc::{MvccError, Session, State, load_state, validate};
use crate::storage::{Store, StoreOptions};

/// More operations than any configuration allows, so that only the other rules decide.
const MAX_OPS: usize = 1 << 20;

/// A small store that commands are evaluated against. Nothing of what they do is written to it.
#[derive(Debug)]
pub struct CommandCheck {
    store: Store,
    state: State,
}

impl CommandCheck {
    /// Makes the store in a directory that is empty or missing.
    pub fn open(dir: &Path) -> Self {
        let store = Store::open(dir, &StoreOptions::default()).expect("scratch space is writable");
        let state = load_state(&store).expect("a new store reads");
        let mut session = Session::begin(&store, state);
        fill(&mut session).expect("the content is legal");
        let done = session.finish();
        store.write(done.batch).expect("scratch space is writable");
        Self {
            store,
            state: done.state,
        }
    }

    /// Reads bytes as a command of the log and evaluates it. It is the same when it is written again; it
    /// takes one revision or none; one that is refused changes nothing, and one that passed the checks of
    /// the API never stops a member.
    pub fn run(&self, data: &[u8]) {
        let Ok(Envelope {
            request,
            actor,
            command,
        }) = Envelope::decode(data)
        else {
            return;
        };
        assert!(command.request_size() > 0);
        let valid = is_valid(&command);
        let mut session = Session::begin(&self.store, self.state);
        let outcome = evaluate(&mut session, &command);
        let envelope = Envelope {
            request,
            actor,
            command,
        };
        let again = envelope.encode().expect("it was as large before");
        if again != data {
            // Nobody can be said in two ways, of which the shorter one is written.
            assert!(again.len() < data.len());
            assert_eq!(
                Envelope::decode(&again).expect("it was just written"),
                envelope
            );
        }
        if let Err(error) = outcome {
            assert!(!(valid && error.is_fatal()), "{error}");
            if error.is_fatal() {
                return;
            }
            assert_eq!(session.state(), self.state);
        }
        let done = session.finish();
        let taken = done.state.revision.get() - self.state.revision.get();
        assert_eq!(taken, i64::from(!done.changes.is_empty()));
    }
}

/// Keys with history, with a lease and deleted ones, and a compaction.
fn fill(session: &mut Session<'_>) -> Result<(), MvccError> {
    session.lease_grant(LeaseId(1), 60)?;
    for key in ["a", "b", "a", "c", "d", "a"] {
        let mut put = PutOp::new(Bytes::from_static(key.as_bytes()), Bytes::from_static(b"v"));
        put.lease = LeaseId(i64::from(key == "b"));
        session.put(&put)?;
    }
    session.delete(&DeleteOp {
        range: KeyRange::point(Bytes::from_static(b"c")),
        prev_kv: false,
    })?;
    session.compact(3)
}

/// As the apply thread does, without what lies outside the store but the deadlines of leases.
fn evaluate(session: &mut Session<'_>, command: &Command) -> Result<(), MvccError> {
    match command {
        Command::Put(op) => session.put(op).map(drop),
        Command::Delete(op) => session.delete(op).map(drop),
        Command::Txn(txn) => session.txn(txn).map(drop),
        Command::Compact { revision } => session.compact(*revision),
        Command::LeaseGrant { id, ttl } => {
            session.lease_grant(*id, *ttl)?;
            let (lessor, now) = (Lessor::default(), clock::now());
            lessor.lead(1, now, Duration::from_secs(1));
            lessor.change(&[(*id, *ttl)], &[], now);
            assert_eq!(lessor.list(), [*id]);
            Ok(())
        }
        Command::LeaseRevoke { id } => session.lease_revoke(*id).map(drop),
        Command::LeaseCheckpoint(checkpoint) => {
            for (id, remaining) in &checkpoint.remaining {
                session.lease_checkpoint(*id, *remaining)?;
            }
            Ok(())
        }
        Command::Auth(command) => {
            let mut state = Arc::default();
            session.change_auth(&mut state, command, 1).map(drop)
        }
        Command::PublishMember(_)
        | Command::Barrier
        | Command::RaiseAlarm(_)
        | Command::LowerAlarm(_)
        | Command::Downgrade(_) => Ok(()),
    }
}

fn is_valid(command: &Command) -> bool {
    match command {
        Command::Put(op) => validate::put(op).is_ok(),
        Command::Delete(op) => validate::delete(op).is_ok(),
        Command::Txn(txn) => validate::txn(txn, MAX_OPS).is_ok(),
        _ => true,
    }
}

/// Reads bytes as a token, and as the content of one that is signed right: its header up to the first zero
/// byte, then its claims. Only the latter may say anything, and what it says can be said again.
pub fn token(data: &[u8]) {
    const SECRET: &[u8] = b"known to nobody who makes up bytes";
    let now = Duration::from_secs(1_800_000_000);
    let settings = JwtSettings {
        method: "HS256".into(),
        public_key: None,
        private_key: Some(SECRET.to_vec()),
        ttl: Duration::from_secs(60),
    };
    let jwt = Jwt::new(&settings).expect("any secret is a key");
    let text = String::from_utf8_lossy(data);
    assert_eq!(jwt.verify(&text, now), None);
    let (header, claims) = match data.iter().position(|&byte| byte == 0) {
        Some(at) => data.split_at(at),
        None => (&br#"{"alg":"HS256"}"#[..], data),
    };
    let claims = claims.strip_prefix(b"\0").unwrap_or(claims);
    let signed = jwt.signed(header, claims).expect("there is a key");
    if let Some(said) = jwt.verify(&signed, now) {
        let again = jwt.sign(&said, now).expect("there is a key");
        // Beyond what a floating point number holds, Go's tokens lose the last digits too.
        let exact = said.revision < 1 << 53;
        let heard = jwt.verify(&again, now).expect("it was just signed");
        assert_eq!(heard.user, said.user);
        assert!(!exact || heard.revision == said.revision);
    }
}

/// Bytes of a block of an archive, and where in a header its own checksum and its file's size stand.
const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const SIZE: std::ops::Range<usize> = 124..136;

/// Reads bytes as a backup whose checksums match, and unpacks it. What is unpacked is no larger than the
/// archive and lies in the directory.
pub fn backup(data: &[u8], scratch: &Path) {
    let dir = scratch.join("backup");
    // Nothing is there the first time.
    let _ = fs::remove_dir_all(&dir);
    let target = dir.join("unpacked");
    fs::create_dir_all(&target).expect("scratch space is writable");
    let mut archive = data.to_vec();
    archive.resize(data.len().next_multiple_of(BLOCK).max(BLOCK), 0);
    mend_headers(&mut archive);
    let len = archive.len() as u64;
    let sum = Sha256::digest(&archive);
    archive.extend_from_slice(&sum);
    let file = dir.join("backup.db");
    fs::write(&file, &archive).expect("scratch space is writable");
    let described = restore::snapshot_status(&file);
    let unpacked = restore::unpack(&file, &target);
    if let Ok(manifest) = &unpacked {
        assert_eq!(
            described.expect("it was just read").revision,
            manifest.revision
        );
    }
    let files = fs::read_dir(&target).expect("scratch space is readable");
    let size = |entry: fs::DirEntry| entry.metadata().expect("it exists").len();
    let total: u64 = files.map(|entry| size(entry.expect("it exists"))).sum();
    assert!(total <= len, "{total} bytes of an archive of {len}");
    let beside = fs::read_dir(&dir).expect("scratch space is readable");
    assert_eq!(beside.count(), 2);
}

/// Sets the checksum of every header that the sizes lead to.
fn mend_headers(archive: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = archive.get_mut(at..at + BLOCK) {
        if let Some(field) = header.get_mut(CHECKSUM) {
            field.fill(b' ');
        }
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        if let Some(field) = header.get_mut(CHECKSUM) {
            field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let size = header.get(SIZE).unwrap_or_default();
        let size = std::str::from_utf8(size).unwrap_or_default();
        let size = size.trim_matches(['\0', ' ']);
        let size = usize::from_str_radix(size, 8).unwrap_or(0);
        at = at
            .saturating_add(BLOCK)
            .saturating_add(size.next_multiple_of(BLOCK));
    }
}
