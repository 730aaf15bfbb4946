//! One member with its Kubernetes API in process, without sockets, in the shape that `benches/kube.rs` measures. Not
//! part of the API.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};

use crate::base::clock;
use crate::base::ids::{ClusterId, LeaseId, MemberId};
use crate::base::shutdown::Lifecycle;
use crate::engine::{AuthConfig, AutoCompaction, Engine, EngineConfig, Member, SlowLimits};
use crate::kube::gate::GateConfig;
use crate::kube::metrics::KubeMetrics;
use crate::kube::pki::{self, Pki};
use crate::kube::services::Ranges;
use crate::kube::store::{ObjectStore, ROOT};
use crate::kube::streams::dial::KubeletSettings;
use crate::kube::views::Views;
use crate::kube::{KubeBody, KubeServer, KubeSettings, LimitSettings, request_body};
use crate::raft::transport::{DEFAULT_MAX_SNAPSHOT, PeerConfig, PeerNetwork};
use crate::storage::StoreOptions;

const TOKEN: &str = "bench";
const CLUSTER: ClusterId = ClusterId(1);
const MEMBER: MemberId = MemberId(7);

/// The member.
pub struct KubeBench {
    server: KubeServer,
    store: ObjectStore,
    life: Lifecycle,
}

impl KubeBench {
    /// Starts it in an empty directory. Nothing is synced: what the layer above costs does not depend on the disk.
    ///
    /// # Errors
    /// What does not start.
    pub async fn start(dir: &Path) -> Result<Self, String> {
        let life = Lifecycle::new();
        let engine = engine(dir, &life)?;
        let metrics = Arc::new(KubeMetrics::new());
        let views = Views::start(&engine, ROOT, &metrics, &life).await?;
        let store = ObjectStore::new(engine, views);
        let server = KubeServer::new(store.clone(), settings(dir)?, metrics, &life)?;
        server.establish().await;
        Ok(Self {
            server,
            store,
            life,
        })
    }

    /// One request of an administrator, and the answer's status; its body is still to be read.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Response<KubeBody> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", content_type)
            .header("user-agent", "bench/1.0")
            .body(Full::new(body))
            .unwrap_or_default();
        self.server.answer(request.map(request_body)).await
    }

    /// The same with the whole body.
    pub async fn answer(&self, method: &str, path: &str, body: Bytes) -> (u16, Bytes) {
        let response = self.ask(method, path, "application/json", body).await;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await;
        (code, body.unwrap_or_default().to_bytes())
    }

    /// What the layer adds to: the conditional write of the same bytes by the engine alone.
    ///
    /// # Errors
    /// What the store says.
    pub async fn write(&self, key: &str, revision: i64, value: Bytes) -> Result<(), String> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let written = self
            .store
            .replace(key, revision, value, LeaseId::NONE)
            .await;
        written.map(drop).map_err(|error| error.message)
    }

    /// A linearizable read by the engine alone.
    ///
    /// # Errors
    /// What the store says.
    pub async fn read(&self, key: &str) -> Result<usize, String> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let found = self.store.read(key).await.map_err(|error| error.message)?;
        Ok(found.map_or(0, |stored| stored.value.len()))
    }
}

impl Drop for KubeBench {
    fn drop(&mut self) {
        self.life.stop();
    }
}

fn engine(dir: &Path, life: &Lifecycle) -> Result<Engine, String> {
    let config = EngineConfig {
        data_dir: dir.to_owned(),
        cluster_id: CLUSTER,
        member_id: MEMBER,
        name: "only".into(),
        client_urls: Vec::new(),
        initial_members: vec![Member {
            id: MEMBER.0,
            peer_urls: vec!["http://127.0.0.1:2380".into()],
            ..Member::default()
        }],
        joining: false,
        strict_reconfig: true,
        max_learners: 1,
        force_new_cluster: false,
        heartbeat: Duration::from_millis(100),
        election_ticks: 10,
        max_request_bytes: 3 << 20,
        snapshot_catchup_entries: 5000,
        fsync: false,
        progress_interval: Duration::from_secs(600),
        slow: SlowLimits::default(),
        auto_compaction: AutoCompaction::Off,
        auth: AuthConfig::default(),
        quota_bytes: None,
        lease_checkpoint_interval: None,
        corrupt_check_interval: None,
        compact_check_interval: None,
        store: StoreOptions::default(),
    };
    let peers = PeerConfig {
        cluster_id: CLUSTER,
        member_id: MEMBER,
        advertised_urls: Vec::new(),
        peers: Vec::new(),
        removed: Vec::new(),
        incoming_dir: dir.join("incoming"),
        heartbeat: config.heartbeat,
        max_snapshot_bytes: DEFAULT_MAX_SNAPSHOT,
        calls: None,
    };
    let runtime = tokio::runtime::Handle::current();
    let metrics = Arc::default();
    let network = PeerNetwork::start(peers, runtime, &metrics, life);
    let network = network.map_err(|error| error.to_string())?;
    Engine::start(&config, &network, &metrics, life).map_err(|error| error.to_string())
}

fn settings(dir: &Path) -> Result<KubeSettings, String> {
    let certificates = dir.join("kubernetes");
    let service_address = [10, 0, 0, 1].into();
    let made = Pki::prepare(
        &pki::Settings {
            shared: certificates.clone(),
            own: certificates,
            hosts: pki::serving_hosts(service_address, &[]),
            server: "https://127.0.0.1:6443".into(),
        },
        clock::unix_time(),
    )
    .map_err(|error| error.to_string())?;
    let tokens = dir.join("tokens.csv");
    std::fs::write(&tokens, format!("{TOKEN},admin,1,system:masters\n"))
        .map_err(|error| error.to_string())?;
    let range = "10.0.0.0/16";
    Ok(KubeSettings {
        address: "127.0.0.1:6443".into(),
        service_range: range.into(),
        service_address,
        port: 6443,
        gate: GateConfig {
            client_ca: Some(made.ca.certificate),
            token_file: Some(tokens),
            issuers: vec!["https://kubernetes.default.svc".into()],
            signing_key: made.service_account_key,
            authorization: vec!["Node".into(), "RBAC".into()],
            ..GateConfig::default()
        },
        services: Ranges::parse(range)?,
        admission_enabled: Vec::new(),
        admission_disabled: vec!["ServiceAccount".into()],
        kubelet: KubeletSettings {
            certificate: None,
            authority: None,
            preferred: Vec::new(),
        },
        limits: LimitSettings {
            reading: None,
            changing: None,
            request_timeout: Duration::from_secs(60),
            min_watch: Duration::from_secs(1800),
        },
        advertise: [127, 0, 0, 1].into(),
        host: "bench".into(),
    })
}
