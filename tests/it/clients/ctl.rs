//! etcdctl, if it is on the PATH; 3.4 and later.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness::*;

/// Whether there is no etcdctl; the test says so and ends.
pub async fn is_missing() -> bool {
    let missing = Command::new("etcdctl")
        .arg("version")
        .output()
        .await
        .is_err();
    if missing {
        eprintln!("etcdctl: skipped, not on the PATH");
    }
    missing
}

/// Whether this etcdctl has a command, or a flag of one: it is asked for its help. Says so if it has not.
pub async fn has(command: &str, wanted: &str) -> bool {
    let mut help = Command::new("etcdctl");
    help.env("ETCDCTL_API", "3")
        .args(command.split(' '))
        .arg("--help");
    let output = help.output().await.unwrap();
    let has = String::from_utf8_lossy(&output.stdout).contains(wanted);
    if !has {
        eprintln!("etcdctl: skipped, this one has no {wanted:?} in `{command}`");
    }
    has
}

/// Whether this etcdctl is of a release or a later one. Says so if it is not.
pub async fn has_version(major: u32, minor: u32) -> bool {
    let mut version = Command::new("etcdctl");
    let output = version
        .env("ETCDCTL_API", "3")
        .arg("version")
        .output()
        .await;
    let told = String::from_utf8(output.unwrap().stdout).unwrap();
    let numbers = told
        .lines()
        .find_map(|line| line.strip_prefix("etcdctl version: "));
    let mut numbers = numbers
        .unwrap()
        .split('.')
        .map(|number| number.parse().unwrap_or(0));
    let has = (numbers.next().unwrap(), numbers.next().unwrap()) >= (major, minor);
    if !has {
        eprintln!("etcdctl: skipped, this one is older than {major}.{minor}");
    }
    has
}

/// How a command ended.
#[derive(Debug)]
pub struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// What it printed; it must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.success, "{self:?}");
        self.stdout
    }

    /// What it printed anywhere.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// The tool, told where the members are and what to show them.
#[derive(Debug, Clone)]
pub struct Ctl {
    flags: Vec<String>,
}

impl Ctl {
    /// For the members that these connections lead to.
    pub fn to(clients: &[Client]) -> Self {
        let endpoints: Vec<_> = clients.iter().map(endpoint).collect();
        let mut flags = vec![format!("--endpoints={}", endpoints.join(","))];
        if let Some(tls) = clients[0].tls() {
            flags.extend_from_slice(&tls.flags);
        }
        Self { flags }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .args(&self.flags)
            .args(arguments)
            .kill_on_drop(true);
        command
    }

    /// A command that ends.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        output_of(self.command(arguments).output().await.unwrap())
    }

    /// A command with text on its standard input.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.spawn(arguments);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        output_of(child.wait_with_output().await.unwrap())
    }

    /// A command that goes on.
    pub fn start(&self, arguments: &[&str]) -> Ongoing {
        let mut child = self.spawn(arguments);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Ongoing {
            child,
            lines: stdout.lines(),
        }
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// A command that ends, asked of the case's server.
pub async fn ctl(c: &Case, arguments: &[&str]) -> Output {
    Ctl::to(&c.members).run(arguments).await
}

/// A command that goes on, asked of the case's server.
pub fn ctl_start(c: &Case, arguments: &[&str]) -> Ongoing {
    Ctl::to(&c.members).start(arguments)
}

/// A key of the case as an argument.
pub fn key(c: &Case, name: &str) -> String {
    text(&c.key(name)).into()
}

/// A member as the tool is told of it: plain text needs no scheme.
pub fn endpoint(client: &Client) -> String {
    match client.tls() {
        None => client.address.clone(),
        Some(_) => client.url(),
    }
}

fn output_of(output: std::process::Output) -> Output {
    Output {
        success: output.status.success(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A command under way; it is killed with this.
pub struct Ongoing {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Ongoing {
    /// The next line that it prints.
    pub async fn line(&mut self) -> String {
        self.line_within(PATIENCE).await.expect("a line in time")
    }

    /// Reads lines until `due` have come, in this order and nothing else.
    pub async fn told_in_order(&mut self, due: &[&str]) {
        for expected in due {
            assert_eq!(&self.line().await, expected);
        }
    }

    /// The next line that it prints within `limit`.
    pub async fn line_within(&mut self, limit: Duration) -> Option<String> {
        let line = tokio::time::timeout(limit, self.lines.next_line()).await;
        line.ok().map(|line| line.unwrap().expect("a line"))
    }

    /// Asserts that nothing is printed for a while.
    pub async fn stays_quiet(&mut self) {
        assert_eq!(self.line_within(QUIET).await, None);
    }

    /// Types a line.
    pub async fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).await.unwrap();
        stdin.write_all(b"\n").await.unwrap();
    }

    /// Ends it as Ctrl-C does.
    pub async fn interrupt(&mut self) {
        let pid = self.child.id().expect("it runs");
        let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends").unwrap();
    }
}
