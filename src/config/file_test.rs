//! Configuration files, good and bad.

use std::time::Duration;

use super::*;
use crate::config::{self, AutoCompaction, LogLevel, Request, testing};

fn parse(text: &str) -> Result<MemberConfig, ConfigError> {
    let file = ConfigFile {
        path: "etcd.conf.yml".into(),
        ignored: Vec::new(),
        stop_with_stdin: false,
    };
    file.parse(text)
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn keys_are_flags() {
    let yaml = r#"
# This is a comment.
name: 'm1'
data-dir: /var/lib/m1
wal-dir:
snapshot-count: 10000
heartbeat-interval: 50
election-timeout: 500
listen-peer-urls: http://127.0.0.1:2380,http://127.0.0.1:2381
listen-client-urls: [http://127.0.0.1:2379]
advertise-client-urls: http://10.0.0.1:2379
cors:
strict-reconfig-check: true
auto-compaction-mode: periodic
auto-compaction-retention: "1"
log-level: debug
log-outputs: [stderr]
experimental-watch-progress-notify-interval: 5000000000
grpc-keepalive-interval: 2h
enable-grpc-gateway: false
max-request-bytes: 0x100000
client-transport-security:
  cert-file:
  client-cert-auth: false
peer-transport-security:
"#;
    let mut config = parse(yaml).unwrap();
    let expected = testing::member(&[
        "--name=m1",
        "--data-dir=/var/lib/m1",
        "--snapshot-count=10000",
        "--heartbeat-interval=50",
        "--election-timeout=500",
        "--listen-peer-urls=http://127.0.0.1:2380,http://127.0.0.1:2381",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://10.0.0.1:2379",
        "--auto-compaction-retention=1",
        "--log-level=debug",
        "--log-outputs=stderr",
        "--watch-progress-notify-interval=5s",
        "--grpc-keepalive-interval=2h",
        "--enable-grpc-gateway=false",
        "--max-request-bytes=1048576",
    ]);
    assert_eq!(config.log.level, LogLevel::Debug);
    let hour = Duration::from_secs(3_600);
    assert_eq!(config.auto_compaction, AutoCompaction::Periodic(hour));
    let said = config.notes.pop().unwrap().to_string();
    assert_eq!(said, "configuration read from etcd.conf.yml");
    config.notes.sort_by_key(ToString::to_string);
    let mut notes = expected.notes.clone();
    notes.sort_by_key(ToString::to_string);
    assert_eq!(config, MemberConfig { notes, ..expected });
}

#[test]
fn json_is_read_too_and_an_empty_file_is_all_defaults() {
    let config = parse(r#"{"name": "x", "max-txn-ops": 9}"#).unwrap();
    assert_eq!((config.name.as_str(), config.limits.max_txn_ops), ("x", 9));
    assert_eq!(parse("").unwrap().name, "default");
    assert_eq!(parse("# nothing\n").unwrap().name, "default");
}

#[test]
fn what_stands_for_nothing_is_refused_by_name() {
    for (text, said) in [
        ("nmae: x", "unknown key in the configuration file: nmae"),
        (
            "config-file: x",
            "unknown key in the configuration file: config-file",
        ),
        (
            "peer-transport-security: {cert: x}",
            "unknown key in the configuration file: peer-transport-security.cert",
        ),
        (
            "name: {a: b}",
            "key name of the configuration file must not be a section",
        ),
        (
            "client-transport-security: x",
            "key client-transport-security of the configuration file must be a section",
        ),
        (
            "log-outputs: [[stderr]]",
            "key log-outputs of the configuration file must be a list of values",
        ),
        (
            "name: 007",
            "key name of the configuration file must be text, in quotes",
        ),
        (
            "max-learners: 1\nexperimental-max-learners: 2",
            "is set twice",
        ),
        (
            "max-txn-ops: many",
            "invalid value \"many\" for key max-txn-ops of the configuration file: parse error",
        ),
    ] {
        let refused = refused(text);
        assert!(refused.contains(said), "{text}: {refused}");
        assert_eq!(parse(text).unwrap_err().exit_code(), 1);
    }
}

#[test]
fn what_is_not_yaml_is_refused() {
    for text in [
        "name: [",
        "a: b: c",
        "- name",
        "name: x\nname: y",
        "just text",
        "\u{0}",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
    let bomb = format!("a: &a [x]\n{}", "b: [*a, *a]\n".repeat(3));
    assert!(parse(&bomb).is_err());
}

#[test]
fn the_file_is_all_that_counts() {
    let args = [
        "--config-file=/etc/etcd.yml",
        "--name=m1",
        "--stop-with-stdin",
    ];
    let env = [("ETCD_DATA_DIR", "/x"), ("ETCD_NAME", "m2"), ("HOME", "/")];
    let request = config::from_command_line(
        args.iter().map(Into::into),
        env.iter().map(|(k, v)| (k.into(), v.into())),
    );
    let Ok(Request::File(file)) = request else {
        panic!("{request:?}");
    };
    assert_eq!(file.path, PathBuf::from("/etc/etcd.yml"));
    let config = file.parse("name: m3").unwrap();
    assert_eq!(config.name, "m3");
    assert!(config.stop_with_stdin);
    let said = config.notes.last().unwrap().to_string();
    let expected = "configuration read from /etc/etcd.yml; other flags and variables are ignored: \
                    --name, ETCD_DATA_DIR, ETCD_NAME";
    assert_eq!(said, expected);
}

#[test]
fn the_variable_names_a_file_too() {
    let env = [("ETCD_CONFIG_FILE".into(), "/etc/etcd.yml".into())];
    let request = config::from_command_line([], env);
    assert!(matches!(request, Ok(Request::File(_))), "{request:?}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z:\\-\\[\\]{}&*!|>#'\",. \n0-9]{0,80}") {
        let _ = parse(&text);
    }
}
