//! The certificates and keys that a cluster needs to begin with, made at the first start and kept from then on.
//!
//! Files have kubeadm's names, so that whoever knows those finds them, and so that a directory made by kubeadm
//! can be used as it is. Members of one cluster share the authorities and the key of service accounts by a
//! directory that all of them see; the certificate that a member serves with is its own.

mod files;
mod issue;
mod kubeconfig;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::files::{Directory, Lock};
use self::issue::{Leaf, Purpose};
pub use self::kubeconfig::kubeconfig;

/// The group that may do everything.
const MASTERS: &str = "system:masters";

/// What is to be made, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What all members share.
    pub shared: PathBuf,
    /// What is of this member alone; may be the same directory if there is one member.
    pub own: PathBuf,
    /// DNS names and addresses at which this member is called: see [`serving_hosts`].
    pub hosts: Vec<String>,
    /// Where clients on this machine find the server, for the kubeconfigs: `https://127.0.0.1:6443`.
    pub server: String,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Where everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pki {
    /// Issues the certificates of servers and clients: `--client-ca-file`.
    pub ca: Pair,
    /// What this member serves with.
    pub serving: Pair,
    /// `--requestheader-client-ca-file`.
    pub front_proxy_ca: Pair,
    /// With which aggregated servers are called.
    pub front_proxy_client: Pair,
    /// With which kubelets are called.
    pub kubelet_client: Pair,
    /// `--service-account-signing-key-file`.
    pub service_account_key: PathBuf,
    /// `--service-account-key-file`.
    pub service_account_public_key: PathBuf,
    pub admin: PathBuf,
    pub controller_manager: PathBuf,
    pub scheduler: PathBuf,
}

/// Why there is no such file to be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
}

impl Pki {
    /// Makes what is missing, and makes anew what ends soon, is for other names, or is of another authority.
    /// Authorities are never made anew: every client would have to be told. `now` is since the Unix epoch.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn prepare(settings: &Settings, now: Duration) -> Result<Self, PkiError> {
        let shared = Directory::open(&settings.shared)?;
        let own = Directory::open(&settings.own)?;
        // Members that start together on one machine would each make an authority.
        let _alone = Lock::take(&settings.shared)?;
        let ca = shared.authority("ca", "kubernetes", now)?;
        let front = shared.authority("front-proxy-ca", "front-proxy-ca", now)?;
        let serving = Leaf {
            name: "kube-apiserver",
            group: None,
            hosts: &settings.hosts,
            purpose: Purpose::Server,
        };
        let client = |name, group| Leaf {
            name,
            group,
            hosts: &[],
            purpose: Purpose::Client,
        };
        let kubelet = client("kube-apiserver-kubelet-client", Some(MASTERS));
        let proxy = client("front-proxy-client", None);
        let config = |file, leaf: &Leaf<'_>| {
            let pair = shared.leaf(file, leaf, &ca, now)?;
            shared.kubeconfig(file, leaf.name, &settings.server, &ca, &pair)
        };
        Ok(Self {
            serving: own.leaf("apiserver", &serving, &ca, now)?,
            front_proxy_client: shared.leaf("front-proxy-client", &proxy, &front, now)?,
            kubelet_client: shared.leaf("apiserver-kubelet-client", &kubelet, &ca, now)?,
            service_account_key: shared.service_account_key()?,
            service_account_public_key: settings.shared.join("sa.pub"),
            admin: config("admin", &client("kubernetes-admin", Some(MASTERS)))?,
            controller_manager: config(
                "controller-manager",
                &client("system:kube-controller-manager", None),
            )?,
            scheduler: config("scheduler", &client("system:kube-scheduler", None))?,
            ca: ca.pair,
            front_proxy_ca: front.pair,
        })
    }
}

/// The names that a server is called by within a cluster and on its own machine, and those given.
pub fn serving_hosts(service: IpAddr, more: &[String]) -> Vec<String> {
    let names = [
        "localhost",
        "127.0.0.1",
        "::1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let mut hosts: Vec<String> = names.map(str::to_owned).into();
    hosts.push(service.to_string());
    for name in more {
        if !hosts.contains(name) {
            hosts.push(name.clone());
        }
    }
    hosts
}

fn content(path: &Path, reason: impl std::fmt::Display) -> PkiError {
    PkiError::Content {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
