//! The end of a member that has been removed.

use std::time::Duration;

use crate::engine::Engine;

/// Time for the others to hear from this member that the removal is committed, and for whoever asked it for
/// the removal to be answered; etcd's.
const FAREWELL: Duration = Duration::from_secs(1);

impl Engine {
    /// Stops this member once it has been removed from the cluster, as it applied itself or was told.
    pub(in crate::engine) async fn leave_when_removed(self) {
        self.inner.members.removed().await;
        tokio::time::sleep(FAREWELL).await;
        tracing::error!(
            member = %self.inner.member_id,
            "this member has been permanently removed from the cluster and stops; its data directory must be \
             removed before the machine can join again"
        );
        self.inner.life.stop();
    }
}
