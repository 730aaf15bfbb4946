//! A small kubelet: its HTTPS endpoint for logs, processes and ports. Processes are run, on this machine.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use holdfast::kube::streams::spdy::{self, Headers, Opened, Session, StreamWriter};
use holdfast::kube::streams::websocket::{self, Connection, Kind, NORMAL};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;

use super::api::Api;
use crate::harness::Pki;

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// A kubelet, and the node that it says it is.
pub struct Kubelet {
    pub node: String,
    /// Method, path and query of the requests that it was sent, with the headers of each.
    pub asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Kubelet {
    /// Starts one that lets nobody in but the cluster's API server, and registers its node with `features` declared.
    pub async fn start(api: &Api, name: &str, features: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::default();
        tokio::spawn(accept(listener, acceptor(api), Arc::clone(&asked)));
        let node = format!("{name}-{port}");
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
        let made = api.post("/api/v1/nodes", &object).await.value(201);
        let mut object = made.clone();
        object["status"] = json!({
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "declaredFeatures": features,
        });
        let path = format!("/api/v1/nodes/{node}/status");
        api.put(&path, &object).await.value(200);
        Self { node, asked }
    }

    /// Makes a pod of the containers that runs here.
    pub async fn pod(&self, api: &Api, name: &str, containers: &[&str]) {
        let containers: Vec<Value> = containers
            .iter()
            .map(|name| json!({"name": name, "image": "img"}))
            .collect();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": self.node, "containers": containers}});
        api.post("pods", &pod).await.value(201);
    }

    /// What it was asked last.
    pub fn last(&self) -> (String, HeaderMap) {
        self.asked.lock().last().cloned().unwrap()
    }
}

fn acceptor(api: &Api) -> TlsAcceptor {
    let pki = Pki::new();
    let pem = |path: &std::path::Path| std::fs::read(path).unwrap();
    let certificates = |pem: &[u8]| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem)
            .map(Result::unwrap)
            .collect()
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(&pem(&api.kubeconfig().with_file_name("ca.crt"))) {
        roots.add(root).unwrap();
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
    let chain = certificates(&pem(&pki.dir().join("server.crt")));
    let key = PrivateKeyDer::from_pem_slice(&pem(&pki.dir().join("server.key"))).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, asked) = (tls.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let service = service_fn(move |request: Request<Incoming>| {
                let line = format!("{} {}", request.method(), request.uri());
                asked.lock().push((line, request.headers().clone()));
                async move { Ok::<_, std::convert::Infallible>(answer(request)) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let connection = http.serve_connection(TokioIo::new(stream), service);
            let _gone = connection.with_upgrades().await;
        });
    }
}

fn text(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(text.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn answer(request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["containerLogs", _, "broken", _] => text(500, "the log is gone"),
        ["containerLogs", _, "missing", _] => text(404, "no such container"),
        ["containerLogs", ..] if query.contains("follow=true") => {
            let lines = stream::unfold(0, |line| async move {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                let frame = Frame::data(Bytes::from(format!("line {line}\n")));
                Some((Ok::<_, std::convert::Infallible>(frame), line + 1))
            });
            Response::new(StreamBody::new(lines.boxed()).boxed_unsync())
        }
        ["containerLogs", _, pod, container] => text(200, format!("{pod}/{container} {query}\n")),
        ["exec" | "attach", ..] => leave(request, &query, Speaks::Process),
        ["portForward", ..] => leave(request, &query, Speaks::Ports),
        _ => text(404, "404 page not found\n"),
    }
}

#[derive(Clone, Copy)]
enum Speaks {
    Process,
    Ports,
}

/// Leaves HTTP for what was asked for.
fn leave(mut request: Request<Incoming>, query: &str, speaks: Speaks) -> Response<Body> {
    let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let refuse = query.iter().any(|(_, value)| value == "forbidden");
    if refuse {
        return text(403, "not here");
    }
    let headers = request.headers().clone();
    let upgraded = hyper::upgrade::on(&mut request);
    let mut response = text(101, "");
    if websocket::is_websocket(&headers) {
        let protocol = websocket::protocols(&headers).next();
        *response.headers_mut() = websocket::accept(&headers, protocol).unwrap();
        tokio::spawn(async move {
            let client = TokioIo::new(upgraded.await.unwrap());
            by_websocket(Connection::new(client, websocket::Role::Server), &query).await;
        });
        return response;
    }
    let offered = headers.get_all("x-stream-protocol-version").iter();
    let mut offered = offered.filter_map(|version| version.to_str().ok());
    let known = ["v4.channel.k8s.io", "portforward.k8s.io"];
    let chosen = offered.find(|version| known.contains(version)).unwrap();
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", chosen),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    tokio::spawn(async move {
        let client = TokioIo::new(upgraded.await.unwrap());
        let (session, opener, opened) = Session::new(client, spdy::Role::Server);
        drop(opener);
        let serve = async {
            match speaks {
                Speaks::Process => by_spdy(opened, &query).await,
                Speaks::Ports => ports(opened).await,
            }
        };
        let _ended = tokio::join!(session.run(), serve);
    });
    response
}

fn asked(query: &[(String, String)], name: &str) -> bool {
    query
        .iter()
        .any(|(known, value)| known == name && value == "1")
}

fn command(query: &[(String, String)]) -> Command {
    let words = query.iter().filter(|(name, _)| name == "command");
    let words: Vec<&str> = words.map(|(_, word)| word.as_str()).collect();
    // A process to attach to.
    let (program, rest) = words.split_first().unwrap_or((&"cat", &[]));
    let mut command = Command::new(program);
    command
        .args(rest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What is said of how a process has ended.
fn status(code: Option<i32>) -> String {
    match code {
        Some(0) => json!({"metadata": {}, "status": "Success"}).to_string(),
        code => {
            let code = code.unwrap_or(137).to_string();
            let cause = json!({"reason": "ExitCode", "message": code});
            let message = format!("command terminated with non-zero exit code: {code}");
            json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
                "message": message, "details": {"causes": [cause]}})
            .to_string()
        }
    }
}

/// A process whose streams are those of a connection.
async fn by_spdy(mut opened: Opened, query: &[(String, String)]) {
    let mut streams = HashMap::new();
    let wanted = ["input", "output", "error", "tty"].map(|name| usize::from(asked(query, name)));
    let tty = asked(query, "tty");
    // The error stream comes always, a terminal has sizes and no stderr.
    let count = 1 + wanted[0] + wanted[1] + usize::from(wanted[2] == 1 && !tty) + wanted[3];
    for _ in 0..count {
        let Some(stream) = opened.next().await else {
            return;
        };
        let kind = stream.headers.get("streamtype").unwrap().to_owned();
        streams.insert(kind, stream);
    }
    let mut child = command(query).spawn().unwrap();
    let (stdin, mut stdout, mut stderr) = (
        child.stdin.take(),
        child.stdout.take().unwrap(),
        child.stderr.take().unwrap(),
    );
    if tty {
        let size = streams.get_mut("resize").unwrap().reader.read().await;
        let out = &streams["stdout"].writer;
        out.write(size.unwrap_or_default()).await.unwrap();
    }
    let input = streams.remove("stdin").map(|stream| stream.reader);
    let feed = tokio::spawn(async move {
        let (Some(mut input), Some(mut stdin)) = (input, stdin) else {
            return;
        };
        while let Some(piece) = input.read().await {
            if stdin.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    let out = streams.remove("stdout").map(|stream| stream.writer);
    let err = streams.remove("stderr").map(|stream| stream.writer);
    tokio::join!(pump(&mut stdout, out), pump(&mut stderr, err));
    let code = child.wait().await.unwrap().code();
    feed.abort();
    let error = streams.remove("error").unwrap().writer;
    let _gone = error.write(status(code).into()).await;
    let _gone = error.finish().await;
}

async fn pump(from: &mut (impl tokio::io::AsyncRead + Unpin), to: Option<StreamWriter>) {
    let mut piece = vec![0; 8 << 10];
    loop {
        let read = from.read(&mut piece).await.unwrap();
        let Some(to) = to.as_ref().filter(|_| read > 0) else {
            break;
        };
        if to
            .write(Bytes::copy_from_slice(&piece[..read]))
            .await
            .is_err()
        {
            break;
        }
    }
    if let Some(to) = to {
        let _gone = to.finish().await;
    }
}

/// A process whose streams are channels: input ends with the connection.
async fn by_websocket<S>(mut client: Connection<S>, query: &[(String, String)])
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite,
{
    let mut child = command(query).spawn().unwrap();
    drop(child.stdin.take());
    let mut out = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_end(&mut out).await.unwrap();
    let code = child.wait().await.unwrap().code();
    let writer = &client.writer;
    writer.send(Kind::Binary, &[&[1], &out]).await.unwrap();
    let said = status(code);
    writer
        .send(Kind::Binary, &[&[3], said.as_bytes()])
        .await
        .unwrap();
    writer.close(NORMAL).await.unwrap();
    while client.reader.next().await.is_some() {}
}

/// Ports that send back what they are sent, in capitals, and say which they are.
async fn ports(mut opened: Opened) {
    let mut errors = HashMap::new();
    while let Some(stream) = opened.next().await {
        let header = |headers: &Headers, name| headers.get(name).unwrap_or_default().to_owned();
        let request = header(&stream.headers, "requestid");
        if stream.headers.get("streamtype") == Some("error") {
            errors.insert(request, stream);
            continue;
        }
        let error = errors.remove(&request).unwrap();
        let port = header(&stream.headers, "port");
        tokio::spawn(async move {
            let (mut reader, writer) = (stream.reader, stream.writer);
            let _gone = writer.write(format!("{port}:").into()).await;
            while let Some(piece) = reader.read().await {
                let capitals = piece.to_ascii_uppercase();
                if writer.write(capitals.into()).await.is_err() {
                    return;
                }
            }
            let _gone = writer.finish().await;
            let _gone = error.writer.finish().await;
        });
    }
}
