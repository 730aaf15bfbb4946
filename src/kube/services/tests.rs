use serde_json::json;

use super::*;

fn give(
    networks: &str,
    taken: &mut Taken,
    old: Option<&Value>,
    mut service: Value,
) -> Result<Value, String> {
    let ranges = Ranges::parse(networks).unwrap();
    let mut seed = 1_u64;
    let mut rng = || {
        seed += 7;
        seed
    };
    let done = allocate(&ranges, taken, old, &mut service, false, &mut rng);
    done.map(|()| service).map_err(|error| error.message)
}

fn service(spec: Value) -> Value {
    let mut service = json!({"metadata": {"name": "s", "namespace": "ns"}});
    service["spec"] = spec;
    service
}

const V4: &str = "10.0.0.0/24";
const BOTH: &str = "10.0.0.0/24,fd00::/112";

#[test]
fn a_service_gets_an_address_of_its_family() {
    let mut taken = Taken::default();
    let made = give(V4, &mut taken, None, service(json!({"type": "ClusterIP"}))).unwrap();
    let spec = &made["spec"];
    let address: std::net::Ipv4Addr = spec["clusterIP"].as_str().unwrap().parse().unwrap();
    assert!(address.octets()[3] >= 16 && address.octets()[3] < 255);
    assert_eq!(spec["clusterIPs"], json!([spec["clusterIP"]]));
    assert_eq!(
        (&spec["ipFamilies"], &spec["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    let keys: Vec<_> = spec.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "clusterIP",
            "clusterIPs",
            "type",
            "ipFamilies",
            "ipFamilyPolicy"
        ]
    );
}

#[test]
fn every_address_is_given_once_and_then_no_more() {
    let mut taken = Taken::default();
    for _ in 0..254 {
        give(V4, &mut taken, None, service(json!({"type": "ClusterIP"}))).unwrap();
    }
    assert_eq!(taken.addresses.len(), 254);
    let full = give(V4, &mut taken, None, service(json!({"type": "ClusterIP"}))).unwrap_err();
    assert_eq!(
        full,
        "Internal error occurred: failed to allocate a serviceIP for Service \"s\": range is full"
    );
}

#[test]
fn wanted_addresses_are_judged() {
    let mut taken = Taken::default();
    let mut ask = |address: &str| {
        let spec = json!({"clusterIP": address, "clusterIPs": [address], "type": "ClusterIP"});
        give(V4, &mut taken, None, service(spec))
    };
    assert_eq!(ask("10.0.0.9").unwrap()["spec"]["clusterIP"], "10.0.0.9");
    assert_eq!(
        ask("10.0.0.9").unwrap_err(),
        "Service \"s\" is invalid: spec.clusterIPs: Invalid value: [\"10.0.0.9\"]: failed to allocate IP 10.0.0.9: \
         provided IP is already allocated"
    );
    assert!(
        ask("10.1.0.9")
            .unwrap_err()
            .ends_with("the provided network does not match the current range")
    );
    assert!(
        ask("10.0.0.255")
            .unwrap_err()
            .ends_with("The range of valid IPs is 10.0.0.0/24")
    );
}

#[test]
fn two_families_where_there_are_two() {
    let mut taken = Taken::default();
    let spec = json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack"});
    let made = give(BOTH, &mut taken, None, service(spec.clone())).unwrap();
    assert_eq!(made["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert!(
        made["spec"]["clusterIPs"][1]
            .as_str()
            .unwrap()
            .starts_with("fd00::")
    );
    let mut single = made.clone();
    single["spec"]["ipFamilyPolicy"] = "SingleStack".into();
    let back = give(BOTH, &mut taken, Some(&made), single).unwrap();
    assert_eq!(
        back["spec"]["clusterIPs"],
        json!([made["spec"]["clusterIP"]])
    );
    let one = give(V4, &mut taken, None, service(spec)).unwrap();
    assert_eq!(one["spec"]["ipFamilies"], json!(["IPv4"]));
    let spec = json!({"type": "ClusterIP", "ipFamilyPolicy": "RequireDualStack"});
    assert_eq!(
        give(V4, &mut taken, None, service(spec)).unwrap_err(),
        "Service \"s\" is invalid: spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not \
         configured for dual-stack services"
    );
}

#[test]
fn headless_and_external_services_have_none() {
    let mut taken = Taken::default();
    let headless = json!({"clusterIP": "None", "clusterIPs": ["None"], "type": "ClusterIP"});
    let made = give(V4, &mut taken, None, service(headless)).unwrap();
    assert_eq!(made["spec"]["clusterIPs"], json!(["None"]));
    assert_eq!(made["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert_eq!(made["spec"]["ipFamilyPolicy"], "RequireDualStack");
    let external = service(json!({"type": "ExternalName", "externalName": "a.b"}));
    assert_eq!(
        give(V4, &mut taken, None, external.clone()).unwrap(),
        external
    );
    assert!(taken.addresses.is_empty());
}

#[test]
fn node_ports_are_shared_by_protocols_and_judged() {
    let mut taken = Taken::default();
    let ports = json!([{"name": "t", "protocol": "TCP", "port": 53}, {"name": "u", "protocol": "UDP", "port": 53},
        {"name": "w", "protocol": "TCP", "port": 80}]);
    let made = give(
        V4,
        &mut taken,
        None,
        service(json!({"ports": ports, "type": "NodePort"})),
    )
    .unwrap();
    let of = |at: usize| made["spec"]["ports"][at]["nodePort"].as_i64().unwrap();
    assert_eq!(of(0), of(1));
    assert_ne!(of(0), of(2));
    assert!((30086..=32767).contains(&of(0)));
    let ask = |taken: &mut Taken, node: i64| {
        let ports = json!([{"port": 1, "nodePort": node}]);
        give(
            V4,
            taken,
            None,
            service(json!({"ports": ports, "type": "NodePort"})),
        )
    };
    assert_eq!(
        ask(&mut taken, 1).unwrap_err(),
        "Service \"s\" is invalid: spec.ports[0].nodePort: Invalid value: 1: provided port is not in the valid range. \
         The range of valid ports is 30000-32767"
    );
    let again = ask(&mut taken, of(2)).unwrap_err();
    assert!(again.ends_with("provided port is already allocated"));
    // An update keeps its own.
    assert_eq!(
        give(V4, &mut taken, Some(&made), made.clone()).unwrap(),
        made
    );
}

#[test]
fn health_checks_get_a_port() {
    let mut taken = Taken::default();
    let spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "allocateLoadBalancerNodePorts": false,
        "ports": [{"port": 80}]});
    let made = give(V4, &mut taken, None, service(spec)).unwrap();
    assert!(made["spec"]["healthCheckNodePort"].as_i64().unwrap() >= 30086);
    assert!(made["spec"]["ports"][0].get("nodePort").is_none());
}
