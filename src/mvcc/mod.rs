//! Multi-version concurrency control: what etcd's requests mean, as pure functions over a reader.
//!
//! Nothing here reads a clock, knows about consensus or waits for anything. The engine's apply thread
//! calls the write side ([`Session`]), in the order of the replicated log; any thread calls the read side
//! ([`read`], [`history`], [`lease`], [`hash`]) with the [`State`] that was published last.
//!
//! How a version is found: `current` has the newest version of each key. If that is newer than the
//! revision asked for, its event names the change it replaced and carries the key-value before it, and so
//! on down the chain ([`view`]). So a read at a revision needs no snapshot: whatever was written since is
//! undone on the way.
//!
//! Every decision depends on the replicated [`State`] and the logical content only, never on what was
//! physically removed (invariant I7).

pub mod auth;
mod compare;
mod count;
mod error;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub mod hash;
pub mod history;
pub mod lease;
mod merged;
pub mod ops;
mod pending;
mod plan;
pub mod read;
mod recent;
mod select;
mod session;
mod state;
mod state_hash;
mod txn;
pub mod validate;
mod view;
mod writer;

#[cfg(test)]
mod tests;

pub use count::CountCache;
pub use error::MvccError;
pub use recent::Recent;
pub use session::{Applied, Session};
pub use state::{State, load_state};
pub use state_hash::hash_state;
