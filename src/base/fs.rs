//! Files, as far as every layer needs them alike.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Makes the entries of a directory durable: what was created, renamed or removed in it.
///
/// # Errors
/// What the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the way to a directory durable: its entry in its parent, the parent's in its own, and so on up to the
/// root of the file system. Ends early at a directory that this user may not read, who has made none in it.
///
/// # Errors
/// What the system says.
pub fn sync_path(dir: &Path) -> io::Result<()> {
    let dir = fs::canonicalize(dir)?;
    let device = fs::metadata(&dir)?.dev();
    for parent in dir.ancestors().skip(1) {
        // Beyond a mount point nothing was made, and some systems there cannot sync.
        if fs::metadata(parent)?.dev() != device {
            break;
        }
        match sync_dir(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_synced_across_mount_points_and_as_far_as_it_exists() {
        let temp = tempfile::tempdir().unwrap();
        let deep = temp.path().join("a/b/c");
        let missing = sync_path(&deep).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::create_dir_all(&deep).unwrap();
        sync_path(&deep).unwrap();
        // Directories that cannot be synced.
        sync_path(Path::new("/proc/self/fd")).unwrap_err();
        sync_path(Path::new("/proc")).unwrap();
    }
}
