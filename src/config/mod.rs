//! What a member is told when it starts: etcd's flags and `ETCD_*` variables, checked before anything runs.
//!
//! One table (`table.rs`) names every flag of etcd 3.5 to 3.7 and says what becomes of it here: served,
//! accepted with a note in the log because it has no meaning here, or refused by name. Nothing is ignored
//! in silence, so a start line written for etcd either means the same here or does not start (I10).
//! The result is one [`MemberConfig`], in parts by concern, that the rest of the program can trust.
//!
//! Called by `main` and by `server`. Nothing here opens a file, a socket or a clock.

mod auth;
mod build;
mod cluster;
#[cfg(test)]
mod config_test;
#[cfg(test)]
mod contract_test;
mod error;
mod file;
mod flag;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gates;
mod help;
mod kube;
mod kube_access;
mod kube_limits;
mod log;
mod member;
mod parse;
mod suites;
mod table;
mod tls;
mod tls_flags;
#[cfg(test)]
mod tls_flags_test;
mod traces;
mod url;
mod value;

pub use auth::{AuthConfig, JwtConfig, TokenKind};
pub use cluster::{Bootstrap, BootstrapMember, initial_cluster, peer_urls};
pub use error::ConfigError;
pub use file::ConfigFile;
pub use help::usage;
pub use kube::KubeConfig;
pub use kube_access::KubeAccess;
pub use kube_limits::KubeLimits;
pub use member::{
    AutoCompaction, ClusterConfig, ClusterState, Feature, HttpConfig, InitialMember,
    KeepaliveConfig, LimitConfig, ListenConfig, LogConfig, LogFormat, LogLevel, LogOutput,
    LogRotation, MemberConfig, Note, RaftConfig, SlowConfig, SrvDiscovery, TracingConfig,
};
pub use tls::{KeyPair, NamedFile, OwnCertificate, PortTls, TlsConfig, TlsProtocol, TlsVersion};
pub use url::Url;

pub(crate) use parse::STOP_WITH_STDIN;
#[cfg(test)]
pub(crate) use suites::served as served_suites;

use std::ffi::OsString;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A member with this configuration.
    Start(Box<MemberConfig>),
    /// A member whose configuration is in a file, which is the caller's to read.
    File(ConfigFile),
    /// The list of flags.
    Help,
    /// The version.
    Version,
}

/// Reads what is asked for from a command line, program name excluded, and an environment.
///
/// # Errors
/// [`ConfigError`] with the flag, the value and the reason; [`ConfigError::exit_code`] gives the status
/// that etcd's own command ends with in such a case.
pub fn from_command_line(
    args: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Request, ConfigError> {
    Ok(match parse::read(args, env)? {
        parse::Line::Help => Request::Help,
        parse::Line::Version => Request::Version,
        parse::Line::File(file) => Request::File(file),
        parse::Line::Values(given) => Request::Start(Box::new(build::member(&given)?)),
    })
}

/// For the tests of those that are told a configuration.
#[cfg(test)]
pub(crate) mod testing {
    use super::{MemberConfig, Request, from_command_line};

    /// What the flags of a line make.
    pub(crate) fn member(flags: &[&str]) -> MemberConfig {
        match from_command_line(flags.iter().map(Into::into), []).unwrap() {
            Request::Start(config) => *config,
            other => panic!("{other:?}"),
        }
    }
}
