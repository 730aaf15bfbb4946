//! The Kubernetes API: kube-apiserver's flags where the meaning is the same.
//!
//! It is off unless `--secure-port` says where it is served, since a start line written for etcd asks for no such
//! thing.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::build::{boolean, unsigned, words};
use super::error::ConfigError;
use super::flag::{Flag, Kind};
use super::kube_access::{self, KubeAccess};
use super::kube_limits::{self, KubeLimits};
use super::parse::Given;
use super::table::served;

use Kind::{Bool, Text, Uint};

/// The flags of kube-apiserver that are served.
pub(super) const FLAGS: &[Flag] = &[
    served(
        "secure-port",
        Uint,
        "0",
        "Port of the Kubernetes API, HTTPS; 0 does not serve it.",
    ),
    served(
        "bind-address",
        Text,
        "0.0.0.0",
        "Address that the Kubernetes API listens on.",
    ),
    served(
        "advertise-address",
        Text,
        "",
        "Address under which others reach the Kubernetes API; --bind-address if that is one.",
    ),
    served(
        "cert-dir",
        Text,
        "${data-dir}/kubernetes",
        "Directory of certificates, keys and kubeconfigs made for what no file is given for.",
    ),
    served(
        "kubeconfig-server",
        Text,
        "",
        "URL that the kubeconfigs in --cert-dir lead to; this member's on its own machine without it.",
    ),
    served(
        "tls-cert-file",
        Text,
        "",
        "Certificate of the Kubernetes API; made in --cert-dir without it.",
    ),
    served("tls-private-key-file", Text, "", "Key of --tls-cert-file."),
    served(
        "client-ca-file",
        Text,
        "",
        "Who issues client certificates; made in --cert-dir without it.",
    ),
    served(
        "token-auth-file",
        Text,
        "",
        "Static tokens, a line of token,user,uid,\"group1,group2\" each.",
    ),
    served(
        "service-account-issuer",
        Text,
        "https://kubernetes.default.svc.cluster.local",
        "Issuers of service account tokens, comma-separated; the first one signs.",
    ),
    served(
        "service-account-key-file",
        Text,
        "",
        "Keys that service account tokens are checked with, comma-separated.",
    ),
    served(
        "service-account-signing-key-file",
        Text,
        "",
        "Key that service account tokens are signed with; made in --cert-dir without it.",
    ),
    served(
        "api-audiences",
        Text,
        "",
        "Audiences of tokens that are accepted, comma-separated; the issuers without it.",
    ),
    served(
        "authorization-mode",
        Text,
        "Node,RBAC",
        "Of Node, RBAC, AlwaysAllow and AlwaysDeny, in the order in which they are asked.",
    ),
    served(
        "anonymous-auth",
        Bool,
        "true",
        "Whether those without credentials are system:anonymous and not refused.",
    ),
    served(
        "service-cluster-ip-range",
        Text,
        "10.0.0.0/24",
        "Addresses of services.",
    ),
    served(
        "kubelet-client-certificate",
        Text,
        "",
        "Certificate with which kubelets are called; made in --cert-dir without it.",
    ),
    served(
        "kubelet-client-key",
        Text,
        "",
        "Key of --kubelet-client-certificate.",
    ),
    served(
        "kubelet-certificate-authority",
        Text,
        "",
        "Who issues the certificates of kubelets; without it any is taken.",
    ),
    served(
        "kubelet-preferred-address-types",
        Text,
        "Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP",
        "Kinds of a node's addresses at which its kubelet is called, the best first.",
    ),
    served(
        "enable-admission-plugins",
        Text,
        "",
        "Admission plugins besides the default ones, comma-separated.",
    ),
    served(
        "disable-admission-plugins",
        Text,
        "",
        "Admission plugins that are left out, comma-separated.",
    ),
];

/// How the Kubernetes API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeConfig {
    /// Where it listens.
    pub bind: IpAddr,
    /// Its port.
    pub port: u16,
    /// Where others reach it.
    pub advertise: IpAddr,
    /// Where what is made is kept.
    pub cert_dir: PathBuf,
    /// The URL in kubeconfigs that are made.
    pub kubeconfig_server: String,
    /// Its certificate and the key to it, if they are given.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Who issues client certificates, if that is given.
    pub client_ca: Option<PathBuf>,
    /// Static tokens.
    pub token_file: Option<PathBuf>,
    /// Issuers of service account tokens; the first one signs.
    pub issuers: Vec<String>,
    /// Keys that tokens are checked with, besides the one that signs.
    pub service_account_keys: Vec<PathBuf>,
    /// The key that tokens are signed with, if it is given.
    pub signing_key: Option<PathBuf>,
    /// Audiences of tokens.
    pub audiences: Vec<String>,
    /// Who is asked whether a request may be.
    pub authorization: Vec<String>,
    /// Whether those without credentials are somebody.
    pub anonymous: bool,
    /// Addresses of services, as `ADDRESS/LENGTH`.
    pub service_cidr: String,
    /// The certificate with which kubelets are called and the key to it, if they are given.
    pub kubelet_certificate: Option<(PathBuf, PathBuf)>,
    /// Who issues the certificates of kubelets, if any is not to be taken.
    pub kubelet_authority: Option<PathBuf>,
    /// Kinds of nodes' addresses, the best first.
    pub kubelet_addresses: Vec<String>,
    /// Admission plugins besides the default ones.
    pub admission_enabled: Vec<String>,
    /// Admission plugins that are left out.
    pub admission_disabled: Vec<String>,
    /// Who else vouches for callers.
    pub access: KubeAccess,
    /// How much is taken on, and for how long.
    pub limits: KubeLimits,
}

/// Reads the flags; none if the API is not to be served.
///
/// # Errors
/// For the first that cannot be used.
pub(super) fn read(
    given: &Given,
    data_dir: &std::path::Path,
) -> Result<Option<KubeConfig>, ConfigError> {
    let port = unsigned(given, "secure-port")?;
    if port == 0 {
        return Ok(None);
    }
    let port =
        u16::try_from(port).map_err(|_| given.invalid("secure-port", "must be at most 65535"))?;
    let address = |flag: &'static str| -> Result<Option<IpAddr>, ConfigError> {
        match given.text(flag) {
            "" => Ok(None),
            text => match text.parse() {
                Ok(address) => Ok(Some(address)),
                Err(_) => Err(given.invalid(flag, "must be an IP address")),
            },
        }
    };
    let file = |flag: &'static str| match given.text(flag) {
        "" => None,
        path => Some(PathBuf::from(path)),
    };
    let bind = address("bind-address")?.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let own = if bind.is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        bind
    };
    let certificate = match (file("tls-cert-file"), file("tls-private-key-file")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            return Err(given.invalid("tls-cert-file", "goes together with --tls-private-key-file"));
        }
    };
    let kubelet_certificate = match (
        file("kubelet-client-certificate"),
        file("kubelet-client-key"),
    ) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            let why = "goes together with --kubelet-client-key";
            return Err(given.invalid("kubelet-client-certificate", why));
        }
    };
    let authorization = words(given, "authorization-mode");
    for mode in &authorization {
        if !["Node", "RBAC", "AlwaysAllow", "AlwaysDeny"].contains(&mode.as_str()) {
            let why = "must be of Node, RBAC, AlwaysAllow and AlwaysDeny";
            return Err(given.invalid("authorization-mode", why));
        }
    }
    Ok(Some(KubeConfig {
        bind,
        port,
        advertise: address("advertise-address")?.unwrap_or(own),
        cert_dir: if given.is_set("cert-dir") {
            given.text("cert-dir").into()
        } else {
            data_dir.join("kubernetes")
        },
        kubeconfig_server: match given.text("kubeconfig-server") {
            "" => format!("https://{}", std::net::SocketAddr::new(own, port)),
            url => url.to_owned(),
        },
        certificate,
        client_ca: file("client-ca-file"),
        token_file: file("token-auth-file"),
        issuers: words(given, "service-account-issuer"),
        service_account_keys: words(given, "service-account-key-file")
            .into_iter()
            .map(Into::into)
            .collect(),
        signing_key: file("service-account-signing-key-file"),
        audiences: words(given, "api-audiences"),
        authorization,
        anonymous: boolean(given, "anonymous-auth")?,
        service_cidr: given.text("service-cluster-ip-range").to_owned(),
        kubelet_certificate,
        kubelet_authority: file("kubelet-certificate-authority"),
        kubelet_addresses: words(given, "kubelet-preferred-address-types"),
        admission_enabled: words(given, "enable-admission-plugins"),
        admission_disabled: words(given, "disable-admission-plugins"),
        access: kube_access::read(given)?,
        limits: kube_limits::read(given)?,
    }))
}

#[cfg(test)]
mod tests {
    use crate::config::testing::member;
    use crate::config::{ConfigError, from_command_line};

    fn refused(flags: &[&str]) -> String {
        let error: ConfigError = from_command_line(flags.iter().map(Into::into), []).unwrap_err();
        error.to_string()
    }

    #[test]
    fn without_a_port_there_is_no_such_api() {
        assert_eq!(member(&["--authorization-mode=RBAC"]).kube, None);
    }

    #[test]
    fn kube_apiservers_flags_mean_the_same() {
        let config = member(&[
            "--secure-port=6443",
            "--data-dir=/d",
            "--bind-address=127.0.0.1",
            "--authorization-mode=RBAC,AlwaysAllow",
            "--client-ca-file=/ca.crt",
        ]);
        let kube = config.kube.unwrap();
        assert_eq!(
            (kube.port, kube.bind.to_string()),
            (6443, "127.0.0.1".into())
        );
        assert_eq!(kube.advertise, kube.bind);
        assert_eq!(kube.authorization, ["RBAC", "AlwaysAllow"]);
        assert_eq!(kube.cert_dir.to_str(), Some("/d/kubernetes"));
        assert_eq!(kube.client_ca.unwrap().to_str(), Some("/ca.crt"));
        assert!(kube.anonymous && kube.certificate.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (flag, said) in [
            ("--secure-port=70000", "must be at most 65535"),
            ("--bind-address=here", "must be an IP address"),
            (
                "--tls-cert-file=/a",
                "goes together with --tls-private-key-file",
            ),
            (
                "--kubelet-client-certificate=/a",
                "goes together with --kubelet-client-key",
            ),
            ("--authorization-mode=ABAC", "must be of Node, RBAC"),
        ] {
            let name = flag.trim_start_matches('-').split('=').next().unwrap();
            let error = refused(&["--secure-port=6443", flag]);
            assert!(error.contains(said) && error.contains(name), "{error}");
        }
    }
}
