//! Certificates of authorities that a definition names for its webhook.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Whether a bundle, as objects have it in base64, is one that a client can trust: empty, or PEM with at least one
/// certificate that can be read.
pub fn readable(bundle: &str) -> bool {
    if bundle.is_empty() {
        return true;
    }
    let Ok(pem) = BASE64_STANDARD.decode(bundle) else {
        return false;
    };
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    certificates.any(|certificate| {
        let certificate = certificate.ok();
        certificate.is_some_and(|der| x509_parser::parse_x509_certificate(&der).is_ok())
    })
}
