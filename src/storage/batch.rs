//! What one run of applied entries writes, as plain data.

use bytes::Bytes;

use super::keys::MetaKey;
use super::store::Family;

/// Writes that reach the store together or not at all, in order.
///
/// Plain data until [`Store::write`](super::Store::write) takes it, so it can be built, counted and
/// dropped without a store; keys and values are shared with whoever made them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub(super) writes: Vec<Write>,
}

/// One write; no value means a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) family: Family,
    pub(super) key: Bytes,
    pub(super) value: Option<Bytes>,
}

impl Batch {
    /// A batch with room for `writes` writes.
    pub fn with_capacity(writes: usize) -> Self {
        Self {
            writes: Vec::with_capacity(writes),
        }
    }

    /// Sets a named record. A later value for the same key wins.
    pub fn put_meta(&mut self, key: MetaKey, value: impl Into<Bytes>) {
        self.put(Family::Meta, Bytes::from_static(key.name()), value.into());
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// How many writes it holds.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Bytes of keys and values, roughly what the write costs in memory.
    pub fn weight(&self) -> usize {
        let bytes = |write: &Write| write.key.len() + write.value.as_ref().map_or(0, Bytes::len);
        self.writes.iter().map(bytes).sum()
    }

    /// What would be written to a column family, in order. No value means a deletion.
    pub(crate) fn writes_to(
        &self,
        family: Family,
    ) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        let writes = self.writes.iter();
        writes
            .filter(move |write| write.family == family)
            .map(|write| (&write.key, write.value.as_ref()))
    }

    pub(crate) fn put(&mut self, family: Family, key: Bytes, value: Bytes) {
        self.writes.push(Write {
            family,
            key,
            value: Some(value),
        });
    }

    pub(crate) fn delete(&mut self, family: Family, key: Bytes) {
        self.writes.push(Write {
            family,
            key,
            value: None,
        });
    }
}
