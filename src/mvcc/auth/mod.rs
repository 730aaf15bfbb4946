//! Users, roles and what they may do: etcd's auth store as a part of the replicated state.
//!
//! Pure: a state and a command give a state and rows to be stored. Hashing passwords, giving tokens and the
//! time are the engine's, where a command is proposed (invariant I7). A state is immutable once it is
//! published; whoever holds one decides with it alone, without a lock.

mod access;
mod change;
mod command;
mod error;
mod records;
mod rights;
mod state;
#[cfg(test)]
mod tests;

pub use access::Access;
pub(crate) use access::leases_of;
pub use change::TokenChange;
pub use command::{Actor, AuthCommand, Permission, PermissionKind, SignIn};
pub use error::AuthError;
pub use records::load;
pub use state::{AuthState, Password, ROOT};
