//! Which members there will be, and whether anything is in their way.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use tokio::net::TcpSocket;

use super::UpOptions;
use crate::config::{self, ConfigError, MemberConfig, Request, STOP_WITH_STDIN};
use crate::server::data_dir::DataDir;
use crate::server::error::{DataDirError, StartError};

/// The token of these clusters, so that their members are never taken for another's on the same ports.
const TOKEN: &str = "holdfast-up";

/// How far the ports of the second, third... member lie above the first one's: 2379, 22379, 32379, as
/// etcd's documentation has them.
const OFFSETS: [u16; 5] = [0, 20_000, 30_000, 40_000, 50_000];

/// The same for the ports of the Kubernetes API: 6443, 16443, 26443.
const KUBE_OFFSETS: [u16; 5] = [0, 10_000, 20_000, 30_000, 40_000];

/// Where the members keep the certificates and kubeconfigs that they share, below the data directory.
const KUBERNETES: &str = "kubernetes";

/// Everything about the members, decided before any of them starts.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) members: Vec<MemberPlan>,
    /// What leads kubectl to the first member, if the members serve the Kubernetes API.
    pub(super) kubeconfig: Option<PathBuf>,
}

/// One member to be.
#[derive(Debug)]
pub(super) struct MemberPlan {
    pub(super) name: String,
    pub(super) client_port: u16,
    pub(super) peer_port: u16,
    /// Of the Kubernetes API, if it is served.
    pub(super) kube_port: Option<u16>,
    /// The file that takes its log.
    pub(super) log: PathBuf,
    /// Its flags.
    pub(super) flags: Vec<OsString>,
    data_dir: PathBuf,
}

/// What is in the way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// There are no such ports.
    #[error("--{option} {base} is too high for {members} members: port {highest} does not exist")]
    NoSuchPort {
        /// Which option.
        option: &'static str,
        /// The option.
        base: u16,
        /// The option.
        members: u16,
        /// The first that is too high.
        highest: u32,
    },
    /// Somebody listens there.
    #[error(
        "port {port} ({what} port of member {name}) is in use: stop what listens there or choose \
         others with --{option}"
    )]
    PortInUse {
        /// The port.
        port: u16,
        /// `client`, `peer` or `Kubernetes`.
        what: &'static str,
        /// The option that moves it.
        option: &'static str,
        /// The member.
        name: String,
    },
    /// The port cannot be used for another reason.
    #[error("port {port} ({what} port of member {name}) cannot be used: {source}")]
    Port {
        /// The port.
        port: u16,
        /// `client` or `peer`.
        what: &'static str,
        /// The member.
        name: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data was written by another cluster.
    #[error(
        "{0} holds data of another cluster: choose another directory with --data-dir, the same \
         --members and --base-port as before, or delete it"
    )]
    OtherCluster(PathBuf),
    /// The data cannot be used for another reason.
    #[error(transparent)]
    Data(#[from] StartError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The flags would be refused by the member.
    #[error("members do not start with the flags {flags:?}: {source}")]
    Flags {
        /// The flags.
        flags: Vec<OsString>,
        /// What the member would say.
        source: ConfigError,
    },
}

impl Plan {
    /// Decides names, ports and directories.
    ///
    /// # Errors
    /// [`PlanError::NoSuchPort`].
    pub(super) fn new(options: &UpOptions) -> Result<Self, PlanError> {
        let ports = OFFSETS
            .iter()
            .take(usize::from(options.members))
            .map(|offset| ports(options, *offset))
            .collect::<Result<Vec<_>, _>>()?;
        let named: Vec<_> = ports
            .iter()
            .enumerate()
            .map(|(i, (_, peer))| format!("m{}=http://127.0.0.1:{peer}", i + 1))
            .collect();
        let cluster = named.join(",");
        let mut members: Vec<_> = ports
            .iter()
            .enumerate()
            .map(|(i, (client, peer))| {
                MemberPlan::new(options, format!("m{}", i + 1), *client, *peer, &cluster)
            })
            .collect();
        if options.kube_port == 0 {
            return Ok(Self {
                members,
                kubeconfig: None,
            });
        }
        for (member, offset) in members.iter_mut().zip(KUBE_OFFSETS) {
            member.serve_kubernetes(options, offset)?;
        }
        Ok(Self {
            members,
            kubeconfig: Some(options.data_dir.join(KUBERNETES).join("admin.conf")),
        })
    }

    /// Looks for everything that would keep a member from starting. Makes the data directories. To be called
    /// within a runtime, which sockets belong to.
    ///
    /// # Errors
    /// The first thing found.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        for member in &self.members {
            member.check_port(member.client_port, "client", "base-port")?;
            member.check_port(member.peer_port, "peer", "base-port")?;
            if let Some(port) = member.kube_port {
                member.check_port(port, "Kubernetes", "kube-port")?;
            }
        }
        self.members.iter().try_for_each(MemberPlan::check_data)
    }

    /// All client endpoints, as clients take them.
    pub(super) fn endpoints(&self) -> String {
        let endpoints = self
            .members
            .iter()
            .map(|m| format!("127.0.0.1:{}", m.client_port));
        endpoints.collect::<Vec<_>>().join(",")
    }
}

/// Client and peer port of a member.
fn ports(options: &UpOptions, offset: u16) -> Result<(u16, u16), PlanError> {
    let client = u32::from(options.base_port) + u32::from(offset);
    match (u16::try_from(client), u16::try_from(client + 1)) {
        (Ok(client), Ok(peer)) => Ok((client, peer)),
        _ => Err(PlanError::NoSuchPort {
            option: "base-port",
            base: options.base_port,
            members: options.members,
            highest: client + 1,
        }),
    }
}

impl MemberPlan {
    fn new(options: &UpOptions, name: String, client: u16, peer: u16, cluster: &str) -> Self {
        let data_dir = options.data_dir.join(&name);
        let mut data_flag = OsString::from("--data-dir=");
        data_flag.push(&data_dir);
        let mut flags: Vec<OsString> = [
            format!("--name={name}"),
            format!("--listen-client-urls=http://127.0.0.1:{client}"),
            format!("--advertise-client-urls=http://127.0.0.1:{client}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-cluster={cluster}"),
            format!("--initial-cluster-token={TOKEN}"),
            "--log-format=console".to_owned(),
            format!("--{STOP_WITH_STDIN}"),
        ]
        .map(OsString::from)
        .into();
        flags.push(data_flag);
        Self {
            log: options.data_dir.join(format!("{name}.log")),
            name,
            client_port: client,
            peer_port: peer,
            kube_port: None,
            flags,
            data_dir,
        }
    }

    /// Adds what serves the Kubernetes API. Authorities and kubeconfigs are shared by all members.
    fn serve_kubernetes(&mut self, options: &UpOptions, offset: u16) -> Result<(), PlanError> {
        let highest = u32::from(options.kube_port) + u32::from(offset);
        let port = u16::try_from(highest).map_err(|_| PlanError::NoSuchPort {
            option: "kube-port",
            base: options.kube_port,
            members: options.members,
            highest,
        })?;
        self.kube_port = Some(port);
        let mut shared = OsString::from("--cert-dir=");
        shared.push(options.data_dir.join(KUBERNETES));
        let first = options.kube_port;
        self.flags.extend([
            format!("--secure-port={port}").into(),
            OsString::from("--bind-address=127.0.0.1"),
            shared,
            format!("--kubeconfig-server=https://127.0.0.1:{first}").into(),
            // No controller makes the account that every pod would need.
            OsString::from("--disable-admission-plugins=ServiceAccount"),
        ]);
        Ok(())
    }

    /// Binds the port as the member will, and lets go of it again.
    fn check_port(
        &self,
        port: u16,
        what: &'static str,
        option: &'static str,
    ) -> Result<(), PlanError> {
        let bound = TcpSocket::new_v4().and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
            socket.listen(1)
        });
        let name = self.name.clone();
        match bound {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(PlanError::PortInUse {
                port,
                what,
                option,
                name,
            }),
            Err(source) => Err(PlanError::Port {
                port,
                what,
                name,
                source,
            }),
        }
    }

    /// Looks at the data as the member will, and lets go of it again.
    fn check_data(&self) -> Result<(), PlanError> {
        let config = self.config()?;
        let dir = DataDir::open(&self.data_dir)?;
        match dir.origin(&config) {
            Ok(_) => Ok(()),
            Err(StartError::DataDir(
                DataDirError::OtherCluster { dir, .. }
                | DataDirError::OtherToken { dir, .. }
                | DataDirError::OtherMember { dir, .. },
            )) => Err(PlanError::OtherCluster(dir)),
            Err(error) => Err(error.into()),
        }
    }

    fn config(&self) -> Result<MemberConfig, PlanError> {
        let refused = |source| PlanError::Flags {
            flags: self.flags.clone(),
            source,
        };
        match config::from_command_line(self.flags.iter().cloned(), []) {
            Ok(Request::Start(config)) => Ok(*config),
            Ok(Request::File(_) | Request::Help | Request::Version) => {
                Err(refused(ConfigError::StrayArgument(self.name.clone())))
            }
            Err(source) => Err(refused(source)),
        }
    }
}

/// Three commands that show something, with etcd's own client if it is installed.
pub(super) fn commands(
    endpoints: &str,
    with_etcdctl: bool,
    kubeconfig: Option<&Path>,
) -> [String; 3] {
    let mut commands = etcd_commands(endpoints, with_etcdctl);
    if let (Some(kubeconfig), [_, _, last]) = (kubeconfig, &mut commands) {
        *last = format!(
            "kubectl --kubeconfig {} get namespaces",
            kubeconfig.display()
        );
    }
    commands
}

fn etcd_commands(endpoints: &str, with_etcdctl: bool) -> [String; 3] {
    if with_etcdctl {
        [
            format!("etcdctl --endpoints={endpoints} put greeting hello"),
            format!("etcdctl --endpoints={endpoints} get greeting"),
            format!("etcdctl --endpoints={endpoints} watch --prefix \"\""),
        ]
    } else {
        let first = endpoints.split(',').next().unwrap_or(endpoints);
        [
            format!("curl http://{first}/health"),
            format!("curl http://{first}/version"),
            format!("curl http://{first}/readyz?verbose"),
        ]
    }
}

/// Whether a program is installed.
pub(super) fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir: PathBuf| is_file(&dir.join(program)))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(data_dir: &Path, members: u16, base_port: u16) -> UpOptions {
        UpOptions {
            members,
            data_dir: data_dir.to_owned(),
            base_port,
            kube_port: 0,
        }
    }

    /// A base port for two members from which nobody listens, as far as one moment tells. All four ports lie
    /// below those that the system gives to clients. Tests that run at once begin to look at different
    /// places.
    fn free_base() -> u16 {
        let free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        let mine = u16::try_from(std::process::id() % 1_250).unwrap() * 2;
        (0..1_250)
            .map(|step| 10_000 + (mine + 2 * step) % 2_500)
            .find(|base| [0, 1, 20_000, 20_001].iter().all(|o| free(base + o)))
            .expect("some ports are free")
    }

    #[test]
    fn ports_are_etcds_example() {
        let plan = Plan::new(&options(Path::new("d"), 3, 2379)).unwrap();
        let ports: Vec<_> = plan
            .members
            .iter()
            .map(|m| (m.name.as_str(), m.client_port, m.peer_port))
            .collect();
        assert_eq!(
            ports,
            [
                ("m1", 2379, 2380),
                ("m2", 22379, 22380),
                ("m3", 32379, 32380)
            ]
        );
        assert_eq!(
            plan.endpoints(),
            "127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379"
        );
    }

    #[test]
    fn members_take_their_flags_and_agree_on_the_cluster() {
        let plan = Plan::new(&options(Path::new("d"), 5, 2379)).unwrap();
        let ids: std::collections::HashSet<_> = plan
            .members
            .iter()
            .map(|m| m.config().unwrap().bootstrap().unwrap().cluster_id)
            .collect();
        assert_eq!(ids.len(), 1);
        assert!(plan.members[0].config().unwrap().stop_with_stdin);
    }

    #[test]
    fn every_member_serves_kubernetes_with_the_same_authorities() {
        let options = UpOptions {
            kube_port: 6443,
            ..options(Path::new("d"), 3, 2379)
        };
        let plan = Plan::new(&options).unwrap();
        let kube: Vec<_> = plan
            .members
            .iter()
            .map(|member| member.config().unwrap().kube.unwrap())
            .collect();
        assert_eq!(
            kube.iter().map(|kube| kube.port).collect::<Vec<_>>(),
            [6443, 16443, 26443]
        );
        let first = &kube[0];
        assert!(kube.iter().all(|kube| kube.cert_dir == first.cert_dir
            && kube.kubeconfig_server == "https://127.0.0.1:6443"));
        let too_high = UpOptions {
            kube_port: 60_000,
            ..options
        };
        let said = Plan::new(&too_high).unwrap_err().to_string();
        assert_eq!(
            said,
            "--kube-port 60000 is too high for 3 members: port 70000 does not exist"
        );
    }

    #[test]
    fn ports_that_do_not_exist_are_refused() {
        let said = Plan::new(&options(Path::new("d"), 3, 40_000))
            .unwrap_err()
            .to_string();
        assert_eq!(
            said,
            "--base-port 40000 is too high for 3 members: port 70001 does not exist"
        );
        assert!(Plan::new(&options(Path::new("d"), 1, u16::MAX)).is_err());
    }

    #[tokio::test]
    async fn a_port_in_use_is_one_line_and_nothing_is_made() {
        let temp = tempfile::tempdir().unwrap();
        let base = free_base();
        let _taken = std::net::TcpListener::bind(("127.0.0.1", base + 1)).unwrap();
        let data = temp.path().join("data");
        let plan = Plan::new(&options(&data, 1, base)).unwrap();
        assert_eq!(
            plan.check().unwrap_err().to_string(),
            format!(
                "port {} (peer port of member m1) is in use: stop what listens there or choose \
                 others with --base-port",
                base + 1
            )
        );
        assert!(!data.exists());
    }

    #[tokio::test]
    async fn an_unwritable_directory_is_one_line() {
        let plan = Plan::new(&options(Path::new("/proc/data"), 1, free_base())).unwrap();
        let said = plan.check().unwrap_err().to_string();
        assert!(
            said.starts_with("cannot use data directory /proc/data/m1: cannot create it"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn data_of_another_cluster_is_one_line() {
        let temp = tempfile::tempdir().unwrap();
        let base = free_base();
        let one = Plan::new(&options(temp.path(), 1, base)).unwrap();
        one.check().unwrap();
        let config = one.members[0].config().unwrap();
        let dir = DataDir::open(&one.members[0].data_dir).unwrap();
        let identity = dir.origin(&config).unwrap().unwrap().identity();
        dir.claim(identity, TOKEN, None).unwrap();
        drop(dir);
        one.check().unwrap();

        let two = Plan::new(&options(temp.path(), 2, base)).unwrap();
        let said = two.check().unwrap_err().to_string();
        assert!(
            said.starts_with(&format!(
                "{} holds data of another cluster",
                temp.path().join("m1").display()
            )),
            "{said}"
        );
    }

    #[test]
    fn commands_name_every_endpoint() {
        let with = commands("a:1,b:2", true, None);
        assert!(with.iter().all(|c| c.contains("--endpoints=a:1,b:2 ")));
        let without = commands("a:1,b:2", false, Some(Path::new("/d/admin.conf")));
        assert_eq!(without[0], "curl http://a:1/health");
        assert_eq!(
            without[2],
            "kubectl --kubeconfig /d/admin.conf get namespaces"
        );
        assert!(is_on_path("sh"));
        assert!(!is_on_path("no-such-program"));
    }
}
