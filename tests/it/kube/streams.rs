//! Logs, processes, ports and proxies, with a kubelet of the tests behind the server.

use bytes::Bytes;
use holdfast::kube::streams::spdy::{self, Headers, Session};
use holdfast::kube::streams::websocket::{self, Connection, Kind, NORMAL};
use http::{Method, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::kubelet::Kubelet;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        logs_come_from_the_kubelet,
        logs_that_are_followed_come_as_they_are_written,
        logs_that_there_are_not,
        a_process_by_websocket_with_input_and_exit_code,
        a_process_by_an_old_websocket,
        a_process_by_spdy,
        a_terminal_is_told_its_size,
        kubelets_that_speak_websocket_are_left_to_it,
        whoever_starts_a_process_may_create_one,
        a_process_that_cannot_be_started,
        ports_by_spdy_and_through_a_tunnel,
        proxies_are_not_sent_to_this_machine,
        kubectl_reads_logs_runs_and_copies,
    ]
}

type Client = Connection<TokioIo<Upgraded>>;

async fn logs_come_from_the_kubelet(_: Case) {
    let api = space("logs").await;
    let kubelet = Kubelet::start(&api, "logs", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let reply = api.get("pods/one/log").await;
    assert_eq!((reply.status, reply.text()), (200, "one/c \n"));
    assert_eq!(reply.header("content-type"), "text/plain");
    let query = "container=c&tailLines=3&previous=true&timestamps=true&limitBytes=9";
    let reply = api.get(&format!("pods/one/log?{query}")).await;
    let asked = "one/c limitBytes=9&previous=true&tailLines=3&timestamps=true\n";
    assert_eq!((reply.status, reply.text()), (200, asked));
    let (line, headers) = kubelet.last();
    assert!(line.contains(&format!("/containerLogs/{}/one/c?", api.space())));
    assert!(!headers.contains_key("authorization"));
}

async fn logs_that_are_followed_come_as_they_are_written(_: Case) {
    let api = space("follow").await;
    let kubelet = Kubelet::start(&api, "follow", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let mut lines = api.pieces("pods/one/log?follow=true").await;
    for _ in 0..3 {
        let piece = timeout(PATIENCE, lines.piece()).await.unwrap().unwrap();
        assert!(piece.starts_with(b"line "));
    }
}

async fn logs_that_there_are_not(_: Case) {
    let api = space("nologs").await;
    let kubelet = Kubelet::start(&api, "nologs", &[]).await;
    let waiting = pod("waiting");
    api.post("pods", &waiting).await.value(201);
    let reply = api.get("pods/waiting/log").await;
    assert_eq!((reply.status, reply.text()), (204, ""));
    for name in ["broken", "missing"] {
        kubelet.pod(&api, name, &["c"]).await;
    }
    kubelet.pod(&api, "two", &["a", "b"]).await;
    let nowhere = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nowhere"},
        "spec": {"nodeName": "no-such-node", "containers": [{"name": "c", "image": "img"}]}});
    api.post("pods", &nowhere).await.value(201);
    for (path, code, reason, message) in [
        (
            "pods/nope/log",
            404,
            "NotFound",
            "pods \"nope\" not found".to_owned(),
        ),
        (
            "pods/two/log",
            400,
            "BadRequest",
            "a container name must be specified for pod two, choose one of: [a b]".into(),
        ),
        (
            "pods/two/log?container=zz",
            400,
            "BadRequest",
            "container zz is not valid for pod two".into(),
        ),
        (
            "pods/two/log?container=a&tailLines=-1",
            422,
            "Invalid",
            "PodLogOptions \"two\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0"
                .into(),
        ),
        (
            "pods/broken/log",
            500,
            "InternalError",
            "Internal error occurred: the log is gone".into(),
        ),
        (
            "pods/missing/log",
            404,
            "NotFound",
            "the server could not find the requested resource ( pods/log missing)".into(),
        ),
        (
            "pods/nowhere/log",
            404,
            "NotFound",
            "nodes \"no-such-node\" not found".into(),
        ),
    ] {
        let refused = api.get(path).await.value(code);
        assert_eq!(refused["reason"], reason, "{path}");
        assert_eq!(refused["message"], message, "{path}");
    }
}

/// A message's channel and content; none once the connection is closed.
async fn message(client: &mut Client) -> Option<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let piece = timeout(PATIENCE, client.reader.next()).await.unwrap()?;
        all.extend_from_slice(&piece.bytes);
        if piece.last && !all.is_empty() {
            return Some((all[0], all.split_off(1)));
        }
    }
}

/// All that comes on the channels up to 3.
async fn output(client: &mut Client) -> [String; 4] {
    let mut channels: [Vec<u8>; 4] = Default::default();
    while let Some((channel, content)) = message(client).await {
        channels[usize::from(channel)].extend_from_slice(&content);
    }
    channels.map(|channel| String::from_utf8(channel).unwrap())
}

async fn open(api: &Api, path: &str, protocols: &str) -> (Client, String) {
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", protocols),
    ];
    let (response, upgraded) = api.leave(Method::GET, path, &headers).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS, "{path}");
    let header = |name: &str| {
        let value = response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    assert_eq!(
        header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    let chosen = header("sec-websocket-protocol");
    (Connection::new(upgraded, websocket::Role::Client), chosen)
}

async fn a_process_by_websocket_with_input_and_exit_code(_: Case) {
    let api = space("exec").await;
    let kubelet = Kubelet::start(&api, "exec", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let script = "tr%20a-z%20A-Z;echo%20oops%20%3E%262;exit%203";
    let path = format!(
        "pods/one/exec?command=sh&command=-c&command={script}&stdin=true&stdout=true&stderr=true"
    );
    let (mut client, chosen) = open(&api, &path, "v5.channel.k8s.io,v4.channel.k8s.io").await;
    assert_eq!(chosen, "v5.channel.k8s.io");
    let long = "many words ".repeat(20_000);
    let writer = client.writer.clone();
    let feed = async {
        writer
            .send(Kind::Binary, &[&[0], long.as_bytes()])
            .await
            .unwrap();
        writer.send(Kind::Binary, &[&[255, 0]]).await.unwrap();
    };
    let (output, ()) = tokio::join!(output(&mut client), feed);
    assert_eq!(output[1], long.to_uppercase());
    assert_eq!(output[2], "oops\n");
    let status: Value = serde_json::from_str(&output[3]).unwrap();
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0]["message"], "3");
    let (line, _) = kubelet.last();
    assert!(line.starts_with("POST /exec/"), "{line}");
}

async fn a_process_by_an_old_websocket(_: Case) {
    let api = space("oldexec").await;
    let kubelet = Kubelet::start(&api, "oldexec", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let path = "pods/one/exec?command=echo&command=hello&stdout=true";
    let (mut client, chosen) = open(&api, path, "v4.channel.k8s.io").await;
    assert_eq!(chosen, "v4.channel.k8s.io");
    let output = output(&mut client).await;
    assert_eq!(output[1], "hello\n");
    assert_eq!(
        serde_json::from_str::<Value>(&output[3]).unwrap()["status"],
        "Success"
    );
    let (line, headers) = kubelet.last();
    assert!(line.starts_with("GET /exec/"), "{line}");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
}

async fn kubelets_that_speak_websocket_are_left_to_it(_: Case) {
    let api = space("newexec").await;
    let kubelet = Kubelet::start(&api, "newexec", &["ExtendWebSocketsToKubelet"]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let path = "pods/one/exec?command=echo&command=hello&stdout=true";
    let (mut client, chosen) = open(&api, path, "v5.channel.k8s.io").await;
    assert_eq!(chosen, "v5.channel.k8s.io");
    assert_eq!(output(&mut client).await[1], "hello\n");
    let (line, _) = kubelet.last();
    assert!(line.starts_with("GET /exec/"), "{line}");
}

async fn a_terminal_is_told_its_size(_: Case) {
    let api = space("tty").await;
    let kubelet = Kubelet::start(&api, "tty", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let path = "pods/one/attach?stdin=true&stdout=true&stderr=true&tty=true";
    let (mut client, _) = open(&api, path, "v5.channel.k8s.io").await;
    let size = br#"{"Width":80,"Height":24}"#;
    let writer = client.writer.clone();
    writer.send(Kind::Binary, &[&[4], size]).await.unwrap();
    writer.send(Kind::Binary, &[&[0], b"typed"]).await.unwrap();
    writer.send(Kind::Binary, &[&[255, 0]]).await.unwrap();
    let output = output(&mut client).await;
    assert_eq!(output[1], r#"{"Width":80,"Height":24}typed"#);
    assert_eq!(
        serde_json::from_str::<Value>(&output[3]).unwrap()["status"],
        "Success"
    );
    let (line, _) = kubelet.last();
    let asked = line.split_once('?').unwrap().1;
    assert_eq!(asked, "error=1&input=1&output=1&tty=1");
}

/// A connection that speaks SPDY, with the protocol of its streams.
async fn spdy(api: &Api, path: &str, protocol: &str) -> TokioIo<Upgraded> {
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", protocol),
    ];
    let (response, upgraded) = api.leave(Method::POST, path, &headers).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS, "{path}");
    assert_eq!(response.headers()["upgrade"], "SPDY/3.1");
    assert_eq!(response.headers()["x-stream-protocol-version"], protocol);
    upgraded
}

async fn all(mut reader: spdy::StreamReader) -> String {
    let mut all = Vec::new();
    while let Some(piece) = timeout(PATIENCE, reader.read()).await.unwrap() {
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

async fn a_process_by_spdy(_: Case) {
    let api = space("spdy").await;
    let kubelet = Kubelet::start(&api, "spdy", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let path = "pods/one/exec?command=cat&stdin=true&stdout=true";
    let upgraded = spdy(&api, path, "v4.channel.k8s.io").await;
    let (session, opener, none) = Session::new(upgraded, spdy::Role::Client);
    drop(none);
    let talk = async {
        let kind = |kind| Headers::default().with("streamType", kind);
        let error = opener.open(kind("error")).await.unwrap();
        let stdin = opener.open(kind("stdin")).await.unwrap();
        let stdout = opener.open(kind("stdout")).await.unwrap();
        stdin
            .writer
            .write(Bytes::from_static(b"in and out"))
            .await
            .unwrap();
        stdin.writer.finish().await.unwrap();
        assert_eq!(all(stdout.reader).await, "in and out");
        let status: Value = serde_json::from_str(&all(error.reader).await).unwrap();
        assert_eq!(status["status"], "Success");
    };
    tokio::select! {
        () = talk => {}
        ended = async { session.run().await.unwrap(); std::future::pending::<()>().await } => ended,
    }
}

async fn whoever_starts_a_process_may_create_one(_: Case) {
    let api = space("mayexec").await;
    let kubelet = Kubelet::start(&api, "mayexec", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "looks"},
        "rules": [{"apiGroups": [""], "resources": ["pods/exec", "pods/portforward"], "verbs": ["get"]}]});
    let roles = "rbac.authorization.k8s.io/v1/roles";
    api.post(roles, &role).await.value(201);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "looks"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "onlooker"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "looks"}});
    let bindings = "rbac.authorization.k8s.io/v1/rolebindings";
    api.post(bindings, &binding).await.value(201);
    let onlooker = api.acting_as("onlooker");
    for path in [
        "pods/one/exec?command=ls&stdout=true",
        "pods/one/portforward",
    ] {
        let refused = onlooker.get(path).await.value(403);
        let message = refused["message"].as_str().unwrap();
        assert!(
            message.starts_with("pods \"one\" is forbidden"),
            "{message}"
        );
    }
    assert!(kubelet.asked.lock().is_empty());
}

async fn a_process_that_cannot_be_started(_: Case) {
    let api = space("noexec").await;
    let kubelet = Kubelet::start(&api, "noexec", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    api.post("pods", &pod("waiting")).await.value(201);
    for (path, message) in [
        (
            "pods/waiting/exec?command=ls",
            "pod waiting does not have a host assigned",
        ),
        (
            "pods/waiting/portforward",
            "pod waiting does not have a host assigned",
        ),
        ("pods/one/exec?command=ls", "Upgrade request required"),
        (
            "pods/one/attach?container=zz",
            "container zz is not valid for pod one",
        ),
    ] {
        let refused = api.get(path).await.value(400);
        assert_eq!(refused["message"], message, "{path}");
    }
    let reply = api.put("pods/one/exec", &json!({})).await;
    assert_eq!(reply.status, 405);
    // What the kubelet says is told on the error channel, or passed on.
    let path = "pods/one/exec?command=forbidden&stdout=true";
    let (mut client, _) = open(&api, path, "v5.channel.k8s.io").await;
    let said = output(&mut client).await;
    let status: Value = serde_json::from_str(&said[3]).unwrap();
    let message = "Internal error occurred: unable to upgrade connection: not here";
    assert_eq!(status["message"], message);
    let headers = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let refused = api.refused_to_leave(Method::POST, path, &headers).await;
    assert_eq!((refused.status, refused.text()), (403, "not here"));
}

/// One connection to a forwarded port: what comes back for a word.
async fn one_port(
    session: Session<impl tokio::io::AsyncRead + tokio::io::AsyncWrite>,
    opener: spdy::Opener,
) -> String {
    let talk = async {
        let kind = |kind| {
            let headers = Headers::default().with("streamType", kind);
            headers.with("port", "8080").with("requestID", "0")
        };
        let error = opener.open(kind("error")).await.unwrap();
        error.writer.finish().await.unwrap();
        let data = opener.open(kind("data")).await.unwrap();
        data.writer
            .write(Bytes::from_static(b"hello"))
            .await
            .unwrap();
        data.writer.finish().await.unwrap();
        let said = all(data.reader).await;
        assert_eq!(all(error.reader).await, "");
        said
    };
    tokio::select! {
        said = talk => said,
        () = async { let _ended = session.run().await; std::future::pending().await } => String::new(),
    }
}

async fn ports_by_spdy_and_through_a_tunnel(_: Case) {
    let api = space("ports").await;
    let kubelet = Kubelet::start(&api, "ports", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let upgraded = spdy(&api, "pods/one/portforward", "portforward.k8s.io").await;
    let (session, opener, none) = Session::new(upgraded, spdy::Role::Client);
    drop(none);
    assert_eq!(one_port(session, opener).await, "8080:HELLO");

    let offered = "SPDY/3.1+portforward.k8s.io";
    let (mut client, chosen) = open(&api, "pods/one/portforward", offered).await;
    assert_eq!(chosen, offered);
    let (near, far) = tokio::io::duplex(4 << 10);
    let (mut from, mut to) = tokio::io::split(far);
    let writer = client.writer.clone();
    let up = async {
        let mut piece = vec![0; 1 << 10];
        loop {
            let read = tokio::io::AsyncReadExt::read(&mut from, &mut piece).await;
            match read.unwrap() {
                0 => break,
                read => writer.send(Kind::Binary, &[&piece[..read]]).await.unwrap(),
            }
        }
        std::future::pending::<()>().await;
    };
    let down = async {
        while let Some(piece) = client.reader.next().await {
            tokio::io::AsyncWriteExt::write_all(&mut to, &piece.bytes)
                .await
                .unwrap();
        }
        std::future::pending::<()>().await;
    };
    let (session, opener, none) = Session::new(near, spdy::Role::Client);
    drop(none);
    let said = tokio::select! {
        said = one_port(session, opener) => said,
        () = up => String::new(),
        () = down => String::new(),
    };
    assert_eq!(said, "8080:HELLO");
    writer.close(NORMAL).await.unwrap();
    let (line, headers) = kubelet.last();
    assert!(line.starts_with("POST /portForward/"), "{line}");
    assert!(!headers.contains_key("sec-websocket-key"));
}

async fn proxies_are_not_sent_to_this_machine(_: Case) {
    let api = space("proxies").await;
    let kubelet = Kubelet::start(&api, "proxies", &[]).await;
    let node = &kubelet.node;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "img"}]}});
    let mut pod = api.post("pods", &pod).await.value(201);
    pod["status"]["podIP"] = "127.0.0.1".into();
    pod["status"]["podIPs"] = json!([{"ip": "127.0.0.1"}]);
    api.put("pods/one/status", &pod).await.value(200);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"name": "web", "port": 80}]}});
    api.post("services", &service).await.value(201);
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "s"}});
    api.post("endpoints", &endpoints).await.value(201);
    for (path, code, message) in [
        (
            format!("/api/v1/nodes/{node}/proxy/healthz"),
            400,
            "address not allowed",
        ),
        (
            "pods/one:8080/proxy/".to_owned(),
            400,
            "address not allowed",
        ),
        (
            "pods/ftp:one:1/proxy/".to_owned(),
            400,
            "invalid pod request \"ftp:one:1\"",
        ),
        (
            "services/s:81/proxy/".to_owned(),
            503,
            "no service port 81 found for service \"s\"",
        ),
        (
            "services/s:web/proxy/".to_owned(),
            503,
            "no endpoints available for service \"s\"",
        ),
        (
            "services/none:web/proxy/".to_owned(),
            404,
            "endpoints \"none\" not found",
        ),
    ] {
        let refused = api.get(&path).await.value(code);
        assert_eq!(refused["message"], message, "{path}");
    }
    assert!(kubelet.asked.lock().is_empty());
}

async fn kubectl_reads_logs_runs_and_copies(_: Case) {
    let api = space("kubectlexec").await;
    let kubelet = Kubelet::start(&api, "kubectl", &[]).await;
    kubelet.pod(&api, "one", &["c"]).await;
    let Some(logs) = session::kubectl(&api, "logs one --tail=5", "").await else {
        eprintln!("kube: kubectl is not on the PATH: its streams were not tried");
        return;
    };
    assert_eq!(logs, "one/c tailLines=5\n");
    for spdy in ["true", "false"] {
        // By WebSocket, and with SPDY as before.
        let run = async |line: &str, input: &str| {
            let env = [("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", spdy)];
            session::kubectl_with(&api, &env, line, input)
                .await
                .unwrap()
        };
        assert_eq!(run("exec one -- echo hello", "").await, "hello\n");
        assert_eq!(run("exec -i one -- cat", "typed").await, "typed");
        let said = run("exec one -- false", "").await;
        assert_eq!(said, "command terminated with exit code 1\n");
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let content = "content ".repeat(30_000);
        std::fs::write(&from, &content).unwrap();
        let copy = format!("cp {} one:{}", from.display(), to.display());
        assert_eq!(run(&copy, "").await, "");
        assert_eq!(std::fs::read_to_string(&to).unwrap(), content);
    }
}
