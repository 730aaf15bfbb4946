use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kube::authn::reviews::token_review;
use crate::kube::authn::{Authenticator, fuzzing};

const ISSUER: &str = "https://kubernetes.default.svc";
const NOW: Duration = Duration::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../../engine/auth/jwt/testdata/", $name))
    };
}

#[derive(Default)]
struct Stored(Mutex<BTreeMap<String, Arc<Value>>>);

impl Stored {
    fn put(&self, plural: &str, namespace: &str, name: &str, uid: &str, more: &Value) {
        let mut object = json!({"metadata": {"name": name, "namespace": namespace, "uid": uid}});
        for (key, value) in more.as_object().into_iter().flatten() {
            object[key] = value.clone();
        }
        self.0
            .lock()
            .insert(format!("{plural}/{namespace}/{name}"), Arc::new(object));
    }

    fn remove(&self, key: &str) {
        self.0.lock().remove(key).unwrap();
    }

    fn delete_at(&self, key: &str, time: &str) {
        let mut objects = self.0.lock();
        let object = Arc::make_mut(objects.get_mut(key).unwrap());
        object["metadata"]["deletionTimestamp"] = time.into();
    }
}

impl Objects for Stored {
    fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        assert_eq!(group, "");
        self.0
            .lock()
            .get(&format!("{plural}/{namespace}/{name}"))
            .cloned()
    }

    fn list(&self, _: &str, _: &str, _: Option<&str>) -> Vec<Arc<Value>> {
        Vec::new()
    }
}

fn settings() -> Settings {
    Settings {
        issuers: vec![ISSUER.into(), "https://old".into()],
        keys: PublicKey::read_all(&[&key!("rsa.pub.pem")[..], key!("p256.pub.pem")].concat())
            .unwrap(),
        signing_key: Some(SigningKey::read(key!("p256.pkcs8.pem")).unwrap()),
        audiences: vec![ISSUER.into()],
        max_expiration: Duration::ZERO,
        extend_expiration: true,
        jwks_uri: "https://10.0.0.1:6443/openid/v1/jwks".into(),
    }
}

fn stored() -> Arc<Stored> {
    let stored = Stored::default();
    stored.put("serviceaccounts", "default", "s1", "u-s1", &json!({}));
    stored.put(
        "pods",
        "default",
        "p1",
        "u-p1",
        &json!({"spec": {"serviceAccountName": "s1", "nodeName": "n1"}}),
    );
    stored.put("nodes", "", "n1", "u-n1", &json!({}));
    stored.put("secrets", "default", "x1", "u-x1", &json!({}));
    Arc::new(stored)
}

fn accounts(stored: &Arc<Stored>) -> ServiceAccounts {
    ServiceAccounts::new(settings(), Arc::clone(stored) as Arc<dyn Objects>)
}

fn issue(accounts: &ServiceAccounts, spec: &Value) -> Value {
    let request = json!({"spec": spec});
    accounts
        .issue("default", "s1", &request, [7; 16], NOW)
        .unwrap()
        .object
}

fn claims(token: &str) -> String {
    let part = token.split('.').nth(1).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn to(kind: &str, name: &str) -> Value {
    json!({"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": name}})
}

#[test]
fn a_token_is_believed_as_long_as_it_holds() {
    let stored = stored();
    let accounts = accounts(&stored);
    let given = issue(&accounts, &json!({}));
    assert_eq!(
        given["status"]["expirationTimestamp"],
        "2027-01-15T09:00:00Z"
    );
    let token = given["status"]["token"].as_str().unwrap();
    let said = |at| accounts.authenticate(token, &[ISSUER.to_owned()], at);
    let known = said(NOW).unwrap().unwrap();
    assert_eq!(known.user.name, "system:serviceaccount:default:s1");
    assert_eq!(
        (&*known.user.uid, known.audiences),
        ("u-s1", vec![ISSUER.to_owned()])
    );
    assert_eq!(
        known.user.groups,
        ["system:serviceaccounts", "system:serviceaccounts:default"]
    );
    assert_eq!(
        known.user.extra[CREDENTIAL_ID],
        ["JTI=07070707-0707-4707-8707-070707070707"]
    );
    let hour = Duration::from_secs(3600);
    assert!(said(NOW + hour + MINUTE).is_ok());
    let second = Duration::from_secs(1);
    assert_eq!(
        said(NOW + hour + MINUTE + second).unwrap_err(),
        "service account token has expired"
    );
    assert_eq!(
        said(NOW - MINUTE - second).unwrap_err(),
        "service account token is not valid yet"
    );
}

/// What kube-apiserver 1.36 writes for the same account.
#[test]
fn claims_are_in_the_form_of_the_release() {
    let accounts = accounts(&stored());
    let mut spec = to("Pod", "p1");
    spec["expirationSeconds"] = 3607.into();
    let given = issue(&accounts, &spec);
    let token = given["status"]["token"].as_str().unwrap();
    let expected = r#"{"aud":["https://kubernetes.default.svc"],"exp":1831536000,"iat":1800000000,"iss":"https://kubernetes.default.svc","jti":"07070707-0707-4707-8707-070707070707","kubernetes.io":{"namespace":"default","node":{"name":"n1","uid":"u-n1"},"pod":{"name":"p1","uid":"u-p1"},"serviceaccount":{"name":"s1","uid":"u-s1"},"warnafter":1800003607},"nbf":1800000000,"sub":"system:serviceaccount:default:s1"}"#;
    assert_eq!(claims(token), expected);
    // The year is the token's; what is told is what was asked for.
    assert_eq!(
        given["status"]["expirationTimestamp"],
        "2027-01-15T09:00:07Z"
    );
    let user = accounts
        .authenticate(token, &[ISSUER.to_owned()], NOW)
        .unwrap()
        .unwrap()
        .user;
    let extra = |name: &str| user.extra[&format!("authentication.kubernetes.io/{name}")][0].clone();
    assert_eq!(
        ["pod-name", "pod-uid", "node-name", "node-uid"].map(extra),
        ["p1", "u-p1", "n1", "u-n1"]
    );
}

#[test]
fn a_token_of_the_release_is_believed() {
    let stored = Arc::new(Stored::default());
    stored.put(
        "serviceaccounts",
        "default",
        "s1",
        "17a58fb6-3ef5-4bd0-b719-1d1076fccb2b",
        &json!({}),
    );
    let pod = "19093086-0ed5-4e36-92cd-a0602b3decb9";
    stored.put("pods", "default", "p1", pod, &json!({}));
    let keys = PublicKey::read_all(include_bytes!("testdata/sa.pub")).unwrap();
    let settings = Settings { keys, ..settings() };
    let accounts = ServiceAccounts::new(settings, Arc::clone(&stored) as Arc<dyn Objects>);
    let token = include_str!("testdata/pod.token").trim_end();
    let at = Duration::from_secs(1_795_298_300);
    let said = || accounts.authenticate(token, &[ISSUER.to_owned()], at);
    let user = said().unwrap().unwrap().user;
    assert_eq!(user.extra["authentication.kubernetes.io/pod-uid"], [pod]);
    assert_eq!(user.extra["authentication.kubernetes.io/node-name"], ["n1"]);
    stored.remove("pods/default/p1");
    assert_eq!(
        said().unwrap_err(),
        "service account token has been invalidated"
    );
}

#[test]
fn a_token_ends_with_what_it_is_bound_to() {
    for (kind, key, said_of_another) in [
        (
            "Pod",
            "pods/default/p1",
            "pod UID (other) does not match service account pod ref claim (u-p1)",
        ),
        (
            "Secret",
            "secrets/default/x1",
            "secret UID (other) does not match service account secret ref claim (u-x1)",
        ),
        (
            "Node",
            "nodes//n1",
            "node UID (other) does not match service account node ref claim (u-n1)",
        ),
    ] {
        let stored = stored();
        let accounts = accounts(&stored);
        let name = key.rsplit('/').next().unwrap();
        let given = issue(&accounts, &to(kind, name));
        let token = given["status"]["token"].as_str().unwrap();
        let said = |at| {
            accounts
                .authenticate(token, &[ISSUER.to_owned()], at)
                .map(|known| known.is_some())
        };
        assert_eq!(said(NOW), Ok(true));
        // 2027-01-15T08:00:00Z is NOW; what is being deleted is believed for a minute more.
        stored.delete_at(key, "2027-01-15T08:00:00Z");
        assert_eq!(said(NOW + MINUTE), Ok(true));
        let gone = Err("service account token has been invalidated".to_owned());
        assert_eq!(said(NOW + MINUTE + Duration::from_secs(1)), gone, "{kind}");
        let mut parts = key.split('/');
        let (plural, namespace) = (parts.next().unwrap(), parts.next().unwrap());
        stored.put(plural, namespace, name, "other", &json!({}));
        assert_eq!(said(NOW), Err(said_of_another.to_owned()));
        stored.remove(key);
        assert_eq!(said(NOW), gone);
        stored.put("serviceaccounts", "default", "s1", "other", &json!({}));
        assert_eq!(
            said(NOW),
            Err("service account UID (other) does not match claim (u-s1)".to_owned())
        );
        stored.remove("serviceaccounts/default/s1");
        assert_eq!(
            said(NOW),
            Err("serviceaccounts \"s1\" not found".to_owned())
        );
    }
}

#[test]
fn tokens_of_others_are_not_believed() {
    let stored = stored();
    let accounts = accounts(&stored);
    let given = issue(&accounts, &json!({}));
    let token = given["status"]["token"].as_str().unwrap();
    let said = |token: &str| {
        accounts
            .authenticate(token, &[ISSUER.to_owned()], NOW)
            .map(|known| known.is_some())
    };
    assert_eq!(said(token), Ok(true));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let crypto = Err("go-jose/go-jose: error in cryptographic primitive".to_owned());
    let changed = encode(
        &String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap())
            .unwrap()
            .replace("s1", "s2"),
    );
    assert_eq!(said(&format!("{header}.{changed}.{signature}")), crypto);
    for algorithm in ["none", "HS256", "RS256", ""] {
        let header = encode(&json!({"alg": algorithm}).to_string());
        assert_eq!(
            said(&format!("{header}.{claims}.{signature}")),
            crypto,
            "{algorithm}"
        );
        assert_eq!(said(&format!("{header}.{claims}.")), crypto, "{algorithm}");
    }
    let unknown = encode(r#"{"alg":"ES256","kid":"x"}"#);
    assert_eq!(
        said(&format!("{unknown}.{claims}.{signature}")),
        Err("invalid signature, no keys found".to_owned())
    );
    let critical = encode(r#"{"alg":"ES256","crit":["x"]}"#);
    let foreign = encode(r#"{"iss":"https://elsewhere"}"#);
    for nobodys in [
        "",
        "a",
        "a.b.c",
        &format!("{critical}.{claims}.{signature}"),
        &format!("{header}.{foreign}.{signature}"),
    ] {
        assert_eq!(said(nobodys), Ok(false), "{nobodys}");
    }
}

#[test]
fn audiences_are_those_that_were_asked_for() {
    let stored = stored();
    let accounts = Arc::new(accounts(&stored));
    let given = issue(&accounts, &json!({"audiences": ["vault"]}));
    let token = given["status"]["token"].as_str().unwrap();
    let authenticator = Authenticator::new(crate::kube::authn::Settings {
        service_accounts: Some(accounts),
        audiences: vec![ISSUER.into()],
        ..Default::default()
    });
    let review = |spec: Value| token_review(&authenticator, &json!({"spec": spec}), NOW).unwrap();
    // The answers of kube-apiserver 1.36.
    let refused = review(json!({"token": token}));
    let said = r#"[invalid bearer token, token audiences ["vault"] is invalid for the target audiences ["https://kubernetes.default.svc"]]"#;
    assert_eq!(refused["status"], json!({"user": {}, "error": said}));
    let known = review(json!({"token": token, "audiences": ["vault", "x"]}));
    assert_eq!(known["status"]["authenticated"], true);
    assert_eq!(known["status"]["audiences"], json!(["vault"]));
    let groups = json!([
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated"
    ]);
    assert_eq!(known["status"]["user"]["groups"], groups);
    let bad = review(json!({"token": "bad"}));
    assert_eq!(
        bad["status"],
        json!({"user": {}, "error": "invalid bearer token"})
    );
    assert!(token_review(&authenticator, &json!({"spec": {}}), NOW).is_err());
}

/// The answers of kube-apiserver 1.36 to the same requests.
#[test]
fn requests_are_refused_in_the_words_of_the_release() {
    let accounts = accounts(&stored());
    let ask = |name: &str, request: &Value| accounts.issue("default", name, request, [0; 16], NOW);
    for (request, code, said) in [
        (
            json!({"spec": {"expirationSeconds": 599}}),
            422,
            r#"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"#,
        ),
        (
            json!({"spec": {"expirationSeconds": 4_294_967_297_u64}}),
            422,
            r#"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds"#,
        ),
        (
            json!({"metadata": {"name": "other"}}),
            422,
            r#"TokenRequest.authentication.k8s.io "s1" is invalid: metadata.name: Invalid value: "other": must match the service account name if specified"#,
        ),
        (
            json!({"metadata": {"uid": "other"}}),
            409,
            r#"Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "s1": the UID in the token request (other) does not match the UID of the service account (u-s1)"#,
        ),
        (
            json!({"spec": to("Pod", "nopod")}),
            404,
            r#"pods "nopod" not found"#,
        ),
        (
            json!({"spec": to("Node", "n9")}),
            404,
            r#"nodes "n9" not found"#,
        ),
        (
            json!({"spec": to("ConfigMap", "c")}),
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        (
            json!({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p1", "uid": "wrong"}}}),
            409,
            r#"Operation cannot be fulfilled on Pod "p1": the UID in the bound object reference (wrong) does not match the UID in record. The object might have been deleted and then recreated"#,
        ),
    ] {
        let refusal = ask("s1", &request).unwrap_err();
        assert_eq!((refusal.code, &*refusal.message), (code, said));
    }
    assert_eq!(
        ask("nope", &json!({})).unwrap_err().message,
        r#"serviceaccounts "nope" not found"#
    );
    let stored = stored();
    stored.put("serviceaccounts", "default", "s2", "u-s2", &json!({}));
    let accounts = ServiceAccounts::new(settings(), Arc::clone(&stored) as Arc<dyn Objects>);
    let refusal = accounts
        .issue(
            "default",
            "s2",
            &json!({"spec": to("Pod", "p1")}),
            [0; 16],
            NOW,
        )
        .unwrap_err();
    assert!(
        refusal
            .message
            .starts_with(r#"cannot bind token for serviceaccount "s2" to pod running"#)
    );
}

#[test]
fn expirations_are_limited() {
    let settings = Settings {
        max_expiration: Duration::from_secs(1000),
        ..settings()
    };
    let accounts = ServiceAccounts::new(settings, stored());
    let given = accounts
        .issue("default", "s1", &json!({}), [0; 16], NOW)
        .unwrap();
    assert_eq!(
        given.warning.unwrap(),
        "requested expiration of 3600 seconds shortened to 1000 seconds"
    );
    assert_eq!(
        given.object["spec"],
        json!({"audiences": [ISSUER], "expirationSeconds": 1000, "boundObjectRef": null})
    );
}

#[test]
fn tokens_in_secrets_hold_as_long_as_these() {
    let stored = stored();
    let accounts = accounts(&stored);
    let mut claims = serde_json::Map::new();
    claims.insert("iss".into(), LEGACY_ISSUER.into());
    for (key, value) in [
        ("namespace", "default"),
        ("secret.name", "x1"),
        ("service-account.name", "s1"),
        ("service-account.uid", "u-s1"),
    ] {
        claims.insert(format!("kubernetes.io/serviceaccount/{key}"), value.into());
    }
    claims.insert("sub".into(), "system:serviceaccount:default:s1".into());
    let token = token::sign(&SigningKey::read(key!("rsa.pkcs8.pem")).unwrap(), &claims).unwrap();
    let said = || {
        accounts
            .authenticate(&token, &[ISSUER.to_owned()], NOW)
            .map(|known| known.unwrap().user.name)
    };
    assert_eq!(said(), Err("Token does not match server's copy".to_owned()));
    stored.put(
        "secrets",
        "default",
        "x1",
        "u",
        &json!({"data": {"token": STANDARD.encode(&token)}}),
    );
    assert_eq!(said(), Ok("system:serviceaccount:default:s1".to_owned()));
    stored.delete_at("secrets/default/x1", "2027-01-15T08:00:00Z");
    assert_eq!(said(), Err("Token has been invalidated".to_owned()));
}

#[test]
fn others_can_find_the_keys() {
    let accounts = accounts(&stored());
    let expected = r#"{"issuer":"https://kubernetes.default.svc","jwks_uri":"https://10.0.0.1:6443/openid/v1/jwks","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256","RS256"]}"#;
    assert_eq!(accounts.configuration().unwrap().to_string(), expected);
    assert_eq!(accounts.key_set()["keys"].as_array().unwrap().len(), 2);
    let twice = [settings().keys, settings().keys].concat();
    let settings = Settings {
        keys: twice,
        ..settings()
    };
    let accounts = ServiceAccounts::new(settings, stored());
    assert_eq!(accounts.key_set()["keys"].as_array().unwrap().len(), 2);
    let settings = Settings {
        issuers: vec!["kubernetes".into()],
        ..self::settings()
    };
    assert!(
        ServiceAccounts::new(settings, stored())
            .configuration()
            .is_none()
    );
}

#[test]
fn names_of_accounts() {
    assert_eq!(
        split_username("system:serviceaccount:a:b.c"),
        Some(("a", "b.c"))
    );
    for other in [
        "a",
        "system:serviceaccount:a",
        "system:serviceaccount::b",
        "system:serviceaccount:a:",
        "system:serviceaccount:a:b:c",
        "system:serviceaccount:A:b",
        "system:serviceaccount:a.b:c",
        "system:serviceaccount:a:b..c",
    ] {
        assert_eq!(split_username(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn any_token_is_read(header in "[ -~]{0,40}", claims in "[ -~]{0,60}", raw in "[a-zA-Z0-9_.-]{0,60}") {
        fuzzing::service_account_token(raw.as_bytes());
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        fuzzing::service_account_token(format!("{}.{}.AA", encode(&header), encode(&claims)).as_bytes());
    }
}
