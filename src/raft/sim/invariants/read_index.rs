//! A read observes every write acknowledged and every state observed before it began (I2).

/// The newest state that anyone has been shown.
#[derive(Debug, Default)]
pub(in crate::raft::sim) struct ReadIndex {
    shown: u64,
    served: u64,
}

impl ReadIndex {
    /// Someone has learned that the entry at `index` took effect.
    pub(in crate::raft::sim) fn shown(&mut self, index: u64) {
        self.shown = self.shown.max(index);
    }

    /// A read begins; what it gives must be passed to [`Self::served`].
    pub(in crate::raft::sim) const fn begins(&self) -> u64 {
        self.shown
    }

    /// A read that began when `floor` was shown may be served at `index`.
    pub(in crate::raft::sim) fn served(
        &mut self,
        member: u64,
        floor: u64,
        index: u64,
    ) -> Result<(), String> {
        self.served += 1;
        if index < floor {
            return Err(format!(
                "read index: member {member} may read at {index} although {floor} was shown before"
            ));
        }
        Ok(())
    }

    /// How many reads were served.
    pub(in crate::raft::sim) const fn count(&self) -> u64 {
        self.served
    }
}
