//! The running node: two threads, and the handle through which everyone else reaches them.
//!
//! The raft thread drives [`Core`](super::core::Core) and owns all protocol state; the log thread
//! writes and syncs. Both park when there is nothing to do. The handle only fills bounded inboxes and rings a bell, so
//! no caller ever waits for a disk or a peer.

mod config;
mod driver;
mod handle;
mod inbox;
mod log_thread;
mod snapshots;
#[cfg(test)]
mod test;

pub use config::NodeConfig;
pub use handle::NodeHandle;

use std::sync::Arc;

use super::error::RaftError;
use super::start;
use super::types::{AppliedState, StateMachine, Transport};
use crate::base::shutdown::Lifecycle;
use driver::Driver;

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Opens the log, brings it in line with what the state machine restored, and starts the threads. A
    /// member that is the only voter leads when the threads run.
    ///
    /// # Errors
    /// [`RaftError`] if the log is damaged or does not fit the state, if the settings are impossible, or
    /// if the system gives no threads.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a start consumes what it starts from"
    )]
    pub fn start(
        config: NodeConfig,
        restored: AppliedState,
        machine: Box<dyn StateMachine>,
        transport: Arc<dyn Transport>,
        life: &Lifecycle,
    ) -> Result<NodeHandle, RaftError> {
        config.validate()?;
        let (core, disk) = start::open(&config, &restored)?;
        let (handle, ends) = handle::pair(&core, life);
        let writer = log_thread::start(disk, &config, ends.bell(), life)?;
        let driver = Driver::new(core, &config, ends, writer, machine, transport, life);
        life.thread("raft", move || driver.run())
            .map_err(RaftError::Thread)?;
        Ok(handle)
    }
}
