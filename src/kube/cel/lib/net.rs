//! Addresses and ranges of addresses.

use std::fmt;
use std::net::IpAddr;

use super::{Answer, Builtin};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::value::Value;

/// A range as it was said: the address may have bits beyond the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub address: IpAddr,
    pub bits: u8,
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Cidr {
    fn prefix(&self, address: IpAddr) -> Option<u128> {
        let (value, width) = bits(address);
        let same = width == bits(self.address).1;
        same.then(|| value.checked_shr(width - u32::from(self.bits)).unwrap_or(0))
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.prefix(address).is_some() && self.prefix(address) == self.prefix(self.address)
    }

    fn masked(self) -> Self {
        let (value, width) = bits(self.address);
        let shift = width - u32::from(self.bits);
        let kept = value
            .checked_shr(shift)
            .and_then(|value| value.checked_shl(shift))
            .unwrap_or(0);
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6(kept.into()),
        };
        Self { address, ..self }
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u32::from(v4).into(), 32),
        IpAddr::V6(v6) => (v6.into(), 128),
    }
}

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "ip" => |args| match args {
            [Value::String(text)] => parse(text).map(Value::Ip).map_err(Fault::new),
            [Value::Cidr(cidr)] => Ok(Value::Ip(cidr.address)),
            _ => Err(Fault::overload()),
        },
        "isIP" => |args| match args {
            [Value::String(text)] => Ok(Value::Bool(parse(text).is_ok())),
            _ => Err(Fault::overload()),
        },
        "ip.isCanonical" => |args| match args {
            [Value::String(text)] => {
                let address = parse(text).map_err(Fault::new)?;
                Ok(Value::Bool(address.to_string() == **text))
            }
            _ => Err(Fault::overload()),
        },
        "family" => |args| match args {
            [Value::Ip(ip)] => Ok(Value::Int(if ip.is_ipv4() { 4 } else { 6 })),
            _ => Err(Fault::overload()),
        },
        "isUnspecified" => |args| is(args, |ip| ip.is_unspecified()),
        "isLoopback" => |args| is(args, |ip| ip.is_loopback()),
        "isLinkLocalMulticast" => |args| is(args, is_link_local_multicast),
        "isLinkLocalUnicast" => |args| is(args, is_link_local),
        "isGlobalUnicast" => |args| is(args, is_global),
        "cidr" => |args| match args {
            [Value::String(text)] => range(text).map(Value::Cidr),
            _ => Err(Fault::overload()),
        },
        "isCIDR" => |args| match args {
            [Value::String(text)] => Ok(Value::Bool(parse_range(text).is_ok())),
            _ => Err(Fault::overload()),
        },
        "containsIP" => contains_ip,
        "containsCIDR" => contains_range,
        "prefixLength" => |args| match args {
            [Value::Cidr(cidr)] => Ok(Value::Int(cidr.bits.into())),
            _ => Err(Fault::overload()),
        },
        "masked" => |args| match args {
            [Value::Cidr(cidr)] => Ok(Value::Cidr(cidr.masked())),
            _ => Err(Fault::overload()),
        },
        _ => return None,
    })
}

fn is<'a>(args: &[Value<'a>], test: fn(IpAddr) -> bool) -> Answer<'a> {
    match args {
        [Value::Ip(ip)] => Ok(Value::Bool(test(*ip))),
        _ => Err(Fault::overload()),
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => matches!(v4.octets(), [224, 0, 0, _]),
        IpAddr::V6(v6) => u128::from(v6) >> 112 & 0xff0f == 0xff02,
    }
}

fn is_global(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(broadcast
        || ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_multicast()
        || is_link_local(ip))
}

/// What Go's parser says of an address.
fn go_error(text: &str) -> String {
    let v4 = |text: &str| {
        let fields: Vec<&str> = text.split('.').collect();
        for field in &fields {
            if let Some(c) = field.chars().find(|c| !c.is_ascii_digit()) {
                let at = field
                    .find(c)
                    .and_then(|at| field.get(at..))
                    .unwrap_or_default();
                let after: String = text
                    .find(at)
                    .and_then(|at| text.get(at..))
                    .unwrap_or_default()
                    .into();
                return format!("unexpected character (at {after:?})");
            }
            if field.is_empty() {
                return "IPv4 field must have at least one digit".into();
            }
            if field.len() > 1 && field.starts_with('0') {
                return "IPv4 field has octet with leading zero".into();
            }
            if field.parse::<u8>().is_err() {
                return "IPv4 field has value >255".into();
            }
        }
        if fields.len() > 4 {
            "IPv4 address too long"
        } else {
            "IPv4 address too short"
        }
        .into()
    };
    match text.chars().find(|c| matches!(c, '.' | ':' | '%')) {
        Some('.') => v4(text),
        Some('%') => "missing IPv6 address".into(),
        _ => "unable to parse IP".into(),
    }
}

fn parse_plain(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("ParseAddr({text:?}): {}", go_error(text)))
}

/// # Errors
/// If it is none, has a zone, or is an IPv4 address in IPv6.
fn parse(text: &str) -> Result<IpAddr, String> {
    if let Some((address, zone)) = text.split_once('%')
        && !zone.is_empty()
        && address.parse::<std::net::Ipv6Addr>().is_ok()
    {
        return Err(format!(
            "IP address {text:?} with zone value is not allowed"
        ));
    }
    let address = parse_plain(text).map_err(|error| {
        format!("IP Address {text:?} parse error during conversion from string: {error}")
    })?;
    if is_mapped(address) {
        return Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"));
    }
    Ok(address)
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

const RANGE_ERROR: &str = "network address parse error during conversion from string: ";

fn parse_range(text: &str) -> Result<Cidr, String> {
    let wrong = |why: String| format!("{RANGE_ERROR}netip.ParsePrefix({text:?}): {why}");
    let (address, bits_text) = text
        .rsplit_once('/')
        .ok_or_else(|| wrong("no '/'".into()))?;
    let address = parse_plain(address).map_err(wrong)?;
    let plain = bits_text.bytes().all(|b| b.is_ascii_digit()) && !bits_text.is_empty();
    let leading = bits_text.len() > 1 && bits_text.starts_with('0');
    if !plain || leading {
        return Err(wrong(format!("bad bits after slash: {bits_text:?}")));
    }
    let width = bits(address).1;
    let found = bits_text
        .parse::<u8>()
        .ok()
        .filter(|bits| u32::from(*bits) <= width);
    let Some(bits) = found else {
        return Err(wrong("prefix length out of range".into()));
    };
    if is_mapped(address) {
        return Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"));
    }
    Ok(Cidr { address, bits })
}

fn range(text: &str) -> Result<Cidr, Fault> {
    parse_range(text).map_err(|error| Fault::new(format!("{RANGE_ERROR}{error}")))
}

fn contains_ip<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (cidr, address) = match args {
        [Value::Cidr(cidr), Value::Ip(ip)] => (cidr, *ip),
        [Value::Cidr(cidr), Value::String(text)] => {
            (cidr, parse(text).map_err(|_| Fault::overload())?)
        }
        _ => return Err(Fault::overload()),
    };
    Ok(Value::Bool(cidr.contains(address)))
}

fn contains_range<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (cidr, inner) = match args {
        [Value::Cidr(cidr), Value::Cidr(inner)] => (cidr, *inner),
        [Value::Cidr(cidr), Value::String(text)] => (cidr, range(text)?),
        _ => return Err(Fault::overload()),
    };
    Ok(Value::Bool(
        cidr.bits <= inner.bits && cidr.contains(inner.address),
    ))
}
