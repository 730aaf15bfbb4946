//! What every layer shares and nothing else: identifiers, key ranges, encoded key-values and events,
//! the doors through which time and randomness enter, and the life of background tasks.
//!
//! This is level 0 of the layering (`docs/architecture.md`): it names no other module of the crate.

pub mod change;
pub mod clock;
pub mod codec;
pub(crate) mod frames;
pub mod fs;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod handover;
pub mod identity;
pub mod ids;
pub mod kv;
pub(crate) mod log_gate;
pub mod metrics;
pub mod range;
pub mod shutdown;
pub mod trace;
pub(crate) mod tray;
pub mod wire;
