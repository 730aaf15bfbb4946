//! Why files cannot be used, and why a handshake fails.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why a file cannot be used, in one line that names it and its flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use --{flag}={}: {reason}", path.display())]
pub struct FileError {
    /// The flag that names the file.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a connection has not become a secure one.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The socket failed, or the other side does not speak TLS as it is spoken here.
    #[error("{0}")]
    Broken(io::Error),
    /// The other side's certificate is not accepted, or it does not accept this side's.
    #[error("{}", explained(.0))]
    Certificate(rustls::Error),
    /// The certificate is valid, but not for this.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It took too long.
    #[error("TLS handshake did not end within {0:?}")]
    TimedOut(Duration),
    /// Newer handshakes took its place.
    #[error("TLS handshake gave way to newer ones")]
    GaveWay,
    /// A host that no certificate can name.
    #[error("{0:?} is neither a DNS name nor an address")]
    BadHost(String),
}

impl HandshakeError {
    /// Whether this is about a certificate, and thus for an operator to look at.
    pub const fn is_about_certificate(&self) -> bool {
        matches!(self, Self::Certificate(_) | Self::Refused(_))
    }
}

impl From<io::Error> for HandshakeError {
    /// Finds the TLS library's errors among those of the socket.
    fn from(error: io::Error) -> Self {
        use rustls::Error;
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
        match inner {
            Some(certificate) if concerns_certificate(certificate) => {
                Self::Certificate(certificate.clone())
            }
            _ => Self::Broken(error),
        }
    }
}

fn concerns_certificate(error: &rustls::Error) -> bool {
    use rustls::{AlertDescription as Alert, Error};
    match error {
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => true,
        Error::AlertReceived(alert) => matches!(
            alert,
            Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::CertificateRequired
                | Alert::AccessDenied
        ),
        _ => false,
    }
}

/// What the TLS library says of a connection, with advice where its own word would not lead anywhere.
fn explained(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(reason) => {
            format!(
                "invalid peer certificate: {}",
                explained_certificate(reason)
            )
        }
        error => error.to_string(),
    }
}

/// The same of a certificate. Of the verifier's own reasons the library hands on no more than a text.
pub(super) fn explained_certificate(error: &rustls::CertificateError) -> String {
    let rustls::CertificateError::Other(rustls::OtherError(reason)) = error else {
        return error.to_string();
    };
    match reason.to_string() {
        reason if reason == "UnsupportedCertVersion" => format!(
            "{reason}: only X.509 version 3 is accepted; issue the certificate again with extensions \
             (`openssl x509 -req` before 3.2 needs -extfile)"
        ),
        reason => reason,
    }
}

/// Why a verified certificate is not accepted all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is on the list of revoked ones.
    #[error("certificate with serial number {0} is revoked")]
    Revoked(String),
    /// Its common name is not among those allowed.
    #[error("certificate of {0:?} is not among the allowed common names")]
    CommonName(String),
    /// It is not for one of the hosts allowed.
    #[error("certificate of {0:?} is for none of the allowed host names")]
    Hostname(String),
    /// It is used from an address that it does not name.
    #[error("certificate is for {names:?} and is used from {address}")]
    Address {
        /// Where it is used from.
        address: IpAddr,
        /// The addresses and hosts in it.
        names: Vec<String>,
    },
    /// Its names cannot be read.
    #[error("certificate cannot be read: {0}")]
    Unreadable(String),
}
