//! Where a stream leads: the container that is meant, the node that it runs on, the pod or service that is asked.

use std::net::IpAddr;

use serde_json::Value;

use crate::kube::object::meta;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree;

/// Where kubelets listen unless they say otherwise.
const KUBELET_PORT: u16 = 10250;
/// What a kubelet declares that speaks with clients by WebSocket itself, so that nothing is translated for it.
const SPEAKS_WEBSOCKET: &str = "ExtendWebSocketsToKubelet";
/// Where a pod has its containers, in the order in which they are named.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// A host that is asked, over TLS or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub secure: bool,
    /// A name or an address, without brackets.
    pub name: String,
    pub port: u16,
}

impl Host {
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// `host:port`, with an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        authority(&self.name, &self.port.to_string())
    }
}

fn authority(name: &str, port: &str) -> String {
    if name.contains(':') {
        format!("[{name}]:{port}")
    } else {
        format!("{name}:{port}")
    }
}

/// A node's kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubelet {
    pub host: Host,
    /// Whether it translates for clients by WebSocket itself.
    pub speaks_websocket: bool,
}

impl Kubelet {
    /// Where a node's kubelet is reached; `preferred` are kinds of addresses, the best first.
    ///
    /// # Errors
    /// 500 for a node without such an address.
    pub fn of(node: &Value, preferred: &[String]) -> ApiResult<Self> {
        let addresses = tree::items(node, &["status", "addresses"]);
        let of_kind = |kind: &String| {
            let mut found = addresses
                .iter()
                .filter(|address| tree::text(address, &["type"]) == kind);
            found
                .next()
                .map(|address| tree::text(address, &["address"]))
        };
        let Some(name) = preferred.iter().find_map(of_kind) else {
            let said: Vec<String> = addresses
                .iter()
                .map(|address| {
                    let (kind, is) = (
                        tree::text(address, &["type"]),
                        tree::text(address, &["address"]),
                    );
                    format!("{{{kind} {is}}}")
                })
                .collect();
            let message = format!(
                "no preferred addresses found; known addresses: [{}]",
                said.join(" ")
            );
            return Err(ApiError::unclassified(message));
        };
        let port = ["status", "daemonEndpoints", "kubeletEndpoint", "Port"];
        let port = tree::int(node, &port).and_then(|port| u16::try_from(port).ok());
        let features = tree::items(node, &["status", "declaredFeatures"]);
        Ok(Self {
            host: Host {
                secure: true,
                name: name.to_owned(),
                port: port.filter(|port| *port > 0).unwrap_or(KUBELET_PORT),
            },
            speaks_websocket: features.iter().any(|feature| feature == SPEAKS_WEBSOCKET),
        })
    }
}

/// The container that is meant: the one that is named, or the only one.
///
/// # Errors
/// 400 if there is no such container, or none is named and there are several.
pub fn container(pod: &Value, named: &str) -> ApiResult<String> {
    let name = meta::name(pod);
    let all = CONTAINERS
        .iter()
        .flat_map(|field| tree::items(pod, &["spec", field]))
        .map(|container| tree::text(container, &["name"]));
    if !named.is_empty() {
        return match { all }.any(|known| known == named) {
            true => Ok(named.to_owned()),
            false => Err(ApiError::bad_request(format!(
                "container {named} is not valid for pod {name}"
            ))),
        };
    }
    match tree::items(pod, &["spec", "containers"]) {
        [only] => Ok(tree::text(only, &["name"]).to_owned()),
        [] => Err(ApiError::bad_request(format!(
            "a container name must be specified for pod {name}"
        ))),
        _ => {
            let all: Vec<&str> = all.collect();
            let all = all.join(" ");
            let message = format!(
                "a container name must be specified for pod {name}, choose one of: [{all}]"
            );
            Err(ApiError::bad_request(message))
        }
    }
}

/// A name behind which something is asked for: `name`, `name:port` or `scheme:name:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// `http`, `https` or nothing.
    pub scheme: &'a str,
    pub name: &'a str,
    /// A number, or the name of a service's port, or nothing.
    pub port: &'a str,
}

impl<'a> Named<'a> {
    /// Takes a name apart; `what` says of what it is, for the refusal.
    ///
    /// # Errors
    /// 400.
    pub fn parse(id: &'a str, what: &str) -> ApiResult<Self> {
        let parts: Vec<&str> = id.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => ("", "", ""),
        };
        if name.is_empty() || !["", "http", "https"].contains(&scheme) {
            let message = format!("invalid {what} request {id:?}");
            return Err(ApiError::bad_request(message));
        }
        Ok(Self { scheme, name, port })
    }

    /// The host that it comes to with an address and a port. Without a scheme it is plain.
    fn host(&self, name: &str, port: u16) -> Host {
        Host {
            secure: self.scheme == "https",
            name: name.to_owned(),
            port,
        }
    }

    /// The port's number, if it is one or nothing.
    fn number(&self) -> ApiResult<Option<u16>> {
        if self.port.is_empty() {
            return Ok(None);
        }
        self.port.parse().map(Some).map_err(|_| {
            let why = format!(
                "error trying to reach service: invalid port {:?}",
                self.port
            );
            ApiError::unavailable(why)
        })
    }
}

/// Where a proxied node is reached, and whether it is its kubelet that is asked.
///
/// # Errors
/// 503 for a port that is no number.
pub fn of_node(named: &Named<'_>, kubelet: &Kubelet) -> ApiResult<(Host, bool)> {
    match named.number()? {
        Some(port) if port != kubelet.host.port => {
            Ok((named.host(&kubelet.host.name, port), false))
        }
        _ => Ok((kubelet.host.clone(), true)),
    }
}

/// Where a proxied pod is reached: at the port that is named, or the first that it has.
///
/// # Errors
/// 400 for an address that nobody may be sent to.
pub fn of_pod(named: &Named<'_>, pod: &Value) -> ApiResult<Host> {
    let first = tree::items(pod, &["spec", "containers"])
        .iter()
        .find_map(|container| tree::items(container, &["ports"]).first());
    let first = first.and_then(|port| tree::int(port, &["containerPort"]));
    let first = first.and_then(|port| u16::try_from(port).ok());
    let address = match tree::items(pod, &["status", "podIPs"]).first() {
        Some(first) => tree::text(first, &["ip"]),
        None => tree::text(pod, &["status", "podIP"]),
    };
    if !address.parse().is_ok_and(is_global_unicast) {
        return Err(ApiError::bad_request("address not allowed"));
    }
    let default = if named.scheme == "https" { 443 } else { 80 };
    let port = named.number()?.or(first).unwrap_or(default);
    Ok(named.host(address, port))
}

/// Whether a proxy may be sent to an address: not to this machine itself nor to its link.
pub fn is_global_unicast(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let not = v4.is_unspecified() || v4.is_loopback() || v4.is_multicast();
            !(not || v4.is_link_local() || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            let not = v6.is_unspecified() || v6.is_loopback() || v6.is_multicast();
            !(not || v6.is_unicast_link_local())
        }
    }
}

/// Which of a service's endpoints is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// The service, as it was asked for.
    pub id: &'a str,
    /// The name of its port; see [`port_name`].
    pub port: &'a str,
    pub namespace: &'a str,
    /// Which of several.
    pub chance: usize,
}

/// Where a proxied service is reached: one of its endpoints. `pod` looks a pod of the same namespace up, since only
/// such are sent to.
///
/// # Errors
/// 503 if there is no endpoint for the port.
pub fn of_service(
    named: &Named<'_>,
    wanted: &Endpoint<'_>,
    endpoints: &Value,
    pod: impl Fn(&str) -> Option<std::sync::Arc<Value>>,
) -> ApiResult<Host> {
    let none = |what: &str| {
        let message = format!("no endpoints available for service {what:?}");
        ApiError::unavailable(message)
    };
    let subsets = tree::items(endpoints, &["subsets"]);
    if subsets.is_empty() {
        return Err(none(named.name));
    }
    let is_pods = |address: &Value| {
        let of = |field| tree::text(address, &["targetRef", field]);
        if of("namespace") != wanted.namespace {
            return false;
        }
        pod(of("name")).is_some_and(|pod| {
            let addresses = tree::items(&pod, &["status", "podIPs"]).iter();
            { addresses }.any(|ip| tree::text(ip, &["ip"]) == tree::text(address, &["ip"]))
        })
    };
    for subset in turned(subsets, wanted.chance) {
        let addresses = tree::items(subset, &["addresses"]);
        let ports = tree::items(subset, &["ports"]).iter();
        let port = { ports }.find(|port| tree::text(port, &["name"]) == wanted.port);
        let port = port.and_then(|port| tree::int(port, &["port"]));
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else {
            continue;
        };
        if let Some(address) = turned(addresses, wanted.chance).find(|address| is_pods(address)) {
            return Ok(named.host(tree::text(address, &["ip"]), port));
        }
    }
    Err(none(wanted.id))
}

/// The name of the port that a service is asked at; a number stands for the port that has it.
///
/// # Errors
/// 503 for a number that none has.
pub fn port_name(named: &Named<'_>, service: &Value) -> ApiResult<String> {
    let Ok(number) = named.port.parse::<i64>() else {
        return Ok(named.port.to_owned());
    };
    let ports = tree::items(service, &["spec", "ports"]).iter();
    let port = { ports }.find(|port| tree::int(port, &["port"]) == Some(number));
    port.map(|port| tree::text(port, &["name"]).to_owned())
        .ok_or_else(|| {
            let message = format!(
                "no service port {number} found for service {:?}",
                named.name
            );
            ApiError::unavailable(message)
        })
}

/// All of them, from one that chance has chosen.
fn turned<T>(all: &[T], chance: usize) -> impl Iterator<Item = &T> {
    let from = chance.checked_rem(all.len()).unwrap_or(0);
    let (before, after) = all.split_at(from);
    after.iter().chain(before)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn kinds(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn kubelets_are_reached_at_the_preferred_address() {
        let node = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.7"}, {"type": "Hostname", "address": "n1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 12250}},
            "declaredFeatures": ["ExtendWebSocketsToKubelet"],
        }});
        let kubelet = Kubelet::of(&node, &kinds(&["Hostname", "InternalIP"])).unwrap();
        assert_eq!(kubelet.host.authority(), "n1:12250");
        assert!(kubelet.speaks_websocket);
        let kubelet = Kubelet::of(&node, &kinds(&["ExternalIP", "InternalIP"])).unwrap();
        assert_eq!(kubelet.host.name, "10.0.0.7");
        let error = Kubelet::of(&node, &kinds(&["ExternalIP"])).unwrap_err();
        let wanted =
            "no preferred addresses found; known addresses: [{InternalIP 10.0.0.7} {Hostname n1}]";
        assert_eq!(
            (error.code, &*error.reason, &*error.message),
            (500, "", wanted)
        );
        let bare = json!({"status": {"addresses": [{"type": "InternalIP", "address": "fd00::7"}]}});
        let kubelet = Kubelet::of(&bare, &kinds(&["InternalIP"])).unwrap();
        assert_eq!(kubelet.host.authority(), "[fd00::7]:10250");
        assert!(!kubelet.speaks_websocket);
    }

    #[test]
    fn the_only_container_needs_no_name() {
        let pod = |names: &[&str]| {
            let containers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"metadata": {"name": "p"}, "spec": {
                "initContainers": [{"name": "i"}],
                "containers": containers,
                "ephemeralContainers": [{"name": "e"}],
            }})
        };
        let chosen = |names: &[&str], named| {
            container(&pod(names), named).map_err(|error| (error.code, error.message))
        };
        assert_eq!(chosen(&["a"], ""), Ok("a".into()));
        assert_eq!(chosen(&["a", "b"], "i"), Ok("i".into()));
        assert_eq!(chosen(&["a"], "e"), Ok("e".into()));
        for (names, named, said) in [
            (
                &["a", "b"][..],
                "",
                "a container name must be specified for pod p, choose one of: [i a b e]",
            ),
            (&[], "", "a container name must be specified for pod p"),
            (&["a"], "zz", "container zz is not valid for pod p"),
        ] {
            assert_eq!(chosen(names, named), Err((400, said.into())));
        }
    }

    #[test]
    fn names_carry_schemes_and_ports() {
        let parsed =
            |id| Named::parse(id, "pod").map(|named| (named.scheme, named.name, named.port));
        assert_eq!(parsed("p"), Ok(("", "p", "")));
        assert_eq!(parsed("p:80"), Ok(("", "p", "80")));
        assert_eq!(parsed("https:p:web"), Ok(("https", "p", "web")));
        assert_eq!(parsed("http:p:"), Ok(("http", "p", "")));
        for wrong in ["", ":80", "ftp:p:1", "a:b:c:d"] {
            let error = parsed(wrong).unwrap_err();
            assert_eq!(error.message, format!("invalid pod request {wrong:?}"));
        }
    }

    #[test]
    fn pods_are_reached_at_their_own_address_only() {
        let pod = |address| {
            json!({"spec": {"containers": [{}, {"ports": [{"containerPort": 8080}]}]},
                   "status": {"podIP": address, "podIPs": [{"ip": address}]}})
        };
        let host = |id, address| {
            let named = Named::parse(id, "pod").unwrap();
            of_pod(&named, &pod(address))
                .map(|host| format!("{}://{}", host.scheme(), host.authority()))
        };
        assert_eq!(host("p", "10.1.2.3").unwrap(), "http://10.1.2.3:8080");
        assert_eq!(host("https:p:9", "fd00::1").unwrap(), "https://[fd00::1]:9");
        for address in [
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "fe80::1",
            "0.0.0.0",
            "",
            "::ffff:127.0.0.1",
        ] {
            let error = host("p", address).unwrap_err();
            assert_eq!((error.code, &*error.message), (400, "address not allowed"));
        }
    }

    #[test]
    fn services_lead_to_their_pods() {
        let endpoints = json!({"subsets": [
            {"addresses": [{"ip": "10.1.0.9"}], "ports": [{"name": "other", "port": 1}]},
            {"addresses": [
                {"ip": "10.1.0.1", "targetRef": {"namespace": "d", "name": "gone"}},
                {"ip": "10.1.0.2", "targetRef": {"namespace": "d", "name": "a"}},
            ], "ports": [{"name": "web", "port": 8080}]},
        ]});
        let pods = |name: &str| {
            let pod = json!({"status": {"podIPs": [{"ip": "10.1.0.2"}]}});
            (name == "a").then(|| Arc::new(pod))
        };
        let wanted = |id, port, chance| Endpoint {
            id,
            port,
            namespace: "d",
            chance,
        };
        for chance in 0..5 {
            let named = Named::parse("https:s:web", "service").unwrap();
            let wanted = wanted("https:s:web", "web", chance);
            let host = of_service(&named, &wanted, &endpoints, pods).unwrap();
            assert_eq!(
                (host.authority().as_str(), host.secure),
                ("10.1.0.2:8080", true)
            );
        }
        let named = Named::parse("s:x", "service").unwrap();
        let error = of_service(&named, &wanted("s:x", "x", 0), &endpoints, pods).unwrap_err();
        assert_eq!(error.message, "no endpoints available for service \"s:x\"");
        let error = of_service(&named, &wanted("s:x", "x", 0), &json!({}), pods).unwrap_err();
        assert_eq!(error.message, "no endpoints available for service \"s\"");
    }

    #[test]
    fn numbers_of_ports_are_looked_up() {
        let service = json!({"spec": {"ports": [{"name": "web", "port": 80}, {"port": 81}]}});
        let name = |id| {
            let named = Named::parse(id, "service").unwrap();
            port_name(&named, &service).map_err(|error| (error.code, error.message))
        };
        assert_eq!(name("s:80"), Ok("web".into()));
        assert_eq!(name("s:81"), Ok(String::new()));
        assert_eq!(name("s:web"), Ok("web".into()));
        let said = "no service port 82 found for service \"s\"";
        assert_eq!(name("s:82"), Err((503, said.into())));
    }
}
