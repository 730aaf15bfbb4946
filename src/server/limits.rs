//! How many files the process may open, and what follows from it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept back from clients: table files, the log, peers, and what the libraries open.
const RESERVED_FILES: u64 = 2_048;

/// Fewer connections than this are of no use, however little the system allows.
const MIN_CONNECTIONS: u64 = 64;

/// More than this only costs memory: a connection is tens of kilobytes, and carries many streams.
const MAX_CONNECTIONS: u64 = 100_000;

/// Raises the process's own limit of open files to what the system allows it. Shells set a low one for the
/// sake of programs that cannot cope with high descriptors.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Client connections that may be open at once.
pub(super) fn client_connections() -> usize {
    connections_within(getrlimit(Resource::Nofile).current)
}

/// `None` is no limit.
fn connections_within(open_files: Option<u64>) -> usize {
    let files = open_files.unwrap_or(u64::MAX);
    let connections = files
        .saturating_sub(RESERVED_FILES)
        .clamp(MIN_CONNECTIONS, MAX_CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_files_to_the_store() {
        assert_eq!(connections_within(Some(65_536)), 63_488);
        assert_eq!(connections_within(Some(1_024)), 64);
        assert_eq!(connections_within(None), 100_000);
    }
}
