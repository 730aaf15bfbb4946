//! Subresources that lead elsewhere: logs, processes and ports of pods, and proxies.
//!
//! They are long-running: no limit of time holds for them. What they need to find their way (pods, nodes, endpoints)
//! is read as it is now, not as the views have it.

mod backend;
mod leaving;
mod logs;
mod processes;
mod proxying;

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use serde_json::Value;
use tokio::sync::Semaphore;

use self::processes::Process;
use super::call::Call;
use super::reply::KubeBody;
use super::{Inner, KubeServer, RequestBody};
use crate::base::shutdown::Lifecycle;
use crate::kube::codec;
use crate::kube::schema::Resources;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::store;
use crate::kube::streams::dial::{Dialer, KubeletSettings};
use crate::kube::streams::location::Kubelet;
use crate::kube::tree;

/// Connections that have left HTTP, at a time. Each holds two sockets, and as much as it has under way.
const SESSIONS: usize = 1024;

/// Who has made a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The way out.
pub(super) struct Outward {
    dialer: Dialer,
    settings: KubeletSettings,
    life: Lifecycle,
    sessions: Arc<Semaphore>,
}

impl Outward {
    /// Reads the files.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub(super) fn new(settings: &KubeletSettings, life: &Lifecycle) -> Result<Self, String> {
        Ok(Self {
            dialer: Dialer::new(settings)?,
            settings: settings.clone(),
            life: life.clone(),
            sessions: Arc::new(Semaphore::new(SESSIONS)),
        })
    }

    /// Runs what goes on after HTTP, until it or the member ends.
    ///
    /// # Errors
    /// 429 if there are too many.
    fn run(&self, session: impl Future<Output = ()> + Send + 'static) -> ApiResult<()> {
        let permit = Arc::clone(&self.sessions).try_acquire_owned();
        let permit = permit.map_err(|_| {
            let message = "too many connections have left HTTP, please try again later";
            ApiError::new(429, "TooManyRequests", message)
        })?;
        self.life.task("stream", async move {
            session.await;
            drop(permit);
        });
        Ok(())
    }
}

/// Which of them a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    Logs,
    Process(Process),
    Node,
    Pod,
    Service,
}

impl Leads {
    /// None for what does not lead elsewhere.
    pub(super) fn of(call: &Call) -> Option<Self> {
        if !call.resource.group.is_empty() {
            return None;
        }
        match (&*call.resource.plural, call.subresource_name()) {
            ("pods", "log") => Some(Self::Logs),
            ("pods", "exec") => Some(Self::Process(Process::Exec)),
            ("pods", "attach") => Some(Self::Process(Process::Attach)),
            ("pods", "portforward") => Some(Self::Process(Process::PortForward)),
            ("pods", "proxy") => Some(Self::Pod),
            ("nodes", "proxy") => Some(Self::Node),
            ("services", "proxy") => Some(Self::Service),
            _ => None,
        }
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Logs => method == Method::GET,
            Self::Process(_) => [Method::GET, Method::POST].contains(method),
            Self::Node | Self::Pod | Self::Service => {
                let more = [Method::PUT, Method::PATCH, Method::DELETE];
                let read = [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST];
                more.contains(method) || read.contains(method)
            }
        }
    }
}

/// A request on its way out.
struct Leaving {
    request: Request<RequestBody>,
    client: Option<IpAddr>,
}

impl Leaving {
    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }
}

impl KubeServer {
    /// Serves a request that leads elsewhere.
    ///
    /// # Errors
    /// Why it leads nowhere.
    pub(super) async fn lead(
        &self,
        leads: Leads,
        call: &Call,
        parts: Parts,
        body: RequestBody,
    ) -> ApiResult<Response<KubeBody>> {
        let inner = self.inner();
        if !leads.takes(&call.method) || call.name().is_empty() {
            return Err(ApiError::method_not_allowed());
        }
        let client = parts.extensions.get::<ClientAddress>();
        let leaving = Leaving {
            client: client.map(|address| address.0),
            request: Request::from_parts(parts, body),
        };
        match leads {
            Leads::Logs => logs::serve(inner, call).await,
            Leads::Process(process) => processes::serve(inner, call, process, leaving).await,
            Leads::Node => proxying::to_node(inner, call, leaving).await,
            Leads::Pod => proxying::to_pod(inner, call, leaving).await,
            Leads::Service => proxying::to_service(inner, call, leaving).await,
        }
    }
}

/// An object of the core group, as it is now.
///
/// # Errors
/// 404.
async fn object(inner: &Inner, plural: &str, namespace: &str, name: &str) -> ApiResult<Value> {
    let resource = Resources::built_in().find("", "v1", plural);
    let resource = resource.ok_or_else(ApiError::no_such_resource)?;
    let key = store::key(store::place(resource)?, namespace, name);
    match inner.store.read(key).await? {
        Some(stored) => codec::decode(&stored).map_err(ApiError::internal),
        None => Err(ApiError::not_found(resource, name)),
    }
}

/// The kubelet of a node.
///
/// # Errors
/// 404 for a node that is not there, 500 for one that has no address.
async fn kubelet(inner: &Inner, node: &str) -> ApiResult<Kubelet> {
    let node = object(inner, "nodes", "", node).await?;
    Kubelet::of(&node, &inner.outward.settings.preferred)
}

/// The node that a pod runs on; `""` for one that has none yet.
fn node_of(pod: &Value) -> &str {
    tree::text(pod, &["spec", "nodeName"])
}
