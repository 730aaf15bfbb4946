//! `etcdserverpb.Maintenance`.

use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

use super::snapshot::SnapshotCall;
use super::{Responses, access};
use crate::base::ids::MemberId;
use crate::engine::{Alarm, AlarmKind, Engine, MemberStatus};
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use crate::etcd::pb::etcdserverpb::maintenance_server::Maintenance;
use crate::etcd::status::Refusal;
use crate::etcd::{EtcdContext, response, status, version};

pub(super) struct MaintenanceService {
    engine: Engine,
    quota_bytes: u64,
}

impl MaintenanceService {
    pub(super) fn new(context: &EtcdContext) -> Self {
        Self {
            engine: context.engine.clone(),
            quota_bytes: context.settings.quota_bytes,
        }
    }
}

#[tonic::async_trait]
impl Maintenance for MaintenanceService {
    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Response<pb::AlarmResponse>, Status> {
        if request.get_ref().action != i32::from(AlarmAction::Get) {
            access::root_only(&self.engine, &request)?;
        }
        let request = request.into_inner();
        match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Get) => {}
            Ok(action) => {
                let action = action.as_str_name();
                return Err(Status::unimplemented(format!(
                    "alarm action {action} is not supported"
                )));
            }
            Err(_) => return Err(Refusal::InvalidAlarmAction.into()),
        }
        let (header, alarms) = self.engine.alarms().await?;
        Ok(Response::new(pb::AlarmResponse {
            header: response::header(header),
            alarms: matching(&alarms, request.alarm),
        }))
    }

    async fn status(
        &self,
        _request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let status = self.engine.status()?;
        let errors = errors(status.leader, &self.engine.local_alarms()?);
        Ok(Response::new(status_response(
            &status,
            errors,
            self.quota_bytes,
        )))
    }

    /// The response has no header: etcd leaves it unset.
    async fn defragment(
        &self,
        _request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        self.engine.defragment().await?;
        Ok(Response::new(pb::DefragmentResponse::default()))
    }

    async fn hash(
        &self,
        _request: Request<pb::HashRequest>,
    ) -> Result<Response<pb::HashResponse>, Status> {
        let (header, hash) = self.engine.hash().await?;
        Ok(Response::new(pb::HashResponse {
            header: response::header(header),
            hash,
        }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let (header, hash) = self.engine.hash_kv(request.into_inner().revision).await?;
        Ok(Response::new(pb::HashKvResponse {
            header: response::header(header),
            hash: hash.hash,
            compact_revision: hash.compact_revision,
            hash_revision: hash.hash_revision,
        }))
    }

    type SnapshotStream = Responses<pb::SnapshotResponse>;

    async fn snapshot(
        &self,
        _request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let (total, source) = self.engine.snapshot().await?;
        let call = SnapshotCall::new(total, source);
        let messages = stream::unfold(Some(call), SnapshotCall::next);
        Ok(Response::new(messages.boxed()))
    }

    /// The response has no header: etcd leaves it unset.
    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        let target = MemberId(request.into_inner().target_id);
        self.engine.move_leader(target).await?;
        Ok(Response::new(pb::MoveLeaderResponse::default()))
    }

    async fn downgrade(
        &self,
        _request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        Err(status::unknown_method(
            "etcdserverpb.Maintenance",
            "Downgrade",
        ))
    }
}

const fn alarm_type(kind: AlarmKind) -> pb::AlarmType {
    match kind {
        AlarmKind::NoSpace => pb::AlarmType::Nospace,
        AlarmKind::Corrupt => pb::AlarmType::Corrupt,
    }
}

/// The alarms of one type, or all for `NONE`.
fn matching(alarms: &[Alarm], wanted: i32) -> Vec<pb::AlarmMember> {
    let members = alarms.iter().map(|alarm| pb::AlarmMember {
        member_id: alarm.member.0,
        alarm: alarm_type(alarm.kind).into(),
    });
    let all = wanted == i32::from(pb::AlarmType::None);
    members
        .filter(|member| all || member.alarm == wanted)
        .collect()
}

fn status_response(
    status: &MemberStatus,
    errors: Vec<String>,
    quota_bytes: u64,
) -> pb::StatusResponse {
    pb::StatusResponse {
        header: response::header(status.header),
        version: version::SERVER.into(),
        db_size: signed(status.db_size),
        leader: status.leader.0,
        raft_index: status.raft_index,
        raft_term: status.header.raft_term,
        raft_applied_index: status.raft_applied_index,
        errors,
        db_size_in_use: signed(status.db_size_in_use),
        is_learner: status.is_learner,
        storage_version: version::STORAGE.into(),
        db_size_quota: signed(quota_bytes),
        downgrade_info: Some(pb::DowngradeInfo::default()),
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What is wrong with the member, in etcd's words; the blank after an alarm belongs to them.
fn errors(leader: MemberId, alarms: &[Alarm]) -> Vec<String> {
    let no_leader = (leader == MemberId::NONE).then(|| status::no_leader().message().to_owned());
    let alarms = alarms.iter().map(|alarm| {
        let kind = alarm_type(alarm.kind).as_str_name();
        format!("memberID:{} alarm:{kind} ", alarm.member.0)
    });
    no_leader.into_iter().chain(alarms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{ClusterId, Revision};
    use crate::engine::Header;

    const ALARMS: [Alarm; 2] = [
        Alarm {
            member: MemberId(5),
            kind: AlarmKind::NoSpace,
        },
        Alarm {
            member: MemberId(6),
            kind: AlarmKind::Corrupt,
        },
    ];

    #[test]
    fn alarms_are_filtered_by_type() {
        let ids = |wanted: i32| -> Vec<u64> {
            let members = matching(&ALARMS, wanted);
            members.iter().map(|member| member.member_id).collect()
        };
        assert_eq!(ids(0), [5, 6]);
        assert_eq!(ids(1), [5]);
        assert_eq!(ids(2), [6]);
        assert_eq!(ids(7), [0_u64; 0]);
    }

    #[test]
    fn errors_are_worded_as_etcd_does() {
        assert_eq!(
            errors(MemberId::NONE, &ALARMS[..1]),
            ["etcdserver: no leader", "memberID:5 alarm:NOSPACE "]
        );
        assert!(errors(MemberId(1), &[]).is_empty());
    }

    #[test]
    fn status_names_versions_clients_can_parse() {
        let status = MemberStatus {
            header: Header {
                cluster_id: ClusterId(1),
                member_id: MemberId(2),
                revision: Revision(3),
                raft_term: 4,
            },
            db_size: 10,
            db_size_in_use: 5,
            leader: MemberId(2),
            raft_index: 8,
            raft_applied_index: 7,
            is_learner: false,
        };
        let response = status_response(&status, Vec::new(), 100);
        let version: Vec<u32> = response
            .version
            .split('.')
            .map(|n| n.parse().unwrap())
            .collect();
        assert!(version >= vec![3, 6, 0]);
        assert_eq!((response.raft_term, response.db_size_quota), (4, 100));
        assert_eq!((response.raft_index, response.raft_applied_index), (8, 7));
    }
}
