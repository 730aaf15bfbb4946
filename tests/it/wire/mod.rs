//! Below the API: limits, unknown calls, bytes that mean nothing, HTTP, metrics.

mod garbage;
mod http;
mod limits;
mod metrics;
mod pings;
mod raw;
mod traces;
mod unknown;
