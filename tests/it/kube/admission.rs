//! What admission plugins complete, warn of and refuse, where that takes more than one look at one object.

use super::reply::Reply;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        a_quota_is_charged_before_what_it_counts_is_written,
        writers_cannot_all_have_the_last_of_a_quota,
        pods_are_held_against_the_labels_of_their_namespace,
        a_node_changes_itself_and_nothing_else,
        deciding_about_certificates_takes_a_right_for_the_signer,
        a_bound_pod_has_the_topology_of_its_node,
    ]
}

/// Makes a quota that says already how much is used, as the quota controller would.
async fn quota(api: &Api, hard: Value, used: Value) {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
        "spec": {"hard": hard}});
    api.post("resourcequotas", &quota).await.value(201);
    let status = json!({"status": {"hard": hard, "used": used}});
    api.patch("merge", "resourcequotas/q/status", &status)
        .await
        .value(200);
}

async fn used(api: &Api) -> Value {
    let quota = api.get("resourcequotas/q").await.value(200);
    quota["status"]["used"].clone()
}

async fn a_quota_is_charged_before_what_it_counts_is_written(_: Case) {
    let api = space("quota").await;
    quota(
        &api,
        json!({"configmaps": "1", "requests.cpu": "1", "count/roles.rbac.authorization.k8s.io": "0"}),
        json!({"configmaps": "0", "requests.cpu": "0", "count/roles.rbac.authorization.k8s.io": "0"}),
    )
    .await;
    let map = config_map("a", "1");
    api.post("configmaps?dryRun=All", &map).await.value(201);
    assert_eq!(used(&api).await["configmaps"], "0");
    api.post("configmaps", &map).await.value(201);
    assert_eq!(used(&api).await["configmaps"], "1");
    api.put("configmaps/a", &config_map("a", "2"))
        .await
        .value(200);
    api.post("configmaps", &config_map("b", "1")).await.refused(
        403,
        "Forbidden",
        "configmaps \"b\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: \
         configmaps=1",
        json!({"name": "b", "kind": "configmaps"}),
    );
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}});
    let refused = api.post("rbac.authorization.k8s.io/v1/roles", &role).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    api.post("pods", &pod("p")).await.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: failed quota: q: must specify requests.cpu for: c",
        json!({"name": "p", "kind": "pods"}),
    );
    let mut asks = pod("p");
    asks["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "600m"}});
    api.post("pods", &asks).await.value(201);
    assert_eq!(used(&api).await["requests.cpu"], "600m");
    asks["metadata"]["name"] = "o".into();
    let refused = api.post("pods", &asks).await;
    assert!(
        refused.text().contains(
            "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
        ),
        "{}",
        refused.text()
    );
}

async fn writers_cannot_all_have_the_last_of_a_quota(_: Case) {
    let api = space("race").await;
    let number = |of: &str| json!({"count/configmaps": of});
    quota(&api, number("3"), number("0")).await;
    let writers = (0..12).map(|at| {
        let api = api.clone();
        async move {
            let map = config_map(&format!("m-{at}"), "1");
            api.post("configmaps", &map).await.status
        }
    });
    let mut answers = futures::future::join_all(writers).await;
    answers.sort_unstable();
    assert_eq!(answers, [&[201; 3][..], &[403; 9]].concat());
    assert_eq!(used(&api).await, number("3"));
    assert_eq!(names(&api.get("configmaps").await.value(200)).len(), 3);
}

async fn pods_are_held_against_the_labels_of_their_namespace(_: Case) {
    let api = space("security").await;
    let space = format!("/api/v1/namespaces/{}", api.space());
    let mut shows = pod("p");
    shows["spec"]["hostPID"] = true.into();
    api.post("pods", &shows).await.value(201);
    let label = |level: &str| json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}});
    let wrong = api.patch("merge", &space, &label("strict")).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    let told = api.patch("merge", &space, &label("baseline")).await;
    told.value(200);
    let warnings: Vec<&str> = told
        .headers
        .get_all("warning")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    let name = api.space();
    assert_eq!(
        warnings,
        [
            format!(
                "299 - \"existing pods in namespace \\\"{name}\\\" violate the new PodSecurity enforce level \
                 \\\"baseline:latest\\\"\""
            )
            .as_str(),
            "299 - \"p: host namespaces\"",
        ]
    );
    shows["metadata"]["name"] = "o".into();
    api.post("pods", &shows).await.refused(
        403,
        "Forbidden",
        "pods \"o\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)",
        json!({"name": "o", "kind": "pods"}),
    );
    let mut makes = deployment("d");
    makes["spec"]["template"]["spec"]["hostPID"] = true.into();
    let made = api.post("apps/v1/deployments", &makes).await;
    made.value(201);
    assert_eq!(
        made.header("warning"),
        "299 - \"would violate PodSecurity \\\"baseline:latest\\\": host namespaces (hostPID=true)\""
    );
}

async fn a_node_changes_itself_and_nothing_else(_: Case) {
    let api = space("restriction").await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "restricted"}});
    let kubelet = api
        .acting_as("system:node:restricted")
        .with("impersonate-group", "system:nodes");
    kubelet.post("/api/v1/nodes", &node).await.value(201);
    let path = "/api/v1/nodes/restricted";
    let label = |key: &str| json!({"metadata": {"labels": {key: "x"}}});
    kubelet
        .patch("merge", path, &label("ex.com/a"))
        .await
        .value(200);
    let key = "node-restriction.kubernetes.io/a";
    kubelet.patch("merge", path, &label(key)).await.refused(
        403,
        "Forbidden",
        &format!("nodes \"restricted\" is forbidden: is not allowed to modify labels: {key}"),
        json!({"name": "restricted", "kind": "nodes"}),
    );
    kubelet.post("pods", &pod("p")).await.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: pod does not have \"kubernetes.io/config.mirror\" annotation, node \"restricted\" can \
         only create mirror pods",
        json!({"name": "p", "kind": "pods"}),
    );
    api.post("pods", &pod("p")).await.value(201);
    kubelet.delete("pods/p").await.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: node \"restricted\" can only delete pods with spec.nodeName set to itself",
        json!({"name": "p", "kind": "pods"}),
    );
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let refused = kubelet.post("pods/p/eviction", &eviction).await;
    let said = "node restricted can only evict pods with spec.nodeName set to itself";
    assert!(refused.text().contains(said), "{}", refused.text());
}

/// A request for a certificate in base64; made with openssl.
const REQUEST: &str = "\
    LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlITk1IVUNBUUF3RXpFUk1BOEdBMVVFQXd3SWMyOXRaV0p2Wkhr\
    d1dUQVRCZ2NxaGtqT1BRSUJCZ2dxaGtqTwpQUU1CQndOQ0FBVGxtcEl6QmFTcEczUnF3U2lrak1jVEpHTloyNGMvZlB4c2VybDh0\
    ZVJQM0ttUzQ0MTZPNnVKCm1NR3ZiTWdpVlNOYUhkRzZKVHZhQk9jSUg0RW1zbnBqb0FBd0NnWUlLb1pJemowRUF3SURTQUF3UlFJ\
    Z2RKUFcKN3dGL1AyeEJGeEVHK0R4Y2hmT0pnVjVpcVJYbnJHM0QxL3F0YTI4Q0lRRG9OM3NyRklzeWJnTnVQMVUwRHVlcQpkaUtI\
    M1VkU1hGTUdMSUMzamk2cW5BPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";

async fn deciding_about_certificates_takes_a_right_for_the_signer(_: Case) {
    let api = space("signer").await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let certificates = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let name = api.space();
    let request = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"signerName": "ex.com/s", "request": REQUEST, "usages": ["client auth"]}});
    let mut request = api.post(certificates, &request).await.value(201);
    request["status"] = json!({"conditions": [{"type": "Approved", "status": "True", "reason": "R", "message": "m"}]});
    let allow = async |rules: Value, suffix: &str| {
        let name = format!("{name}-{suffix}");
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name}, "rules": [rules]});
        api.post(&format!("{rbac}/clusterroles"), &role)
            .await
            .value(201);
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name_of(&api)}]});
        api.post(&format!("{rbac}/clusterrolebindings"), &binding)
            .await
            .value(201);
    };
    let of = |resource: &str, verb: &str| json!({"apiGroups": ["certificates.k8s.io"], "resources": [resource], "verbs": [verb]});
    allow(
        of("certificatesigningrequests/approval", "update"),
        "updates",
    )
    .await;
    let approver = api.acting_as(&name_of(&api));
    let path = format!("{certificates}/{name}/approval");
    let decided = once(&approver, &path, &request, |text| {
        text.contains("signerName")
    });
    decided.await.refused(
        403,
        "Forbidden",
        &format!(
            "certificatesigningrequests.certificates.k8s.io \"{name}\" is forbidden: user not permitted to approve \
             requests with signerName \"ex.com/s\""
        ),
        json!({"name": name, "group": "certificates.k8s.io", "kind": "certificatesigningrequests"}),
    );
    let mut approve = of("signers", "approve");
    approve["resourceNames"] = json!(["ex.com/*"]);
    allow(approve, "approves").await;
    once(&approver, &path, &request, |text| {
        !text.contains("Forbidden")
    })
    .await
    .value(200);
}

fn name_of(api: &Api) -> String {
    format!("approver-{}", api.space())
}

/// The answer to an update once it is one that rights that were just given bring about.
async fn once(api: &Api, path: &str, body: &Value, is_it: impl Fn(&str) -> bool) -> Reply {
    let answered = async {
        loop {
            let reply = api.put(path, body).await;
            if is_it(reply.text()) {
                return reply;
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered)
        .await
        .expect("rights never count")
}

async fn a_bound_pod_has_the_topology_of_its_node(_: Case) {
    let api = space("topology").await;
    let name = api.space();
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name,
        "labels": {"topology.kubernetes.io/zone": "z", "other": "o"}}});
    api.post("/api/v1/nodes", &node).await.value(201);
    api.post("pods", &pod("p")).await.value(201);
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": name}});
    api.post("pods/p/binding", &binding).await.value(201);
    let pod = api.get("pods/p").await.value(200);
    let labels = json!({"app": "p", "topology.kubernetes.io/zone": "z"});
    assert_eq!(pod["metadata"]["labels"], labels);
}
