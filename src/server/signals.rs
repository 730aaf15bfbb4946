//! What tells a process to stop.

use std::fmt;
use std::io::{self, Read as _};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What told a process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// SIGTERM.
    Terminated,
    /// SIGINT.
    Interrupt,
    /// Standard input ended: the parent is going, and every member that it started with it.
    ParentEnded,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminated => "terminated",
            Self::Interrupt => "interrupt",
            Self::ParentEnded => "parent ended",
        })
    }
}

/// SIGTERM and SIGINT, and optionally the end of standard input.
pub(super) struct StopSignals {
    term: Signal,
    int: Signal,
    stdin: CancellationToken,
}

impl StopSignals {
    /// From now on the signals do not kill the process.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            stdin: CancellationToken::new(),
        })
    }

    /// Also counts the end of standard input, which comes when a parent that holds the other end of a pipe
    /// ends in whatever way. The thread stays in `read` until then and is left behind when the process
    /// ends sooner.
    ///
    /// # Errors
    /// What the system says when it cannot start a thread.
    pub(super) fn and_end_of_stdin(self) -> io::Result<Self> {
        let ended = self.stdin.clone();
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(move || {
                let mut sink = [0u8; 64];
                while matches!(io::stdin().read(&mut sink), Ok(n) if n > 0) {}
                ended.cancel();
            })?;
        Ok(self)
    }

    /// Waits for the next of them.
    pub(super) async fn next(&mut self) -> StopReason {
        tokio::select! {
            _ = self.term.recv() => StopReason::Terminated,
            _ = self.int.recv() => StopReason::Interrupt,
            () = self.stdin.cancelled() => StopReason::ParentEnded,
        }
    }

    /// Waits for a signal only: what tells a process that is stopping already to give up.
    pub(super) async fn next_signal(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
