//! Where fuzz targets may write.

use std::path::PathBuf;
use std::sync::LazyLock;

/// A directory that no other process uses. `scripts/fuzz.sh` sets `TMPDIR` to one in memory, and removes it.
pub static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("holdfast-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the temporary directory is writable");
    dir
});
