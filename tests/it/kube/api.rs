//! Members that serve the Kubernetes API, and a client of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::reply::{Events, Reply};
use crate::harness::*;

const POLL: Duration = Duration::from_millis(20);

/// A member and where its Kubernetes API is.
pub struct Member {
    pub server: Server,
    pub api: Api,
}

impl Member {
    /// Starts one on its own and waits until it serves.
    pub async fn start() -> Self {
        let port = free_ports(1)[0];
        let server = Server::start(flags(Settings::plain(), port)).await;
        let certificates = server.data_dir().join("kubernetes");
        let api = Api::serving(port, &certificates).await;
        Self { server, api }
    }
}

/// What has a member serve the Kubernetes API.
pub fn flags(settings: Settings, port: u16) -> Settings {
    settings
        .flag("secure-port", port)
        .flag("bind-address", "127.0.0.1")
        // There is no controller that would make the accounts of new namespaces.
        .flag("disable-admission-plugins", "ServiceAccount")
        .flag("enable-admission-plugins", "NodeRestriction")
}

static SHARED: OnceLock<Api> = OnceLock::new();

/// Has [`space`] give out namespaces of this member.
pub fn share(member: &Member) {
    assert!(SHARED.set(member.api.clone()).is_ok());
}

/// The administrator's access to the member that the cases share, in a new namespace.
pub async fn space(name: &str) -> Api {
    SHARED.get().unwrap().namespace(name).await
}

/// Access to a Kubernetes API as somebody.
#[derive(Clone)]
pub struct Api {
    address: String,
    certificates: PathBuf,
    config: Arc<ClientConfig>,
    headers: Vec<(String, String)>,
    /// The namespace that relative paths are in.
    space: String,
}

impl Api {
    /// The administrator's, once the member serves.
    pub async fn serving(port: u16, certificates: &Path) -> Self {
        let address = format!("127.0.0.1:{port}");
        let up = async {
            loop {
                if certificates.join("admin.key").exists() {
                    let api = Self::admin(&address, certificates);
                    if let Ok(reply) = api.attempt(Method::GET, "/readyz", Bytes::new()).await
                        && reply.status == 200
                    {
                        return api;
                    }
                }
                sleep(POLL).await;
            }
        };
        timeout(PATIENCE, up)
            .await
            .expect("the Kubernetes API is not up")
    }

    fn admin(address: &str, certificates: &Path) -> Self {
        let file = |name: &str| std::fs::read_to_string(certificates.join(name)).unwrap();
        Self {
            address: address.into(),
            certificates: certificates.into(),
            config: config(file("ca.crt"), Some((file("admin.crt"), file("admin.key")))),
            headers: Vec::new(),
            space: "default".into(),
        }
    }

    /// As nobody in particular.
    pub fn anonymous(&self) -> Self {
        let authority = std::fs::read_to_string(self.certificates.join("ca.crt")).unwrap();
        Self {
            config: config(authority, None),
            ..self.clone()
        }
    }

    /// With another certificate of the directory.
    pub fn showing(&self, name: &str) -> Self {
        let file = |ending: &str| {
            let path = self.certificates.join(format!("{name}.{ending}"));
            std::fs::read_to_string(path).unwrap()
        };
        let authority = std::fs::read_to_string(self.certificates.join("ca.crt")).unwrap();
        Self {
            config: config(authority, Some((file("crt"), file("key")))),
            ..self.clone()
        }
    }

    /// A connection, to say on it what one likes.
    pub async fn stream(&self) -> Box<dyn Stream> {
        let config = ClientConfig::clone(&self.config);
        Box::new(connect(config, &self.address).await.unwrap())
    }

    /// With one more header in each request.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.into(), value.into()));
        other
    }

    /// By a token and nothing else.
    pub fn bearing(&self, token: &str) -> Self {
        self.anonymous()
            .with("authorization", &format!("Bearer {token}"))
    }

    /// With the rights of a user.
    pub fn acting_as(&self, user: &str) -> Self {
        self.with("impersonate-user", user)
    }

    /// In a new namespace.
    pub async fn namespace(&self, name: &str) -> Self {
        let meta = serde_json::json!({"generateName": format!("{name}-")});
        let namespace =
            serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta});
        let made = self.post("/api/v1/namespaces", &namespace).await.value(201);
        self.within(made["metadata"]["name"].as_str().unwrap())
    }

    /// In a namespace that there is.
    pub fn within(&self, space: &str) -> Self {
        Self {
            space: space.into(),
            ..self.clone()
        }
    }

    pub fn space(&self) -> &str {
        &self.space
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.certificates.join("admin.conf")
    }

    /// The path of `configmaps/a` (core) or `apps/v1/deployments/a` in the namespace; an absolute path as it is.
    pub fn path(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.into();
        }
        let space = &self.space;
        match path.split_once("/v1/") {
            Some((group, rest)) if !group.contains('/') => {
                format!("/apis/{group}/v1/namespaces/{space}/{rest}")
            }
            _ => format!("/api/v1/namespaces/{space}/{path}"),
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.json(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.json(Method::PUT, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, Bytes::new()).await
    }

    pub async fn delete_with(&self, path: &str, options: &Value) -> Reply {
        self.json(Method::DELETE, path, options).await
    }

    /// `kind` is `json`, `merge`, `strategic-merge` or `apply`.
    pub async fn patch(&self, kind: &str, path: &str, body: &Value) -> Reply {
        let ending = if kind == "apply" { "yaml" } else { "json" };
        self.with(
            "content-type",
            &format!("application/{kind}-patch+{ending}"),
        )
        .call(Method::PATCH, path, body.to_string().into())
        .await
    }

    pub async fn json(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.with("content-type", "application/json")
            .call(method, path, body.to_string().into())
            .await
    }

    pub async fn call(&self, method: Method, path: &str, body: Bytes) -> Reply {
        let what = format!("{method} {path}");
        let attempt = timeout(PATIENCE, self.attempt(method, path, body)).await;
        attempt
            .unwrap_or_else(|_| panic!("{what} hangs"))
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    async fn attempt(&self, method: Method, path: &str, body: Bytes) -> std::io::Result<Reply> {
        let what = format!("{method} {path}");
        let (parts, body) = self.send(method, path, body).await?.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?;
        Ok(Reply {
            what,
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> std::io::Result<http::Response<Incoming>> {
        let stream = connect(ClientConfig::clone(&self.config), &self.address).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(self.path(path))
            .header("host", &self.address)
            .header("user-agent", "cases/1");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let other = std::io::Error::other;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(other)?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(other)
    }

    /// An answer that goes on.
    pub async fn pieces(&self, path: &str) -> Pieces {
        let response = self.send(Method::GET, path, Bytes::new());
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        Pieces(response.into_body())
    }

    /// Leaves HTTP; the answer and the connection from then on.
    pub async fn leave(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (http::Response<()>, TokioIo<Upgraded>) {
        let asked = self.with_all(headers);
        let response = timeout(PATIENCE, asked.send(method, path, Bytes::new())).await;
        let response = response.unwrap().unwrap();
        let (mut parts, body) = response.into_parts();
        let extensions = std::mem::take(&mut parts.extensions);
        let mut whole = http::Response::new(body);
        *whole.status_mut() = parts.status;
        *whole.extensions_mut() = extensions;
        let upgraded = timeout(PATIENCE, hyper::upgrade::on(whole)).await.unwrap();
        let head = http::Response::from_parts(parts, ());
        (head, TokioIo::new(upgraded.unwrap()))
    }

    /// As [`Self::leave`], where it comes to nothing.
    pub async fn refused_to_leave(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Reply {
        self.with_all(headers)
            .call(method, path, Bytes::new())
            .await
    }

    fn with_all(&self, headers: &[(&str, &str)]) -> Self {
        let add = |api: Self, (name, value): &(&str, &str)| api.with(name, value);
        headers.iter().fold(self.clone(), add)
    }

    /// A watch of a collection; `query` is what comes after `watch=1`.
    pub async fn watch(&self, path: &str, query: &str) -> Events {
        let path = format!("{path}?watch=1&{query}");
        let response = self.send(Method::GET, &path, Bytes::new());
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        Events {
            body: response.into_body(),
            read: BytesMut::new(),
        }
    }
}

/// What comes of an answer that goes on.
pub struct Pieces(Incoming);

impl Pieces {
    /// The next piece; none at the end.
    pub async fn piece(&mut self) -> Option<Bytes> {
        let frame = self.0.frame().await?;
        Some(frame.unwrap().into_data().unwrap_or_default())
    }
}

fn config(authority: String, identity: Option<(String, String)>) -> Arc<ClientConfig> {
    let tls = ClientTls {
        authority,
        identity,
        flags: Vec::new(),
    };
    Arc::new(tls.config(rustls::ALL_VERSIONS, &["http/1.1"]))
}

/// The names of a list's items.
pub fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The resource version of an object or a list.
pub fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}
