use serde_json::{Value, json};

use super::{cells, check};

#[test]
fn services() {
    let service = |spec: Value, status: Value| {
        let row = cells(
            "",
            "v1",
            "services",
            &json!({"spec": spec, "status": status}),
        );
        (
            row[2].as_str().unwrap().to_owned(),
            row[3].as_str().unwrap().to_owned(),
            row[4].as_str().unwrap().to_owned(),
        )
    };
    let ports = json!([{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]);
    let (cluster, external, said) = service(
        json!({"type": "NodePort", "clusterIPs": ["10.0.0.1", "fd::1"], "ports": ports}),
        json!({}),
    );
    assert_eq!(
        (&*cluster, &*external, &*said),
        ("10.0.0.1", "<none>", "80:30080/TCP,53/UDP")
    );
    let balanced = json!({"loadBalancer": {"ingress": [{"ip": "2.2.2.2"}, {"hostname": "h"}, {"ip": "1.1.1.1"}, {}]}});
    for (spec, status, external) in [
        (
            json!({"type": "ClusterIP", "externalIPs": ["9.9.9.9"]}),
            json!({}),
            "9.9.9.9",
        ),
        (json!({"type": "LoadBalancer"}), json!({}), "<pending>"),
        (
            json!({"type": "LoadBalancer"}),
            balanced.clone(),
            "1.1.1.1,2.2.2.2,h",
        ),
        (
            json!({"type": "LoadBalancer", "externalIPs": ["9"]}),
            balanced,
            "1.1.1.1,2.2.2.2,h,9",
        ),
        (
            json!({"type": "LoadBalancer", "externalIPs": ["9"]}),
            json!({}),
            "9",
        ),
        (
            json!({"type": "ExternalName", "externalName": "a.b"}),
            json!({}),
            "a.b",
        ),
        (json!({}), json!({}), "<unknown>"),
    ] {
        let (cluster, said, ports) = service(spec, status);
        assert_eq!((&*cluster, &*said, &*ports), ("<none>", external, "<none>"));
    }
}

#[test]
fn endpoints() {
    let of = |subsets: Value| cells("", "v1", "endpoints", &json!({"subsets": subsets}))[1].clone();
    assert_eq!(of(json!([])), "<none>");
    assert_eq!(of(json!([{}])), "");
    assert_eq!(of(json!([{"addresses": [{"ip": "1.1.1.1"}]}])), "1.1.1.1");
    let ports = json!([{"port": 80}, {"port": 443}]);
    assert_eq!(
        of(json!([{"addresses": [{"ip": "1.1.1.1"}, {"ip": "fd::2"}], "ports": ports}])),
        "1.1.1.1:80,[fd::2]:80,1.1.1.1:443 + 1 more..."
    );
    let slice = json!({
        "addressType": "IPv4",
        "ports": [{"port": 80}, {"name": "web"}, {}, {"port": 9}],
        "endpoints": [{"addresses": ["1.1.1.1"]}, {"addresses": ["2.2.2.2", "3.3.3.3"]}],
    });
    check(
        "discovery.k8s.io",
        "endpointslices",
        slice,
        json!([
            "x",
            "IPv4",
            "80,web,* + 1 more...",
            "1.1.1.1,2.2.2.2,3.3.3.3",
            "3d"
        ]),
    );
    check(
        "discovery.k8s.io",
        "endpointslices",
        json!({"addressType": "FQDN"}),
        json!(["x", "FQDN", "<unset>", "<unset>", "3d"]),
    );
}

#[test]
fn networks() {
    const GROUP: &str = "networking.k8s.io";
    let rules = |hosts: &[&str]| Value::from_iter(hosts.iter().map(|host| json!({"host": host})));
    let spec = json!({"ingressClassName": "nginx", "tls": [{}], "rules": rules(&["a", "", "b", "c", "d"])});
    let status = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
    check(
        GROUP,
        "ingresses",
        json!({"spec": spec, "status": status}),
        json!([
            "x",
            "nginx",
            "a,b,c + 2 more...",
            "1.2.3.4",
            "80, 443",
            "3d"
        ]),
    );
    check(
        GROUP,
        "ingresses",
        json!({"spec": {"rules": rules(&[""])}}),
        json!(["x", "<none>", "*", "", "80", "3d"]),
    );
    let default = json!({"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}});
    let parameters = json!({"apiGroup": "g", "kind": "K", "name": "n"});
    check(
        GROUP,
        "ingressclasses",
        json!({"metadata": default, "spec": {"controller": "c", "parameters": parameters}}),
        json!(["x (default)", "c", "K.g/n", "3d"]),
    );
    check(
        GROUP,
        "ingressclasses",
        json!({"spec": {"controller": "c"}}),
        json!(["x", "c", "<none>", "3d"]),
    );
    check(
        GROUP,
        "networkpolicies",
        json!({"spec": {"podSelector": {}}}),
        json!(["x", "<none>", "3d"]),
    );
    check(
        GROUP,
        "servicecidrs",
        json!({"spec": {"cidrs": ["10.0.0.0/8", "fd::/64"]}}),
        json!(["x", "10.0.0.0/8,fd::/64", "3d"]),
    );
    let parent = json!({"resource": "services", "namespace": "default", "name": "kubernetes"});
    check(
        GROUP,
        "ipaddresses",
        json!({"spec": {"parentRef": parent}}),
        json!(["x", "services/default/kubernetes"]),
    );
    let parent = json!({"group": "g.io", "resource": "things", "name": "n"});
    check(
        GROUP,
        "ipaddresses",
        json!({"spec": {"parentRef": parent}}),
        json!(["x", "things.g.io/n"]),
    );
}
