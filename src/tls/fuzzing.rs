//! The check of what is read from certificates and lists of revoked ones.

use super::files::serials;
use super::names::Names;

/// Reads bytes as a certificate and as a list of revoked ones. Neither may panic, and what is read for the log
/// is of a length that the bytes account for.
pub fn certificate(data: &[u8]) {
    if let Ok(names) = Names::read(data) {
        let hosts: usize = names.hosts.iter().map(String::len).sum();
        assert!(names.common_name.len() + hosts <= data.len());
    }
    if let Ok(serials) = serials(data) {
        assert!(serials.count() <= data.len());
    }
}
