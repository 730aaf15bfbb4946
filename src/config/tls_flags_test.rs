//! The TLS flags, as operators write them for etcd.

use std::ffi::OsString;

use super::*;

const CLIENT_HTTPS: [&str; 2] = [
    "--listen-client-urls=https://127.0.0.1:2379",
    "--advertise-client-urls=https://127.0.0.1:2379",
];
const PEER_HTTPS: [&str; 2] = [
    "--listen-peer-urls=https://127.0.0.1:2380",
    "--initial-advertise-peer-urls=https://127.0.0.1:2380",
];
const CERT: [&str; 2] = ["--cert-file=c.crt", "--key-file=c.key"];
const PEER_CERT: [&str; 2] = ["--peer-cert-file=p.crt", "--peer-key-file=p.key"];

fn read(parts: &[&[&str]]) -> Result<MemberConfig, ConfigError> {
    let args = parts.concat().into_iter().map(OsString::from);
    match from_command_line(args, [])? {
        Request::Start(config) => Ok(*config),
        other => panic!("asks for {other:?}"),
    }
}

fn refusal(parts: &[&[&str]]) -> String {
    let error = read(parts).unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    error.to_string()
}

fn path(file: &NamedFile) -> (&str, &str) {
    (file.flag, file.path.to_str().unwrap())
}

/// What kubeadm writes into the static pod.
const KUBEADM: &[&str] = &[
    "--advertise-client-urls=https://10.0.0.4:2379",
    "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
    "--client-cert-auth=true",
    "--data-dir=/var/lib/etcd",
    "--feature-gates=InitialCorruptCheck=true",
    "--initial-advertise-peer-urls=https://10.0.0.4:2380",
    "--initial-cluster=node-1=https://10.0.0.4:2380,node-2=https://10.0.0.5:2380",
    "--key-file=/etc/kubernetes/pki/etcd/server.key",
    "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.4:2379",
    "--listen-metrics-urls=http://127.0.0.1:2381",
    "--listen-peer-urls=https://10.0.0.4:2380",
    "--name=node-1",
    "--peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt",
    "--peer-client-cert-auth=true",
    "--peer-key-file=/etc/kubernetes/pki/etcd/peer.key",
    "--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
    "--snapshot-count=10000",
    "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
    "--watch-progress-notify-interval=5s",
];

#[test]
fn kubeadms_line_is_understood() {
    let config = read(&[KUBEADM]).unwrap();
    let client = config.tls.client.as_ref().unwrap();
    let Some(OwnCertificate::Files(own)) = &client.own else {
        panic!("{client:?}")
    };
    let dir = "/etc/kubernetes/pki/etcd";
    assert_eq!(
        path(&own.cert),
        ("cert-file", &*format!("{dir}/server.crt"))
    );
    assert_eq!(path(&own.key), ("key-file", &*format!("{dir}/server.key")));
    let authority = client.authority.as_ref().unwrap();
    assert_eq!(
        path(authority),
        ("trusted-ca-file", &*format!("{dir}/ca.crt"))
    );
    assert!(client.certify && !client.from_named_address);
    let peer = config.tls.peer.as_ref().unwrap();
    let authority = peer.authority.as_ref().unwrap();
    assert_eq!(path(authority).0, "peer-trusted-ca-file");
    assert!(!peer.certify && peer.from_named_address);
    assert!(!config.listen.metrics[0].is_https());
    assert_eq!(config.notes.len(), 1, "{:?}", config.notes);
    let protocol = &config.tls.protocol;
    assert_eq!(
        (protocol.min, protocol.max),
        (TlsVersion::Tls12, TlsVersion::Tls13)
    );
    assert!(protocol.suites.is_empty());
}

#[test]
fn https_needs_a_certificate() {
    assert_eq!(
        refusal(&[&CLIENT_HTTPS]),
        "--listen-client-urls has https://127.0.0.1:2379: TLS needs --cert-file and --key-file, or --auto-tls"
    );
    assert_eq!(
        refusal(&[&PEER_HTTPS]),
        "--listen-peer-urls has https://127.0.0.1:2380: TLS needs --peer-cert-file and --peer-key-file, or \
         --peer-auto-tls"
    );
    let metrics = "--listen-metrics-urls=https://127.0.0.1:2381";
    assert!(refusal(&[&[metrics]]).starts_with("--listen-metrics-urls has https://127.0.0.1:2381"));
    assert!(read(&[&[metrics], &CERT]).unwrap().tls.client.is_some());
    for (given, missing) in [("cert-file", "key-file"), ("key-file", "cert-file")] {
        let said = refusal(&[&CLIENT_HTTPS, &[&format!("--{given}=x")]]);
        assert!(
            said.starts_with(&format!("--{given} needs --{missing}: ")),
            "{said}"
        );
    }
    let said = refusal(&[&CLIENT_HTTPS, &CERT, &["--client-key-file=x"]]);
    assert!(
        said.starts_with("--client-key-file needs --client-cert-file"),
        "{said}"
    );
}

#[test]
fn plain_and_secure_listeners_may_be_mixed() {
    let config = read(&[
        &CERT,
        &[
            "--listen-client-urls=https://127.0.0.1:2379,http://127.0.0.1:2378",
            "--advertise-client-urls=https://127.0.0.1:2379",
        ],
    ]);
    let config = config.unwrap();
    let https: Vec<_> = config.listen.client.iter().map(Url::is_https).collect();
    assert_eq!(https, [false, true]);
    assert!(config.tls.client.is_some() && config.tls.peer.is_none());
}

#[test]
fn flags_of_a_plain_port_are_noted() {
    let config = read(&[
        &CERT,
        &PEER_CERT,
        &["--client-cert-auth", "--peer-auto-tls=false", "--auto-tls"],
    ])
    .unwrap();
    assert_eq!(config.tls.client, None);
    assert_eq!(config.tls.peer, None);
    let notes: Vec<_> = config.notes.iter().map(ToString::to_string).collect();
    let flags = [
        "cert-file",
        "key-file",
        "client-cert-auth",
        "auto-tls",
        "peer-cert-file",
        "peer-key-file",
    ];
    let expected =
        flags.map(|flag| format!("--{flag} has no effect: every URL of this port is http"));
    assert_eq!(notes, expected);
}

#[test]
fn what_is_demanded_of_certificates_needs_an_authority() {
    for flag in [
        "--client-cert-auth=true",
        "--client-crl-file=x",
        "--client-cert-allowed-hostname=x",
    ] {
        let said = refusal(&[&CLIENT_HTTPS, &CERT, &[flag]]);
        let name = flag.split('=').next().unwrap();
        assert!(
            said.starts_with(&format!("{name} needs --trusted-ca-file: ")),
            "{said}"
        );
        read(&[&CLIENT_HTTPS, &CERT, &[flag, "--trusted-ca-file=ca"]]).unwrap();
    }
    for flag in [
        "--peer-client-cert-auth=true",
        "--peer-crl-file=x",
        "--peer-cert-allowed-cn=x",
        "--peer-cert-allowed-hostname=x",
    ] {
        let said = refusal(&[&PEER_HTTPS, &PEER_CERT, &[flag]]);
        assert!(said.contains("needs --peer-trusted-ca-file: "), "{said}");
        read(&[
            &PEER_HTTPS,
            &PEER_CERT,
            &[flag, "--peer-trusted-ca-file=ca"],
        ])
        .unwrap();
    }
    let both = [
        "--peer-trusted-ca-file=ca",
        "--peer-cert-allowed-cn=x",
        "--peer-cert-allowed-hostname=x",
    ];
    assert_eq!(
        refusal(&[&PEER_HTTPS, &PEER_CERT, &both]),
        "--peer-cert-allowed-cn and --peer-cert-allowed-hostname are mutually exclusive"
    );
}

#[test]
fn other_members_must_be_told_from_impostors() {
    let two = ["--initial-cluster=default=https://127.0.0.1:2380,b=https://127.0.0.1:2480"];
    let said = refusal(&[&PEER_HTTPS, &PEER_CERT, &two]);
    assert!(
        said.starts_with("--initial-cluster needs --peer-trusted-ca-file: "),
        "{said}"
    );
    read(&[
        &PEER_HTTPS,
        &PEER_CERT,
        &two,
        &["--peer-trusted-ca-file=ca"],
    ])
    .unwrap();
    read(&[&PEER_HTTPS, &["--peer-auto-tls"], &two]).unwrap();
    read(&[&PEER_HTTPS, &PEER_CERT]).unwrap();
}

#[test]
fn certificates_that_the_member_makes() {
    let config = read(&[
        &CLIENT_HTTPS,
        &["--auto-tls", "--self-signed-cert-validity=3"],
    ])
    .unwrap();
    let expected = OwnCertificate::SelfSigned {
        flag: "auto-tls",
        years: 3,
    };
    assert_eq!(config.tls.client.unwrap().own, Some(expected));
    let config = read(&[&CLIENT_HTTPS, &CERT, &["--auto-tls"]]).unwrap();
    assert_eq!(
        config.notes[0].to_string(),
        "--auto-tls has no effect: certificate files are given"
    );
    assert!(matches!(
        config.tls.client.unwrap().own,
        Some(OwnCertificate::Files(_))
    ));
    for years in ["0", "101"] {
        let validity = format!("--self-signed-cert-validity={years}");
        let error = read(&[&CLIENT_HTTPS, &["--auto-tls", &validity]]).unwrap_err();
        assert!(error.to_string().contains("between 1 and 100"), "{error}");
    }
}

#[test]
fn lists_and_switches_of_peers() {
    let config = read(&[
        &PEER_HTTPS,
        &PEER_CERT,
        &[
            "--peer-trusted-ca-file=ca",
            "--peer-cert-allowed-cn=a, b",
            "--peer-client-cert-file=o.crt",
            "--peer-client-key-file=o.key",
            "--experimental-peer-skip-client-san-verification",
        ],
    ]);
    let peer = config.unwrap().tls.peer.unwrap();
    assert_eq!(peer.common_names, ["a", "b"]);
    assert_eq!(
        path(&peer.calling.unwrap().cert),
        ("peer-client-cert-file", "o.crt")
    );
    assert!(!peer.from_named_address);
}

#[test]
fn versions_and_suites_are_checked_as_etcd_does() {
    let suites = |args: &[&str]| read(&[args]).unwrap().tls.protocol.suites;
    assert_eq!(
        suites(&["--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256"]),
        [
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_AES_128_GCM_SHA256"
        ]
    );
    for (args, said) in [
        (
            &["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"][..],
            "min version (TLS1.3) is greater than max version (TLS1.2)",
        ),
        (
            &[
                "--tls-min-version=TLS1.3",
                "--cipher-suites=TLS_AES_128_GCM_SHA256",
            ],
            "cipher suites cannot be configured when only TLS1.3 is enabled",
        ),
        (
            &["--cipher-suites=TLS_NONSENSE"],
            "unexpected TLS cipher suite \"TLS_NONSENSE\" in --cipher-suites: no TLS cipher suite has this name",
        ),
        (
            &["--cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA"],
            "unexpected TLS cipher suite \"TLS_RSA_WITH_AES_128_CBC_SHA\" in --cipher-suites: suites without \
             forward secrecy or authenticated encryption are not served",
        ),
        (
            &[
                "--tls-max-version=TLS1.2",
                "--cipher-suites=TLS_AES_128_GCM_SHA256",
            ],
            "unexpected TLS cipher suite \"TLS_AES_128_GCM_SHA256\" in --cipher-suites: there is none of TLS \
             1.2, and --tls-max-version allows no later one",
        ),
    ] {
        assert_eq!(refusal(&[args]), said);
    }
    let unknown = read(&[&["--tls-min-version=TLS1.1"]]).unwrap_err();
    assert!(
        unknown
            .to_string()
            .contains("unexpected TLS version \"TLS1.1\""),
        "{unknown}"
    );
}
