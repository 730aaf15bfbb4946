//! Files that tell `kubectl` and its like where a cluster is and who they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A kubeconfig with one cluster, one user and their context. Certificates and the key are PEM; `server` is a URL.
///
/// Names are put between quotes in which nothing but quotes and backslashes has to be escaped.
pub fn kubeconfig(server: &str, ca: &str, user: &str, certificate: &str, key: &str) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let [ca, certificate, key] = [ca, certificate, key].map(|pem| STANDARD.encode(pem));
    let context = quoted(&format!("{user}@kubernetes"));
    let (server, user) = (quoted(server), quoted(user));
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {context}
  context:
    cluster: kubernetes
    user: {user}
current-context: {context}
"
    )
}
