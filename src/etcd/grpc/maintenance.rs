//! `etcdserverpb.Maintenance`.

use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

use super::snapshot::SnapshotCall;
use super::{Responses, access};
use crate::base::ids::MemberId;
use crate::engine::{Alarm, AlarmKind, Engine, EngineError, MemberStatus};
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use crate::etcd::pb::etcdserverpb::downgrade_request::DowngradeAction;
use crate::etcd::pb::etcdserverpb::maintenance_server::Maintenance;
use crate::etcd::status::Refusal;
use crate::etcd::{EtcdContext, downgrade, response, status, version};

pub(super) struct MaintenanceService {
    engine: Engine,
    quota_bytes: i64,
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
        let engine = self.engine.acting(access::caller(&request));
        let request = request.into_inner();
        let action = AlarmAction::try_from(request.action);
        let action = action.map_err(|_| Refusal::InvalidAlarmAction)?;
        let (header, alarms) = match (action, concerned(&request)?) {
            (AlarmAction::Activate, Some(alarm)) => engine.raise_alarm(alarm).await?,
            (AlarmAction::Deactivate, Some(alarm)) => engine.lower_alarm(alarm).await?,
            // To raise or lower nothing is to do nothing.
            (AlarmAction::Activate | AlarmAction::Deactivate, None) => {
                (self.engine.header(), Vec::new())
            }
            (AlarmAction::Get, _) => self.engine.alarms().await?,
        };
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
        let errors = errors(status.leader, &self.engine.local_alarms());
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
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        let engine = self.engine.acting(access::caller(&request));
        let request = request.into_inner();
        let header = match DowngradeAction::try_from(request.action) {
            Ok(DowngradeAction::Validate) => {
                downgrade::target(&request.version)?;
                self.engine.read_barrier().await?;
                if self.engine.status()?.downgrade.is_some() {
                    return Err(EngineError::DowngradeInProgress.into());
                }
                self.engine.header()
            }
            Ok(DowngradeAction::Enable) => {
                let target = downgrade::target(&request.version)?;
                engine.set_downgrade(Some(target)).await?
            }
            Ok(DowngradeAction::Cancel) => engine.set_downgrade(None).await?,
            Err(_) => return Err(Status::unknown("etcdserver: unknown method")),
        };
        Ok(Response::new(pb::DowngradeResponse {
            header: response::header(header),
            version: version::CLUSTER.into(),
        }))
    }
}

/// The alarm that a request is about; `None` for the type that is none.
fn concerned(request: &pb::AlarmRequest) -> Result<Option<Alarm>, Refusal> {
    let kind = match pb::AlarmType::try_from(request.alarm) {
        Ok(pb::AlarmType::None) => return Ok(None),
        Ok(pb::AlarmType::Nospace) => AlarmKind::NoSpace,
        Ok(pb::AlarmType::Corrupt) => AlarmKind::Corrupt,
        Err(_) => return Err(Refusal::InvalidAlarmType),
    };
    Ok(Some(Alarm {
        member: MemberId(request.member_id),
        kind,
    }))
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
    quota_bytes: i64,
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
        db_size_quota: quota_bytes,
        downgrade_info: Some(pb::DowngradeInfo {
            enabled: status.downgrade.is_some(),
            target_version: status.downgrade.map_or_else(String::new, |v| v.to_string()),
        }),
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What is wrong with the member, in etcd's words; the blank after an alarm belongs to them.
fn errors(leader: MemberId, alarms: &[Alarm]) -> Vec<String> {
    let no_leader = (leader == MemberId::NONE).then(|| status::no_leader().message().to_owned());
    let alarms = alarms.iter().map(|alarm| {
        let kind = alarm.kind.name();
        format!("memberID:{} alarm:{kind} ", alarm.member.0)
    });
    no_leader.into_iter().chain(alarms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{ClusterId, Revision};
    use crate::engine::{Header, MinorVersion};

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
    fn an_alarm_that_is_none_concerns_nobody_and_an_unknown_one_is_refused() {
        let about = |alarm| {
            concerned(&pb::AlarmRequest {
                member_id: 5,
                alarm,
                ..pb::AlarmRequest::default()
            })
        };
        assert_eq!(about(0), Ok(None));
        assert_eq!(about(1), Ok(Some(ALARMS[0])));
        assert_eq!(about(9), Err(Refusal::InvalidAlarmType));
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
            downgrade: Some(MinorVersion { major: 3, minor: 5 }),
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
        let downgrade = response.downgrade_info.unwrap();
        assert_eq!(
            (downgrade.enabled, &*downgrade.target_version),
            (true, "3.5.0")
        );
    }
}
