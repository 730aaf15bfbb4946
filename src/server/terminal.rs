//! What commands say to the person who started them.

use std::io::{self, IsTerminal as _, Write as _};

/// Whether a person is looking.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Writes a line of a command's result. A reader that has gone away is no reason to fail.
pub(super) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes a line about what went wrong.
pub(super) fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
