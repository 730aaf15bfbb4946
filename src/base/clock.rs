//! The only place that reads the machine's clocks.
//!
//! Consensus, leases and watchers take instants as arguments; whoever drives them asks here. Lint
//! settings (`clippy.toml`) refuse the direct calls elsewhere, which keeps simulation possible and
//! replicated state free of local time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic time now. It does not go back when the wall clock is set.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time since the Unix epoch; zero if the clock is set before it.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
