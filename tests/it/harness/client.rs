//! The raw gRPC stubs over one connection, without retries or translation of errors.

use holdfast::etcd::pb::etcdserverpb as pb;
use pb::cluster_client::ClusterClient;
use pb::kv_client::KvClient;
use pb::lease_client::LeaseClient;
use pb::maintenance_client::MaintenanceClient;
use pb::watch_client::WatchClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// A connection of its own to one member.
#[derive(Debug, Clone)]
pub struct Client {
    /// `host:port` of the member.
    pub address: String,
    channel: Channel,
}

macro_rules! stubs {
    ($($name:ident: $stub:ident),* $(,)?) => {
        $(pub fn $name(&self) -> $stub<Channel> {
            $stub::new(self.channel.clone())
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
    /// Connects to `address` (`host:port`) when first used.
    pub fn new(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self {
            address: address.into(),
            channel: endpoint.connect_lazy(),
        }
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

    /// Major and minor version of the server.
    pub async fn version(&self) -> (u32, u32) {
        let status = self.status(pb::StatusRequest {}).await.unwrap();
        let mut parts = status.version.split('.').map(|part| part.parse().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    }
}

/// Asserts that a call was refused with exactly this code and text.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, message: &str) {
    let status = result.expect_err("should have been refused");
    assert_eq!((status.code(), status.message()), (code, message));
}
