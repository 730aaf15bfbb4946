//! Addresses, as Go's package `net` reads them.

use std::net::Ipv6Addr;

/// An address with a dot. Leading zeros are as good as none, as they were in old versions of Go.
pub(super) fn is_ipv4(text: &str) -> bool {
    text.contains('.') && (is_v4(text) || is_v6_sloppy(text))
}

pub(super) fn is_ipv6(text: &str) -> bool {
    text.contains(':') && text.parse::<Ipv6Addr>().is_ok()
}

pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = if is_v4(address) {
        32
    } else if is_v6_sloppy(address) {
        128
    } else {
        return false;
    };
    decimal(bits).is_some_and(|bits| bits <= most)
}

fn is_v4(text: &str) -> bool {
    let octets: Vec<&str> = text.split('.').collect();
    let is_octet = |octet: &&str| decimal(octet).is_some_and(|octet| octet <= 255);
    octets.len() == 4 && octets.iter().all(is_octet)
}

/// An IPv6 address, whose parts, and an IPv4 address behind them, may have leading zeros.
fn is_v6_sloppy(text: &str) -> bool {
    let Some((before, last)) = text.rsplit_once(':') else {
        return false;
    };
    if last.contains('.') && !is_v4(last) {
        return false;
    }
    let last = if last.contains('.') { "0.0.0.0" } else { last };
    let plain = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        part => part.to_owned(),
    };
    let parts: Vec<String> = before.split(':').map(plain).collect();
    let last = if last.contains('.') {
        last.to_owned()
    } else {
        plain(last)
    };
    format!("{}:{last}", parts.join(":"))
        .parse::<Ipv6Addr>()
        .is_ok()
}

fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// 6, 8 or 20 bytes in hexadecimal: `00:00:5e:00:53:01`, `00-00-…`, `0000.5e00.5301`.
pub(super) fn is_mac(text: &str) -> bool {
    let bytes = |separator: char, digits: usize| {
        let mut groups = 0;
        let all = text.split(separator).all(|group| {
            groups += 1;
            group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        all.then_some(groups * digits / 2)
    };
    let of = match (text.chars().nth(2), text.chars().nth(4)) {
        (Some(separator @ (':' | '-')), _) => bytes(separator, 2),
        (_, Some('.')) => bytes('.', 4),
        _ => None,
    };
    matches!(of, Some(6 | 8 | 20))
}
