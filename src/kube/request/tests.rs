use proptest::prelude::*;

use super::*;

/// `VERB GROUP/VERSION NAMESPACE RESOURCE/SUBRESOURCE NAME REST`, with `-` for nothing.
fn read(method: &str, path: &str, query: &str) -> String {
    let info = RequestInfo::parse(method, path, query).unwrap();
    let Some(target) = info.target else {
        return format!("{} {}", info.verb, info.path);
    };
    let or = |text: &str| match text {
        "" => "-".to_owned(),
        text => text.to_owned(),
    };
    let parts = [
        &or(&info.verb),
        &format!("{}/{}", target.group, target.version),
        &or(&target.namespace),
        &or(&target.resource_path()),
        &or(&target.name),
        &or(&target.rest),
    ];
    parts.map(String::as_str).join(" ")
}

#[test]
fn paths_of_resources() {
    for (method, path, expected) in [
        ("GET", "/api/v1/namespaces", "list /v1 - namespaces - -"),
        ("GET", "/api/v1/namespaces/a", "get /v1 a namespaces a -"),
        (
            "PUT",
            "/api/v1/namespaces/a/finalize",
            "update /v1 a namespaces/finalize a -",
        ),
        (
            "GET",
            "/api/v1/namespaces/a/status",
            "get /v1 a namespaces/status a -",
        ),
        ("GET", "/api/v1/namespaces/a/pods", "list /v1 a pods - -"),
        ("POST", "/api/v1/namespaces/a/pods", "create /v1 a pods - -"),
        (
            "PATCH",
            "/api/v1/namespaces/a/pods/p",
            "patch /v1 a pods p -",
        ),
        (
            "DELETE",
            "/api/v1/namespaces/a/pods/p",
            "delete /v1 a pods p -",
        ),
        (
            "DELETE",
            "/api/v1/namespaces/a/pods",
            "deletecollection /v1 a pods - -",
        ),
        ("HEAD", "/api/v1/namespaces/a/pods/p", "get /v1 a pods p -"),
        ("OPTIONS", "/api/v1/pods", "- /v1 - pods - -"),
        (
            "GET",
            "/api/v1/nodes/n/proxy/a/b/",
            "get /v1 - nodes/proxy n a/b/",
        ),
        (
            "GET",
            "/api/v1/namespaces/a/services/http:web:80/proxy/",
            "get /v1 a services/proxy http:web:80 -",
        ),
        (
            "GET",
            "/apis/apps/v1/deployments",
            "list apps/v1 - deployments - -",
        ),
        (
            "PUT",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            "update apps/v1 a deployments/scale d -",
        ),
        ("GET", "/api/v1/watch/pods", "watch /v1 - pods - -"),
        (
            "GET",
            "/api/v1/watch/namespaces/a/pods/p",
            "watch /v1 a pods p -",
        ),
        (
            "GET",
            "/api/v1/proxy/nodes/n/metrics",
            "proxy /v1 - nodes n -",
        ),
        ("GET", "/api/v1/namespaces/a%2Fb/pods", "get /v1 a b pods -"),
        ("GET", "/api/v1/namespaces/a/pods/%41", "get /v1 a pods A -"),
        ("GET", "//api/v1/pods//", "list /v1 - pods - -"),
    ] {
        assert_eq!(read(method, path, ""), expected, "{method} {path}");
    }
}

#[test]
fn other_paths() {
    for path in [
        "/",
        "/healthz",
        "/api",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/openapi/v3/apis/apps/v1",
    ] {
        assert_eq!(read("GET", path, ""), format!("get {path}"));
    }
    assert_eq!(read("DELETE", "/metrics", ""), "delete /metrics");
}

#[test]
fn what_the_query_says() {
    let pods = "/api/v1/namespaces/a/pods";
    for (query, expected) in [
        ("watch=1", "watch /v1 a pods - -"),
        ("watch=", "watch /v1 a pods - -"),
        ("watch=FALSE", "list /v1 a pods - -"),
        ("watch=0&watch=1", "list /v1 a pods - -"),
        ("fieldSelector=metadata.name%3Dx", "list /v1 a pods x -"),
        (
            "watch&fieldSelector=metadata.name==x,spec.nodeName!=n",
            "watch /v1 a pods x -",
        ),
        ("fieldSelector=metadata.name!=x", "list /v1 a pods - -"),
        (
            "fieldSelector=metadata.name=x,broken",
            "list /v1 a pods - -",
        ),
        ("fieldSelector=metadata.name=a/b", "list /v1 a pods - -"),
        (
            "fieldSelector=metadata.name=a%5C%2Cb",
            "list /v1 a pods a,b -",
        ),
    ] {
        assert_eq!(read("GET", pods, query), expected, "{query}");
    }
    // A name in the path stays what it is.
    let one = format!("{pods}/p");
    assert_eq!(read("GET", &one, "watch=1"), "get /v1 a pods p -");
}

#[test]
fn selectors_are_kept_for_collections() {
    let kept = |method, path| {
        let info = RequestInfo::parse(method, path, "fieldSelector=a%3Db&labelSelector=c").unwrap();
        (info.field_selector, info.label_selector)
    };
    let both = (Some("a=b".to_owned()), Some("c".to_owned()));
    assert_eq!(kept("GET", "/api/v1/pods"), both);
    assert_eq!(kept("DELETE", "/api/v1/namespaces/a/pods"), both);
    assert_eq!(kept("GET", "/api/v1/watch/pods"), (None, None));
    assert_eq!(kept("GET", "/api/v1/nodes/n"), (None, None));
}

#[test]
fn paths_that_cannot_be_read() {
    for path in ["/api/v1/pods/%", "/%4", "/%zz", "/%ff"] {
        assert_eq!(
            RequestInfo::parse("GET", path, ""),
            Err(RequestError::Escape)
        );
    }
    let said = RequestInfo::parse("GET", "/api/v1/watch", "a=b").unwrap_err();
    assert!(said.to_string().ends_with("from url, /api/v1/watch?a=b"));
}

proptest! {
    #[test]
    fn any_request_is_read(method in "GET|PUT|DELETE|[a-z]*", path in "(/(api|apis|v1|watch|namespaces|status|[a-z%/2]{0,4})){0,7}", query in "[a-zA-Z=&,%\\\\.]{0,30}") {
        fuzzing::request_path(format!("{method}\n{path}\n{query}").as_bytes());
    }
}
