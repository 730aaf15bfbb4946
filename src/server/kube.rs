//! The Kubernetes API of a member: its files, its socket, and its begin once the cluster serves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;

use super::accept::{self, Entrance};
use super::connection::Serving;
use super::error::StartError;
use super::limits;
use super::listen::{self, Socket};
use super::parts;
use crate::base::clock;
use crate::base::shutdown::Lifecycle;
use crate::config::KubeConfig;
use crate::engine::Engine;
use crate::kube::authn::request_header::HeaderNames;
use crate::kube::gate::{FrontProxyConfig, GateConfig};
use crate::kube::metrics::KubeMetrics;
use crate::kube::pki::{self, Pki};
use crate::kube::services::Ranges;
use crate::kube::store::{ObjectStore, ROOT};
use crate::kube::streams::dial::KubeletSettings;
use crate::kube::views::Views;
use crate::kube::{KubeServer, KubeSettings, LimitSettings};
use crate::tls::{AcceptSettings, Acceptor, CertificateFiles, Protocol, Rules, TlsFile, Version};

/// Handshakes under way at a time.
const HANDSHAKES: usize = 512;
/// How long one may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time to be taken out of the service `kubernetes` at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// Where the system tells the machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// Characters of a label's value.
const MAX_LABEL: usize = 63;
/// Between attempts to begin.
const RETRY: Duration = Duration::from_millis(100);

/// What is needed to serve, before anything is served.
pub(super) struct KubeParts {
    listener: TcpListener,
    acceptor: Arc<Acceptor>,
    settings: KubeSettings,
    shutdown_delay: Duration,
}

/// The Kubernetes API of a member that runs.
#[derive(Debug)]
pub(super) struct Kube {
    /// Once it is served.
    server: Arc<OnceLock<KubeServer>>,
    shutdown_delay: Duration,
}

impl Kube {
    /// Tells whoever looks that the member is about to stop, and gives them the time to see it.
    pub(super) async fn depart(&self) {
        let Some(server) = self.server.get() else {
            return;
        };
        if tokio::time::timeout(FAREWELL, server.depart())
            .await
            .is_err()
        {
            tracing::warn!("the service kubernetes leads here for some seconds more");
        }
        tokio::time::sleep(self.shutdown_delay).await;
    }
}

impl KubeParts {
    /// Binds the socket and makes or reads the files.
    ///
    /// # Errors
    /// [`StartError`] for what cannot be used.
    pub(super) fn prepare(config: &KubeConfig, data_dir: &Path) -> Result<Self, StartError> {
        let address = SocketAddr::new(config.bind, config.port);
        let listener = listen::bind_address(address).map_err(|source| StartError::Listen {
            flag: "secure-port",
            url: format!("https://{address}"),
            source,
        })?;
        let refused = |reason: String| StartError::Kubernetes { reason };
        let first_range = config.service_cidr.split(',').next().unwrap_or_default();
        let service = first_of(first_range).ok_or_else(|| {
            refused(format!(
                "--service-cluster-ip-range: {} is no range of addresses",
                config.service_cidr
            ))
        })?;
        let names = [config.advertise.to_string()];
        let made = Pki::prepare(
            &pki::Settings {
                shared: config.cert_dir.clone(),
                own: data_dir.join("kubernetes"),
                hosts: pki::serving_hosts(service, &names),
                server: config.kubeconfig_server.clone(),
            },
            clock::unix_time(),
        )
        .map_err(|error| refused(error.to_string()))?;
        let (cert, key) = config
            .certificate
            .clone()
            .unwrap_or((made.serving.certificate, made.serving.key));
        let file = |flag, path: PathBuf| TlsFile { flag, path };
        let acceptor = Acceptor::new(AcceptSettings {
            callers: "kubernetes",
            own: CertificateFiles {
                cert: file("tls-cert-file", cert),
                key: file("tls-private-key-file", key),
            },
            authority: None,
            asked: true,
            rules: Rules::default(),
            certify: false,
            protocol: Protocol {
                min: Version::Tls12,
                max: Version::Tls13,
                suites: Vec::new(),
            },
            alpn: &["h2", "http/1.1"],
            handshakes: HANDSHAKES,
            patience: HANDSHAKE,
        })?;
        Ok(Self {
            listener,
            acceptor: Arc::new(acceptor),
            settings: KubeSettings {
                address: format!("{}:{}", config.advertise, config.port),
                service_range: config.service_cidr.clone(),
                service_address: service,
                port: config.port,
                advertise: config.advertise,
                host: host_name(),
                limits: LimitSettings {
                    reading: config.limits.reading,
                    changing: config.limits.changing,
                    request_timeout: config.limits.request_timeout,
                    min_watch: config.limits.min_watch,
                },
                gate: GateConfig {
                    client_ca: Some(config.client_ca.clone().unwrap_or(made.ca.certificate)),
                    front_proxy: Some(FrontProxyConfig {
                        ca: config
                            .access
                            .proxy_ca
                            .clone()
                            .unwrap_or(made.front_proxy_ca.certificate),
                        names: config.access.proxy_names.clone(),
                        headers: HeaderNames {
                            user: config.access.user_headers.clone(),
                            uid: config.access.uid_headers.clone(),
                            group: config.access.group_headers.clone(),
                            extra: config.access.extra_prefixes.clone(),
                        },
                    }),
                    token_file: config.token_file.clone(),
                    bootstrap_tokens: config.access.bootstrap_tokens,
                    issuers: config.issuers.clone(),
                    service_account_keys: config.service_account_keys.clone(),
                    signing_key: config
                        .signing_key
                        .clone()
                        .unwrap_or(made.service_account_key),
                    jwks_uri: format!(
                        "https://{}/openid/v1/jwks",
                        SocketAddr::new(config.advertise, config.port)
                    ),
                    audiences: config.audiences.clone(),
                    anonymous: config.anonymous,
                    authorization: config.authorization.clone(),
                },
                services: Ranges::parse(&config.service_cidr).map_err(refused)?,
                admission_enabled: config.admission_enabled.clone(),
                admission_disabled: config.admission_disabled.clone(),
                kubelet: KubeletSettings {
                    certificate: Some(
                        config
                            .kubelet_certificate
                            .clone()
                            .unwrap_or((made.kubelet_client.certificate, made.kubelet_client.key)),
                    ),
                    authority: config.kubelet_authority.clone(),
                    preferred: config.kubelet_addresses.clone(),
                },
            },
            shutdown_delay: config.limits.shutdown_delay,
        })
    }

    /// Serves once the cluster does, until the member stops.
    pub(super) fn serve(self, engine: &Engine, life: &Lifecycle, serving: &Arc<Serving>) -> Kube {
        let (engine, life, serving) = (engine.clone(), life.clone(), Arc::clone(serving));
        let kube = Kube {
            server: Arc::default(),
            shutdown_delay: self.shutdown_delay,
        };
        let server = Arc::clone(&kube.server);
        let tasks = life.clone();
        tasks.task("kubernetes", async move {
            if let Err(reason) = self.begin(&engine, &life, &serving, &server).await {
                life.fail("the Kubernetes API", &reason);
            }
        });
        kube
    }

    async fn begin(
        self,
        engine: &Engine,
        life: &Lifecycle,
        serving: &Arc<Serving>,
        known: &OnceLock<KubeServer>,
    ) -> Result<(), String> {
        parts::ready(engine).await;
        let metrics = Arc::new(KubeMetrics::new());
        let views = loop {
            match Views::start(engine, ROOT, &metrics, life).await {
                Ok(views) => break views,
                Err(error) => {
                    tracing::warn!(%error, "the Kubernetes API cannot read the store yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        let address = self.settings.address.clone();
        let store = ObjectStore::new(engine.clone(), views);
        let server = KubeServer::new(store, self.settings, metrics, life)?;
        let _ = known.set(server.clone());
        let entrance = Entrance {
            sockets: vec![Socket {
                listener: self.listener,
                https: true,
            }],
            respond: server.clone(),
            respond_secured: server.clone(),
            tls: Some(self.acceptor),
            room: limits::client_connections(),
            open: accept::at_once(),
        };
        // Readiness tells when everything is there that clients rely on.
        entrance.serve(life, serving);
        tracing::info!(address, "serving the Kubernetes API");
        server.establish().await;
        tokio::join!(server.stay(), server.keep_definitions());
        Ok(())
    }
}

/// The machine's name, as a label can have it.
fn host_name() -> String {
    let said = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = said.trim().chars().filter(fits).take(MAX_LABEL).collect();
    match name.trim_matches(|c: char| !c.is_ascii_alphanumeric()) {
        "" => "localhost".into(),
        name => name.into(),
    }
}

/// The first address of a range that a service can have.
fn first_of(cidr: &str) -> Option<std::net::IpAddr> {
    let (address, length) = cidr.split_once('/')?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    match address {
        std::net::IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32_u32.checked_sub(length)?)
                .unwrap_or(0);
            let first = (u32::from(v4) & mask).checked_add(1)?;
            Some(std::net::Ipv4Addr::from(first).into())
        }
        std::net::IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.checked_sub(length)?)
                .unwrap_or(0);
            let first = (u128::from(v6) & mask).checked_add(1)?;
            Some(std::net::Ipv6Addr::from(first).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_a_range() {
        let first = |cidr| first_of(cidr).map(|address| address.to_string());
        assert_eq!(first("10.0.0.0/24"), Some("10.0.0.1".into()));
        assert_eq!(first("10.96.7.9/12"), Some("10.96.0.1".into()));
        assert_eq!(first("fd00::/108"), Some("fd00::1".into()));
        assert_eq!(first("0.0.0.0/0"), Some("0.0.0.1".into()));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/x"] {
            assert_eq!(first(wrong), None, "{wrong}");
        }
    }
}
