//! Where lines go: streams and files, all of them at once.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use super::rotation::Rotating;
use crate::config::{LogConfig, LogOutput};

/// All outputs of the process's log. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Outputs(Arc<[Output]>);

#[derive(Debug)]
enum Output {
    Stderr,
    Stdout,
    File(File),
    Rotating(Mutex<Rotating>),
}

impl Outputs {
    /// Opens the files.
    ///
    /// # Errors
    /// What the system says, with the file's name.
    pub(super) fn open(config: &LogConfig) -> io::Result<Self> {
        let named = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        let open = |output: &LogOutput| match output {
            LogOutput::Stderr => Ok(Output::Stderr),
            LogOutput::Stdout => Ok(Output::Stdout),
            LogOutput::File(path) => match config.rotation {
                Some(rotation) => Rotating::open(path, rotation)
                    .map(|file| Output::Rotating(Mutex::new(file)))
                    .map_err(|error| named(path, error)),
                None => append_to(path)
                    .map(Output::File)
                    .map_err(|error| named(path, error)),
            },
        };
        let outputs: io::Result<Vec<_>> = config.outputs.iter().map(open).collect();
        Ok(Self(outputs?.into()))
    }

    /// Whether people watch, and nobody else.
    pub(super) fn are_terminals(&self) -> bool {
        self.0.iter().all(|output| match output {
            Output::Stderr => io::stderr().is_terminal(),
            Output::Stdout => io::stdout().is_terminal(),
            Output::File(_) | Output::Rotating(_) => false,
        })
    }
}

/// Opens a file to add lines to it, also to one that is emptied by others meanwhile.
///
/// # Errors
/// What the system says.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Writes one line to every output. One that fails, such as a full disk, does not keep it from the others.
impl Write for Outputs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for output in &*self.0 {
            let _ = match output {
                Output::Stderr => io::stderr().write_all(line),
                Output::Stdout => io::stdout().write_all(line),
                Output::File(file) => (&*file).write_all(line),
                Output::Rotating(file) => file.lock().write_line(line),
            };
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Outputs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;

    #[test]
    fn a_line_goes_to_every_file_that_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a.log", "b.log"].map(|name| dir.path().join(name));
        let full = LogOutput::File("/dev/full".into());
        let files = paths.iter().map(|path| LogOutput::File(path.clone()));
        let config = LogConfig {
            level: LogLevel::Info,
            format: None,
            outputs: [full].into_iter().chain(files).collect(),
            rotation: None,
        };
        let mut outputs = Outputs::open(&config).unwrap();
        assert!(!outputs.are_terminals());
        outputs.write_all(b"one\n").unwrap();
        std::fs::write(&paths[0], "").unwrap();
        outputs.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "two\n");
        assert_eq!(std::fs::read_to_string(&paths[1]).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_file_that_does_not_open_is_named() {
        let config = LogConfig {
            level: LogLevel::Info,
            format: None,
            outputs: vec![LogOutput::File("/nowhere/a.log".into())],
            rotation: None,
        };
        let said = Outputs::open(&config).unwrap_err().to_string();
        assert!(said.starts_with("/nowhere/a.log: No such file"), "{said}");
    }
}
