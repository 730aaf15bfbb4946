//! A log file that is put aside when it has grown.
//!
//! What is put aside has the time in its name (`etcd-2026-11-21T18-30-00.000.log`), as etcd's rotated logs
//! have. Removing and compressing old ones is left to a thread that ends when it is done, so that whoever
//! logs the line in between waits for a rename and no more.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;

use super::outputs::append_to;
use super::timestamp;
use crate::base::clock;
use crate::config::LogRotation;

/// The ending of a file that is compressed.
const GZ: &str = ".gz";

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    limits: LogRotation,
    /// Held by the thread that tidies up.
    tidying: Arc<Mutex<()>>,
}

impl Rotating {
    /// Goes on with the file of an earlier run.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &Path, limits: LogRotation) -> io::Result<Self> {
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            limits,
            tidying: Arc::default(),
        })
    }

    /// Adds a line, to a new file if the old one would grow too large.
    ///
    /// # Errors
    /// What the system says. A file that cannot be put aside is written on.
    pub(super) fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        if self.size > 0 && self.size + length > self.limits.max_bytes {
            // Tried again after as many bytes.
            self.size = 0;
            self.rotate(clock::unix_time())?;
        }
        self.size += length;
        self.file.write_all(line)
    }

    fn rotate(&mut self, now: Duration) -> io::Result<()> {
        fs::rename(&self.path, backup_name(&self.path, now))?;
        self.file = append_to(&self.path)?;
        let (path, limits) = (self.path.clone(), self.limits);
        let tidying = Arc::clone(&self.tidying);
        let tidy = move || {
            let _alone = tidying.lock();
            tidy(&path, limits, now);
        };
        thread::Builder::new()
            .name("log-rotation".into())
            .spawn(tidy)?;
        Ok(())
    }
}

/// Stem and ending of a file's name; the time goes between them.
fn name_parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let dot = if extension.is_empty() { "" } else { "." };
    (format!("{stem}-"), format!("{dot}{extension}"))
}

fn backup_name(path: &Path, now: Duration) -> PathBuf {
    let (stem, extension) = name_parts(path);
    path.with_file_name(format!("{stem}{}{extension}", time_in_name(now)))
}

/// As in RFC 3339 with milliseconds, without colons. Names sort by it.
fn time_in_name(time: Duration) -> String {
    let text = timestamp(time);
    let end = text.len().saturating_sub("000Z".len());
    text.get(..end).unwrap_or(&text).replace(':', "-")
}

/// The time in a name that rotation gave, without what surrounds it.
fn time_of<'a>(name: &'a str, stem: &str, extension: &str) -> Option<&'a str> {
    let name = name.strip_suffix(GZ).unwrap_or(name);
    let time = name.strip_prefix(stem)?.strip_suffix(extension)?;
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let shape: String = time.chars().map(digits).collect();
    (shape == "0000-00-00T00-00-00.000").then_some(time)
}

/// Removes what is too old or too much of what was put aside, and compresses the rest if asked to.
fn tidy(path: &Path, limits: LogRotation, now: Duration) {
    let oldest = limits.max_age_days.map(|days| {
        let age = Duration::from_secs(days.saturating_mul(86_400));
        time_in_name(now.saturating_sub(age))
    });
    for (place, (time, backup)) in backups(path).into_iter().enumerate() {
        let too_many = limits.max_backups.is_some_and(|max| place >= max);
        let result = if too_many || oldest.as_ref().is_some_and(|oldest| time < *oldest) {
            fs::remove_file(&backup)
        } else if limits.compress && backup.extension() != Some("gz".as_ref()) {
            compress(&backup)
        } else {
            Ok(())
        };
        if let Err(error) = result {
            tracing::warn!(file = %backup.display(), %error, "cannot tidy up a rotated log");
        }
    }
}

/// What was put aside, the newest first, with its time.
fn backups(path: &Path) -> Vec<(String, PathBuf)> {
    let (stem, extension) = name_parts(path);
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let time = time_of(name.to_str()?, &stem, &extension)?;
            Some((time.to_owned(), entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// Replaces a file by a compressed one, which has its full name only when it is complete.
fn compress(path: &Path) -> io::Result<()> {
    let with_ending = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (partial, whole) = (with_ending(".gz.partial"), with_ending(GZ));
    let mut packer = GzEncoder::new(File::create(&partial)?, Compression::default());
    io::copy(&mut File::open(path)?, &mut packer)?;
    packer.finish()?.sync_all()?;
    fs::rename(&partial, &whole)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const LIMITS: LogRotation = LogRotation {
        max_bytes: 10,
        max_age_days: None,
        max_backups: None,
        compress: false,
    };

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn touch(dir: &Path, names: &[&str]) {
        for name in names {
            fs::write(dir.join(name), name).unwrap();
        }
    }

    #[test]
    fn a_file_that_has_grown_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.log");
        fs::write(&path, "old\n").unwrap();
        let mut log = Rotating::open(&path, LIMITS).unwrap();
        for line in ["12345\n", "6\n", "a line that is longer\n"] {
            log.write_line(line.as_bytes()).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "a line that is longer\n"
        );
        let aside = backups(&path);
        assert!(!aside.is_empty() && aside.len() <= 2, "{aside:?}");
        let rest: usize = aside
            .iter()
            .map(|(_, path)| fs::read(path).unwrap().len())
            .sum();
        assert!(rest >= 2);
    }

    #[test]
    fn names_have_the_time_and_only_such_names_are_ours() {
        let path = Path::new("/var/log/etcd.log");
        let name = backup_name(path, Duration::from_millis(1_709_164_800_042));
        let expected = "/var/log/etcd-2024-02-29T00-00-00.042.log";
        assert_eq!(name, Path::new(expected));
        let bare = backup_name(Path::new("log"), Duration::ZERO);
        assert_eq!(bare, Path::new("log-1970-01-01T00-00-00.000"));
        let time = |name| time_of(name, "etcd-", ".log");
        assert_eq!(
            time("etcd-2024-02-29T00-00-00.042.log.gz"),
            Some("2024-02-29T00-00-00.042")
        );
        for other in ["etcd.log", "etcd-peers.log", "etcd-2024.log", "x"] {
            assert_eq!(time(other), None, "{other}");
        }
    }

    #[test]
    fn old_and_surplus_files_go_and_the_rest_is_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.log");
        touch(
            dir.path(),
            &[
                "etcd.log",
                "etcd-other.log",
                "etcd-2024-01-01T00-00-00.000.log",
                "etcd-2024-02-28T00-00-00.000.log",
                "etcd-2024-02-27T00-00-00.000.log.gz",
                "etcd-2024-02-26T00-00-00.000.log",
            ],
        );
        let limits = LogRotation {
            max_age_days: Some(7),
            max_backups: Some(2),
            compress: true,
            ..LIMITS
        };
        tidy(&path, limits, Duration::from_secs(1_709_164_800));
        assert_eq!(
            names(dir.path()),
            [
                "etcd-2024-02-27T00-00-00.000.log.gz",
                "etcd-2024-02-28T00-00-00.000.log.gz",
                "etcd-other.log",
                "etcd.log",
            ]
        );
        let packed = File::open(dir.path().join("etcd-2024-02-28T00-00-00.000.log.gz")).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "etcd-2024-02-28T00-00-00.000.log");
    }

    #[test]
    fn age_alone_is_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        touch(
            dir.path(),
            &["log-2024-02-01T00-00-00.000", "log-2024-02-28T00-00-00.000"],
        );
        let limits = LogRotation {
            max_age_days: Some(7),
            ..LIMITS
        };
        tidy(&path, limits, Duration::from_secs(1_709_164_800));
        assert_eq!(names(dir.path()), ["log-2024-02-28T00-00-00.000"]);
    }
}
