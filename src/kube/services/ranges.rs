//! The addresses and ports that services are given, and which of them are free.
//!
//! A part at the beginning of each range is given out last, so that those who ask for an address by name find one
//! free there: `pkg/registry/core/service/{ipallocator,portallocator}`.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::kube::objects::Objects;
use crate::kube::strategy::Rng;
use crate::kube::tree::{int, items, text};

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: u128,
    /// Length of the prefix in bits.
    length: u32,
    v6: bool,
}

/// The family of an address, as services name it.
pub(super) fn family_of(address: &str) -> Option<&'static str> {
    address
        .parse()
        .ok()
        .map(|address: IpAddr| if address.is_ipv6() { "IPv6" } else { "IPv4" })
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

impl Network {
    /// Reads `10.0.0.0/24`; bits behind the prefix are nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let (address, length): (IpAddr, u32) = (address.parse().ok()?, length.parse().ok()?);
        let v6 = address.is_ipv6();
        let free = if v6 { 128_u32 } else { 32 }.checked_sub(length)?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Some(Self {
            first: number(address) & mask,
            length,
            v6,
        })
    }

    pub fn family(&self) -> &'static str {
        if self.v6 { "IPv6" } else { "IPv4" }
    }

    fn address(&self, number: u128) -> IpAddr {
        if self.v6 {
            return Ipv6Addr::from(number).into();
        }
        Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into()
    }

    /// The address of the network itself, which no service has.
    pub(super) fn base(&self) -> IpAddr {
        self.address(self.first)
    }

    /// Its last address.
    fn end(&self) -> u128 {
        let free = if self.v6 { 128 } else { 32 } - self.length;
        let behind = u128::MAX.checked_shl(free).map_or(u128::MAX, |mask| !mask);
        self.first | behind
    }

    fn has(&self, address: IpAddr) -> bool {
        let number = number(address);
        address.is_ipv6() == self.v6 && self.first <= number && number <= self.end()
    }

    /// The first and last address that a service may have: not the network's, not the broadcast.
    fn hosts(&self) -> (u128, u128) {
        let last = if self.v6 {
            self.end()
        } else {
            self.end().saturating_sub(1)
        };
        (self.first.saturating_add(1), last)
    }

    /// Why a service may not have an address.
    pub(super) fn judge(&self, address: IpAddr, taken: &Taken) -> Result<(), String> {
        let (first, last) = self.hosts();
        if !self.has(address) {
            return Err("the provided network does not match the current range".into());
        }
        if !(first..=last).contains(&number(address)) {
            return Err(format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is {}/{}",
                self.base(),
                self.length
            ));
        }
        if taken.addresses.contains(&address) {
            return Err("provided IP is already allocated".into());
        }
        Ok(())
    }

    /// A free address, from anywhere in the range.
    pub(super) fn choose(&self, taken: &Taken, rng: Rng<'_>) -> Option<IpAddr> {
        let size = self.end() - self.first;
        let kept = if size < 15 {
            0
        } else {
            (size.saturating_add(1) / 16).clamp(16, 256)
        };
        let (first, last) = self.hosts();
        let middle = self.first.saturating_add(kept).max(first);
        let is_free = |number| !taken.addresses.contains(&self.address(number));
        let tries = taken.addresses.len() as u128 + 1;
        let found = pick(middle, last, tries, rng, is_free);
        let found = found.or_else(|| pick(first, middle.checked_sub(1)?, tries, rng, is_free));
        found.map(|number| self.address(number))
    }
}

/// The first free number from a random one on, and around. As many tries as there are numbers taken find one.
fn pick(
    first: u128,
    last: u128,
    tries: u128,
    rng: Rng<'_>,
    is_free: impl Fn(u128) -> bool,
) -> Option<u128> {
    let size = last.checked_sub(first)?.checked_add(1)?;
    let start = u128::from(rng()) % size;
    (0..size.min(tries))
        .map(|step| first + (start + step) % size)
        .find(|number| is_free(*number))
}

/// The first and last port that nodes open for services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports(pub u16, pub u16);

impl Ports {
    /// Why a service may not have a port.
    pub(super) fn judge(self, port: i64, taken: &Taken) -> Result<(), String> {
        let Self(first, last) = self;
        if !(i64::from(first)..=i64::from(last)).contains(&port) {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            ));
        }
        if taken.ports.contains(&port) {
            return Err("provided port is already allocated".into());
        }
        Ok(())
    }

    /// A free port.
    pub(super) fn choose(self, taken: &Taken, rng: Rng<'_>) -> Option<i64> {
        let (first, last) = (u128::from(self.0), u128::from(self.1));
        let kept = match (last.checked_sub(first)? + 1) / 32 {
            few if few < 16 => 0,
            some => some.min(128),
        };
        let is_free = |port| i64::try_from(port).is_ok_and(|port| !taken.ports.contains(&port));
        let tries = taken.ports.len() as u128 + 1;
        let found = pick(first + kept, last, tries, rng, is_free);
        let found =
            found.or_else(|| pick(first, (first + kept).checked_sub(1)?, tries, rng, is_free));
        found.and_then(|port| i64::try_from(port).ok())
    }
}

/// What services have.
#[derive(Debug, Default, Clone)]
pub struct Taken {
    pub(super) addresses: HashSet<IpAddr>,
    pub(super) ports: HashSet<i64>,
}

impl Taken {
    /// What the services of a view have.
    pub fn of(objects: &dyn Objects) -> Self {
        let mut taken = Self::default();
        for service in objects.list("", "services", None) {
            let addresses = items(&service, &["spec", "clusterIPs"]).iter();
            let addresses = addresses.filter_map(|one| one.as_str());
            let addresses = addresses.chain([text(&service, &["spec", "clusterIP"])]);
            taken
                .addresses
                .extend(addresses.filter_map(|one| one.parse::<IpAddr>().ok()));
            let ports = items(&service, &["spec", "ports"]).iter();
            let ports = ports.filter_map(|port| int(port, &["nodePort"]));
            let check = int(&service, &["spec", "healthCheckNodePort"]);
            taken
                .ports
                .extend(ports.chain(check).filter(|port| *port != 0));
        }
        taken
    }
}
