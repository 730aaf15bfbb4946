//! One member as a process of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use super::plan::MemberPlan;

/// Time for a member to stop after it was told to; then it is killed, which loses nothing either (I1).
const PATIENCE: Duration = Duration::from_secs(12);

/// Between looks at whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// How much of the end of a log is searched for its last line.
const TAIL: u64 = 4_096;

/// A running member. It is killed when the value is dropped.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    log: PathBuf,
    process: std::process::Child,
    /// The member stops when the other end of this pipe sees its end: when this is dropped, and at the
    /// latest when this process is gone, even by SIGKILL.
    lifeline: Option<ChildStdin>,
}

impl Child {
    /// Starts a member of the same program, in a process group of its own, so that Ctrl-C reaches this
    /// process alone. The log of the run before is kept under `.old`.
    ///
    /// # Errors
    /// When the log cannot be written or the process not started.
    pub(super) fn spawn(plan: &MemberPlan) -> io::Result<Self> {
        let log = new_log(&plan.log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("server")
            .args(&plan.flags)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"ETCD_") {
                command.env_remove(variable);
            }
        }
        let mut process = command.spawn()?;
        Ok(Self {
            name: plan.name.clone(),
            log: plan.log.clone(),
            lifeline: process.stdin.take(),
            process,
        })
    }

    /// The member's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self.process.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The last line of its log.
    pub(super) fn last_line(&self) -> String {
        last_line(&self.log).unwrap_or_else(|error| format!("no log: {error}"))
    }

    /// Tells it to stop, together with all others: no member needs to hand over leadership to one that is
    /// about to go.
    pub(super) fn tell_to_stop(&mut self) {
        self.lifeline = None;
    }

    /// Waits until it has ended, and kills it if it does not.
    pub(super) async fn wait(&mut self) {
        let ended = async {
            while self.ended().is_none() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn new_log(path: &PathBuf) -> io::Result<File> {
    match fs::rename(path, path.with_extension("log.old")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().create(true).append(true).open(path)
}

fn last_line(path: &PathBuf) -> io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let last = tail.lines().rev().find(|line| !line.trim().is_empty());
    Ok(last.unwrap_or("it said nothing").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_found_in_a_long_log() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("m1.log");
        fs::write(&path, format!("{}the end\n\n", "a line\n".repeat(10_000))).unwrap();
        assert_eq!(last_line(&path).unwrap(), "the end");
        fs::write(&path, "").unwrap();
        assert_eq!(last_line(&path).unwrap(), "it said nothing");
    }

    #[test]
    fn the_log_before_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("m1.log");
        drop(new_log(&path).unwrap());
        fs::write(&path, "first").unwrap();
        drop(new_log(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(fs::read(temp.path().join("m1.log.old")).unwrap(), b"first");
    }
}
