//! A server process: started, killed, paused, restarted on the same data.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::OnceCell;
use tokio::time::sleep;

use super::program::Program;
use super::{Client, ClientTls, Pki, free_ports, https_get, is_tls, reaper, transport};

/// A busy machine may take this long to bring a server up.
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const LOG_TAIL: usize = 6000;

/// What a case asks of a server beyond the defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    flags: Vec<String>,
    /// Whose certificates servers and clients show and demand; plain text without.
    tls: Option<Arc<Pki>>,
    /// Whether a client that says nothing else is who its certificate names.
    certified_users: bool,
}

/// Plain text or TLS, as the run has it.
impl Default for Settings {
    fn default() -> Self {
        Self {
            tls: transport::pki(),
            ..Self::plain()
        }
    }
}

impl Settings {
    /// Plain text whatever the run has, for tests that are about the transport.
    pub fn plain() -> Self {
        Self {
            flags: Vec::new(),
            tls: None,
            certified_users: true,
        }
    }

    /// Certificates let clients in and do not say who they are, for tests of users who say so themselves.
    pub fn without_certified_users(mut self) -> Self {
        self.certified_users = false;
        self
    }

    /// TLS everywhere, with certificates demanded of clients and members. The clients of such a server show
    /// the authority's `client`.
    pub fn tls(mut self, pki: &Arc<Pki>) -> Self {
        self.tls = Some(Arc::clone(pki));
        self
    }

    pub fn flag(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.flags.push(format!("--{name}={value}"));
        self
    }

    /// A flag that etcd 3.5 knows as experimental.
    pub fn renamed_flag(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let flag = Program::get().renamed_flag(name);
        self.flags.push(format!("{flag}={value}"));
        self
    }

    /// Short elections, for cases that lose leaders.
    pub fn quick_elections(self) -> Self {
        self.flag("heartbeat-interval", 50)
            .flag("election-timeout", 500)
    }
}

/// One member of a cluster.
#[derive(Debug)]
pub struct Server {
    program: &'static Program,
    name: String,
    dir: PathBuf,
    address: String,
    peer_url: String,
    flags: Vec<String>,
    /// What the harness's own connections use.
    tls: Option<ClientTls>,
    process: Option<Child>,
}

impl Server {
    /// A member that is not started yet.
    pub fn prepare(name: &str) -> Self {
        let ports = free_ports(2);
        let dir = reaper::root().join(format!("{name}-{}", ports[0]));
        std::fs::create_dir_all(&dir).unwrap();
        Self {
            program: Program::get(),
            name: name.into(),
            dir,
            address: format!("127.0.0.1:{}", ports[0]),
            peer_url: format!("http://127.0.0.1:{}", ports[1]),
            flags: Vec::new(),
            tls: None,
            process: None,
        }
    }

    /// Starts a server of its own and waits until it serves.
    pub async fn start(settings: Settings) -> Self {
        Self::start_as(Program::get(), settings).await
    }

    /// As [`start`](Self::start), with another program.
    pub async fn start_as(program: &'static Program, settings: Settings) -> Self {
        let mut member = Self::prepare("default");
        member.program = program;
        member.secure(&settings);
        let cluster = format!("default={}", member.peer_url);
        member.configure(&settings, &cluster);
        member.spawn();
        member.ready().await;
        member
    }

    /// A server of its own with default settings.
    pub async fn fresh() -> Self {
        Self::start(Settings::default()).await
    }

    /// Makes the member's URLs those that the settings ask for. To be called before its peer URL is told to
    /// others.
    pub fn secure(&mut self, settings: &Settings) {
        if settings.tls.is_some() {
            self.make_peer_url_https();
        }
        self.tls = settings.tls.as_ref().map(|pki| pki.client("client"));
    }

    /// Makes the peer URL an `https` one. To be called before it is told to others.
    pub fn make_peer_url_https(&mut self) {
        self.peer_url = self.peer_url.replace("http://", "https://");
    }

    /// Sets a flag to another value than [`configure`](Self::configure) did.
    pub fn override_flag(&mut self, name: &str, value: &str) {
        self.flags.push(format!("--{name}={value}"));
    }

    /// Has the harness's own connections lead elsewhere.
    pub fn set_address(&mut self, address: &str) {
        self.address = address.into();
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Has the harness's own connections use this.
    pub fn set_client_tls(&mut self, tls: Option<ClientTls>) {
        self.tls = tls;
    }

    /// Sets the flags of this run and those that say who this member is. `initial_cluster` names all
    /// members.
    pub fn configure(&mut self, settings: &Settings, initial_cluster: &str) {
        self.flags.clone_from(&settings.flags);
        if let Some(pki) = &settings.tls {
            self.flags.extend(tls_flags(pki));
            let named = settings.certified_users;
            self.flags.push(format!("--client-cert-auth={named}"));
        }
        let client_url = self.client_url();
        let data_dir = self.data_dir();
        let identity = [
            ("name", self.name.as_str()),
            ("data-dir", data_dir.to_str().unwrap()),
            ("listen-client-urls", &client_url),
            ("advertise-client-urls", &client_url),
            ("listen-peer-urls", &self.peer_url),
            ("initial-advertise-peer-urls", &self.peer_url),
            ("initial-cluster", initial_cluster),
        ];
        self.flags
            .extend(identity.map(|(name, value)| format!("--{name}={value}")));
    }

    /// Starts a server of its own from a configuration file with these lines besides those that say who it
    /// is. Other `flags` are given too. It speaks plain text in every run: the file says what there is.
    pub async fn from_file(lines: &str, flags: &[&str]) -> Self {
        let mut member = Self::prepare("default");
        let (address, peer_url) = (&member.address, &member.peer_url);
        let text = format!(
            "name: default\ndata-dir: {}\nlisten-client-urls: http://{address}\n\
             advertise-client-urls: http://{address}\nlisten-peer-urls: {peer_url}\n\
             initial-advertise-peer-urls: {peer_url}\ninitial-cluster: default={peer_url}\n{lines}\n",
            member.dir.join("data").display()
        );
        let path = member.dir.join("etcd.conf.yml");
        std::fs::write(&path, text).unwrap();
        member.flags = vec![format!("--config-file={}", path.display())];
        member.flags.extend(flags.iter().map(|&flag| flag.into()));
        member.spawn();
        member.ready().await;
        member
    }

    /// Makes the data of a member that has none out of a backup.
    pub fn restore(&self, backup: &Path) {
        let restored = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(["snapshot", "restore"])
            .arg(backup)
            .args(&self.flags)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&restored.stderr);
        assert!(restored.status.success(), "{complaint}");
    }

    /// Starts the process without waiting for it to serve.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let child = self
            .program
            .command()
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the server command should start");
        reaper::watch(child.id());
        self.process = Some(child);
    }

    /// Waits until the member serves linearizable reads.
    pub async fn ready(&mut self) {
        self.wait_for("/readyz").await;
    }

    /// Waits until the member answers at all.
    pub async fn alive(&mut self) {
        self.wait_for("/livez").await;
    }

    async fn wait_for(&mut self, path: &str) {
        let up = tokio::time::timeout(START_LIMIT, self.poll(path)).await;
        assert!(up.is_ok(), "{} is not up\n{}", self.name, self.log_tail());
    }

    async fn poll(&mut self, path: &str) {
        loop {
            let exited = self.process.as_mut().unwrap().try_wait().unwrap();
            if let Some(status) = exited {
                panic!("{} ended: {status}\n{}", self.name, self.log_tail());
            }
            match https_get(&self.address, self.tls.as_ref(), path).await {
                Ok(answer) if answer.status == 200 => return,
                _ => sleep(POLL).await,
            }
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `host:port` of the client listener.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn client_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub fn peer_url(&self) -> &str {
        &self.peer_url
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::with_tls(&self.address, self.tls.as_ref())
    }

    pub async fn http(&self, path: &str) -> super::Answer {
        self.client().http(path).await
    }

    fn pid(&self) -> Pid {
        let process = self.process.as_ref().expect("the member runs");
        Pid::from_child(process)
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// SIGKILL, then waits for the process to be gone.
    pub fn kill(&mut self) {
        let process = self.process.as_mut().expect("the member runs");
        process.kill().unwrap();
        self.reap();
    }

    /// SIGTERM, then waits for the process to end by itself.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.reap()
    }

    fn reap(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the member runs");
        let status = process.wait().unwrap();
        reaper::forget(process.id());
        status
    }

    /// Stops the process where it is. Returns once every thread has stopped: on a busy machine the others run
    /// on until the one that takes the signal has had its turn.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        while !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_stopped(&self) -> bool {
        let tasks = format!("/proc/{}/task", self.pid().as_raw_nonzero());
        std::fs::read_dir(tasks).unwrap().all(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
            // The state follows the name, which is in parentheses; a thread that has ended has none.
            stat.is_ok_and(|stat| stat.rsplit_once(") ").unwrap().1.starts_with('T'))
        })
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let wait = async {
            while self.is_running() {
                sleep(POLL).await;
            }
        };
        let ended = tokio::time::timeout(START_LIMIT, wait).await;
        assert!(ended.is_ok(), "{} runs on\n{}", self.name, self.log_tail());
        self.reap()
    }

    /// Throws the data away.
    pub fn wipe(&self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        std::fs::remove_dir_all(self.dir.join("data")).unwrap();
    }

    /// Changes a flag for the next start.
    pub fn set_flag(&mut self, name: &str, value: impl std::fmt::Display) {
        let flag = format!("--{name}=");
        self.flags.retain(|given| !given.starts_with(&flag));
        self.flags.push(format!("{flag}{value}"));
    }

    /// Gives the member another port for its peers, from the next start on.
    pub fn move_peer_url(&mut self) {
        let (base, _port) = self.peer_url.rsplit_once(':').expect("a URL has a port");
        self.peer_url = format!("{base}:{}", free_ports(1)[0]);
        let url = self.peer_url.clone();
        self.set_flag("listen-peer-urls", &url);
        self.set_flag("initial-advertise-peer-urls", &url);
    }

    pub fn is_running(&mut self) -> bool {
        let process = self.process.as_mut();
        process.is_some_and(|process| process.try_wait().unwrap().is_none())
    }

    /// Starts again on the same data and waits until it serves.
    pub async fn restart(&mut self) {
        self.spawn();
        self.ready().await;
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The end of what the process wrote.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL)..];
        String::from_utf8_lossy(tail).into_owned()
    }
}

/// The flags for the certificates of `pki`.
fn tls_flags(pki: &Pki) -> Vec<String> {
    let files = [
        ("cert-file", "server.crt"),
        ("key-file", "server.key"),
        ("trusted-ca-file", "ca.crt"),
        ("peer-cert-file", "server.crt"),
        ("peer-key-file", "server.key"),
        ("peer-trusted-ca-file", "ca.crt"),
    ];
    let files = files.map(|(flag, file)| format!("--{flag}={}", pki.path(file)));
    let demand = "--peer-client-cert-auth=true".to_owned();
    files.into_iter().chain([demand]).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.name, self.log_tail());
        }
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// The server that tests of this process share. Nobody may change its revision rules: no compaction, no
/// alarms, no faults.
pub async fn shared() -> &'static Server {
    static PLAIN: OnceCell<Server> = OnceCell::const_new();
    static SECURED: OnceCell<Server> = OnceCell::const_new();
    let shared = if is_tls() { &SECURED } else { &PLAIN };
    shared.get_or_init(Server::fresh).await
}
