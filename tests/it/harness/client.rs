//! The raw gRPC stubs over one connection, without retries or translation of errors.

use bytes::Bytes;
use holdfast::etcd::pb::etcdserverpb as pb;
use http_body_util::Full;
use pb::auth_client::AuthClient;
use pb::cluster_client::ClusterClient;
use pb::kv_client::KvClient;
use pb::lease_client::LeaseClient;
use pb::maintenance_client::MaintenanceClient;
use pb::watch_client::WatchClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::http::{https_send, open};
use super::{Answer, ClientTls, Stream, https_get};

/// What the stubs talk through.
pub type Connection = InterceptedService<Channel, Credentials>;

/// The metadata that says who asks; none by default.
#[derive(Debug, Clone, Default)]
pub struct Credentials(Option<(&'static str, MetadataValue<Ascii>)>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some((name, value)) = &self.0 {
            request.metadata_mut().insert(*name, value.clone());
        }
        Ok(request)
    }
}

/// A connection of its own to one member.
#[derive(Debug, Clone)]
pub struct Client {
    /// `host:port` of the member.
    pub address: String,
    channel: Channel,
    credentials: Credentials,
    tls: Option<ClientTls>,
}

macro_rules! stubs {
    ($($name:ident: $stub:ident),* $(,)?) => {
        $(pub fn $name(&self) -> $stub<Connection> {
            $stub::new(self.connection())
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX)
        })*
    };
}

macro_rules! calls {
    ($($call:ident: $stub:ident($request:ident) -> $response:ident),* $(,)?) => {
        $(pub async fn $call(&self, request: pb::$request) -> Result<pb::$response, Status> {
            Ok(self.$stub().$call(request).await?.into_inner())
        })*
    };
}

impl Client {
    /// Connects to `address` (`host:port`) when first used, over TLS if there is any.
    pub fn with_tls(address: &str, tls: Option<&ClientTls>) -> Self {
        let endpoint = match tls {
            None => Endpoint::from_shared(format!("http://{address}")).unwrap(),
            Some(tls) => tls.endpoint(address),
        };
        Self {
            address: address.into(),
            channel: endpoint.connect_lazy(),
            credentials: Credentials::default(),
            tls: tls.cloned(),
        }
    }

    /// Another connection to the same member, without metadata.
    pub fn another(&self) -> Self {
        Self::with_tls(&self.address, self.tls.as_ref())
    }

    /// What the connection believes and shows, if it is not in plain text.
    pub fn tls(&self) -> Option<&ClientTls> {
        self.tls.as_ref()
    }

    /// The member's client URL.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// GET `path` by HTTP/1.1.
    pub async fn http(&self, path: &str) -> Answer {
        let answer = https_get(&self.address, self.tls.as_ref(), path).await;
        answer.unwrap()
    }

    /// Any request by HTTP/1.1; the Host header is added.
    pub async fn http_send(&self, request: http::Request<Full<Bytes>>) -> Answer {
        let answer = https_send(&self.address, self.tls.as_ref(), request).await;
        answer.unwrap()
    }

    /// A connection for bytes. `protocol` is what is announced if it is over TLS: `h2` or `http/1.1`.
    pub async fn stream(&self, protocol: &str) -> Box<dyn Stream> {
        let stream = open(&self.address, self.tls.as_ref(), protocol).await;
        stream.unwrap()
    }

    /// The same connection with a metadata entry on every call.
    pub fn with_metadata(&self, name: &'static str, value: &str) -> Self {
        Self {
            credentials: Credentials(Some((name, value.parse().unwrap()))),
            ..self.clone()
        }
    }

    /// For stubs that are not among those below.
    pub fn connection(&self) -> Connection {
        InterceptedService::new(self.channel.clone(), self.credentials.clone())
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    stubs! {
        kv: KvClient,
        watch: WatchClient,
        lease: LeaseClient,
        cluster: ClusterClient,
        maintenance: MaintenanceClient,
        auth: AuthClient,
    }

    calls! {
        range: kv(RangeRequest) -> RangeResponse,
        put: kv(PutRequest) -> PutResponse,
        delete_range: kv(DeleteRangeRequest) -> DeleteRangeResponse,
        txn: kv(TxnRequest) -> TxnResponse,
        compact: kv(CompactionRequest) -> CompactionResponse,
        lease_grant: lease(LeaseGrantRequest) -> LeaseGrantResponse,
        lease_revoke: lease(LeaseRevokeRequest) -> LeaseRevokeResponse,
        lease_time_to_live: lease(LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse,
        lease_leases: lease(LeaseLeasesRequest) -> LeaseLeasesResponse,
        member_list: cluster(MemberListRequest) -> MemberListResponse,
        alarm: maintenance(AlarmRequest) -> AlarmResponse,
        status: maintenance(StatusRequest) -> StatusResponse,
        defragment: maintenance(DefragmentRequest) -> DefragmentResponse,
        hash: maintenance(HashRequest) -> HashResponse,
        hash_kv: maintenance(HashKvRequest) -> HashKvResponse,
        move_leader: maintenance(MoveLeaderRequest) -> MoveLeaderResponse,
    }

    /// The store revision, from a linearizable read.
    pub async fn revision(&self) -> i64 {
        let response = self.range(super::point("revision-probe")).await.unwrap();
        response.header.unwrap().revision
    }

    /// Major and minor version of the server, from the one place that never asks who is asking.
    pub async fn version(&self) -> (u32, u32) {
        let answer = self.http("/version").await;
        let versions: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let version = versions["etcdserver"].as_str().unwrap();
        let mut parts = version.split('.').map(|part| part.parse().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    }
}

/// Asserts that a call was refused with exactly this code and text.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, message: &str) {
    let status = result.expect_err("should have been refused");
    assert_eq!((status.code(), status.message()), (code, message));
}
