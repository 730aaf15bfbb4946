//! The way in and out: who is let in, how many at a time and for how long, what the server says of its own health,
//! and what it does for others to find it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use super::api::{flags, version};
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        every_answer_names_its_flow,
        time_is_up_when_the_request_says_so,
        the_index_lists_every_page,
        checks_of_health_have_their_names,
        a_front_proxy_speaks_for_others,
        watches_have_paths_of_their_own,
        a_scale_owns_the_number_alone,
        owners_are_forgotten_on_request,
        a_server_says_that_it_lives,
        aggregated_servers_are_told_whom_to_believe,
    ]
}

const FLOW: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const SERVERS: &str = "labelSelector=apiserver.kubernetes.io/identity%3Dkube-apiserver";

/// Asks until an answer is as it should be.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| panic!("{what} does not come"))
}

/// A request whose body does not come: it is under way until this is dropped, or the server ends it.
struct Stalled(Box<dyn Stream>);

impl Stalled {
    async fn post(api: &Api, path: &str, headers: &str) -> Self {
        let mut stream = api.stream().await;
        let path = api.path(path);
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// What the server says although it has not got the body.
    async fn answer(mut self) -> String {
        let mut read = Vec::new();
        let end = timeout(PATIENCE, async {
            let mut buffer = [0; 4096];
            while !read.ends_with(b"}") {
                match self.0.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => read.extend_from_slice(&buffer[..count]),
                }
            }
        });
        end.await.expect("no answer");
        String::from_utf8(read).unwrap()
    }
}

async fn every_answer_names_its_flow(_: Case) {
    let api = space("flow").await;
    let uid = async |kind: &str, name: &str| {
        let object = api.get(&format!("{FLOW}/{kind}/{name}")).await.value(200);
        object["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    for (who, path, schema, level) in [
        (&api, "configmaps", "exempt", "exempt"),
        (&api, "/nowhere", "exempt", "exempt"),
        (&api.anonymous(), "/readyz", "probes", "exempt"),
        (
            &api.anonymous(),
            "/api/v1/pods",
            "global-default",
            "global-default",
        ),
    ] {
        let reply = who.get(path).await;
        let (schema, level) = (
            uid("flowschemas", schema).await,
            uid("prioritylevelconfigurations", level).await,
        );
        assert_eq!(
            reply.header("x-kubernetes-pf-flowschema-uid"),
            schema,
            "{path}"
        );
        assert_eq!(
            reply.header("x-kubernetes-pf-prioritylevel-uid"),
            level,
            "{path}"
        );
    }
    // Nobody that is known belongs to no flow.
    let unknown = api.bearing("nonsense").get("/api/v1/pods").await;
    assert_eq!(unknown.header("x-kubernetes-pf-flowschema-uid"), "");
}

/// Has the server end a request.
pub async fn time_out(api: &Api) -> String {
    let said = Stalled::post(api, "configmaps?timeout=300ms", "").await;
    let said = said.answer().await;
    assert!(said.starts_with("HTTP/1.1 504 "), "{said}");
    said
}

async fn time_is_up_when_the_request_says_so(_: Case) {
    let api = space("time").await;
    let said = time_out(&api).await;
    assert!(
        said.contains("Timeout: request did not complete within the allotted timeout"),
        "{said}"
    );
    for path in ["configmaps?timeout=abc", "/version?timeout=abc"] {
        let refused = api.get(path).await;
        let message =
            "invalid timeout specified in the request URL - time: invalid duration \"abc\"";
        refused.refused(400, "BadRequest", message, Value::Null);
    }
    // Watches go on whatever they say.
    let mut events = api
        .watch("configmaps", "resourceVersion=0&timeout=1ms")
        .await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    assert_eq!(events.told(1).await, ["ADDED a"]);
}

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

async fn a_front_proxy_speaks_for_others(_: Case) {
    let api = space("proxy").await;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let proxy = api.showing("front-proxy-client");
    let carol = proxy
        .with("x-remote-user", "carol")
        .with("x-remote-group", "devs")
        .with("x-remote-extra-scopes", "view");
    let info = carol.post(reviews, &review).await.value(201)["status"]["userInfo"].clone();
    assert_eq!(info["username"], "carol");
    assert_eq!(info["groups"], json!(["devs", "system:authenticated"]));
    assert_eq!(info["extra"]["scopes"], json!(["view"]));
    // Without a word of whom it speaks for it is nobody, and nobody else is believed.
    assert_eq!(proxy.post(reviews, &review).await.status, 401);
    let info = api
        .with("x-remote-user", "carol")
        .post(reviews, &review)
        .await
        .value(201);
    assert_eq!(info["status"]["userInfo"]["username"], "kubernetes-admin");
}

async fn aggregated_servers_are_told_whom_to_believe(_: Case) {
    let api = space("trust").await.within("kube-system");
    let path = "configmaps/extension-apiserver-authentication";
    let told = api.get(path).await.value(200)["data"].clone();
    let has =
        |key: &str, begin: &str| assert!(told[key].as_str().unwrap().starts_with(begin), "{told}");
    has("client-ca-file", "-----BEGIN CERTIFICATE-----");
    has(
        "requestheader-client-ca-file",
        "-----BEGIN CERTIFICATE-----",
    );
    has("requestheader-allowed-names", "[\"front-proxy-client\"]");
    has("requestheader-username-headers", "[\"X-Remote-User\"]");
    has("requestheader-group-headers", "[\"X-Remote-Group\"]");
    has(
        "requestheader-extra-headers-prefix",
        "[\"X-Remote-Extra-\"]",
    );
    assert_ne!(told["client-ca-file"], told["requestheader-client-ca-file"]);
}

async fn watches_have_paths_of_their_own(_: Case) {
    let api = space("paths").await;
    let space = api.space().to_owned();
    api.post("configmaps", &config_map("a", "1")).await.ok();
    api.post("configmaps", &config_map("b", "1")).await.ok();
    let of = |rest: &str| format!("/api/v1/watch/namespaces/{space}/configmaps{rest}");
    assert_eq!(
        api.watch(&of(""), "").await.told(2).await,
        ["ADDED a", "ADDED b"]
    );
    let mut one = api.watch(&of("/b"), "").await;
    api.put("configmaps/a", &config_map("a", "2")).await.ok();
    api.put("configmaps/b", &config_map("b", "2")).await.ok();
    assert_eq!(one.told(2).await, ["ADDED b", "MODIFIED b"]);
    let group = format!("/apis/apps/v1/watch/namespaces/{space}/deployments");
    let mut named = api.watch(&group, "").await;
    api.post("apps/v1/deployments", &deployment("web"))
        .await
        .ok();
    assert_eq!(named.told(1).await, ["ADDED web"]);
    for path in [of(""), of("/b")] {
        assert_eq!(api.delete(&path).await.status, 405, "{path}");
        assert_eq!(
            api.post(&path, &config_map("c", "1")).await.status,
            405,
            "{path}"
        );
    }
    assert_eq!(api.get("configmaps/a").await.value(200)["data"]["k"], "2");
}

/// The fields of an object that a manager owns through a subresource.
fn owned(object: &Value, manager: &str, subresource: &str) -> Value {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter();
    let mut of = entries.filter(|entry| {
        entry["manager"] == manager
            && entry["subresource"].as_str().unwrap_or_default() == subresource
    });
    of.next()
        .map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

async fn a_scale_owns_the_number_alone(_: Case) {
    let api = space("scale").await;
    let path = "apps/v1/deployments/web";
    api.post("apps/v1/deployments?fieldManager=maker", &deployment("web"))
        .await
        .ok();
    let scale = json!({"spec": {"replicas": 3}});
    let scaled = api
        .patch(
            "merge",
            &format!("{path}/scale?fieldManager=scaler"),
            &scale,
        )
        .await
        .value(200);
    assert_eq!(scaled["spec"]["replicas"], 3);
    assert_eq!(scaled["metadata"].get("managedFields"), None);
    let web = api.get(path).await.value(200);
    assert_eq!(
        owned(&web, "scaler", "scale"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert_eq!(owned(&web, "maker", "")["f:spec"].get("f:replicas"), None);
    assert!(
        owned(&web, "maker", "")["f:spec"]
            .get("f:template")
            .is_some()
    );

    let applied = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "web"}, "spec": {"replicas": 4}});
    let path_of = |force| format!("{path}/scale?fieldManager=applier&force={force}");
    let refused = api
        .patch("apply", &path_of(false), &applied)
        .await
        .value(409);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("conflict with \"scaler\""),
        "{refused}"
    );
    api.patch("apply", &path_of(true), &applied)
        .await
        .value(200);
    let web = api.get(path).await.value(200);
    assert_eq!(web["spec"]["replicas"], 4);
    assert_eq!(
        owned(&web, "applier", "scale"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert_eq!(owned(&web, "scaler", "scale"), Value::Null);

    let mut whole = api.get(&format!("{path}/scale")).await.value(200);
    whole["spec"]["replicas"] = 5.into();
    api.put(&format!("{path}/scale?fieldManager=putter"), &whole)
        .await
        .value(200);
    let web = api.get(path).await.value(200);
    assert_eq!(web["spec"]["replicas"], 5);
    assert_eq!(
        owned(&web, "putter", "scale"),
        json!({"f:spec": {"f:replicas": {}}})
    );
}

async fn owners_are_forgotten_on_request(_: Case) {
    let api = space("forget").await;
    for kind in ["put", "merge", "json"] {
        let path = format!("configmaps/{kind}");
        let made = api
            .post("configmaps?fieldManager=m", &config_map(kind, "1"))
            .await
            .ok();
        assert_ne!(owned(&made, "m", ""), Value::Null);
        let reply = match kind {
            "put" => {
                let mut object = config_map(kind, "1");
                object["metadata"]["managedFields"] = json!([]);
                api.put(&path, &object).await
            }
            "merge" => {
                api.patch("merge", &path, &json!({"metadata": {"managedFields": []}}))
                    .await
            }
            _ => {
                let all =
                    json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
                api.patch("json", &path, &all).await
            }
        };
        assert_eq!(
            reply.value(200)["metadata"].get("managedFields"),
            None,
            "{kind}"
        );
        let stored = api.get(&path).await.value(200);
        assert_eq!(stored["metadata"].get("managedFields"), None, "{kind}");
        assert_eq!(stored["data"]["k"], "1");
    }
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

/// Requests that change something have one place, those that read have one.
#[tokio::test]
async fn a_server_takes_on_no_more_than_it_is_told() {
    if !Program::get().is_own() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens.csv");
    std::fs::write(&tokens, "secret,alice,1\n").unwrap();
    let port = free_ports(1)[0];
    let settings = flags(Settings::plain(), port)
        .flag("token-auth-file", tokens.display())
        .flag("max-mutating-requests-inflight", 1)
        .flag("max-requests-inflight", 1)
        .flag("enable-bootstrap-token-auth", "true");
    let server = Server::start(settings).await;
    let admin = Api::serving(port, &server.data_dir().join("kubernetes")).await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "alice"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "alice"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}});
    admin
        .post(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            &binding,
        )
        .await
        .value(201);
    let alice = admin.bearing("secret");
    until("alice's rights", async || {
        (alice.get("configmaps").await.status == 200).then_some(())
    })
    .await;

    let stalled = Stalled::post(&alice, "configmaps", "authorization: Bearer secret\r\n").await;
    let turned_away = until("a full house", async || {
        let reply = alice.post("configmaps", &config_map("x", "1")).await;
        (reply.status == 429).then_some(reply)
    })
    .await;
    assert_eq!(
        turned_away.text(),
        "Too many requests, please try again later.\n"
    );
    assert_eq!(turned_away.header("retry-after"), "1");
    assert_eq!(
        turned_away.header("content-type"),
        "text/plain; charset=utf-8"
    );
    assert_ne!(turned_away.header("x-kubernetes-pf-flowschema-uid"), "");
    // There is room for what reads, and for those who may do everything.
    alice.get("configmaps").await.value(200);
    admin
        .post("configmaps", &config_map("y", "1"))
        .await
        .value(201);
    drop(stalled);
    until("room", async || {
        let reply = alice.post("configmaps", &config_map("z", "1")).await;
        (reply.status == 201).then_some(())
    })
    .await;
    a_token_lets_a_node_in(&admin).await;
    counted_as_turned_away(&admin).await;
}

async fn counted_as_turned_away(admin: &Api) {
    let page = admin.get("/metrics").await;
    let labels = r#"group="",resource="configmaps",scope="resource",subresource="",verb="POST",version="v1""#;
    for begin in [
        format!(
            r#"apiserver_request_total{{code="429",component="apiserver",dry_run="",{labels}}} "#
        ),
        format!(
            r#"apiserver_request_terminations_total{{code="429",component="apiserver",{labels}}} "#
        ),
    ] {
        assert!(
            page.text().lines().any(|line| line.starts_with(&begin)),
            "{begin}"
        );
    }
}

async fn a_token_lets_a_node_in(admin: &Api) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": "bootstrap-token-abcdef"},
        "stringData": {"token-id": "abcdef", "token-secret": "0123456789abcdef",
            "usage-bootstrap-authentication": "true", "auth-extra-groups": "system:bootstrappers:nodes"}});
    admin
        .within("kube-system")
        .post("secrets", &secret)
        .await
        .value(201);
    let node = admin.bearing("abcdef.0123456789abcdef");
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let info = until("the node", async || {
        let reply = node
            .post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review)
            .await;
        (reply.status == 201).then(|| reply.value(201)["status"]["userInfo"].clone())
    })
    .await;
    assert_eq!(info["username"], "system:bootstrap:abcdef");
    let groups = json!([
        "system:bootstrappers",
        "system:bootstrappers:nodes",
        "system:authenticated"
    ]);
    assert_eq!(info["groups"], groups);
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
