//! What a certificate says of whom it is for. Read only from certificates whose chain has been verified.

use std::fmt;
use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// A certificate's serial number, without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Serial(Box<[u8]>);

impl Serial {
    /// The number of big-endian bytes.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self(bytes.get(zeros..).unwrap_or_default().into())
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is looked at in a certificate beyond its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The subject's common name, the last if there are several; empty if there is none.
    pub(super) common_name: String,
    /// Its alternative names that are addresses.
    pub(super) addresses: Vec<IpAddr>,
    /// Its alternative names that are hosts.
    pub(super) hosts: Vec<String>,
    /// Its number.
    pub(super) serial: Serial,
    /// Seconds since the Unix epoch after which it is not valid any more.
    pub(super) not_after: i64,
}

impl Names {
    /// Reads the certificate's names.
    ///
    /// # Errors
    /// What the parser says.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
        let alternative = certificate
            .subject_alternative_name()
            .map_err(|error| error.to_string())?;
        let mut names = Self {
            common_name: common_name(&certificate),
            addresses: Vec::new(),
            hosts: Vec::new(),
            serial: Serial::new(certificate.raw_serial()),
            not_after: certificate.validity().not_after.timestamp(),
        };
        for name in alternative
            .iter()
            .flat_map(|names| &names.value.general_names)
        {
            match name {
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                GeneralName::DNSName(host) => names.hosts.push((*host).to_owned()),
                _ => {}
            }
        }
        Ok(names)
    }

    /// Addresses and hosts, for people to read.
    pub(super) fn alternatives(&self) -> Vec<String> {
        let addresses = self.addresses.iter().map(ToString::to_string);
        addresses.chain(self.hosts.iter().cloned()).collect()
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> String {
    let last = certificate.subject().iter_common_name().last();
    let text = last.and_then(|name| name.as_str().ok());
    text.unwrap_or_default().to_owned()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Authority;

    #[test]
    fn names_are_read() {
        let authority = Authority::new("ca");
        let issued = authority.issue("alice", &["10.1.2.3", "::1", "m1.example", "*.example"]);
        let names = Names::read(&issued.der).unwrap();
        assert_eq!(names.common_name, "alice");
        assert_eq!(names.hosts, ["m1.example", "*.example"]);
        let addresses: Vec<IpAddr> = ["10.1.2.3", "::1"].map(|a| a.parse().unwrap()).into();
        assert_eq!(names.addresses, addresses);
        assert_eq!(
            names.alternatives(),
            ["10.1.2.3", "::1", "m1.example", "*.example"]
        );
        assert!(Names::read(b"nonsense").is_err());
    }

    #[test]
    fn serial_numbers_are_equal_whatever_zeros_lead() {
        assert_eq!(Serial::new(&[0, 0, 1, 0]), Serial::new(&[1, 0]));
        assert_ne!(Serial::new(&[1, 0]), Serial::new(&[1]));
        assert_eq!(Serial::new(&[0, 0xab, 1]).to_string(), "ab01");
    }
}
