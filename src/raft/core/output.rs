//! What the driver has to do after a step, in the order of the fields.

use std::sync::Arc;

use raft::eraftpb::Message;

use super::ReadOutcome;
use crate::raft::log::Batch;
use crate::raft::types::{Committed, Snapshot, Status};

/// The effects of a step. Done in this order, before the next input.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// To be sent now. A leader's appends are among them: followers write while it writes.
    pub(crate) messages: Vec<Message>,
    /// The snapshot that messages about a snapshot refer to.
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    /// A received snapshot that takes the place of the state. The batches of this output must be durable
    /// before anything else happens.
    pub(crate) install: Option<Snapshot>,
    /// To be given to the log writer.
    pub(crate) batches: Vec<Batch>,
    /// What to report to [`super::Core::persisted`] when the batches are durable, if anyone waits.
    pub(crate) number: Option<u64>,
    /// To be handed to the state machine.
    pub(crate) committed: Vec<Committed>,
    /// To be answered.
    pub(crate) reads: Vec<ReadOutcome>,
    /// A snapshot at or after this index is wanted of the state machine.
    pub(crate) make_snapshot: Option<u64>,
    /// Role, term or leader changed.
    pub(crate) status: Option<Status>,
    /// Snapshots whose directories can be removed once nobody else holds them.
    pub(crate) discarded: Vec<Arc<Snapshot>>,
}

impl Output {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.install.is_none()
            && self.batches.is_empty()
            && self.committed.is_empty()
            && self.reads.is_empty()
            && self.make_snapshot.is_none()
            && self.status.is_none()
            && self.discarded.is_empty()
    }
}
