//! The state machine's data on disk, in RocksDB; the only module that names it.
//!
//! One writer (the engine's apply thread) hands over a [`Batch`] for each run of committed entries; any
//! number of readers use point reads and iterators and take no snapshot, because RocksDB takes a mutex
//! for one (invariant I9); only maintenance that needs all column families at one point [freezes](Frozen) the
//! store. The write-ahead log of RocksDB is off: the raft log is the write-ahead log,
//! and column families flush atomically, so after a crash the store is the one after some earlier batch,
//! whole (invariant I5), and its applied index says which.
//!
//! What is on disk, byte by byte, is in `docs/format.md`; [`keys`] and [`records`] are its code.

mod batch;
mod cursor;
mod error;
mod frozen;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gc;
pub mod keys;
mod open;
mod options;
pub mod records;
mod store;

#[cfg(test)]
mod store_test;

pub use batch::Batch;
pub(crate) use cursor::{Cursor, KeyValueRow};
pub use error::StoreError;
pub(crate) use frozen::Frozen;
pub use keys::MetaKey;
pub use open::FORMAT_VERSION;
pub use options::StoreOptions;
pub(crate) use store::Family;
pub use store::Store;
