//! What was read from files, read again when they change.
//!
//! A connection pays one look at each file's metadata. When something there is new, the files are read again on
//! the thread that looks: they are small, and it happens when somebody renews a certificate. If they cannot be
//! used, which is also how certificate and key look between the renewal of the one and of the other, what was
//! read before stays in force, and the log says so once.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::error::FileError;
use super::files::TlsFile;
use crate::base::clock;

/// Age of a change before its time tells it from a later one: systems count in ticks of some milliseconds.
/// Files that are younger when they are read are read again by the next handshake.
const SETTLED: Duration = Duration::from_millis(100);

/// A value made of files.
pub(super) struct Reloading<T> {
    files: Vec<TlsFile>,
    make: Box<dyn Fn() -> Result<T, FileError> + Send + Sync>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    seen: Vec<Stamp>,
    /// Whether a change of a file would change its stamp.
    settled: bool,
    /// What was last wrong with the files; none if the value is what is in them.
    complaint: Option<FileError>,
}

/// Changes with a file, whether it is written, replaced, or a link to it is.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

impl<T> std::fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl<T> Reloading<T> {
    /// Reads the files for the first time, with `make`, which is all that ever reads them.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(super) fn read(
        files: Vec<TlsFile>,
        make: impl Fn() -> Result<T, FileError> + Send + Sync + 'static,
    ) -> Result<Self, FileError> {
        let (seen, settled) = look(&files);
        let state = State {
            value: Arc::new(make()?),
            seen,
            settled,
            complaint: None,
        };
        Ok(Self {
            files,
            make: Box::new(make),
            state: Mutex::new(state),
        })
    }

    /// What the files say now, or said when they could last be used.
    pub(super) fn current(&self) -> Arc<T> {
        let (seen, settled) = look(&self.files);
        let mut state = self.state.lock();
        if seen != state.seen || !state.settled {
            let changed = seen != state.seen;
            (state.seen, state.settled) = (seen, settled);
            self.renew(&mut state, changed);
        }
        Arc::clone(&state.value)
    }

    fn renew(&self, state: &mut State<T>, changed: bool) {
        match (self.make)() {
            Ok(value) => {
                state.value = Arc::new(value);
                if changed || state.complaint.take().is_some() {
                    let flags: Vec<_> = self.files.iter().map(|file| file.flag).collect();
                    tracing::info!(?flags, "read certificate files again");
                }
                state.complaint = None;
            }
            Err(error) => {
                if state.complaint.as_ref() != Some(&error) {
                    tracing::warn!("going on with the certificate files as they were: {error}");
                }
                state.complaint = Some(error);
            }
        }
    }
}

/// The files' stamps, and whether a change from now on would show in them.
fn look(files: &[TlsFile]) -> (Vec<Stamp>, bool) {
    let now = clock::unix_time();
    let found: Vec<_> = files.iter().map(|f| f.path.metadata().ok()).collect();
    let settled = found.iter().flatten().all(|metadata| {
        let changed = u64::try_from(metadata.ctime()).unwrap_or_default();
        let nanos = u64::try_from(metadata.ctime_nsec()).unwrap_or_default();
        let changed = Duration::from_secs(changed) + Duration::from_nanos(nanos);
        changed + SETTLED < now
    });
    (
        found.iter().map(|m| m.as_ref().map(stamp)).collect(),
        settled,
    )
}

fn stamp(metadata: &Metadata) -> (u64, u64, u64, i64, i64, i64, i64) {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Text that must not be empty, and how often it was read.
    fn text(path: &Path) -> (Reloading<String>, Arc<AtomicUsize>) {
        let file = TlsFile {
            flag: "cert-file",
            path: path.to_owned(),
        };
        let reads = Arc::new(AtomicUsize::new(0));
        let (count, from) = (Arc::clone(&reads), file.clone());
        let text = Reloading::read(vec![file], move || {
            count.fetch_add(1, Ordering::Relaxed);
            match fs::read_to_string(&from.path) {
                Ok(text) if !text.is_empty() => Ok(text),
                Ok(_) => Err(from.refused("empty")),
                Err(error) => Err(from.refused(error.to_string())),
            }
        });
        (text.unwrap(), reads)
    }

    fn settle() {
        std::thread::sleep(SETTLED * 2);
    }

    #[test]
    fn a_file_is_read_when_it_changes_and_not_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&path, "one").unwrap();
        settle();
        let (text, reads) = text(&path);
        for _ in 0..10 {
            assert_eq!(*text.current(), "one");
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        // Of the same length, and again before the clock of the file system may have moved.
        for new in ["two", "six", "ten"] {
            fs::write(&path, new).unwrap();
            assert_eq!(*text.current(), new);
        }
        settle();
        let before = reads.load(Ordering::Relaxed);
        text.current();
        text.current();
        assert_eq!(reads.load(Ordering::Relaxed), before + 1);
    }

    #[test]
    fn a_file_that_cannot_be_used_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&path, "one").unwrap();
        let (text, _) = text(&path);
        fs::write(&path, "").unwrap();
        assert_eq!(*text.current(), "one");
        fs::remove_file(&path).unwrap();
        assert_eq!(*text.current(), "one");
        assert!(text.state.lock().complaint.is_some());
        fs::write(&path, "two").unwrap();
        assert_eq!(*text.current(), "two");
        assert_eq!(text.state.lock().complaint, None);
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        for (name, next) in [("one", "two"), ("two", "one")] {
            fs::write(dir.path().join(name), name).unwrap();
            fs::write(dir.path().join(next), next).unwrap();
            settle();
            std::os::unix::fs::symlink(dir.path().join(name), &link).unwrap();
            let (text, _) = text(&link);
            fs::remove_file(&link).unwrap();
            std::os::unix::fs::symlink(dir.path().join(next), &link).unwrap();
            assert_eq!(*text.current(), next);
            fs::remove_file(&link).unwrap();
        }
    }
}
