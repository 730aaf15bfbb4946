//! Who else vouches for callers of the Kubernetes API: a front proxy, and tokens that nodes join with.

use std::path::PathBuf;

use super::build::{boolean, words};
use super::error::ConfigError;
use super::flag::{Flag, Kind};
use super::parse::Given;
use super::table::served;

/// What a front proxy of kubeadm's calls itself; the certificate that is made here has the name too.
const PROXY: &str = "front-proxy-client";

/// The flags of kube-apiserver that are served.
pub(super) const FLAGS: &[Flag] = &[
    served(
        "requestheader-client-ca-file",
        Kind::Text,
        "",
        "Who issues the certificates of front proxies; made in --cert-dir without it.",
    ),
    served(
        "requestheader-allowed-names",
        Kind::Text,
        "",
        "Common names that front proxies may have, comma-separated; any without it, if their issuer is given.",
    ),
    served(
        "requestheader-username-headers",
        Kind::Text,
        "X-Remote-User",
        "Headers in which a front proxy names the user, comma-separated; the first that is there counts.",
    ),
    served(
        "requestheader-uid-headers",
        Kind::Text,
        "",
        "Headers in which a front proxy tells the user's uid, comma-separated.",
    ),
    served(
        "requestheader-group-headers",
        Kind::Text,
        "X-Remote-Group",
        "Headers in which a front proxy tells the user's groups, comma-separated.",
    ),
    served(
        "requestheader-extra-headers-prefix",
        Kind::Text,
        "X-Remote-Extra-",
        "What the headers begin with in which a front proxy tells more of the user, comma-separated.",
    ),
    served(
        "enable-bootstrap-token-auth",
        Kind::Bool,
        "false",
        "Whether the tokens in secrets of kube-system are believed that nodes join with.",
    ),
];

/// Whom besides certificates and tokens of its own a server believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeAccess {
    /// Who issues the certificates of front proxies, if that is given.
    pub proxy_ca: Option<PathBuf>,
    /// Common names of front proxies; empty for any.
    pub proxy_names: Vec<String>,
    /// Headers that name the user.
    pub user_headers: Vec<String>,
    /// Headers that tell the user's uid.
    pub uid_headers: Vec<String>,
    /// Headers that tell the user's groups.
    pub group_headers: Vec<String>,
    /// What headers begin with that tell anything else.
    pub extra_prefixes: Vec<String>,
    /// Whether bootstrap tokens are believed.
    pub bootstrap_tokens: bool,
}

/// Reads the flags.
///
/// # Errors
/// For the first that cannot be used.
pub(super) fn read(given: &Given) -> Result<KubeAccess, ConfigError> {
    let proxy_ca = match given.text("requestheader-client-ca-file") {
        "" => None,
        path => Some(PathBuf::from(path)),
    };
    let mut proxy_names = words(given, "requestheader-allowed-names");
    // The authority that is made here has issued one certificate.
    if proxy_ca.is_none() && proxy_names.is_empty() {
        proxy_names.push(PROXY.into());
    }
    let headers = |flag| -> Result<Vec<String>, ConfigError> {
        let names = words(given, flag);
        let token = |name: &String| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&b))
        };
        match names.iter().all(token) {
            true => Ok(names),
            false => Err(given.invalid(flag, "must be names of headers")),
        }
    };
    Ok(KubeAccess {
        proxy_ca,
        proxy_names,
        user_headers: headers("requestheader-username-headers")?,
        uid_headers: headers("requestheader-uid-headers")?,
        group_headers: headers("requestheader-group-headers")?,
        extra_prefixes: headers("requestheader-extra-headers-prefix")?,
        bootstrap_tokens: boolean(given, "enable-bootstrap-token-auth")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::member;

    fn access(flags: &[&str]) -> KubeAccess {
        let flags: Vec<&str> = ["--secure-port=6443"]
            .iter()
            .chain(flags)
            .copied()
            .collect();
        member(&flags).kube.unwrap().access
    }

    #[test]
    fn a_front_proxy_is_believed_as_kubeadm_has_it() {
        let made = access(&[]);
        assert_eq!(made.proxy_names, [PROXY]);
        assert_eq!(made.user_headers, ["X-Remote-User"]);
        assert_eq!(made.group_headers, ["X-Remote-Group"]);
        assert_eq!(made.extra_prefixes, ["X-Remote-Extra-"]);
        assert!(made.proxy_ca.is_none() && made.uid_headers.is_empty() && !made.bootstrap_tokens);
        let given = access(&[
            "--requestheader-client-ca-file=/p.crt",
            "--requestheader-username-headers=X-A,X-B",
            "--requestheader-uid-headers=X-Uid",
            "--enable-bootstrap-token-auth",
        ]);
        assert_eq!(given.proxy_ca.unwrap().to_str(), Some("/p.crt"));
        assert!(given.proxy_names.is_empty() && given.bootstrap_tokens);
        assert_eq!(given.user_headers, ["X-A", "X-B"]);
        assert_eq!(given.uid_headers, ["X-Uid"]);
    }
}
