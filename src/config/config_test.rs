//! Whole command lines and environments, as operators write them for etcd.

use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::base::ids::{ClusterId, MemberId};

fn read_with(args: &[&str], env: &[(&str, &str)]) -> Result<MemberConfig, ConfigError> {
    let request = from_command_line(
        args.iter().map(OsString::from),
        env.iter().map(|(k, v)| (k.into(), v.into())),
    )?;
    match request {
        Request::Start(config) => Ok(*config),
        other => panic!("asks for {other:?}"),
    }
}

fn read(args: &[&str]) -> Result<MemberConfig, ConfigError> {
    read_with(args, &[])
}

fn refusal(args: &[&str]) -> (String, u8) {
    let error = read(args).unwrap_err();
    (error.to_string(), error.exit_code())
}

fn texts(urls: &[Url]) -> Vec<&str> {
    urls.iter().map(Url::as_str).collect()
}

#[test]
fn nothing_given_is_etcds_defaults() {
    let config = read(&[]).unwrap();
    assert_eq!(config.name, "default");
    assert_eq!(config.data_dir.to_str(), Some("default.etcd"));
    assert_eq!(texts(&config.listen.client), ["http://localhost:2379"]);
    assert_eq!(texts(&config.listen.peer), ["http://localhost:2380"]);
    assert!(config.listen.metrics.is_empty());
    assert_eq!(config.raft.heartbeat, Duration::from_millis(100));
    assert_eq!(config.raft.election_timeout, Duration::from_secs(1));
    assert_eq!(config.limits.max_request_bytes, 1_572_864);
    assert_eq!(config.limits.max_txn_ops, 128);
    assert_eq!(config.limits.max_concurrent_streams, 131_072);
    assert_eq!(config.keepalive.interval, Some(Duration::from_secs(7_200)));
    assert_eq!(config.watch_progress_interval, Duration::from_secs(600));
    assert_eq!(config.wait_cluster_ready, Duration::from_secs(5));
    assert_eq!(config.auto_compaction, AutoCompaction::Off);
    assert_eq!(config.log.format, None);
    assert_eq!(config.notes, []);
    // The ids that etcd 3.5.30 gives a member that is started without any flag.
    let bootstrap = config.bootstrap().unwrap();
    assert_eq!(bootstrap.member_id, MemberId(0x8e9e_05c5_2164_694d));
    assert_eq!(bootstrap.cluster_id, ClusterId(0xcdf8_1819_4e3a_8c32));
}

/// The arguments of the static pod that kubeadm writes, over plain HTTP.
const KUBEADM: &[&str] = &[
    "--advertise-client-urls=http://10.0.0.4:2379",
    "--data-dir=/var/lib/etcd",
    "--feature-gates=InitialCorruptCheck=true",
    "--initial-advertise-peer-urls=http://10.0.0.4:2380",
    "--initial-cluster=node-1=http://10.0.0.4:2380,node-2=http://10.0.0.5:2380",
    "--initial-cluster-state=existing",
    "--listen-client-urls=http://127.0.0.1:2379,http://10.0.0.4:2379",
    "--listen-metrics-urls=http://127.0.0.1:2381",
    "--listen-peer-urls=http://10.0.0.4:2380",
    "--name=node-1",
    "--snapshot-count=10000",
    "--watch-progress-notify-interval=5s",
];

#[test]
fn kubeadms_line_is_understood() {
    let config = read(KUBEADM).unwrap();
    assert_eq!(config.data_dir.to_str(), Some("/var/lib/etcd"));
    assert_eq!(config.cluster.state, ClusterState::Existing);
    assert_eq!(
        texts(&config.listen.client),
        ["http://10.0.0.4:2379", "http://127.0.0.1:2379"]
    );
    assert_eq!(texts(&config.listen.metrics), ["http://127.0.0.1:2381"]);
    assert_eq!(config.watch_progress_interval, Duration::from_secs(5));
    let names: Vec<_> = config.cluster.initial.iter().map(|m| &m.name).collect();
    assert_eq!(names, ["node-1", "node-2"]);
    let notes: Vec<_> = config.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("InitialCorruptCheck=true"), "{notes:?}");
    assert!(notes[1].contains("--snapshot-count"), "{notes:?}");
}

#[test]
fn kubeadms_older_spellings_mean_the_same() {
    let config = read(&[
        "--experimental-initial-corrupt-check=true",
        "--experimental-watch-progress-notify-interval=5s",
    ])
    .unwrap();
    assert_eq!(config.watch_progress_interval, Duration::from_secs(5));
    assert_eq!(config.notes.len(), 1);
}

#[test]
fn an_environment_file_means_the_same_as_flags() {
    let config = read_with(
        &[],
        &[
            ("ETCD_NAME", "m1"),
            ("ETCD_DATA_DIR", "/var/lib/etcd/default"),
            ("ETCD_LISTEN_CLIENT_URLS", "http://0.0.0.0:2379"),
            ("ETCD_ADVERTISE_CLIENT_URLS", "http://10.0.0.4:2379"),
            ("ETCD_INITIAL_CLUSTER_TOKEN", "tok"),
            ("ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL", "7s"),
            ("ETCD_PRE_VOTE", ""),
            ("ETCDCTL_API", "3"),
            ("ETCD_UNSUPPORTED_ARCH", "arm64"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.name, "m1");
    assert_eq!(config.cluster.token, "tok");
    assert_eq!(config.watch_progress_interval, Duration::from_secs(7));
    assert_eq!(
        config.notes,
        [Note::UnknownVariable("ETCD_UNSUPPORTED_ARCH".into())]
    );
}

#[test]
fn a_flag_and_its_variable_conflict_in_either_spelling() {
    let error = read_with(&["--name", "a"], &[("ETCD_NAME", "b")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "conflicting environment variable \"ETCD_NAME\" is shadowed by corresponding \
         command-line flag (either unset environment variable or disable flag)"
    );
    assert_eq!(error.exit_code(), 1);
    let error = read_with(
        &["--watch-progress-notify-interval=5s"],
        &[("ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL", "5s")],
    )
    .unwrap_err();
    assert!(matches!(error, ConfigError::Conflict(_)));
    assert!(
        read_with(&["--name", "a"], &[("ETCD_NAME", "")]).is_ok(),
        "empty is not set"
    );
}

#[test]
fn go_syntax() {
    for args in [
        &["--name", "a", "--pre-vote"][..],
        &["-name=a", "-pre-vote=T"],
        &["--name=b", "-name", "a"],
    ] {
        assert_eq!(read(args).unwrap().name, "a", "{args:?}");
    }
    assert_eq!(read(&["--name", "-x"]).unwrap().name, "-x");
    for (args, text, code) in [
        (
            &["--nonsense"][..],
            "flag provided but not defined: -nonsense",
            2,
        ),
        (&["--name"], "flag needs an argument: -name", 2),
        (&["---name=a"], "bad flag syntax: ---name=a", 2),
        (&["--=a"], "bad flag syntax: --=a", 2),
        (&["-"], "bad flag syntax: -", 2),
        (&["--pre-vote", "false"], "'false' is not a valid flag", 1),
        (&["--", "foo"], "'foo' is not a valid flag", 1),
        (
            &["--pre-vote=maybe"],
            "invalid value \"maybe\" for flag -pre-vote: parse error",
            2,
        ),
        (
            &["-heartbeat-interval", "-5"],
            "invalid value \"-5\" for flag -heartbeat-interval: parse error",
            2,
        ),
        (
            &["--grpc-keepalive-timeout=5"],
            "invalid value \"5\" for flag -grpc-keepalive-timeout: parse error",
            2,
        ),
        (
            &["--initial-cluster-state=old"],
            "invalid value \"old\" for flag -initial-cluster-state: must be one of new, existing",
            2,
        ),
        (
            &["--listen-peer-urls=http://127.0.0.1"],
            "invalid value \"http://127.0.0.1\" for flag -listen-peer-urls: URL address does not \
             have the form \"host:port\": http://127.0.0.1",
            2,
        ),
    ] {
        assert_eq!(refusal(args), (text.to_owned(), code), "{args:?}");
    }
    let error = read_with(&[], &[("ETCD_HEARTBEAT_INTERVAL", "abc")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid value \"abc\" for ETCD_HEARTBEAT_INTERVAL: parse error"
    );
}

#[test]
fn help_and_version_are_asked_for_by_flags() {
    for (arg, expected) in [
        ("-h", Request::Help),
        ("--help", Request::Help),
        ("--version", Request::Version),
    ] {
        let args = ["--name=a", arg, "--nonsense"].map(OsString::from);
        assert_eq!(from_command_line(args, []), Ok(expected));
    }
    assert_eq!(read(&["--name", "--help"]).unwrap().name, "--help");
}

#[test]
fn every_flag_is_served_noted_or_refused() {
    for flag in table::all() {
        // A value that is readable and not the default.
        let other = match flag.kind {
            flag::Kind::Bool if flag.default == "true" => "false",
            flag::Kind::Bool => "true",
            flag::Kind::Uint | flag::Kind::Int => "7",
            flag::Kind::Duration => "7s",
            flag::Kind::Choice(words) => {
                words.iter().find(|w| **w != flag.default).copied().unwrap()
            }
            flag::Kind::Text => "something",
        };
        let result = read(&[&format!("--{}={other}", flag.name)]);
        match flag.state {
            flag::State::Served => {}
            flag::State::Noted(reason) => {
                let notes = result.unwrap().notes;
                assert_eq!(notes.len(), 1, "{}", flag.name);
                assert!(notes[0].to_string().contains(reason));
            }
            flag::State::Refused(reason) => assert_eq!(
                result.unwrap_err(),
                ConfigError::NotServed {
                    flag: flag.name.into(),
                    value: other.into(),
                    reason
                }
            ),
        }
        let default = read(&[&format!("--{}={}", flag.name, flag.default)]);
        if !matches!(flag.state, flag::State::Served) {
            assert!(default.is_ok(), "{} at its default", flag.name);
        }
    }
}

#[test]
fn contradictions_are_refused_in_etcds_words() {
    for (args, text) in [
        (
            &["--listen-client-urls=http://127.0.0.1:1"][..],
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        (
            &["--election-timeout=200"],
            "--election-timeout[200ms] should be at least as 5 times as --heartbeat-interval[100ms]",
        ),
        (
            &["--election-timeout=50001"],
            "--election-timeout[50001ms] is too long, and should be set less than 50000ms",
        ),
        (
            &["--heartbeat-interval=0"],
            "--heartbeat-interval must be >0 (set to 0ms)",
        ),
        (&["--max-txn-ops=0"], "--max-txn-ops must be >0"),
        (
            &["--listen-peer-urls=http://foo.example:1"],
            "expected IP in URL for binding (http://foo.example:1)",
        ),
        (
            &["--advertise-client-urls=http://:2379"],
            "unexpected empty host (http://:2379)",
        ),
        (
            &["--initial-cluster=a=http://h:1,b=http://h:1"],
            "initial cluster a=http://h:1,b=http://h:1 has duplicate url",
        ),
        (
            &["--initial-cluster=a"],
            "--initial-cluster has \"a\", which is not of the form name=url",
        ),
        (
            &["--initial-cluster=a=b"],
            "invalid value \"a=b\" for flag -initial-cluster: URL scheme",
        ),
        (
            &["--name="],
            "invalid value \"\" for flag -name: must not be empty",
        ),
    ] {
        let (said, _) = refusal(args);
        assert!(said.starts_with(text), "{args:?}: {said}");
    }
    assert!(read(&["--election-timeout=500"]).is_ok());
    assert!(read(&["--election-timeout=50000"]).is_ok());
}

#[test]
fn auto_compaction_takes_hours_durations_and_counts() {
    let retention = |args: &[&str]| read(args).map(|config| config.auto_compaction);
    for (args, expected) in [
        (&["--auto-compaction-retention=0"][..], AutoCompaction::Off),
        (
            &["--auto-compaction-retention=1"],
            AutoCompaction::Periodic(Duration::from_secs(3_600)),
        ),
        (
            &["--auto-compaction-retention=5m"],
            AutoCompaction::Periodic(Duration::from_secs(300)),
        ),
        (
            &[
                "--auto-compaction-mode=revision",
                "--auto-compaction-retention=1000",
            ],
            AutoCompaction::Revisions(1_000),
        ),
    ] {
        assert_eq!(retention(args), Ok(expected), "{args:?}");
    }
    assert!(retention(&["--auto-compaction-retention=foo"]).is_err());
    assert!(
        retention(&[
            "--auto-compaction-mode=revision",
            "--auto-compaction-retention=5m"
        ])
        .is_err()
    );
}

#[test]
fn limits_have_their_special_values() {
    let limits = |args: &[&str]| read(args).unwrap().limits;
    assert_eq!(
        limits(&["--max-concurrent-streams=8"]).max_concurrent_streams,
        8
    );
    let progress = read(&["--watch-progress-notify-interval=1ms"]).unwrap();
    assert_eq!(progress.watch_progress_interval, Duration::from_millis(100));
    let silent = read(&["--grpc-keepalive-interval=0"]).unwrap();
    assert_eq!(silent.keepalive.interval, None);
    let pages = read(&["--cors=https://a.example, https://b.example"]).unwrap();
    assert_eq!(pages.http.cors, ["https://a.example", "https://b.example"]);
    assert_eq!(pages.http.host_whitelist, ["*"]);
}

/// Ids seen in the logs of etcd 3.5.30 started with these flags.
#[test]
fn ids_are_etcds() {
    let three = read(&[
        "--name=m1",
        "--initial-advertise-peer-urls=http://127.0.0.1:23801",
        "--initial-cluster=m1=http://127.0.0.1:23801,m2=http://127.0.0.1:23802,m3=http://127.0.0.1:23803",
        "--initial-cluster-token=tok",
    ])
    .unwrap()
    .bootstrap()
    .unwrap();
    assert_eq!(three.cluster_id.to_string(), "64d937c925e41b58");
    assert_eq!(three.member_id.to_string(), "4036b1db24775ea0");
    let members: Vec<_> = three
        .members
        .iter()
        .map(|m| (m.id.to_string(), m.name.as_str()))
        .collect();
    assert_eq!(
        members,
        [
            ("2737ecedbf2a9065".to_owned(), "m2"),
            ("4036b1db24775ea0".to_owned(), "m1"),
            ("80af5d65a6e2f603".to_owned(), "m3"),
        ]
    );

    let two_urls = read(&[
        "--name=m1",
        "--initial-advertise-peer-urls=http://127.0.0.1:23801,http://127.0.0.1:13801",
        "--initial-cluster=m1=http://127.0.0.1:23801,m1=http://127.0.0.1:13801",
    ])
    .unwrap()
    .bootstrap()
    .unwrap();
    assert_eq!(two_urls.member_id.to_string(), "65c77997a2f07c6c");
    assert_eq!(two_urls.cluster_id.to_string(), "ea44a3ef742deee3");
}

#[test]
fn a_first_start_needs_the_member_in_its_cluster() {
    let missing = read(&["--name=b", "--initial-cluster=a=http://127.0.0.1:1"]).unwrap();
    assert_eq!(
        missing.bootstrap().unwrap_err().to_string(),
        "couldn't find local name \"b\" in the initial cluster configuration"
    );
    let elsewhere = read(&[
        "--name=a",
        "--initial-cluster=a=http://127.0.0.1:1",
        "--initial-advertise-peer-urls=http://127.0.0.1:2",
    ])
    .unwrap();
    assert_eq!(
        elsewhere.bootstrap().unwrap_err().to_string(),
        "--initial-cluster has a=http://127.0.0.1:1 but --initial-advertise-peer-urls has \
         http://127.0.0.1:2: both must name the same URLs for this member"
    );
}

#[test]
fn the_help_names_every_flag() {
    let help = usage("holdfast server");
    for flag in table::all() {
        assert!(
            help.contains(&format!("  --{}", flag.name)),
            "{}",
            flag.name
        );
    }
}

proptest! {
    #[test]
    fn any_value_of_any_flag_is_taken_or_refused(index: prop::sample::Index, value: String) {
        let flags: Vec<_> = table::all().collect();
        let flag = index.get(&flags);
        let _ = read(&[&format!("--{}={value}", flag.name)]).map(|config| config.bootstrap());
    }
}
