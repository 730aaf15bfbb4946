//! Kills servers and removes their directories when this process is gone, however it went.
//!
//! A server shared by many tests lives in a static and is never dropped, and a test process may itself
//! be killed. A small shell waits for the end of a pipe that only this process holds.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

const SCRIPT: &str = r#"
while read -r verb what; do
  case $verb in
    watch) pids="$pids $what" ;;
    forget) pids=$(for pid in $pids; do [ "$pid" = "$what" ] || printf '%s ' "$pid"; done) ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids
[ -n "$2" ] || rm -rf "$1"
"#;

struct Reaper {
    pipe: Mutex<ChildStdin>,
    root: PathBuf,
    _shell: Child,
}

fn reaper() -> &'static Reaper {
    static REAPER: OnceLock<Reaper> = OnceLock::new();
    REAPER.get_or_init(|| {
        let root = std::env::temp_dir().join(format!("holdfast-it-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "reaper"])
            .arg(&root)
            .arg(std::env::var("HOLDFAST_TEST_KEEP").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Reaper {
            pipe: Mutex::new(shell.stdin.take().unwrap()),
            root,
            _shell: shell,
        }
    })
}

fn tell(line: &str) {
    let mut pipe = reaper().pipe.lock().unwrap();
    pipe.write_all(line.as_bytes()).unwrap();
}

/// The directory of this process; removed at its end unless `HOLDFAST_TEST_KEEP` is set.
pub fn root() -> &'static Path {
    &reaper().root
}

/// Kill `pid` when this process ends.
pub fn watch(pid: u32) {
    tell(&format!("watch {pid}\n"));
}

/// `pid` has ended already.
pub fn forget(pid: u32) {
    tell(&format!("forget {pid}\n"));
}
