//! Whether a caller is where its certificate says: etcd's check of the subject alternative names of peers.

use std::net::IpAddr;

use super::error::Refusal;
use super::names::Names;

/// Begins a host name of which any first label will do.
const WILDCARD: &str = "*.";

/// Accepts a caller from one of the certificate's addresses or hosts, and from anywhere if it names neither.
/// Hosts are looked up; a wildcard is compared with the name that the caller's address leads to.
///
/// # Errors
/// [`Refusal::Address`].
pub(super) async fn check(caller: IpAddr, names: &Names) -> Result<(), Refusal> {
    let caller = caller.to_canonical();
    let unnamed = names.addresses.is_empty() && names.hosts.is_empty();
    if unnamed
        || names
            .addresses
            .iter()
            .any(|address| address.to_canonical() == caller)
        || leads_here(&names.hosts, caller).await
        || is_called_so(&names.hosts, caller).await
    {
        return Ok(());
    }
    Err(Refusal::Address {
        address: caller,
        names: names.alternatives(),
    })
}

/// Whether one of the hosts has the address.
async fn leads_here(hosts: &[String], caller: IpAddr) -> bool {
    for host in hosts.iter().filter(|host| !host.starts_with(WILDCARD)) {
        let found = tokio::net::lookup_host((host.as_str(), 0)).await;
        if found.is_ok_and(|mut found| found.any(|a| a.ip().to_canonical() == caller)) {
            return true;
        }
    }
    false
}

/// Whether the address has the name of one of the hosts.
async fn is_called_so(hosts: &[String], caller: IpAddr) -> bool {
    if hosts.is_empty() {
        return false;
    }
    let look_up = move || dns_lookup::lookup_addr(&caller).ok();
    let name = tokio::task::spawn_blocking(look_up).await;
    let Ok(Some(name)) = name else { return false };
    let name = name.trim_end_matches('.');
    hosts.iter().any(|host| is_name_of(host, name))
}

fn is_name_of(host: &str, name: &str) -> bool {
    let (host, name) = (host.to_ascii_lowercase(), name.to_ascii_lowercase());
    match host.strip_prefix(WILDCARD) {
        Some(domain) => name
            .strip_suffix(domain)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|first| !first.is_empty()),
        None => host == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_something() {
        assert!(is_name_of("*.Etcd.svc", "m1.etcd.svc"));
        assert!(is_name_of("M1.etcd.svc", "m1.etcd.svc"));
        for name in ["etcd.svc", ".etcd.svc", "m1.etcd.svc.evil", "m1xetcd.svc"] {
            assert!(!is_name_of("*.etcd.svc", name), "{name}");
        }
        assert!(!is_name_of("*evil", "devil"));
    }
}
