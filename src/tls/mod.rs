//! TLS for clients and for other members: who is let in, to whom this member speaks, with which files.
//!
//! An [`Acceptor`] stands behind each `https` listener, a [`Connector`] before each `https` peer URL. Both
//! look at their files again before each handshake, so that certificates and revocation lists are renewed
//! without a restart; files that cannot be used leave what was read before in force. The certificates' chains
//! are verified by rustls; what etcd demands of the names in them, and its lists of revoked ones, is checked
//! here, after the handshake and before a single byte of the connection is used.
//!
//! Invariants:
//! - Nothing is served over a connection whose certificate was not verified where one is demanded (I10).
//! - A caller that does not finish its handshake costs itself only: handshakes have a time limit and a
//!   bound, and the oldest gives way (I8).
//! - There is no resumption: it would carry a certificate past its revocation, and etcd's clients do not
//!   ask for it.
//!
//! Called by `server` and by `raft::transport`. The only module that names the TLS and certificate crates.

mod accept;
mod address;
mod connect;
mod error;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handshakes;
mod names;
mod possession;
mod protocol;
mod reload;
mod rules;
mod self_signed;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tls_test;
mod wire;

pub use accept::{AcceptSettings, Accepted, Acceptor};
pub use connect::{Authority, ConnectSettings, Connector};
pub use error::{FileError, HandshakeError};
pub use files::{CertificateFiles, TlsFile};
pub use protocol::{Protocol, Version};
pub use rules::Rules;
pub use self_signed::SelfSigned;
pub use wire::Wire;
