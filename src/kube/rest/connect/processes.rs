//! `pods/exec`, `pods/attach` and `pods/portforward`.

use http::Response;

use super::leaving::{self, Behind};
use super::{Inner, Leaving, kubelet, node_of, object};
use crate::kube::rest::call::Call;
use crate::kube::rest::reply::KubeBody;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::streams::dial::Trust;
use crate::kube::streams::location;
use crate::kube::streams::options::{ExecOptions, forwarded_ports};
use crate::kube::streams::{translate, tunnel, upgrade, websocket};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kube::rest) enum Process {
    Exec,
    Attach,
    PortForward,
}

pub(super) async fn serve(
    inner: &Inner,
    call: &Call,
    process: Process,
    leaving: Leaving,
) -> ApiResult<Response<KubeBody>> {
    may_create(inner, call)?;
    let (namespace, name) = (call.namespace(), call.name());
    let options = ExecOptions::parse(&call.query);
    let ports = forwarded_ports(&call.query)?;
    let pod = object(inner, "pods", namespace, name).await?;
    let (path, query) = match process {
        Process::PortForward => (format!("/portForward/{namespace}/{name}"), ports),
        Process::Exec | Process::Attach => {
            let container = location::container(&pod, &options.container)?;
            let (verb, asked) = match process {
                Process::Exec => ("exec", options.clone()),
                _ => (
                    "attach",
                    ExecOptions {
                        command: Vec::new(),
                        ..options.clone()
                    },
                ),
            };
            (
                format!("/{verb}/{namespace}/{name}/{container}"),
                asked.to_query(),
            )
        }
    };
    let node = node_of(&pod);
    if node.is_empty() {
        let message = format!("pod {name} does not have a host assigned");
        return Err(ApiError::bad_request(message));
    }
    let kubelet = kubelet(inner, node).await?;
    if !upgrade::is_upgrade(leaving.headers()) {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    let behind = Behind {
        host: kubelet.host,
        trust: Trust::Kubelet,
        path: match query.is_empty() {
            true => path,
            false => format!("{path}?{query}"),
        },
    };
    let by_websocket = websocket::is_websocket(leaving.headers()) && !kubelet.speaks_websocket;
    let headers = leaving.headers();
    match process {
        Process::PortForward if by_websocket && tunnel::carried(headers).next().is_some() => {
            leaving::tunnelled(inner, leaving, behind).await
        }
        Process::Exec | Process::Attach
            if by_websocket
                && websocket::protocols(headers).any(|known| known == translate::TRANSLATED) =>
        {
            leaving::translated(inner, leaving, behind, options).await
        }
        _ => leaving::pass_on(inner, leaving, behind).await,
    }
}

/// Browsers can only GET a WebSocket, which is judged as reading; whoever starts a process that way must be allowed
/// to create one (1.35, `AuthorizePodWebsocketUpgradeCreatePermission`).
fn may_create(inner: &Inner, call: &Call) -> ApiResult<()> {
    if call.info.verb == "create" {
        return Ok(());
    }
    let mut info = call.info.clone();
    info.verb = "create".into();
    inner.gate.authorize(&call.user, &info)
}
