//! Lists: pages, versions, selectors.

use super::api::version;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        pages_show_one_version_while_others_write,
        a_list_is_of_the_version_that_is_asked_for,
        combinations_that_mean_nothing_are_refused,
        labels_and_fields_select,
        a_token_that_is_none_is_refused,
        a_version_to_come_is_too_large,
    ]
}

async fn pages_show_one_version_while_others_write(_: Case) {
    let api = space("pages").await;
    let expected: Vec<_> = (0..9).map(|n| format!("m{n}")).collect();
    for name in &expected {
        api.post("configmaps", &config_map(name, "old")).await.ok();
    }
    let mut seen = Vec::new();
    let (mut token, mut versions) = (String::new(), Vec::new());
    for round in 0.. {
        let path = format!("configmaps?limit=2&continue={token}");
        let page = api.get(&path).await.value(200);
        let left = page["metadata"]
            .get("remainingItemCount")
            .and_then(Value::as_u64);
        for item in page["items"].as_array().unwrap() {
            assert_eq!(item["data"]["k"], "old");
        }
        seen.extend(names(&page));
        versions.push(version(&page).to_owned());
        // One more in front, one more behind, one changed and one gone: none of it is of that version.
        api.post("configmaps", &config_map(&format!("a{round}"), "new"))
            .await
            .ok();
        api.post("configmaps", &config_map(&format!("z{round}"), "new"))
            .await
            .ok();
        api.put("configmaps/m8", &config_map("m8", "new"))
            .await
            .ok();
        if round == 0 {
            api.delete("configmaps/m7").await.ok();
        }
        assert_eq!(
            left.unwrap_or_default(),
            (expected.len() - seen.len()) as u64
        );
        match page["metadata"].get("continue").and_then(Value::as_str) {
            Some(next) => token = next.into(),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    assert_eq!(versions.len(), 5);
    versions.dedup();
    assert_eq!(versions.len(), 1);
}

async fn a_list_is_of_the_version_that_is_asked_for(_: Case) {
    let api = space("versions").await;
    let first = api.post("configmaps", &config_map("a", "1")).await.ok();
    let then = version(&first);
    let second = api.post("configmaps", &config_map("b", "1")).await.ok();
    let now = version(&second);
    for (query, expected) in [
        (String::new(), vec!["a", "b"]),
        (
            format!("resourceVersion={then}&resourceVersionMatch=Exact"),
            vec!["a"],
        ),
        (format!("resourceVersion={then}&limit=5"), vec!["a"]),
        (format!("resourceVersion={now}"), vec!["a", "b"]),
        (
            format!("resourceVersion={now}&resourceVersionMatch=NotOlderThan&limit=1"),
            vec!["a"],
        ),
        ("resourceVersion=0&limit=1".into(), vec!["a", "b"]),
    ] {
        let list = api.get(&format!("configmaps?{query}")).await.value(200);
        // Version 0 is whatever the member has; it has read what it wrote itself by now.
        assert_eq!(names(&list), expected, "{query}");
    }
    let exact = format!("configmaps?resourceVersion={then}&resourceVersionMatch=Exact");
    assert_eq!(version(&api.get(&exact).await.ok()), then);
    let one = api
        .get(&format!("configmaps/b?resourceVersion={now}"))
        .await;
    assert_eq!(one.value(200), second);
}

async fn combinations_that_mean_nothing_are_refused(_: Case) {
    let api = space("combine").await;
    let refusal = |field: &str, why: &str| {
        let message = format!("Forbidden: {why}");
        let causes = json!([{"reason": "FieldValueForbidden", "message": message, "field": field}]);
        (
            format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: {message}"),
            json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes}),
        )
    };
    for (query, field, why) in [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            "resourceVersionMatch",
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        (
            "sendInitialEvents=true",
            "sendInitialEvents",
            "sendInitialEvents is forbidden for list",
        ),
    ] {
        let (message, details) = refusal(field, why);
        let reply = api.get(&format!("configmaps?{query}")).await;
        reply.refused(422, "Invalid", &message, details);
    }
    for (query, message) in [
        (
            "limit=abc",
            r#"strconv.ParseInt: parsing "abc": invalid syntax"#,
        ),
        (
            "resourceVersion=abc",
            r#"invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#,
        ),
        (
            "fieldSelector=data.k%3D1",
            r#""data.k" is not a known field selector: only "metadata.name", "metadata.namespace""#,
        ),
    ] {
        let reply = api.get(&format!("configmaps?{query}")).await;
        reply.refused(400, "BadRequest", message, Value::Null);
    }
    let reply = api.get("configmaps?labelSelector=a%20in").await;
    let message = reply.value(400)["message"].clone();
    assert!(
        message
            .as_str()
            .unwrap()
            .starts_with("unable to parse requirement: "),
        "{message}"
    );
}

async fn labels_and_fields_select(_: Case) {
    let api = space("select").await;
    for (name, labels) in [
        ("a", json!({"app": "web", "tier": "front"})),
        ("b", json!({"app": "web"})),
        ("c", json!({"app": "db"})),
        ("d", json!({})),
    ] {
        let mut map = config_map(name, "1");
        map["metadata"]["labels"] = labels;
        api.post("configmaps", &map).await.ok();
    }
    for (query, expected) in [
        ("labelSelector=app%3Dweb", "a b"),
        ("labelSelector=app%3Dweb%2C!tier", "b"),
        ("labelSelector=app!%3Dweb", "c d"),
        ("labelSelector=app%20in%20(web%2Cdb)%2Ctier", "a"),
        ("labelSelector=app%20notin%20(db)", "a b d"),
        ("fieldSelector=metadata.name%3Dc", "c"),
        ("fieldSelector=metadata.name!%3Dc&labelSelector=app", "a b"),
    ] {
        let list = api.get(&format!("configmaps?{query}")).await.value(200);
        assert_eq!(names(&list).join(" "), expected, "{query}");
    }
    // Counted without a selector only.
    let page = api.get("configmaps?limit=1&labelSelector=app").await.ok();
    assert!(page["metadata"].get("remainingItemCount").is_none());
    assert!(page["metadata"].get("continue").is_some());
}

async fn a_token_that_is_none_is_refused(_: Case) {
    let api = space("garbage").await;
    // Not base64; not JSON; of another version.
    for token in [
        "!!",
        "Z2FyYmFnZQ",
        "eyJ2IjoibWV0YS5rOHMuaW8vdjkiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0",
    ] {
        let reply = api
            .get(&format!("configmaps?limit=1&continue={token}"))
            .await;
        let status = reply.value(400);
        assert_eq!(status["reason"], "BadRequest");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains("continue"), "{token}: {message}");
    }
    let reply = api.get("configmaps?continue=x&resourceVersion=5").await;
    let message = "specifying resource version is not allowed when using continue";
    reply.refused(400, "BadRequest", message, Value::Null);
}

async fn a_version_to_come_is_too_large(_: Case) {
    let api = space("future").await;
    let reply = api.get("configmaps?resourceVersion=99999999").await;
    let status = reply.value(504);
    let message = status["message"].as_str().unwrap();
    let begin = "Timeout: Too large resource version: 99999999, current: ";
    assert!(message.starts_with(begin), "{message}");
    let causes =
        json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
    let details = json!({"causes": causes, "retryAfterSeconds": 1});
    reply.refused(504, "Timeout", message, details);
}
