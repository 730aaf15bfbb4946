//! Why a member does not start. Each is one line that says what to do.

use std::io;
use std::path::PathBuf;

use crate::base::ids::{ClusterId, MemberId};
use crate::config::ConfigError;
use crate::tls::FileError;

/// Why a member does not start. Nothing is left running, and no data has been changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The flags contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// An address cannot be listened on.
    #[error("cannot listen on {url} (--{flag}): {source}")]
    Listen {
        /// The flag that names it.
        flag: &'static str,
        /// The address.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate, key or revocation list cannot be used.
    #[error(transparent)]
    Tls(#[from] FileError),
    /// The running cluster does not have this member, or cannot be reached.
    #[error(
        "cannot join the cluster (--initial-cluster-state=existing): {0}; add this member first and name \
         the members as `etcdctl member list` does"
    )]
    CannotJoin(String),
    /// The cluster knows this member, which has no data.
    #[error(
        "member {0} has already been bootstrapped: it has run before and has lost its data; remove it from \
         the cluster, add it again and start it with --initial-cluster-state=existing"
    )]
    AlreadyStarted(MemberId),
    /// The other members have other data.
    #[error(
        "the data in {0} differs from the other members': remove this member from the cluster and \
         add it again with an empty directory"
    )]
    Corrupt(PathBuf),
    /// The system refuses something that has nothing to do with the flags.
    #[error("cannot start {part}: {source}")]
    System {
        /// What was to be started.
        part: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Tokens cannot be signed or checked with the keys that are given.
    #[error("--auth-token: {0}")]
    AuthToken(String),
    /// The member has been removed from its cluster.
    #[error("{0}")]
    Removed(String),
    /// The Kubernetes API cannot be served as it is asked for.
    #[error("cannot serve the Kubernetes API: {reason}")]
    Kubernetes {
        /// What is in the way.
        reason: String,
    },
    /// The store does not open.
    #[error("cannot open the store in {dir}: {reason}")]
    Store {
        /// The data directory.
        dir: PathBuf,
        /// What it says.
        reason: String,
    },
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made, read or written.
    #[error("cannot use data directory {dir}: cannot {action}: {source}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error("data directory {0} is in use by another process")]
    InUse(PathBuf),
    /// The data is another cluster's.
    #[error(
        "data directory {dir} belongs to cluster {stored} and not to {given}, which the flags \
         describe: use another --data-dir, or --initial-cluster-state=existing if members were \
         changed since"
    )]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// The cluster on disk.
        stored: ClusterId,
        /// The cluster of the flags.
        given: ClusterId,
    },
    /// The data is that of a cluster with another token.
    #[error(
        "data directory {dir} belongs to a cluster with token {stored:?} and not {given:?} \
         (--initial-cluster-token)"
    )]
    OtherToken {
        /// The directory.
        dir: PathBuf,
        /// The token on disk.
        stored: String,
        /// The token of the flags.
        given: String,
    },
    /// The data is another member's.
    #[error("data directory {dir} belongs to member {stored} and not to {given}, this one")]
    OtherMember {
        /// The directory.
        dir: PathBuf,
        /// The member on disk.
        stored: MemberId,
        /// The member of the flags.
        given: MemberId,
    },
    /// The data was written by etcd.
    #[error("data directory {0} holds data of etcd, which Holdfast cannot read")]
    EtcdData(PathBuf),
    /// There is data, but nothing says whose.
    #[error("data directory {dir} has {found} but no {missing}: it is not complete")]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// What is there.
        found: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// A restore into it was cut short.
    #[error(
        "a restore into data directory {dir} did not end: run `holdfast snapshot restore` again, or remove \
         {dir}/{leftover} to begin without the snapshot"
    )]
    UnfinishedRestore {
        /// The directory.
        dir: PathBuf,
        /// What the restore left in it.
        leftover: &'static str,
    },
    /// The record of whose data it is cannot be read.
    #[error("{file} is damaged: {reason}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
