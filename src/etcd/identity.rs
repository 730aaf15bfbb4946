//! Who a client is by its certificate.

use std::sync::Arc;

/// The common name of the certificate that a request's connection was opened with; an extension of the request.
/// There only if the certificate was verified and `--client-cert-auth` is on.
#[derive(Debug, Clone)]
pub struct CertifiedName(pub Arc<str>);
