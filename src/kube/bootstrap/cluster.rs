//! What else is in a cluster from its beginning: namespaces, the service `kubernetes`, priority classes, what
//! aggregated servers and controllers look for.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::kube::authn::request_header::HeaderNames;
use crate::kube::object::time::Moment;

use super::{Own, Upkeep, api_services, flow};

/// Namespaces that are always there.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// What the objects say of this cluster.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `--service-cluster-ip-range`: `10.0.0.0/24`.
    pub service_range: String,
    /// Its first address.
    pub service_address: IpAddr,
    /// `--secure-port`.
    pub port: u16,
    /// The content of `--client-ca-file`.
    pub client_ca: Option<String>,
    pub front_proxy: Option<FrontProxyFacts>,
    /// Since the Unix epoch.
    pub now: Duration,
}

/// What aggregated servers have to know to believe this one.
#[derive(Debug, Clone)]
pub struct FrontProxyFacts {
    /// The content of `--requestheader-client-ca-file`.
    pub ca: String,
    /// `--requestheader-allowed-names`.
    pub names: Vec<String>,
    pub headers: HeaderNames,
}

/// All but roles and bindings, in the order in which they can be made.
pub fn cluster_objects(facts: &Facts) -> Vec<Own> {
    let time = time(facts.now).rfc3339();
    let mut own: Vec<Own> = NAMESPACES.iter().map(|name| namespace(name)).collect();
    own.extend(service(facts, &time));
    own.push(priority_class(
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ));
    own.push(priority_class(
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ));
    own.extend(flow::own(&time));
    own.push(trust(facts));
    let since = time.get(..10).unwrap_or_default();
    own.push(config_map(
        "kube-apiserver-legacy-service-account-token-tracking",
        json!({"since": since}),
        Upkeep::LeaveAlone,
    ));
    own.extend(api_services::own(&time));
    own
}

fn namespace(name: &str) -> Own {
    core(
        "namespaces",
        "Namespace",
        json!({"name": name}),
        [],
        Upkeep::LeaveAlone,
    )
}

/// The service `kubernetes` with its address, and the range that it is from.
fn service(facts: &Facts, time: &str) -> [Own; 3] {
    let address = facts.service_address.to_string();
    let family = if facts.service_address.is_ipv4() {
        "IPv4"
    } else {
        "IPv6"
    };
    let range = json!({
        "kind": "ServiceCIDR",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [facts.service_range]},
        "status": {"conditions": [{
            "type": "Ready",
            "status": "True",
            "lastTransitionTime": time,
            "reason": "",
            "message": "Kubernetes default Service CIDR is ready",
        }]},
    });
    let taken = json!({
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": address,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}},
    });
    let networking = |plural, object| Own {
        group: "networking.k8s.io",
        version: "v1",
        plural,
        object,
        upkeep: Upkeep::LeaveAlone,
    };
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let spec = json!({
        "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": facts.port}],
        "clusterIP": address,
        "clusterIPs": [address],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": [family],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    });
    let metadata = json!({"name": "kubernetes", "namespace": "default", "labels": labels});
    let rest = [("spec", spec), ("status", json!({"loadBalancer": {}}))];
    [
        networking("servicecidrs", range),
        networking("ipaddresses", taken),
        core("services", "Service", metadata, rest, Upkeep::Ports),
    ]
}

/// Where the service `kubernetes` leads: the addresses at which the members that live are reached. Loopback
/// addresses are no use to pods: with such a one, there is nothing to be made.
pub fn endpoints(addresses: &[IpAddr], port: u16) -> Vec<Own> {
    if addresses.is_empty() || addresses.iter().any(IpAddr::is_loopback) {
        return Vec::new();
    }
    let family = if addresses.iter().all(IpAddr::is_ipv4) {
        "IPv4"
    } else {
        "IPv6"
    };
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let ready = |address: &IpAddr| json!({"addresses": [address.to_string()], "conditions": {"ready": true}});
    let plain = |address: &IpAddr| json!({"ip": address.to_string()});
    let of = |make: &dyn Fn(&IpAddr) -> Value| sorted.iter().map(make).collect::<Value>();
    let labels = json!({"endpointslice.kubernetes.io/skip-mirror": "true"});
    let metadata = json!({"name": "kubernetes", "namespace": "default", "labels": labels});
    let subset = json!({
        "addresses": of(&plain),
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    });
    let slice = json!({
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": family,
        "endpoints": of(&ready),
        "ports": [{"name": "https", "protocol": "TCP", "port": port}],
    });
    vec![
        core(
            "endpoints",
            "Endpoints",
            metadata,
            [("subsets", json!([subset]))],
            Upkeep::Content,
        ),
        Own {
            group: "discovery.k8s.io",
            version: "v1",
            plural: "endpointslices",
            object: slice,
            upkeep: Upkeep::Content,
        },
    ]
}

fn priority_class(name: &str, value: i64, description: &str) -> Own {
    Own {
        group: "scheduling.k8s.io",
        version: "v1",
        plural: "priorityclasses",
        object: json!({
            "kind": "PriorityClass",
            "apiVersion": "scheduling.k8s.io/v1",
            "metadata": {"name": name},
            "value": value,
            "description": description,
            "preemptionPolicy": "PreemptLowerPriority",
        }),
        upkeep: Upkeep::LeaveAlone,
    }
}

/// What aggregated servers believe clients and this server by.
fn trust(facts: &Facts) -> Own {
    let mut data = Map::new();
    if let Some(ca) = &facts.client_ca {
        data.insert("client-ca-file".into(), ca.as_str().into());
    }
    if let Some(proxy) = &facts.front_proxy {
        // As Go writes a list of strings, which has no spaces.
        let list = |list: &[String]| Value::from(Value::from(list.to_vec()).to_string());
        data.insert("requestheader-allowed-names".into(), list(&proxy.names));
        data.insert(
            "requestheader-client-ca-file".into(),
            proxy.ca.as_str().into(),
        );
        for (key, names) in [
            ("requestheader-extra-headers-prefix", &proxy.headers.extra),
            ("requestheader-group-headers", &proxy.headers.group),
            ("requestheader-uid-headers", &proxy.headers.uid),
            ("requestheader-username-headers", &proxy.headers.user),
        ] {
            if !names.is_empty() {
                data.insert(key.into(), list(names));
            }
        }
    }
    config_map(
        "extension-apiserver-authentication",
        data.into(),
        Upkeep::Trust,
    )
}

fn config_map(name: &str, data: Value, upkeep: Upkeep) -> Own {
    let metadata = json!({"name": name, "namespace": "kube-system"});
    core(
        "configmaps",
        "ConfigMap",
        metadata,
        [("data", data)],
        upkeep,
    )
}

fn core(
    plural: &'static str,
    kind: &str,
    metadata: Value,
    rest: impl IntoIterator<Item = (&'static str, Value)>,
    upkeep: Upkeep,
) -> Own {
    let mut object = Map::new();
    object.insert("kind".into(), kind.into());
    object.insert("apiVersion".into(), "v1".into());
    object.insert("metadata".into(), metadata);
    object.extend(rest.into_iter().map(|(key, value)| (key.to_owned(), value)));
    Own {
        group: "",
        version: "v1",
        plural,
        object: object.into(),
        upkeep,
    }
}

pub(super) fn time(now: Duration) -> Moment {
    Moment {
        seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        nanos: now.subsec_nanos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::schema::Resources;

    fn facts() -> Facts {
        Facts {
            service_range: "10.0.0.0/24".into(),
            service_address: "10.0.0.1".parse().unwrap(),
            port: 6443,
            client_ca: Some("CA\n".into()),
            front_proxy: Some(FrontProxyFacts {
                ca: "FRONT\n".into(),
                names: vec!["a".into(), "b".into()],
                headers: HeaderNames {
                    user: vec!["X-Remote-User".into()],
                    ..HeaderNames::default()
                },
            }),
            now: Duration::from_secs(1_800_000_000),
        }
    }

    #[test]
    fn objects_are_there_once_and_in_an_order_that_works() {
        let own = cluster_objects(&facts());
        let count = |plural| own.iter().filter(|one| one.plural == plural).count();
        let counts = [
            "namespaces",
            "flowschemas",
            "prioritylevelconfigurations",
            "apiservices",
            "configmaps",
        ];
        assert_eq!(counts.map(count), [4, 11, 8, 21, 2]);
        let mut seen: Vec<_> = own
            .iter()
            .map(|one| (one.plural, one.namespace(), one.name()))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), own.len());
        let place = |plural| own.iter().position(|one| one.plural == plural).unwrap();
        assert!(
            place("namespaces") < place("services") && place("servicecidrs") < place("services")
        );
        for one in &own {
            assert!(
                Resources::built_in()
                    .find(one.group, one.version, one.plural)
                    .is_some()
            );
        }
    }

    #[test]
    fn aggregated_servers_are_told_whom_to_believe() {
        let trust = trust(&facts()).object;
        let expected = json!({
            "client-ca-file": "CA\n",
            "requestheader-allowed-names": "[\"a\",\"b\"]",
            "requestheader-client-ca-file": "FRONT\n",
            "requestheader-username-headers": "[\"X-Remote-User\"]",
        });
        assert_eq!(trust["data"], expected);
    }

    #[test]
    fn endpoints_are_addresses_that_pods_can_reach() {
        let at = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            endpoints(&addresses, 6443)
        };
        assert!(at(&[]).is_empty() && at(&["127.0.0.1"]).is_empty());
        let two = at(&["10.0.0.3", "10.0.0.2", "10.0.0.3"]);
        let expected = json!([{"ip": "10.0.0.2"}, {"ip": "10.0.0.3"}]);
        assert_eq!(two[0].object["subsets"][0]["addresses"], expected);
        assert_eq!(two[1].object["endpoints"].as_array().unwrap().len(), 2);
    }
}
