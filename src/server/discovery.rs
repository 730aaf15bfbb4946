//! Finds the first members of a cluster in SRV records (`--discovery-srv`), with etcd's rules: records of
//! `_etcd-server-ssl._tcp` are members that speak TLS, those of `_etcd-server._tcp` members that do not, and
//! the one that leads to where this member says it is has its name. The others' names do not matter: every
//! member publishes its own.
//!
//! Asked only by a member that has no data yet; afterwards the data says who the members are.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use domain::base::Name;
use domain::base::iana::Rcode;
use domain::base::iana::Rtype;
use domain::rdata::Srv;
use domain::resolv::StubResolver;
use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};

use super::data_dir::DataDir;
use super::error::StartError;
use crate::config::{self, InitialMember, MemberConfig, SrvDiscovery};

/// Time for all answers.
const PATIENCE: Duration = Duration::from_secs(15);

/// Records of one name that are looked at. Clusters have a handful of members.
const MOST: usize = 64;

/// Services with the scheme that their members speak.
const SERVICES: [(&str, &str); 2] = [("https", "etcd-server-ssl"), ("http", "etcd-server")];

/// A place that a record leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    /// The lower, the earlier.
    priority: u16,
    host: String,
    port: u16,
}

/// The configuration with the members that the records name; nothing if they are not to be asked.
///
/// # Errors
/// [`StartError::Discovery`] if they do not tell, or do not have this member.
pub(super) async fn discover(
    config: &MemberConfig,
    dir: &DataDir,
) -> Result<Option<MemberConfig>, StartError> {
    let Some(discovery) = &config.cluster.discovery else {
        return Ok(None);
    };
    if dir.is_claimed() {
        return Ok(None);
    }
    let failed = |reason: String| StartError::Discovery {
        domain: discovery.domain.clone(),
        reason,
    };
    let members = tokio::time::timeout(PATIENCE, members(config, discovery))
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
        .map_err(failed)?;
    let mut config = config.clone();
    let own = members.iter().find(|member| member.name == config.name);
    let Some(own) = own else {
        return Err(failed(format!(
            "cannot find local etcd member {:?} in SRV records",
            config.name
        )));
    };
    // It was found by its address; from here on the records say how it is written, because the ids of all members
    // follow from that.
    config.cluster.advertise_peer_urls = own.peer_urls.clone();
    config.cluster.initial = members;
    Ok(Some(config))
}

async fn members(
    config: &MemberConfig,
    discovery: &SrvDiscovery,
) -> Result<Vec<InitialMember>, String> {
    let resolver = StubResolver::from_conf(servers(discovery.server));
    let mut own = HashSet::new();
    for url in &config.cluster.advertise_peer_urls {
        for address in addresses(url.host(), url.port()).await? {
            own.insert((address, url.is_https()));
        }
    }
    let mut entries = Vec::new();
    let mut reasons = Vec::new();
    for (scheme, service) in SERVICES {
        match targets(&resolver, service, discovery).await {
            Ok(targets) => {
                let mut number = 0;
                for target in targets {
                    let reached = addresses(&target.host, target.port).await?;
                    let is_own = |https| reached.iter().any(|at| own.contains(&(*at, https)));
                    let name = if is_own(scheme == "https") {
                        config.name.clone()
                    } else if is_own(scheme != "https") {
                        // This member, but not the way it is spoken to.
                        continue;
                    } else {
                        number += 1;
                        (number - 1).to_string()
                    };
                    entries.push(entry(&name, scheme, &target));
                }
            }
            Err(reason) => reasons.push(reason),
        }
    }
    if entries.is_empty() {
        return Err(reasons.join("; "));
    }
    for entry in &entries {
        tracing::info!(node = entry, "got bootstrap from DNS for etcd-server");
    }
    config::initial_cluster(&entries.join(",")).map_err(|error| error.to_string())
}

fn entry(name: &str, scheme: &str, target: &Target) -> String {
    format!("{name}={scheme}://{}:{}", target.host, target.port)
}

/// The system's servers, unless another is to be asked.
fn servers(server: Option<SocketAddr>) -> ResolvConf {
    let Some(server) = server else {
        return ResolvConf::default();
    };
    let mut servers = ResolvConf::new();
    servers
        .servers
        .push(ServerConf::new(server, Transport::UdpTcp));
    servers.finalize();
    servers
}

/// What the records of a service lead to, in the order of their priorities.
async fn targets(
    resolver: &StubResolver,
    service: &str,
    discovery: &SrvDiscovery,
) -> Result<Vec<Target>, String> {
    let suffix = match discovery.service_name.as_str() {
        "" => String::new(),
        name => format!("-{name}"),
    };
    let domain = discovery.domain.trim_end_matches('.');
    let name = format!("_{service}{suffix}._tcp.{domain}");
    let failed = |reason: String| format!("error querying DNS SRV records for {name}: {reason}");
    let question = Name::vec_from_str(&name).map_err(|error| failed(error.to_string()))?;
    let answer = resolver.query((&question, Rtype::SRV)).await;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    if answer.header().rcode() != Rcode::NOERROR {
        return Err(failed(answer.header().rcode().to_string()));
    }
    let records = answer.answer().map_err(|error| failed(error.to_string()))?;
    let mut targets = Vec::new();
    for record in records.limit_to_in::<Srv<_>>().take(MOST) {
        let record = record.map_err(|error| failed(error.to_string()))?;
        let srv = record.data();
        // A root as target says that there is no such service (RFC 2782).
        let host = srv.target().to_string();
        let host = host.trim_end_matches('.');
        if !host.is_empty() {
            targets.push(Target {
                priority: srv.priority(),
                host: host.to_owned(),
                port: srv.port(),
            });
        }
    }
    if targets.is_empty() {
        return Err(failed("no such records".to_owned()));
    }
    targets.sort();
    targets.dedup();
    Ok(targets)
}

/// Where a host is. One that cannot be found is an error and not left out, as etcd does: members would begin
/// clusters of different sizes.
async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host((host, port)).await;
    found
        .map(Iterator::collect)
        .map_err(|error| format!("cannot find {host}: {error}"))
}

#[cfg(test)]
#[path = "discovery_test.rs"]
mod tests;
