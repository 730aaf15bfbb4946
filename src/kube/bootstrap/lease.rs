//! The lease by which a server is known to live.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::cluster::time;
use super::{Own, Upkeep};

/// By which clients see that a server lives; renewed about every ten seconds. `member` tells servers on one host
/// apart, `holder` is a UUID of this start.
pub fn identity_lease(host: &str, member: &str, holder: &str, now: Duration) -> Own {
    let digest = Sha256::digest(format!("{host}\0{member}"));
    let name = format!("apiserver-{}", base32(digest.get(..16).unwrap_or_default()));
    Own {
        group: "coordination.k8s.io",
        version: "v1",
        plural: "leases",
        object: json!({
            "kind": "Lease",
            "apiVersion": "coordination.k8s.io/v1",
            "metadata": {
                "name": name,
                "namespace": "kube-system",
                "labels": {
                    "apiserver.kubernetes.io/identity": "kube-apiserver",
                    "kubernetes.io/hostname": host,
                },
            },
            "spec": {
                "holderIdentity": format!("{name}_{holder}"),
                "leaseDurationSeconds": 3600,
                "renewTime": time(now).rfc3339_micro(),
            },
        }),
        upkeep: Upkeep::Content,
    }
}

/// RFC 4648, in small letters and without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        .collect();
    let letters = bits.chunks(5).map(|chunk| {
        let index = (0..5).fold(0, |index, at| {
            index << 1 | chunk.get(at).copied().unwrap_or(0)
        });
        LETTERS
            .get(usize::from(index))
            .copied()
            .map_or('a', char::from)
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_name_of_its_own() {
        let now = Duration::from_micros(1_800_000_000_123_456);
        let lease = |member| identity_lease("h", member, "u", now).object;
        let (one, other) = (lease("m1"), lease("m2"));
        assert_ne!(one["metadata"]["name"], other["metadata"]["name"]);
        assert_eq!(
            one["metadata"]["name"].as_str().unwrap().len(),
            "apiserver-".len() + 26
        );
        assert_eq!(one["spec"]["renewTime"], "2027-01-15T08:00:00.123456Z");
        assert_eq!(base32(b"foobar"), "mzxw6ytboi");
    }
}
