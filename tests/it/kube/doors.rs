//! The way in: who is let in, how many at a time and for how long, and what every answer says of its flow.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use super::api::flags;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        every_answer_names_its_flow,
        time_is_up_when_the_request_says_so,
        a_front_proxy_speaks_for_others,
        watches_have_paths_of_their_own,
        aggregated_servers_are_told_whom_to_believe,
    ]
}

const FLOW: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";

/// Asks until an answer is as it should be.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
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
