//! Certificates, made and looked at.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::kube::authn::x509::{Authorities, Side};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const YEAR: Duration = DAY.saturating_mul(365);

/// What kubeadm gives authorities.
const AUTHORITY_YEARS: u32 = 10;

/// A certificate with less time left is made anew at a start.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);

/// How much earlier than now a certificate is valid, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(300);

/// A certificate that an authority issues.
pub(super) struct Leaf<'a> {
    pub(super) name: &'a str,
    /// The organization, which for a client is a group.
    pub(super) group: Option<&'a str>,
    pub(super) hosts: &'a [String],
    pub(super) purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// A new authority: its certificate and its key, as PEM.
pub(super) fn authority(name: &str, now: Duration) -> Result<(String, String), rcgen::Error> {
    let mut params = params(name, None, now, YEAR * AUTHORITY_YEARS);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

impl Leaf<'_> {
    /// The certificate and its key, as PEM.
    pub(super) fn issue(
        &self,
        by: &Issuer<'static, KeyPair>,
        now: Duration,
    ) -> Result<(String, String), rcgen::Error> {
        let named = params(self.name, self.group, now, YEAR);
        let mut params = CertificateParams::new(self.hosts)?;
        params.distinguished_name = named.distinguished_name;
        params.not_before = named.not_before;
        params.not_after = named.not_after;
        params.key_usages = named.key_usages;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![match self.purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, by)?.pem(), key.serialize_pem()))
    }

    /// Whether a certificate is of the authority, belongs to the key, is valid for a while, and is for the same
    /// hosts.
    pub(super) fn will_do(&self, pem: &str, key: &str, authority: &[u8], now: Duration) -> bool {
        let Ok(authorities) = Authorities::read(authority) else {
            return false;
        };
        let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
            return false;
        };
        let side = match self.purpose {
            Purpose::Server => Side::Server,
            Purpose::Client => Side::Client,
        };
        let chain = std::slice::from_ref(&der);
        let holds = |at| authorities.have_issued(chain, side, at);
        let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
            return false;
        };
        holds(now)
            && holds(now + RENEW_BEFORE)
            && belongs_to(&certificate, key)
            && self.is_for_the_same(&certificate)
    }

    fn is_for_the_same(&self, certificate: &X509Certificate<'_>) -> bool {
        let mut found = hosts(certificate);
        let mut wanted = self.hosts.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        found == wanted
    }
}

/// Whether a certificate will not be valid in a while.
pub(super) fn ends_soon(pem: &str, now: Duration) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
        return true;
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return true;
    };
    let soon = i64::try_from((now + RENEW_BEFORE).as_secs()).unwrap_or(i64::MAX);
    certificate.validity().not_after.timestamp() < soon
}

fn belongs_to(certificate: &X509Certificate<'_>, key: &str) -> bool {
    let of_certificate = &certificate.public_key().subject_public_key.data;
    KeyPair::from_pem(key).is_ok_and(|key| key.public_key_raw() == &**of_certificate)
}

fn hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(host) => Some((*host).to_owned()),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    };
    names.filter_map(host).collect()
}

fn params(name: &str, group: Option<&str>, now: Duration, valid: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    let now = rcgen::date_time_ymd(1970, 1, 1) + now;
    params.not_before = now - BACKDATED;
    params.not_after = now + valid;
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params
}
