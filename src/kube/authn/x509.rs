//! Client certificates: who issued one, and whom it names.

use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::kube::user::User;

use super::CREDENTIAL_ID;

/// An attribute of subjects that holds the user's uid.
const UID: &str = "1.3.6.1.4.1.57683.2";

/// What a certificate has to be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Those whose certificates are believed: the content of a file such as `--client-ca-file`.
#[derive(Debug, Clone)]
pub struct Authorities(Vec<TrustAnchor<'static>>);

impl Authorities {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    /// When one of them cannot be read as an authority's, or there is none.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let mut anchors = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("not PEM: {error}"))?;
            let anchor = webpki::anchor_from_trusted_cert(&certificate);
            let anchor = anchor.map_err(|error| format!("not an authority: {error}"))?;
            anchors.push(anchor.to_owned());
        }
        if anchors.is_empty() {
            return Err("no certificate inside".to_owned());
        }
        Ok(Self(anchors))
    }

    /// Whether the first certificate of a chain is valid at `now`, the time since the Unix epoch, for a side, and
    /// leads to one of the authorities over the others.
    pub fn have_issued(&self, chain: &[CertificateDer<'_>], side: Side, now: Duration) -> bool {
        let Some((own, between)) = chain.split_first() else {
            return false;
        };
        let Ok(own) = EndEntityCert::try_from(own) else {
            return false;
        };
        let verified = own.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &self.0,
            between,
            UnixTime::since_unix_epoch(now),
            match side {
                Side::Client => KeyUsage::client_auth(),
                Side::Server => KeyUsage::server_auth(),
            },
            None,
            None,
        );
        verified.is_ok()
    }
}

/// What is read from a certificate that has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The last common name; `""` without.
    pub common_name: String,
    /// Nobody if there is no common name.
    pub user: Option<User>,
    /// Seconds since the Unix epoch after which the certificate says nothing any more.
    pub not_after: i64,
}

impl Subject {
    /// Reads a certificate in DER: the common name is the user's name, organizations are its groups.
    ///
    /// # Errors
    /// When it cannot be read, or holds an empty uid or several.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let subject = certificate.subject();
        let names = subject
            .iter_common_name()
            .filter_map(|name| name.as_str().ok());
        let common_name = names.last().unwrap_or_default().to_owned();
        let groups = subject
            .iter_organization()
            .filter_map(|name| name.as_str().ok());
        let id = format!("X509SHA256={}", hex(&Sha256::digest(der)));
        let user = User {
            name: common_name.clone(),
            uid: uid(&certificate)?,
            groups: groups.map(str::to_owned).collect(),
            extra: [(CREDENTIAL_ID.to_owned(), vec![id])].into(),
        };
        Ok(Self {
            user: (!common_name.is_empty()).then_some(user),
            common_name,
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}

fn uid(certificate: &X509Certificate<'_>) -> Result<String, String> {
    let attributes = certificate.subject().iter_attributes();
    let mut uids = attributes.filter(|attribute| attribute.attr_type().to_id_string() == UID);
    let Some(first) = uids.next() else {
        return Ok(String::new());
    };
    if uids.next().is_some() {
        return Err("expected 1 UID, but found multiple".to_owned());
    }
    match first.as_str() {
        Ok("") => Err("UID cannot be an empty string".to_owned()),
        Ok(uid) => Ok(uid.to_owned()),
        Err(_) => Err("unable to parse UID into a string".to_owned()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
