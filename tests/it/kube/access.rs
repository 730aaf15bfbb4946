//! Who is let in, and what they may do.

use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        nobody_sees_health_and_version_only,
        an_unknown_token_is_nobody,
        a_role_lets_its_users_do_what_it_says,
        a_token_of_a_service_account_is_the_account,
        reviews_say_who_may_what,
        nobody_grants_more_than_they_have,
    ]
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";

async fn nobody_sees_health_and_version_only(_: Case) {
    let api = space("anonymous").await.anonymous();
    for path in ["/readyz", "/livez", "/healthz"] {
        let reply = api.get(path).await;
        assert_eq!((reply.status, reply.text()), (200, "ok"), "{path}");
    }
    assert_eq!(api.get("/version").await.value(200)["minor"], "36");
    api.get("/api/v1/pods").await.refused(
        403,
        "Forbidden",
        "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at \
         the cluster scope",
        json!({"kind": "pods"}),
    );
    let space = api.space();
    api.get("apps/v1/deployments/web").await.refused(
        403,
        "Forbidden",
        &format!(
            "deployments.apps \"web\" is forbidden: User \"system:anonymous\" cannot get resource \
             \"deployments\" in API group \"apps\" in the namespace \"{space}\""
        ),
        json!({"name": "web", "group": "apps", "kind": "deployments"}),
    );
    let message = "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"";
    api.get("/metrics")
        .await
        .refused(403, "Forbidden", message, json!({}));
}

async fn an_unknown_token_is_nobody(_: Case) {
    let api = space("unknown").await.bearing("nonsense");
    for path in ["/api/v1/pods", "/version"] {
        let reply = api.get(path).await;
        reply.refused(401, "Unauthorized", "Unauthorized", Value::Null);
    }
}

/// Lets `subject` do `verbs` on `resource` within the namespace.
async fn allow(api: &Api, name: &str, subject: &Value, resource: &str, verbs: &[&str]) {
    let role = json!({"apiVersion": RBAC, "kind": "Role", "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": [resource], "verbs": verbs}]});
    api.post(&format!("{RBAC}/roles"), &role).await.value(201);
    let binding = json!({"apiVersion": RBAC, "kind": "RoleBinding", "metadata": {"name": name},
        "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}});
    api.post(&format!("{RBAC}/rolebindings"), &binding)
        .await
        .value(201);
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name})
}

/// The answer once rights that were just given count; before, it is a refusal.
async fn once_allowed(api: &Api, path: &str) -> Value {
    let allowed = async {
        loop {
            let reply = api.get(path).await;
            if reply.status != 403 {
                return reply.value(200);
            }
        }
    };
    tokio::time::timeout(PATIENCE, allowed)
        .await
        .expect("never allowed")
}

async fn a_role_lets_its_users_do_what_it_says(_: Case) {
    let api = space("role").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let alice = api.acting_as("alice");
    assert_eq!(alice.get("configmaps").await.status, 403);
    allow(
        &api,
        "reader",
        &user("alice"),
        "configmaps",
        &["get", "list"],
    )
    .await;
    assert_eq!(names(&once_allowed(&alice, "configmaps").await), ["a"]);
    alice.get("configmaps/a").await.value(200);
    let space = api.space();
    alice.delete("configmaps/a").await.refused(
        403,
        "Forbidden",
        &format!(
            "configmaps \"a\" is forbidden: User \"alice\" cannot delete resource \"configmaps\" in API \
             group \"\" in the namespace \"{space}\""
        ),
        json!({"name": "a", "kind": "configmaps"}),
    );
    assert_eq!(
        alice
            .get("/api/v1/namespaces/default/configmaps")
            .await
            .status,
        403
    );
    assert_eq!(api.acting_as("bob").get("configmaps").await.status, 403);
    // Who acts as another must be allowed to.
    let refused = api
        .anonymous()
        .acting_as("bob")
        .get("configmaps")
        .await
        .value(403);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("User \"system:anonymous\" cannot impersonate"),
        "{message}"
    );
}

async fn a_token_of_a_service_account_is_the_account(_: Case) {
    let api = space("token").await;
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    let account = api.post("serviceaccounts", &account).await.value(201);
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let made = api
        .post("serviceaccounts/robot/token", &request)
        .await
        .value(201);
    let robot = api.bearing(made["status"]["token"].as_str().unwrap());
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let space = api.space();
    let info = robot.post(reviews, &review).await.value(201)["status"]["userInfo"].clone();
    assert_eq!(
        info["username"],
        format!("system:serviceaccount:{space}:robot")
    );
    assert_eq!(info["uid"], account["metadata"]["uid"]);
    let groups = json!([
        "system:serviceaccounts",
        format!("system:serviceaccounts:{space}"),
        "system:authenticated"
    ]);
    assert_eq!(info["groups"], groups);
    assert_eq!(robot.get("configmaps").await.status, 403);
    let subject = json!({"kind": "ServiceAccount", "name": "robot", "namespace": space});
    allow(&api, "robots", &subject, "configmaps", &["list"]).await;
    once_allowed(&robot, "configmaps").await;
    // A token does not outlive its account.
    api.delete("serviceaccounts/robot").await.value(200);
    let gone = async { while robot.get("configmaps").await.status != 401 {} };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("the token outlives its account");
    let short = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": 599}});
    api.post(
        "serviceaccounts",
        &json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "hasty"}}),
    )
    .await
    .value(201);
    let refused = api
        .post("serviceaccounts/hasty/token", &short)
        .await
        .value(422);
    let said = "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes";
    assert!(
        refused["message"].as_str().unwrap().ends_with(said),
        "{refused}"
    );
}

async fn reviews_say_who_may_what(_: Case) {
    let api = space("review").await;
    allow(&api, "reader", &user("carol"), "configmaps", &["list"]).await;
    let carol = api.acting_as("carol");
    once_allowed(&carol, "configmaps").await;
    for (verb, allowed) in [("list", true), ("delete", false)] {
        let attributes = json!({"namespace": api.space(), "verb": verb, "resource": "configmaps"});
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = carol.post(path, &review).await.value(201);
        assert_eq!(answer["status"]["allowed"], allowed, "{verb}");
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": "carol", "resourceAttributes": attributes}});
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer = api.post(path, &review).await.value(201);
        assert_eq!(answer["status"]["allowed"], allowed, "{verb}");
    }
}

async fn nobody_grants_more_than_they_have(_: Case) {
    let api = space("escalate").await;
    let role = json!({"apiVersion": RBAC, "kind": "Role", "metadata": {"name": "roles"},
        "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"],
            "verbs": ["create", "list"]}]});
    api.post(&format!("{RBAC}/roles"), &role).await.value(201);
    let binding = json!({"apiVersion": RBAC, "kind": "RoleBinding", "metadata": {"name": "roles"},
        "subjects": [user("dave")],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "roles"}});
    api.post(&format!("{RBAC}/rolebindings"), &binding)
        .await
        .value(201);
    let dave = api.acting_as("dave");
    once_allowed(&dave, &format!("{RBAC}/roles")).await;
    let more = json!({"apiVersion": RBAC, "kind": "Role", "metadata": {"name": "more"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    dave.post(&format!("{RBAC}/roles"), &more).await.refused(
        403,
        "Forbidden",
        "roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"dave\" \
         (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}",
        json!({"name": "more", "group": "rbac.authorization.k8s.io", "kind": "roles"}),
    );
}
