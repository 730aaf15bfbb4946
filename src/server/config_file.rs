//! Reads the file that `--config-file` names.

use std::fs::File;
use std::io::{self, Read as _};

use crate::config::{ConfigError, ConfigFile, MemberConfig};

/// No configuration comes near it; a device or a log given by mistake is not read to its end.
const MAX_BYTES: u64 = 1 << 20;

/// Why a file is no configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The configuration in a file.
pub(super) fn read(file: &ConfigFile) -> Result<MemberConfig, FileError> {
    let mut text = String::new();
    let source = File::open(&file.path)?;
    source.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    Ok(file.parse(&text)?)
}
