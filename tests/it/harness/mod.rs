//! What the cases stand on: server processes, raw clients, and a runner that names what failed.

mod client;
mod cluster;
mod duplex;
mod http;
mod ports;
mod program;
mod reaper;
mod requests;
mod server;
mod suite;
mod tls;
mod transport;

pub use client::{Client, Connection, refused};
pub use cluster::Cluster;
pub use duplex::{KeepAlive, Watch};
pub use http::{Answer, Stream, http_get, https_get};
pub use ports::free_ports;
pub use program::Program;
pub use requests::*;
pub use server::{Server, Settings, shared};
pub(crate) use suite::cases;
pub use suite::{Case, NamedCase, Suite};
pub use tls::{ClientTls, Pki, connect};
pub(crate) use transport::also_over_tls;
pub use transport::{is_tls, over_tls};

use std::time::Duration;

/// How long anything may take before a case counts as hung. Not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long to listen when nothing should arrive.
pub const QUIET: Duration = Duration::from_millis(400);
