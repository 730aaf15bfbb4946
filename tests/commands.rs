//! The binary as operators meet it: commands, exit statuses, lines, signals.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command() -> Command {
    let mut command = Command::new(HOLDFAST);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Two neighbouring ports that nobody uses, as far as one moment tells, below those that the system gives
/// to clients. Tests that run at once begin to look at different places.
fn free_ports() -> u16 {
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mine = u16::try_from(std::process::id() % 4_000).unwrap() * 2;
    (0..4_000)
        .map(|step| 16_000 + (mine + 2 * step) % 8_000)
        .find(|port| free(*port) && free(port + 1))
        .expect("some ports are free")
}

fn signal(process: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Reads lines until one contains `expected`, and gives it.
fn line_with(lines: &mut impl Iterator<Item = std::io::Result<String>>, expected: &str) -> String {
    let mut seen = Vec::new();
    for line in lines {
        let line = line.unwrap();
        if line.contains(expected) {
            return line;
        }
        seen.push(line);
    }
    panic!("no line with {expected:?} in\n{}", seen.join("\n"));
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn answer(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn server_flags(dir: &Path, port: u16) -> Vec<String> {
    let peer = port + 1;
    vec![
        "--name=a".into(),
        format!("--data-dir={}", dir.join("a").display()),
        format!("--listen-client-urls=http://127.0.0.1:{port}"),
        format!("--advertise-client-urls=http://127.0.0.1:{port}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
    ]
}

#[test]
fn a_link_called_etcd_is_the_server() {
    let temp = tempfile::tempdir().unwrap();
    let etcd = temp.path().join("etcd");
    std::os::unix::fs::symlink(HOLDFAST, &etcd).unwrap();
    let version = Command::new(&etcd).arg("--version").output().unwrap();
    let text = String::from_utf8(version.stdout).unwrap();
    let starts: Vec<_> = text
        .lines()
        .map(|l| l.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        starts,
        ["etcd Version", "Git SHA", "Go Version", "Go OS/Arch"]
    );
    let unknown = Command::new(&etcd).arg("--nonsense").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).starts_with("etcd: flag provided but not defined: -nonsense\n"));
}

#[test]
fn a_server_says_when_it_is_ready_and_stops_when_told() {
    let temp = tempfile::tempdir().unwrap();
    let socket = temp.path().join("notify");
    let notified = UnixDatagram::bind(&socket).unwrap();
    let port = free_ports();
    let server = command()
        .arg("server")
        .args(server_flags(temp.path(), port))
        .env("NOTIFY_SOCKET", &socket)
        .spawn();
    let mut server = Running(server.unwrap());
    let mut lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let ready = line_with(&mut lines, "ready to serve client requests");
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["msg"], "ready to serve client requests");
    assert_eq!(ready["level"], "info");
    let mut word = [0; 16];
    let len = notified.recv(&mut word).unwrap();
    assert_eq!(&word[..len], b"READY=1");
    assert!(answer(port, "/readyz").starts_with("HTTP/1.1 200"));

    let second = command()
        .arg("server")
        .args(server_flags(temp.path(), free_ports()))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("is in use by another process"));

    signal(&server.0, Signal::TERM);
    line_with(&mut lines, "closed server");
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// Starts a cluster of one and waits until it says that it serves.
fn up(dir: &Path, port: u16) -> Running {
    let up = command()
        .args([
            "up",
            "--members=1",
            "--kube-port=0",
            &format!("--base-port={port}"),
        ])
        .arg("--data-dir")
        .arg(dir)
        .spawn();
    let mut up = Running(up.unwrap());
    let mut lines = BufReader::new(up.0.stdout.take().unwrap()).lines();
    line_with(&mut lines, "Three commands to try");
    // Whoever writes to a closed pipe fails, so somebody has to go on reading.
    std::thread::spawn(move || lines.count());
    up
}

#[test]
fn up_serves_keeps_its_data_and_stops_with_ctrl_c() {
    let temp = tempfile::tempdir().unwrap();
    let port = free_ports();
    let identity = temp.path().join("m1/identity.json");
    let mut before = None;
    for _ in 0..2 {
        let mut up = up(temp.path(), port);
        assert!(answer(port, "/readyz").starts_with("HTTP/1.1 200"));
        let whose = std::fs::read(&identity).unwrap();
        assert_eq!(*before.get_or_insert_with(|| whose.clone()), whose);
        signal(&up.0, Signal::INT);
        assert_eq!(up.0.wait().unwrap().code(), Some(0));
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}

#[test]
fn members_do_not_outlive_a_killed_up() {
    let temp = tempfile::tempdir().unwrap();
    let port = free_ports();
    let mut up = up(temp.path(), port);
    up.0.kill().unwrap();
    up.0.wait().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_in_the_way_of_up_is_one_line() {
    let temp = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = command()
        .args([
            "up",
            "--members=1",
            "--kube-port=0",
            &format!("--base-port={port}"),
        ])
        .arg("--data-dir")
        .arg(temp.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        format!(
            "holdfast up: port {port} (client port of member m1) is in use: stop what listens there \
             or choose others with --base-port\n"
        )
    );
}

#[test]
fn certificates_that_cannot_be_used_are_one_line() {
    let temp = tempfile::tempdir().unwrap();
    let port = free_ports();
    let refused = |more: &[&str]| {
        let mut flags = server_flags(temp.path(), port);
        let https = |flag: &String| flag.contains("client-urls=");
        for flag in flags.iter_mut().filter(|flag| https(flag)) {
            *flag = flag.replace("http://", "https://");
        }
        let output = command().arg("server").args(flags).args(more).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        stderr(&output)
    };
    assert_eq!(
        refused(&[]),
        format!(
            "holdfast server: --listen-client-urls has https://127.0.0.1:{port}: TLS needs --cert-file and \
             --key-file, or --auto-tls\n"
        )
    );
    let missing = refused(&["--cert-file=/no/such.crt", "--key-file=/no/such.key"]);
    assert_eq!(missing.lines().count(), 1, "{missing}");
    let line: serde_json::Value = serde_json::from_str(&missing).unwrap();
    assert_eq!(
        line["msg"],
        "cannot use --cert-file=/no/such.crt: No such file or directory (os error 2)"
    );
    let suite = refused(&["--auto-tls", "--cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA"]);
    assert!(
        suite.contains("\"TLS_RSA_WITH_AES_128_CBC_SHA\" in --cipher-suites"),
        "{suite}"
    );
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
