//! Addresses and ranges of them.

use std::net::IpAddr;

use super::cursor::{At, Errors};
use crate::kube::field::quoted;

/// Without a zone, and an IPv4 address in IPv6 counts as such.
pub(super) fn parse(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Digits with leading zeros were once taken for an address.
fn is_sloppy(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.parse::<u8>().is_ok();
    text.split('.').count() == 4 && text.split('.').all(part)
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

pub(super) fn address(at: &At<'_>, errors: &mut Errors) {
    address_of(at, at.text(), errors);
}

/// [`address`] where the text is not what stands at the place.
pub(super) fn address_of(at: &At<'_>, text: &str, errors: &mut Errors) {
    let shown = quoted(text);
    match parse(text) {
        Some(address) if is_mapped(address) => {
            errors.bad_value(at, shown, "must not be an IPv4-mapped IPv6 address");
        }
        Some(_) => {}
        None if is_sloppy(text) => errors.bad_value(at, shown, "must not have leading 0s"),
        None => {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            errors.bad_value(at, shown, why);
        }
    }
}

/// An address in the one form that it is written in.
pub(super) fn canonical(at: &At<'_>, text: &str, errors: &mut Errors) {
    let before = errors.len();
    address_of(at, text, errors);
    if let Some(address) = parse(text).filter(|_| errors.len() == before) {
        let form = address.to_string();
        if form != text {
            errors.bad_value(
                at,
                quoted(text),
                format!("must be in canonical form ({form:?})"),
            );
        }
    }
}

/// A range: an address, a slash, and bits.
pub(super) fn range(at: &At<'_>, text: &str, errors: &mut Errors) {
    let shown = quoted(text);
    let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let Some((address, bits)) = text.split_once('/') else {
        return errors.bad_value(at, shown, why);
    };
    let width: Option<u8> = bits.parse().ok();
    let Some(width) = width else {
        return errors.bad_value(at, shown, why);
    };
    let Some(parsed) = parse(address) else {
        let why = if is_sloppy(address) && width <= 32 {
            "must not have leading 0s in IP or prefix length"
        } else {
            why
        };
        return errors.bad_value(at, shown, why);
    };
    let (value, length) = match parsed {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    if width > length {
        return errors.bad_value(at, shown, why);
    }
    if bits.len() > 1 && bits.starts_with('0') {
        let why = "must not have leading 0s in IP or prefix length";
        errors.bad_value(at, shown, why);
    } else if is_mapped(parsed) {
        errors.bad_value(at, shown, "must not have an IPv4-mapped IPv6 address");
    } else if value.checked_shl(u32::from(width)).unwrap_or(0) != 0 {
        errors.bad_value(at, shown, "must not have bits set beyond the prefix length");
    }
}

/// Addresses that endpoints may not have.
pub(super) fn endpoint(at: &At<'_>, text: &str, errors: &mut Errors) {
    let Some(address) = parse(text) else {
        return;
    };
    let (shown, version) = (quoted(text), address);
    let link_local = match version {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => (v6.segments().first().copied().unwrap_or(0) & 0xffc0) == 0xfe80,
    };
    let link_local_multicast = match version {
        IpAddr::V4(v4) => matches!(v4.octets(), [224, 0, 0, _]),
        IpAddr::V6(v6) => (v6.segments().first().copied().unwrap_or(0) & 0xff0f) == 0xff02,
    };
    if version.is_unspecified() {
        errors.bad_value(
            at,
            shown.clone(),
            format!("may not be unspecified ({text})"),
        );
    }
    if version.is_loopback() {
        let why = "may not be in the loopback range (127.0.0.0/8, ::1/128)";
        errors.bad_value(at, shown.clone(), why);
    }
    if link_local {
        let why = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
        errors.bad_value(at, shown.clone(), why);
    }
    if link_local_multicast {
        let why = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
        errors.bad_value(at, shown, why);
    }
}

/// A range as the bits of its address and their number; IPv4 counts from the top of 128 bits.
pub(super) fn network(text: &str) -> Option<(bool, u128, u32)> {
    let (address, bits) = text.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    match parse(address)? {
        IpAddr::V4(v4) if bits <= 32 => Some((false, u128::from(u32::from(v4)) << 96, bits)),
        IpAddr::V6(v6) if bits <= 128 => Some((true, u128::from(v6), bits)),
        _ => None,
    }
}

/// Whether a range is a part of another and not all of it.
pub(super) fn is_within(inner: (bool, u128, u32), outer: (bool, u128, u32)) -> bool {
    let prefix = |value: u128| value.checked_shr(128 - outer.2).unwrap_or(0);
    inner.0 == outer.0 && inner.2 > outer.2 && prefix(inner.1) == prefix(outer.1)
}
