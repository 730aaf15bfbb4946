//! URIs as Go's `url.ParseRequestURI` takes them: with a scheme, or a path from the root.

use std::net::IpAddr;

pub(super) fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = scheme(text) else {
        return false;
    };
    let path = rest.split('?').next().unwrap_or_default();
    if !path.starts_with('/') {
        return !scheme.is_empty();
    }
    match path.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() => {
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            is_authority(scheme, authority) && escapes(path).is_some()
        }
        _ => escapes(path).is_some(),
    }
}

/// The scheme, which may be none, and what follows it; None for a colon with none before it.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => break,
        }
    }
    Some(("", text))
}

fn is_authority(scheme: &str, authority: &str) -> bool {
    match authority.rsplit_once('@') {
        Some((user, host)) => is_user(user) && is_host(scheme, host),
        None => is_host(scheme, authority),
    }
}

fn is_user(user: &str) -> bool {
    let allowed = |one: char| one.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(one);
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    user.chars().all(allowed) && escapes(name).is_some() && escapes(password).is_some()
}

fn is_host(scheme: &str, host: &str) -> bool {
    match host.rfind('[') {
        Some(0) => bracketed(host),
        Some(_) => false,
        None => {
            let strict = matches!(&*scheme.to_ascii_lowercase(), "http" | "https");
            let colon = if strict {
                host.find(':')
            } else {
                host.rfind(':')
            };
            let port = colon.and_then(|at| host.get(at..)).unwrap_or_default();
            is_port(port) && is_name(host)
        }
    }
}

/// `[::1]:80`, perhaps with a zone behind `%25`.
fn bracketed(host: &str) -> bool {
    let Some((inner, port)) = host
        .strip_prefix('[')
        .and_then(|rest| rest.rsplit_once(']'))
    else {
        return false;
    };
    let (address, zone) = match inner.split_once("%25") {
        Some((address, zone)) => (address, Some(zone)),
        None => (inner, None),
    };
    let is_v6 = matches!(address.parse(), Ok(IpAddr::V6(_)));
    is_port(port) && is_v6 && zone.is_none_or(|zone| !zone.is_empty() && escapes(zone).is_some())
}

fn is_port(port: &str) -> bool {
    match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    }
}

/// Only what is no ASCII may be escaped in a host.
fn is_name(host: &str) -> bool {
    let plain = |one: char| {
        !one.is_ascii() || one.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(one)
    };
    host.chars().all(plain)
        && escapes(host)
            .is_some_and(|bytes| bytes.iter().all(|byte| *byte >= 0x80 || *byte == b'%'))
}

/// The bytes that are escaped; None if a percent sign does not begin two digits.
fn escapes(text: &str) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    let mut parts = text.split('%');
    parts.next();
    for part in parts {
        let digits = part.get(..2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        found.push(u8::from_str_radix(digits, 16).ok()?);
    }
    Some(found)
}
