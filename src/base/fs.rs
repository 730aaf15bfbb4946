//! Files, as far as every layer needs them alike.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the entries of a directory durable: what was created, renamed or removed in it.
///
/// # Errors
/// What the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
