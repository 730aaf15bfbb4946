//! Authorities and certificates for tests, made when they are needed. The black-box tests use this file too, so
//! it names nothing of the crate.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

/// Issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
    pub(crate) key: String,
    serial: SerialNumber,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for either side of a connection. An empty name is none.
    pub(crate) fn issue(&self, common_name: &str, hosts: &[&str]) -> Issued {
        self.issue_until(common_name, hosts, 2100)
    }

    /// A certificate that has not been valid for years.
    pub(crate) fn issue_expired(&self, common_name: &str, hosts: &[&str]) -> Issued {
        self.issue_until(common_name, hosts, 2001)
    }

    fn issue_until(&self, common_name: &str, hosts: &[&str], year: i32) -> Issued {
        let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = named(common_name);
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        // Positive, and different for each.
        let serial = SerialNumber::from(rand::random::<u64>() >> 1);
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued {
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
            key: key.serialize_pem(),
            serial,
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes the authority's certificate.
    pub(crate) fn write(&self, path: &Path) -> PathBuf {
        fs::write(path, self.pem()).unwrap();
        path.to_owned()
    }

    /// Writes a list that revokes these certificates, as PEM.
    pub(crate) fn revoke(&self, path: &Path, revoked: &[&Issued]) -> PathBuf {
        fs::write(path, self.revocation_list(revoked).pem().unwrap()).unwrap();
        path.to_owned()
    }

    pub(crate) fn revocation_list(&self, revoked: &[&Issued]) -> rcgen::CertificateRevocationList {
        let entry = |issued: &&Issued| RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap()
    }
}

impl Issued {
    /// The same as X.509 version 1 has it, without a version and extensions; nobody has signed it so.
    pub(crate) fn as_version_1(&self) -> Self {
        const VERSION: u8 = 0xa0;
        const EXTENSIONS: u8 = 0xa3;
        let (signed, _) = element(&self.der);
        let (body, signature) = element(contents(signed));
        let mut fields = Vec::new();
        let mut rest = contents(body);
        while !rest.is_empty() {
            let (field, others) = element(rest);
            if ![VERSION, EXTENSIONS].contains(&field[0]) {
                fields.extend_from_slice(field);
            }
            rest = others;
        }
        let der = sequence(&[&sequence(&fields), signature].concat());
        let text = base64::engine::general_purpose::STANDARD.encode(&der);
        Self {
            pem: format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"),
            der,
            key: self.key.clone(),
            serial: self.serial.clone(),
        }
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (
            dir.join(format!("{name}.crt")),
            dir.join(format!("{name}.key")),
        );
        fs::write(&key, &self.key).unwrap();
        fs::write(&cert, &self.pem).unwrap();
        (cert, key)
    }
}

/// The octets of tag and length of the DER element at the beginning, and of its contents.
fn lengths(der: &[u8]) -> (usize, usize) {
    let bytes = match der[1] {
        short if short < 0x80 => return (2, short.into()),
        long => usize::from(long & 0x7f),
    };
    let length = &der[2..2 + bytes];
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    (2 + bytes, length)
}

/// The first element and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (head, length) = lengths(der);
    der.split_at(head + length)
}

fn contents(element: &[u8]) -> &[u8] {
    &element[lengths(element).0..]
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let length: &[u8] = match (high, low) {
        (0, 0..0x80) => &[low],
        (0, _) => &[0x81, low],
        _ => &[0x82, high, low],
    };
    [&[0x30], length, contents].concat()
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "holdfast tests");
    if !common_name.is_empty() {
        name.push(DnType::CommonName, common_name);
    }
    name
}
