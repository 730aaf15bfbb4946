//! Maintenance and Cluster on a single member.

mod alarms;
mod cluster;
mod downgrade;
mod quota;
mod snapshot;
mod status;
