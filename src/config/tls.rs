//! How a member's ports are secured, as its flags say.

use std::path::PathBuf;

/// What all TLS of a member has in common, and what each port has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// For clients and metrics; none if all their URLs are plain.
    pub client: Option<PortTls>,
    /// For other members; none if all peer URLs are plain.
    pub peer: Option<PortTls>,
    /// What is spoken.
    pub protocol: TlsProtocol,
}

/// Versions and cipher suites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProtocol {
    /// The oldest version.
    pub min: TlsVersion,
    /// The newest version.
    pub max: TlsVersion,
    /// Suites of TLS 1.2 by etcd's names; all if there are none.
    pub suites: Vec<String>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A file, and the flag that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// The flag.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate.
    pub cert: NamedFile,
    /// Its key.
    pub key: NamedFile,
}

/// The certificate that a port shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnCertificate {
    /// The operator's.
    Files(KeyPair),
    /// One that the member makes for itself.
    SelfSigned {
        /// The flag that asks for it.
        flag: &'static str,
        /// How long it is valid.
        years: u32,
    },
}

/// TLS of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortTls {
    /// What is shown to callers. None only for a peer port that is plain although others' are not.
    pub own: Option<OwnCertificate>,
    /// What is shown when this side calls, if it is another.
    pub calling: Option<KeyPair>,
    /// Who issues the other side's certificates. With it, callers must have one.
    pub authority: Option<NamedFile>,
    /// Whether the common name of a caller's certificate says who it is.
    pub certify: bool,
    /// The list of revoked certificates.
    pub crl: Option<NamedFile>,
    /// Common names that are allowed; every one if there are none.
    pub common_names: Vec<String>,
    /// Host names of which a certificate must have one, if there are any.
    pub hostnames: Vec<String>,
    /// Whether certificates that name hosts or addresses must be used from there.
    pub from_named_address: bool,
}
