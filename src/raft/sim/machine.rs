//! A state machine that remembers the commands it applied, and forgets on a crash what it had not flushed.

use std::sync::Arc;

use crate::raft::types::{AppliedState, Committed, Configuration};

/// The replicated state: every command in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) applied: AppliedState,
    pub(super) commands: Arc<Vec<u64>>,
}

/// The state in memory, and the one that a restart finds.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    pub(super) now: State,
    pub(super) flushed: State,
}

impl Machine {
    /// The machine of a member that knows this configuration from the start.
    pub(super) fn new(configuration: Configuration) -> Self {
        let mut state = State::default();
        state.applied.configuration = configuration;
        Self {
            now: state.clone(),
            flushed: state,
        }
    }

    /// Applies an entry, which must be the next one.
    pub(super) fn apply(&mut self, entry: Committed) -> Result<(), String> {
        let at = self.now.applied.index;
        // The first entry of a bootstrapped log is 2.
        if entry.index != at.max(1) + 1 {
            return Err(format!("entry {} handed over after {at}", entry.index));
        }
        self.now.applied.index = entry.index;
        self.now.applied.term = entry.term;
        if let Some(configuration) = entry.configuration {
            self.now.applied.configuration = configuration;
        }
        let ids = entry.commands.iter().map(|command| command_id(command));
        Arc::make_mut(&mut self.now.commands).extend(ids);
        Ok(())
    }

    pub(super) fn flush(&mut self) -> u64 {
        self.flushed = self.now.clone();
        self.flushed.applied.index
    }

    pub(super) fn install(&mut self, state: State) {
        self.now = state.clone();
        self.flushed = state;
    }

    pub(super) fn crash(&mut self) {
        self.now = self.flushed.clone();
    }
}

/// The number that a command carries in its first eight bytes.
pub(super) fn command_id(command: &[u8]) -> u64 {
    let (id, _) = command.split_first_chunk::<8>().unwrap();
    u64::from_le_bytes(*id)
}
