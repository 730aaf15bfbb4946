//! One change of one key, as the history stores it and watchers receive it.

use bytes::Bytes;

use super::ids::ChangeId;

/// What a change did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The key was created or overwritten.
    Put,
    /// The key was deleted.
    Delete,
}

/// A change with its encoded `mvccpb.Event`.
///
/// The previous key-value is the last field of the encoding, so cutting it off for watchers that did
/// not ask for it is a slice and not a re-encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where in the order of changes it stands.
    pub id: ChangeId,
    /// What it did.
    pub kind: ChangeKind,
    /// The key it changed.
    pub key: Bytes,
    /// The encoded `mvccpb.Event`: type (1), kv (2), then prev_kv (3) if there was a value before.
    pub event: Bytes,
    /// Where prev_kv begins in `event`; the length of `event` when there is none.
    pub prev_at: usize,
}

impl Change {
    /// The encoded event, with or without the previous key-value.
    pub fn event_bytes(&self, with_prev: bool) -> &[u8] {
        if with_prev {
            &self.event
        } else {
            self.event.get(..self.prev_at).unwrap_or(&self.event)
        }
    }

    /// Bytes this change holds in memory, roughly: what ring and queue budgets count.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.key.len() + self.event.len()
    }
}
