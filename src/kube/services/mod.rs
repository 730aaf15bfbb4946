//! Cluster addresses and node ports of services: which a service needs, and which it gets.
//!
//! What is taken is what the services of a view have. A member that allocates looks at a view that has every write
//! acknowledged before, so two services can get the same address or port only if two requests are under way at the
//! same moment: both look, then both write. Addresses and ports that are made up come from a random place of their
//! range, so for these it is as likely as two random picks meeting; for those that clients ask for it is as likely as
//! two clients asking for the same one at once. Nothing here closes that gap: kube-apiserver's way to do it is an
//! `IPAddress` object for each address, whose creation only one of the two can win.

mod families;
mod ranges;

use serde_json::{Map, Value};

use super::field::FieldError;
use super::schema::Schema;
use super::status::{ApiError, ApiResult};
use super::strategy::Rng;
use super::tree::{self, flag, int, items, text};
pub use ranges::{Network, Ports, Taken};

/// What services are given addresses and ports from.
#[derive(Debug, Clone)]
pub struct Ranges {
    /// One, or one of each family; the first is that of services that do not say it.
    pub networks: Vec<Network>,
    pub ports: Ports,
}

impl Ranges {
    /// Reads networks as `--service-cluster-ip-range` has them: one, or two of both families with a comma.
    ///
    /// # Errors
    /// A text for the log.
    pub fn parse(networks: &str) -> Result<Self, String> {
        let bad = || format!("--service-cluster-ip-range: {networks} is no range of addresses");
        let all = networks
            .split(',')
            .map(|one| Network::parse(one.trim()).ok_or_else(bad));
        let networks: Vec<Network> = all.collect::<Result<_, _>>()?;
        match networks.as_slice() {
            [_] => {}
            [one, other] if one.family() != other.family() => {}
            _ => return Err(bad()),
        }
        Ok(Self {
            networks,
            ports: Ports(30000, 32767),
        })
    }

    fn network(&self, family: &str) -> Option<&Network> {
        self.networks.iter().find(|one| one.family() == family)
    }
}

/// Gives a service that is created, or changed from `old`, what it needs. Its fields are prepared already.
///
/// # Errors
/// 422 for an address or a port that it cannot have, 500 if there are none left.
pub fn allocate(
    ranges: &Ranges,
    taken: &mut Taken,
    old: Option<&Value>,
    service: &mut Value,
    dry_run: bool,
    rng: Rng<'_>,
) -> ApiResult<()> {
    let name = text(service, &["metadata", "name"]).to_owned();
    let invalid = |errors: Vec<FieldError>| ApiError::invalid("", "Service", &name, &errors);
    families::fill(ranges, old, service).map_err(invalid)?;
    addresses(ranges, taken, old, service, dry_run, rng)?;
    if matches!(
        text(service, &["spec", "type"]),
        "NodePort" | "LoadBalancer"
    ) {
        node_ports(ranges.ports, taken, old, service, rng)?;
    }
    health_check(ranges.ports, taken, old, service, rng)
}

fn spec_mut(service: &mut Value) -> Option<&mut Map<String, Value>> {
    service.get_mut("spec")?.as_object_mut()
}

fn put(of: &str, map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let schema = Schema::built_in();
    if let Some(id) = schema.find(of) {
        tree::set_in_order(schema.get(id), map, key, value.into());
    }
}

const SPEC: &str = "core/v1.ServiceSpec";

fn texts(service: &Value, key: &str) -> Vec<String> {
    let all = items(service, &["spec", key]).iter();
    all.filter_map(|one| one.as_str().map(str::to_owned))
        .collect()
}

fn is_external(service: &Value) -> bool {
    text(service, &["spec", "type"]) == "ExternalName"
}

fn addresses(
    ranges: &Ranges,
    taken: &mut Taken,
    old: Option<&Value>,
    service: &mut Value,
    dry_run: bool,
    rng: Rng<'_>,
) -> ApiResult<()> {
    let families = texts(service, "ipFamilies");
    let mut has = texts(service, "clusterIPs");
    let headless = |all: &[String]| all.first().is_some_and(|one| one == "None");
    if is_external(service) || headless(&has) {
        return Ok(());
    }
    // Those in front are the service's already.
    let kept = match old {
        Some(old) if families::stays(old, service) || headless(&texts(old, "clusterIPs")) => {
            return Ok(());
        }
        Some(old) if !is_external(old) => texts(old, "ipFamilies").len(),
        _ => 0,
    };
    let name = text(service, &["metadata", "name"]).to_owned();
    for (at, family) in families.iter().enumerate().skip(kept) {
        let wanted = has.get(at).cloned().unwrap_or_default();
        let Some(network) = ranges.network(family) else {
            continue;
        };
        let refused = |why: String| {
            let value = Value::from(has.clone()).to_string();
            let error = FieldError::invalid("spec.clusterIPs", value, why);
            ApiError::invalid("", "Service", &name, &[error])
        };
        let address = if wanted.is_empty() && dry_run {
            // The release does not look for one that nobody will have.
            network.base()
        } else if wanted.is_empty() {
            network.choose(taken, rng).ok_or_else(|| {
                ApiError::internal(format!(
                    "failed to allocate a serviceIP for Service {name:?}: range is full"
                ))
            })?
        } else {
            let parsed = wanted.parse();
            let parsed = parsed.map_err(|_| {
                ApiError::internal(format!("failed to parse service IP {wanted:?}"))
            })?;
            let none = Taken::default();
            let judged = network.judge(parsed, if dry_run { &none } else { taken });
            judged.map_err(|why| refused(format!("failed to allocate IP {wanted}: {why}")))?;
            parsed
        };
        taken.addresses.insert(address);
        let written = if wanted.is_empty() {
            address.to_string()
        } else {
            wanted
        };
        match has.get_mut(at) {
            Some(slot) => *slot = written,
            None => has.push(written),
        }
    }
    if let (Some(first), Some(spec)) = (has.first().cloned(), spec_mut(service)) {
        put(SPEC, spec, "clusterIP", first);
        put(SPEC, spec, "clusterIPs", has);
    }
    Ok(())
}

fn allocates_ports(service: &Value) -> bool {
    let asked = flag(service, &["spec", "allocateLoadBalancerNodePorts"]);
    text(service, &["spec", "type"]) == "NodePort" || asked
}

fn ports_of(service: &Value) -> Vec<(i64, i64)> {
    let all = items(service, &["spec", "ports"]).iter();
    let number = |port: &Value, key| int(port, &[key]).unwrap_or(0);
    all.map(|port| (number(port, "port"), number(port, "nodePort")))
        .collect()
}

fn node_ports(
    range: Ports,
    taken: &mut Taken,
    old: Option<&Value>,
    service: &mut Value,
    rng: Rng<'_>,
) -> ApiResult<()> {
    let name = text(service, &["metadata", "name"]).to_owned();
    let before = old.map(ports_of).unwrap_or_default();
    let asked = ports_of(service);
    // A new service's ports of one number (TCP and UDP) share a node port.
    let mut shared: Vec<(i64, i64)> = Vec::new();
    let mut given: Vec<i64> = Vec::new();
    for (at, (port, said)) in asked.iter().copied().enumerate() {
        if said == 0 && !allocates_ports(service) {
            continue;
        }
        let known = shared
            .iter()
            .find(|(of, _)| *of == port)
            .filter(|_| old.is_none());
        let of_same = asked.iter().find(|(of, node)| *of == port && *node != 0);
        let wanted = match (said, known, of_same) {
            (0, Some((_, node)), _) => *node,
            (0, None, Some((_, node))) if old.is_none() => *node,
            (said, ..) => said,
        };
        let has = before.iter().any(|(_, node)| *node == wanted) || given.contains(&wanted);
        let number = if wanted == 0 {
            let chosen = range.choose(taken, rng);
            chosen
                .ok_or_else(|| ApiError::internal("failed to allocate a nodePort: range is full"))?
        } else {
            let judged = if has {
                Ok(())
            } else {
                range.judge(wanted, taken)
            };
            judged.map_err(|why| {
                let path = format!("spec.ports[{at}].nodePort");
                let error = FieldError::invalid(path, wanted.to_string(), why);
                ApiError::invalid("", "Service", &name, &[error])
            })?;
            wanted
        };
        taken.ports.insert(number);
        given.push(number);
        shared.push((port, number));
        let port = service.pointer_mut(&format!("/spec/ports/{at}"));
        if let Some(port) = port.and_then(Value::as_object_mut) {
            put("core/v1.ServicePort", port, "nodePort", number);
        }
    }
    Ok(())
}

fn needs_check(service: &Value) -> bool {
    text(service, &["spec", "type"]) == "LoadBalancer"
        && text(service, &["spec", "externalTrafficPolicy"]) == "Local"
}

fn health_check(
    range: Ports,
    taken: &mut Taken,
    old: Option<&Value>,
    service: &mut Value,
    rng: Rng<'_>,
) -> ApiResult<()> {
    if !needs_check(service) || old.is_some_and(needs_check) {
        return Ok(());
    }
    let said = int(service, &["spec", "healthCheckNodePort"]).unwrap_or(0);
    let number = if said == 0 {
        let none =
            || ApiError::internal("failed to allocate a HealthCheck NodePort 0: range is full");
        range.choose(taken, rng).ok_or_else(none)?
    } else {
        let judged = range.judge(said, taken);
        judged.map_err(|why| {
            ApiError::internal(format!(
                "failed to allocate requested HealthCheck NodePort {said}: {why}"
            ))
        })?;
        said
    };
    taken.ports.insert(number);
    if let Some(spec) = spec_mut(service) {
        put(SPEC, spec, "healthCheckNodePort", number);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
