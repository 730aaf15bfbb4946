use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, IsCa, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::kube::authn::x509::{Authorities, Side, Subject};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn settings(dir: &Path, member: &str) -> Settings {
    Settings {
        shared: dir.join("shared"),
        own: dir.join(member),
        hosts: serving_hosts("10.0.0.1".parse().unwrap(), &["m1.example".to_owned()]),
        server: "https://127.0.0.1:6443".to_owned(),
    }
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut contents = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        contents.insert(name, fs::read(&path).unwrap());
    }
    contents
}

fn changed(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let differ = after
        .iter()
        .filter(|(name, content)| before.get(*name) != Some(content));
    differ.map(|(name, _)| name.clone()).collect()
}

#[test]
fn certificates_say_who_the_components_are() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::prepare(&settings(dir.path(), "m1"), NOW).unwrap();
    let chain = |pair: &Pair| [CertificateDer::from_pem_file(&pair.certificate).unwrap()];
    let authorities =
        |pair: &Pair| Authorities::read(&fs::read(&pair.certificate).unwrap()).unwrap();
    let (ca, front) = (authorities(&pki.ca), authorities(&pki.front_proxy_ca));
    let issued = |by: &Authorities, pair: &Pair, side| by.have_issued(&chain(pair), side, NOW);
    assert!(issued(&ca, &pki.serving, Side::Server) && !issued(&ca, &pki.serving, Side::Client));
    assert!(issued(&ca, &pki.kubelet_client, Side::Client));
    assert!(issued(&front, &pki.front_proxy_client, Side::Client));
    assert!(!issued(&ca, &pki.front_proxy_client, Side::Client));

    let shared = dir.path().join("shared");
    for (file, name, groups) in [
        ("admin.crt", "kubernetes-admin", &["system:masters"][..]),
        (
            "controller-manager.crt",
            "system:kube-controller-manager",
            &[],
        ),
        ("scheduler.crt", "system:kube-scheduler", &[]),
        ("front-proxy-client.crt", "front-proxy-client", &[]),
    ] {
        let der = CertificateDer::from_pem_file(shared.join(file)).unwrap();
        let user = Subject::read(&der).unwrap().user.unwrap();
        assert_eq!(
            (&*user.name, &*user.groups),
            (
                name,
                &*groups.iter().map(|&g| g.to_owned()).collect::<Vec<_>>()
            )
        );
    }
}

#[test]
fn keys_are_for_their_owner() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::prepare(&settings(dir.path(), "m1"), NOW).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("shared")), 0o700);
    for private in [
        &pki.ca.key,
        &pki.serving.key,
        &pki.service_account_key,
        &pki.admin,
    ] {
        assert_eq!(mode(private), 0o600, "{}", private.display());
    }
    assert_eq!(mode(&pki.ca.certificate), 0o644);
}

#[test]
fn what_is_there_is_kept_while_it_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let (m1, m2) = (settings(dir.path(), "m1"), settings(dir.path(), "m2"));
    Pki::prepare(&m1, NOW).unwrap();
    let first = contents(&m1.shared);
    Pki::prepare(&m1, NOW + DAY).unwrap();
    Pki::prepare(&m2, NOW + DAY).unwrap();
    assert_eq!(contents(&m1.shared), first);
    assert_ne!(contents(&m1.own), contents(&m2.own));

    // Another address of the server changes what names it, and nothing else.
    let mut moved = m1.clone();
    moved.server = "https://127.0.0.1:6444".to_owned();
    moved.hosts.push("m2.example".to_owned());
    let own = contents(&m1.own);
    Pki::prepare(&moved, NOW).unwrap();
    let configs = ["admin.conf", "controller-manager.conf", "scheduler.conf"];
    assert_eq!(changed(&first, &contents(&m1.shared)), configs);
    assert_eq!(
        changed(&own, &contents(&m1.own)),
        ["apiserver.crt", "apiserver.key"]
    );

    // Near the end of the certificates all are made anew but the authorities and the key of service accounts.
    Pki::prepare(&m1, NOW + DAY * 340).unwrap();
    let later = contents(&m1.shared);
    let changed = changed(&first, &later);
    for kept in ["ca.crt", "ca.key", "front-proxy-ca.crt", "sa.key", "sa.pub"] {
        assert!(!changed.contains(&kept.to_owned()), "{kept}");
    }
    assert!(
        changed.contains(&"admin.crt".to_owned()) && changed.contains(&"admin.conf".to_owned())
    );
}

#[test]
fn an_authority_of_another_maker_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), "m1");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::create_dir(&settings.shared).unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    fs::write(settings.shared.join("ca.crt"), &ca).unwrap();
    let without_key = Pki::prepare(&settings, NOW).unwrap_err().to_string();
    assert!(
        without_key.ends_with("the authority has a certificate but no key here"),
        "{without_key}"
    );
    fs::write(settings.shared.join("ca.key"), key.serialize_pem()).unwrap();
    let pki = Pki::prepare(&settings, NOW).unwrap();
    let serving = [CertificateDer::from_pem_file(&pki.serving.certificate).unwrap()];
    assert!(
        Authorities::read(ca.as_bytes())
            .unwrap()
            .have_issued(&serving, Side::Server, NOW)
    );
    // A new authority in the place of the old one has to issue everything again.
    let own = contents(&settings.own);
    for name in ["ca.crt", "ca.key"] {
        fs::remove_file(settings.shared.join(name)).unwrap();
    }
    Pki::prepare(&settings, NOW).unwrap();
    assert_eq!(
        changed(&own, &contents(&settings.own)),
        ["apiserver.crt", "apiserver.key"]
    );
    fs::write(settings.shared.join("ca.crt"), "nonsense").unwrap();
    assert!(Pki::prepare(&settings, NOW).is_err());
}

#[test]
fn members_that_start_together_share_what_the_first_makes() {
    let dir = tempfile::tempdir().unwrap();
    let members: Vec<_> = ["m1", "m2", "m3"]
        .map(|name| settings(dir.path(), name))
        .into();
    std::thread::scope(|scope| {
        for member in &members {
            scope.spawn(|| Pki::prepare(member, NOW).unwrap());
        }
    });
    let ca = fs::read(members[0].shared.join("ca.crt")).unwrap();
    let authorities = Authorities::read(&ca).unwrap();
    for member in &members {
        let serving = [CertificateDer::from_pem_file(member.own.join("apiserver.crt")).unwrap()];
        assert!(authorities.have_issued(&serving, Side::Server, NOW));
    }
}

#[test]
fn a_kubeconfig_is_yaml() {
    let text = kubeconfig("https://h:1", "CA", "a\"b\\", "CERT", "KEY");
    let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(
        read["clusters"][0]["cluster"]["certificate-authority-data"],
        "Q0E="
    );
    assert_eq!(read["users"][0]["name"], "a\"b\\");
    assert_eq!(read["current-context"], read["contexts"][0]["name"]);
}
