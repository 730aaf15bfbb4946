//! Loopback ports that nobody listens on.

use std::net::TcpListener;

use rand::RngExt;

/// Below the range from which the kernel takes ports of outgoing connections, so that a stopped
/// member's port is still free when it comes back.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// `count` different free ports.
pub fn free_ports(count: usize) -> Vec<u16> {
    let mut ports = Vec::with_capacity(count);
    while ports.len() < count {
        let port = rand::rng().random_range(RANGE);
        if !ports.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
    }
    ports
}
