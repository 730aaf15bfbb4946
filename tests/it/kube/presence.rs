//! What the server says of its own health and life, and what it does for others to find it.

use super::api::{flags, version};
use super::doors::until;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        the_index_lists_every_page,
        checks_of_health_have_their_names,
        a_server_says_that_it_lives,
    ]
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const SERVERS: &str = "labelSelector=apiserver.kubernetes.io/identity%3Dkube-apiserver";

async fn the_index_lists_every_page(_: Case) {
    let api = space("index").await;
    let index = api.get("/").await.value(200);
    let paths: Vec<&str> = index["paths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();
    for path in [
        "/api",
        "/apis",
        "/apis/apps/v1",
        "/healthz/etcd",
        "/livez/poststarthook/rbac/bootstrap-roles",
        "/metrics",
        "/metrics/slis",
        "/openapi/v3",
        "/readyz/shutdown",
        "/version",
    ] {
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    let mut sorted = paths.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, paths);
    assert_eq!(api.anonymous().get("/").await.status, 403);
}

async fn checks_of_health_have_their_names(_: Case) {
    let api = space("health").await;
    let told = api.get("/readyz?verbose").await;
    let lines: Vec<&str> = told.text().lines().collect();
    let (last, checks) = lines.split_last().unwrap();
    assert_eq!(*last, "readyz check passed");
    assert!(
        checks
            .iter()
            .all(|line| line.starts_with("[+]") && line.ends_with(" ok")),
        "{checks:?}"
    );
    let place = |name: &str| {
        let line = format!("[+]{name} ok");
        checks
            .iter()
            .position(|one| *one == line)
            .unwrap_or_else(|| panic!("no {name} in {checks:?}"))
    };
    let order = [
        "ping",
        "log",
        "etcd",
        "etcd-readiness",
        "informer-sync",
        "poststarthook/start-system-namespaces-controller",
        "poststarthook/start-kube-apiserver-identity-lease-controller",
        "poststarthook/rbac/bootstrap-roles",
        "poststarthook/bootstrap-controller",
        "autoregister-completion",
        "shutdown",
    ];
    assert!(order.map(place).is_sorted());
    let without = api
        .get("/readyz?verbose&exclude=etcd&exclude=nothing")
        .await;
    assert!(without.text().contains("[+]etcd excluded: ok\n"));
    let warning = "warn: some health checks cannot be excluded: no matches for \"nothing\"\n";
    assert!(without.text().contains(warning), "{}", without.text());
    assert_eq!(api.get("/livez/etcd").await.text(), "ok");
    assert_eq!(api.get("/livez/shutdown").await.status, 404);
    assert_eq!(api.anonymous().get("/livez/etcd").await.status, 403);
}

async fn a_server_says_that_it_lives(_: Case) {
    let api = space("lives").await;
    let lease = until("the server's lease", async || {
        let leases = api.get(&format!("{LEASES}?{SERVERS}")).await.value(200);
        leases["items"].get(0).cloned()
    })
    .await;
    let name = lease["metadata"]["name"].as_str().unwrap();
    assert!(
        name.starts_with("apiserver-") && name.len() == "apiserver-".len() + 26,
        "{name}"
    );
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 3600);
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap();
    assert!(holder.starts_with(&format!("{name}_")), "{holder}");
    // One that nobody has renewed goes.
    let gone = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "apiserver-gone", "labels": {"apiserver.kubernetes.io/identity": "kube-apiserver"}},
        "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 3600,
            "renewTime": "2020-01-01T00:00:00.000000Z"}});
    api.post(LEASES, &gone).await.value(201);
    until("the end of a lease", async || {
        let path = format!("{LEASES}/apiserver-gone");
        (api.get(&path).await.status == 404).then_some(())
    })
    .await;
    // The one of the server is renewed.
    until("a renewal", async || {
        let now = api.get(&format!("{LEASES}/{name}")).await.value(200);
        (now["spec"]["renewTime"] != lease["spec"]["renewTime"]).then_some(())
    })
    .await;
}

/// The service `kubernetes` leads to the members that live, and to one no more that says that it stops.
#[tokio::test]
async fn the_service_kubernetes_leads_to_members_that_live() {
    if !Program::get().is_own() {
        return;
    }
    let ports = free_ports(3);
    let authority = tempfile::tempdir().unwrap();
    let settings = Settings::plain().flag("cert-dir", authority.path().display());
    let mut cluster = Cluster::prepare(settings.clone());
    for (index, &port) in ports.iter().enumerate() {
        let own = flags(settings.clone(), port)
            .flag("advertise-address", format!("10.9.8.{}", index + 1))
            .flag("shutdown-delay-duration", "3s");
        cluster.reconfigure(index, &own);
    }
    for index in 0..3 {
        cluster[index].spawn();
    }
    let mut apis = Vec::new();
    for (index, &port) in ports.iter().enumerate() {
        cluster[index].ready().await;
        apis.push(Api::serving(port, authority.path()).await.within("default"));
    }
    let addresses = async |api: &Api| -> Vec<String> {
        let reply = api.get("endpoints/kubernetes").await;
        if reply.status != 200 {
            return Vec::new();
        }
        let all = reply.value(200)["subsets"][0]["addresses"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        all.iter()
            .map(|address| address["ip"].as_str().unwrap().to_owned())
            .collect()
    };
    let wanted = ["10.9.8.1", "10.9.8.2", "10.9.8.3"];
    for api in &apis {
        until("all members", async || {
            (addresses(api).await == wanted).then_some(())
        })
        .await;
    }
    let slice = apis[0]
        .get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
        .await
        .value(200);
    assert_eq!(slice["endpoints"].as_array().unwrap().len(), 3);
    assert_eq!(
        slice["metadata"]["labels"]["kubernetes.io/service-name"],
        "kubernetes"
    );
    let leases = apis[0].get(&format!("{LEASES}?{SERVERS}")).await.value(200);
    assert_eq!(leases["items"].as_array().unwrap().len(), 3);
    let settled = version(&apis[0].get("endpoints/kubernetes").await.value(200)).to_owned();

    // What a member that goes says last.
    let mut leaving = cluster.take(2);
    let stopped = tokio::task::spawn_blocking(move || leaving.terminate());
    let last = until("the end", async || {
        let reply = apis[2].get("/readyz").await;
        (reply.status == 500).then_some(reply)
    })
    .await;
    assert!(
        last.text()
            .contains("[-]shutdown failed: reason withheld\n"),
        "{}",
        last.text()
    );
    apis[2].get("endpoints/kubernetes").await.value(200);
    until("the others", async || {
        (addresses(&apis[0]).await == wanted[..2]).then_some(())
    })
    .await;
    assert_ne!(
        version(&apis[0].get("endpoints/kubernetes").await.value(200)),
        settled
    );
    stopped.await.unwrap();
}
