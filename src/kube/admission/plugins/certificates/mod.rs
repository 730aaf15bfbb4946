//! CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who decides about requests for
//! certificates, and what nobody gets that way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;

use super::{Given, resource_request};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::status::ApiResult;
use crate::kube::tree::{get, items, text};
use crate::kube::user::MASTERS;

pub(super) const APPROVAL: &str = "CertificateApproval";
pub(super) const SIGNING: &str = "CertificateSigning";
pub(super) const SUBJECT: &str = "CertificateSubjectRestriction";

const CLIENT: &str = "kubernetes.io/kube-apiserver-client";

fn about(by: &Attributes<'_>, subresource: &str) -> bool {
    by.about("certificates.k8s.io", "certificatesigningrequests") && by.subresource == subresource
}

/// Whoever decides about a request needs a right to, for its signer.
pub(super) fn approve(given: Given<'_>, old: Option<&Value>, object: &Value) -> ApiResult<()> {
    let by = given.attributes;
    let old = old.filter(|_| about(by, "approval") && by.operation == Operation::Update);
    // The signer as it was: another one would be refused, but later.
    match old.map(|old| text(old, &["spec", "signerName"])) {
        Some(signer) if !may(given, "approve", signer) => {
            let why = format!("user not permitted to approve requests with signerName {signer:?}");
            Err(by.refuse(object, why))
        }
        _ => Ok(()),
    }
}

/// And so does whoever gives the certificate.
pub(super) fn sign(given: Given<'_>, old: Option<&Value>, object: &Value) -> ApiResult<()> {
    let by = given.attributes;
    let old = old.filter(|_| about(by, "status") && by.operation == Operation::Update);
    let Some(old) = old else {
        return Ok(());
    };
    let certificate = |of| get(of, &["status", "certificate"]);
    let conditions = |of| items(of, &["status", "conditions"]);
    let same = certificate(old) == certificate(object) && conditions(old) == conditions(object);
    let signer = text(old, &["spec", "signerName"]);
    if same || may(given, "sign", signer) {
        return Ok(());
    }
    let why = format!("user not permitted to sign requests with signerName {signer:?}");
    Err(by.refuse(object, why))
}

/// For this signer, or for all of its domain.
fn may(given: Given<'_>, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    [signer, &format!("{domain}/*")].into_iter().any(|name| {
        let of = ("certificates.k8s.io", "*", "signers", "");
        (given.may)(&resource_request(verb, of, "", name)).is_ok()
    })
}

/// Nobody becomes one who may do everything by a signature.
pub(super) fn restrict(by: &Attributes<'_>, request: &Value) -> ApiResult<()> {
    if !about(by, "") || !by.creates() || text(request, &["spec", "signerName"]) != CLIENT {
        return Ok(());
    }
    let why = match Subject::of(request) {
        Ok(subject) if subject.is_of(MASTERS) => {
            format!("use of {CLIENT} signer with {MASTERS} group is not allowed")
        }
        Ok(_) => return Ok(()),
        Err(why) => format!("failed to parse CSR: {why}"),
    };
    Err(by.refuse(request, why))
}

/// For whom a certificate is requested.
#[derive(Debug)]
pub(super) struct Subject {
    names: Vec<String>,
    organizations: Vec<String>,
}

impl Subject {
    /// Reads a request's PEM.
    pub(super) fn of(request: &Value) -> Result<Self, String> {
        let pem = STANDARD.decode(text(request, &["spec", "request"]));
        let pem = pem.map_err(|error| error.to_string())?;
        let wrong = || "PEM block type must be CERTIFICATE REQUEST".to_owned();
        let (_, pem) = parse_x509_pem(&pem).map_err(|_| wrong())?;
        if pem.label != "CERTIFICATE REQUEST" {
            return Err(wrong());
        }
        let parsed = X509CertificationRequest::from_der(&pem.contents);
        let (_, parsed) = parsed.map_err(|error| error.to_string())?;
        let subject = &parsed.certification_request_info.subject;
        let text = |one: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            one.as_str().unwrap_or_default().to_owned()
        };
        Ok(Self {
            names: subject.iter_common_name().map(text).collect(),
            organizations: subject.iter_organization().map(text).collect(),
        })
    }

    /// The last of several names counts, as in Go.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.names.last().is_some_and(|last| last == name)
    }

    fn is_of(&self, organization: &str) -> bool {
        self.organizations.iter().any(|one| one == organization)
    }
}

#[cfg(test)]
mod tests;
