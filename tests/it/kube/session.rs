//! kubectl, where there is one.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![kubectl_applies_shows_changes_and_deletes]
}

/// Runs kubectl in the namespace with `input`; returns what it printed. None if there is no kubectl.
pub(super) async fn kubectl(api: &Api, line: &str, input: &str) -> Option<String> {
    kubectl_with(api, &[], line, input).await
}

/// As [`kubectl`], with more of an environment.
pub(super) async fn kubectl_with(
    api: &Api,
    environment: &[(&str, &str)],
    line: &str,
    input: &str,
) -> Option<String> {
    let child = Command::new("kubectl")
        .env("KUBECONFIG", api.kubeconfig())
        .envs(environment.iter().copied())
        .arg(format!("--namespace={}", api.space()))
        .arg(format!(
            "--cache-dir={}",
            api.kubeconfig().with_file_name("cache").display()
        ))
        .args(line.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("kubectl: {error}"),
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output();
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .expect("kubectl hangs")
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    Some(format!("{text}{complaint}"))
}

async fn kubectl_applies_shows_changes_and_deletes(_: Case) {
    let api = space("kubectl").await;
    let web = deployment("web").to_string();
    let Some(applied) = kubectl(&api, "apply -f -", &web).await else {
        eprintln!("kube: kubectl is not on the PATH: its session was not run");
        return;
    };
    assert_eq!(applied, "deployment.apps/web created\n");
    let changed = web.replace("\"img\"", "\"img:2\"");
    for (line, input, printed) in [
        (
            "apply -f -",
            web.as_str(),
            "deployment.apps/web unchanged\n",
        ),
        ("apply -f -", &changed, "deployment.apps/web configured\n"),
        (
            "apply -f - --server-side --force-conflicts",
            &changed,
            "deployment.apps/web serverside-applied\n",
        ),
        (
            "scale deployment/web --replicas=3",
            "",
            "deployment.apps/web scaled\n",
        ),
        ("get deployment web -o jsonpath={.spec.replicas}", "", "3"),
        (
            "label deployment web on=yes",
            "",
            "deployment.apps/web labeled\n",
        ),
        (
            "get deployments -l on=yes -o name",
            "",
            "deployment.apps/web\n",
        ),
        (
            "get deployments --no-headers -o custom-columns=N:.metadata.name,I:..image",
            "",
            "web   img:2\n",
        ),
        ("auth can-i list pods", "", "yes\n"),
        (
            "get configmap nope",
            "",
            "Error from server (NotFound): configmaps \"nope\" not found\n",
        ),
        (
            "delete deployment web",
            "",
            "deployment.apps \"web\" deleted\n",
        ),
    ] {
        let said = kubectl(&api, line, input).await.unwrap();
        // From 1.33 on the namespace is told as well.
        let said = said.replace(&format!(" from {} namespace", api.space()), "");
        assert_eq!(said, printed, "{line}");
    }
}
