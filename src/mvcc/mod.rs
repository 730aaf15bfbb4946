//! Multi-version concurrency control: what etcd's requests mean, as pure functions over a reader.
//!
//! Nothing here reads a clock, knows about consensus or waits for anything. The engine's apply thread
//! calls the write side, in the order of the replicated log; any thread calls the read side.

pub mod ops;
