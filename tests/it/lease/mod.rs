//! Leases.

mod calls;
mod expiry;
mod keep_alive;
mod restart;
