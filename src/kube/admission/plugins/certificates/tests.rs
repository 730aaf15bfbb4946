use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::testing::{Ask, Few};
use super::{APPROVAL, SIGNING, SUBJECT};
use crate::kube::admission::attributes::Operation;

/// Made with `openssl req -new -newkey ed25519 -nodes -subj ...`.
const ALICE: &str = "\
    -----BEGIN CERTIFICATE REQUEST-----\n\
    MIGsMGACAQAwLTEPMA0GA1UECgwGcGVvcGxlMRowGAYDVQQDDBFzeXN0ZW06bm9k\n\
    ZTphbGljZTAqMAUGAytlcAMhAPVdPSe/gJjj5BP/2xzyl5kGsb9fW1S8Csad9tnm\n\
    zRrmoAAwBQYDK2VwA0EASJQhnnvIcaojeUhaFPizSfssObEDKDSrSX1XbTlFhML0\n\
    +zxv+K6KR1l01qVrQ/sJPZvzyycsvCQYnUVX49hUAA==\n\
    -----END CERTIFICATE REQUEST-----\n";
const MASTER: &str = "\
    -----BEGIN CERTIFICATE REQUEST-----\n\
    MIG3MGsCAQAwODEPMA0GA1UECgwGcGVvcGxlMRcwFQYDVQQKDA5zeXN0ZW06bWFz\n\
    dGVyczEMMAoGA1UEAwwDZXZlMCowBQYDK2VwAyEAHzZMQzdaV7aZLC8iWh3DncIn\n\
    TgmGHpT1xKnqBkB/b56gADAFBgMrZXADQQC9O5iVv89qJHvUxj+D31HvkpFXghAq\n\
    4/Qe+YCxtAWkgWb7SeS8DVKyD9I8wdIHOijf6qA/80GhtmoIqX1CXEoM\n\
    -----END CERTIFICATE REQUEST-----\n";

fn ask(operation: Operation, subresource: &'static str) -> Ask {
    Ask {
        operation,
        resource: ("certificates.k8s.io", "v1", "certificatesigningrequests"),
        subresource,
    }
}

fn request(signer: &str, pem: &str) -> Value {
    json!({"metadata": {"name": "r"}, "spec": {"signerName": signer, "request": STANDARD.encode(pem)}})
}

#[test]
fn deciding_takes_a_right_for_the_signer_or_its_domain() {
    let old = request("ex.com/s", ALICE);
    let mut signed = old.clone();
    signed["status"] = json!({"certificate": "x"});
    for (plugin, subresource, verb, new, words) in [
        (APPROVAL, "approval", "approve", &old, "approve"),
        (SIGNING, "status", "sign", &signed, "sign"),
    ] {
        let ask = ask(Operation::Update, subresource);
        let judge = |may: &str| ask.judge_as(may, plugin, &Few::default(), Some(&old), new);
        assert_eq!(
            judge("").unwrap_err(),
            format!(
                "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: user not permitted to {words} \
                 requests with signerName \"ex.com/s\""
            )
        );
        for name in ["ex.com/s", "ex.com/*"] {
            let may = format!("{verb} certificates.k8s.io signers/ /{name}");
            assert_eq!(judge(&may), Ok(()));
        }
    }
    let unsigned = ask(Operation::Update, "status");
    let same = unsigned.judge(SIGNING, &Few::default(), Some(&old), &old);
    assert_eq!(same, Ok(()));
}

#[test]
fn nobody_becomes_master_by_a_signature() {
    let create = ask(Operation::Create, "");
    let judge = |signer, pem| create.judge(SUBJECT, &Few::default(), None, &request(signer, pem));
    let client = "kubernetes.io/kube-apiserver-client";
    assert_eq!(judge(client, ALICE), Ok(()));
    assert_eq!(judge("ex.com/s", MASTER), Ok(()));
    assert!(judge(client, MASTER).unwrap_err().ends_with(
        "is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    ));
    assert!(judge(client, "nothing").unwrap_err().ends_with(
        "is forbidden: failed to parse CSR: PEM block type must be CERTIFICATE REQUEST"
    ));
}

#[test]
fn a_node_asks_for_certificates_of_its_own() {
    let create = ask(Operation::Create, "");
    let judge = |user: &str, signer: &str| {
        let name = super::super::node_restriction::NAME;
        let request = request(signer, ALICE);
        create.judge_by(user, "", name, &Few::default(), None, Some(&request))
    };
    let serving = "kubernetes.io/kubelet-serving";
    assert_eq!(judge("system:node:alice system:nodes", serving), Ok(()));
    assert_eq!(judge("system:node:bob system:nodes", "ex.com/s"), Ok(()));
    assert!(
        judge("system:node:bob system:nodes", serving)
            .unwrap_err()
            .ends_with("can only create a node CSR with CN=system:node:bob")
    );
}
