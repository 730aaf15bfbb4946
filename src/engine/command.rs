//! What the replicated log carries for the state machine: one envelope for each request.
//!
//! Time, random numbers and ids enter here, where a command is proposed, and never where it is applied:
//! every member must apply it alike (invariant I7).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::types::{Alarm, Member, MinorVersion};
use crate::base::codec::{self, CodecError};
use crate::base::ids::LeaseId;
use crate::base::range::{KeyRange, RangeEnd};
use crate::mvcc::auth::{Actor, AuthCommand};
use crate::mvcc::ops::{Compare, CompareTarget, DeleteOp, Op, PutOp, Txn};

/// The version byte of envelopes whose caller nobody knows.
const ANONYMOUS_VERSION: u8 = 1;
/// The version byte of envelopes with a caller.
const ENVELOPE_VERSION: u8 = 2;

/// A replicated command. The order of variants is the wire format: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Write a key.
    Put(PutOp),
    /// Delete a range.
    Delete(DeleteOp),
    /// Run a transaction.
    Txn(Txn),
    /// Discard history below a revision.
    Compact {
        /// The revision as the client gave it: negative ones are refused where it is applied.
        revision: i64,
    },
    /// Grant a lease whose id and time to live the proposer settled.
    LeaseGrant {
        /// The id; never zero.
        id: LeaseId,
        /// Seconds.
        ttl: i64,
    },
    /// Revoke a lease and delete its keys.
    LeaseRevoke {
        /// The id.
        id: LeaseId,
    },
    /// Record the name and client URLs of a member that has started.
    PublishMember(Member),
    /// Change nothing: what must merely be ordered after everything before it.
    Barrier,
    /// Change users and roles.
    Auth(AuthCommand),
    /// Raise an alarm.
    RaiseAlarm(Alarm),
    /// Lower an alarm.
    LowerAlarm(Alarm),
    /// Begin to take the cluster back to a release, or end that.
    Downgrade(Option<MinorVersion>),
    /// Record how much of their time is left to leases.
    LeaseCheckpoint(LeaseCheckpoint),
}

/// What is left of leases, as a leader knew it. Void in any other term than its own: a command that lay
/// somewhere while another leader renewed the leases must not make them end early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseCheckpoint {
    /// The leader's term.
    pub(crate) term: u64,
    /// Leases with the seconds left to them; 0 gives a lease its full time again.
    pub(crate) remaining: Vec<(LeaseId, i64)>,
}

/// Names one request of one run of one member, so that its answer finds the waiting client and a
/// replayed log never answers a request of a later run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RequestId {
    /// The proposing member.
    pub(crate) member: u64,
    /// A number that differs from run to run.
    pub(crate) boot: u64,
    /// Counts the run's requests.
    pub(crate) sequence: u64,
}

/// A command with the request it belongs to, and who is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Whose answer it is.
    pub(crate) request: RequestId,
    /// Who asks.
    pub(crate) actor: Actor,
    /// What to do.
    pub(crate) command: Command,
}

impl Envelope {
    /// The bytes for the log.
    pub(crate) fn encode(&self) -> Result<Bytes, CodecError> {
        let bytes = if self.actor == Actor::Nobody {
            codec::encode(ANONYMOUS_VERSION, &(self.request, &self.command))
        } else {
            let Self {
                request,
                actor,
                command,
            } = self;
            codec::encode(ENVELOPE_VERSION, &(request, actor, command))
        };
        bytes.map(Bytes::from)
    }

    /// Reads the log's bytes back.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (request, actor, command) = if bytes.first() == Some(&ANONYMOUS_VERSION) {
            let (request, command) = codec::decode(ANONYMOUS_VERSION, bytes)?;
            (request, Actor::Nobody, command)
        } else {
            codec::decode(ENVELOPE_VERSION, bytes)?
        };
        Ok(Self {
            request,
            actor,
            command,
        })
    }
}

impl Command {
    /// etcd's names for the commands, in the order of the variants.
    pub(crate) const OPERATIONS: [&str; 24] = [
        "Put",
        "DeleteRange",
        "Txn",
        "Compaction",
        "LeaseGrant",
        "LeaseRevoke",
        "ClusterMemberAttrSet",
        // What a barrier stands for: alarms that are listed.
        "Alarm",
        "AuthEnable",
        "AuthDisable",
        "Authenticate",
        "AuthUserAdd",
        "AuthUserDelete",
        "AuthUserChangePassword",
        "AuthUserGrantRole",
        "AuthUserRevokeRole",
        "AuthRoleAdd",
        "AuthRoleDelete",
        "AuthRoleGrantPermission",
        "AuthRoleRevokePermission",
        "Alarm",
        "Alarm",
        "DowngradeInfoSet",
        "LeaseCheckpoint",
    ];

    /// The place of the command's name in [`Self::OPERATIONS`].
    pub(crate) const fn operation(&self) -> usize {
        match self {
            Self::Put(_) => 0,
            Self::Delete(_) => 1,
            Self::Txn(_) => 2,
            Self::Compact { .. } => 3,
            Self::LeaseGrant { .. } => 4,
            Self::LeaseRevoke { .. } => 5,
            Self::PublishMember(_) => 6,
            Self::Barrier => 7,
            Self::Auth(command) => 8 + command.operation(),
            Self::RaiseAlarm(_) => 20,
            Self::LowerAlarm(_) => 21,
            Self::Downgrade(_) => 22,
            Self::LeaseCheckpoint(_) => 23,
        }
    }

    /// The size that the request limit is held against: that of etcd's own raft request, so that the
    /// same value that etcd just accepts is accepted here (etcd-api: size limits).
    pub(crate) fn request_size(&self) -> usize {
        const HEADER: usize = 13;
        const FIELD: usize = 4;
        let body = match self {
            Self::Put(op) => put_size(op),
            Self::Delete(op) => range_size(&op.range),
            Self::Txn(txn) => txn_size(txn),
            Self::Compact { .. }
            | Self::LeaseGrant { .. }
            | Self::LeaseRevoke { .. }
            | Self::Barrier
            | Self::RaiseAlarm(_)
            | Self::LowerAlarm(_)
            | Self::Downgrade(_) => 12,
            Self::Auth(command) => 12 + command.size(),
            Self::LeaseCheckpoint(checkpoint) => 12 * checkpoint.remaining.len() + 6,
            Self::PublishMember(member) => {
                member.name.len() + member.client_urls.iter().map(String::len).sum::<usize>()
            }
        };
        HEADER + FIELD + body
    }
}

fn put_size(op: &PutOp) -> usize {
    let lease = if op.lease.is_none() { 0 } else { 10 };
    6 + op.key.len() + op.value.len() + lease
}

fn range_size(range: &KeyRange) -> usize {
    6 + range.start.len() + range_end_size(range)
}

fn range_end_size(range: &KeyRange) -> usize {
    match &range.end {
        RangeEnd::Point => 0,
        RangeEnd::Before(end) => end.len(),
        RangeEnd::Unbounded => 1,
    }
}

fn compare_size(compare: &Compare) -> usize {
    let operand = match &compare.target {
        CompareTarget::Value(value) => value.len() + 4,
        _ => 6,
    };
    8 + compare.range.start.len() + range_end_size(&compare.range) + operand
}

fn txn_size(txn: &Txn) -> usize {
    const FIELD: usize = 6;
    let compares: usize = txn.compares.iter().map(|c| FIELD + compare_size(c)).sum();
    let ops: usize = txn
        .success
        .iter()
        .chain(&txn.failure)
        .map(|op| {
            FIELD
                + match op {
                    Op::Range(op) => range_size(&op.range),
                    Op::Put(op) => put_size(op),
                    Op::Delete(op) => range_size(&op.range),
                    Op::Txn(txn) => txn_size(txn),
                }
        })
        .sum();
    compares + ops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::engine::types::AlarmKind;
    use crate::mvcc::ops::{CompareResult, RangeOp};

    /// Whatever bytes a client sends are counted, wherever they stand.
    #[test]
    fn every_range_end_counts() {
        let range = |end: usize| {
            let end = Bytes::from(vec![b'z'; end]);
            KeyRange::from_wire(Bytes::from_static(b"a"), end)
        };
        let sizes = |end: usize| {
            let compare = Compare {
                range: range(end),
                target: CompareTarget::Version(1),
                result: CompareResult::Equal,
            };
            let delete = DeleteOp {
                range: range(end),
                prev_kv: false,
            };
            let txn = Txn {
                compares: vec![compare],
                success: vec![Op::Range(RangeOp::new(range(end)))],
                failure: vec![Op::Delete(delete.clone())],
            };
            (
                Command::Delete(delete).request_size(),
                Command::Txn(txn).request_size(),
            )
        };
        let (point, long) = (sizes(0), sizes(1000));
        assert_eq!((long.0 - point.0, long.1 - point.1), (1000, 3000));
    }

    fn envelope(command: Command) -> Envelope {
        Envelope {
            request: RequestId {
                member: 1,
                boot: 2,
                sequence: 3,
            },
            actor: Actor::Nobody,
            command,
        }
    }

    #[test]
    fn golden_bytes_of_an_envelope() {
        let bytes = envelope(Command::LeaseRevoke { id: LeaseId(9) })
            .encode()
            .unwrap();
        let mut expected = vec![1];
        for word in [1_u64, 2, 3] {
            expected.extend(word.to_le_bytes());
        }
        expected.extend(5_u32.to_le_bytes());
        expected.extend(9_i64.to_le_bytes());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn golden_bytes_of_an_envelope_with_a_caller() {
        let actor = Actor::User {
            name: "ann".into(),
            revision: 4,
        };
        let asked = Envelope {
            actor,
            ..envelope(Command::Auth(AuthCommand::Disable))
        };
        let mut expected = vec![2];
        for word in [1_u64, 2, 3] {
            expected.extend(word.to_le_bytes());
        }
        expected.extend(2_u32.to_le_bytes());
        expected.extend(3_u64.to_le_bytes());
        expected.extend(b"ann");
        expected.extend(4_u64.to_le_bytes());
        expected.extend(8_u32.to_le_bytes());
        expected.extend(1_u32.to_le_bytes());
        assert_eq!(asked.encode().unwrap(), expected);
        assert_eq!(Envelope::decode(&expected).unwrap(), asked);
    }

    #[test]
    fn every_command_counts_under_its_own_name() {
        let names = Command::OPERATIONS;
        let auth = |command| names[Command::Auth(command).operation()];
        let name = String::new;
        let sign_in = crate::mvcc::auth::SignIn {
            name: name(),
            checked: 0,
            secret: None,
        };
        let range = KeyRange::all();
        assert_eq!(names[Command::Barrier.operation()], "Alarm");
        assert_eq!(auth(AuthCommand::Enable), "AuthEnable");
        assert_eq!(auth(AuthCommand::Authenticate(sign_in)), "Authenticate");
        assert_eq!(auth(AuthCommand::RoleAdd { name: name() }), "AuthRoleAdd");
        let last = AuthCommand::RoleRevokePermission {
            name: name(),
            range,
        };
        assert_eq!(auth(last), "AuthRoleRevokePermission");
        let lowered = Command::LowerAlarm(Alarm {
            member: MemberId(1),
            kind: AlarmKind::NoSpace,
        });
        assert_eq!(names[lowered.operation()], "Alarm");
        let downgrade = Command::Downgrade(None);
        assert_eq!(names[downgrade.operation()], "DowngradeInfoSet");
        let checkpoint = Command::LeaseCheckpoint(LeaseCheckpoint {
            term: 1,
            remaining: Vec::new(),
        });
        assert_eq!(names[checkpoint.operation()], "LeaseCheckpoint");
        assert_eq!(checkpoint.operation() + 1, names.len());
    }

    #[test]
    fn envelopes_round_trip_and_refuse_trailing_bytes() {
        let put = PutOp::new(Bytes::from_static(b"k"), Bytes::from_static(b"v"));
        let original = envelope(Command::Put(put));
        let bytes = original.encode().unwrap();
        assert_eq!(Envelope::decode(&bytes).unwrap(), original);
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(Envelope::decode(&longer).is_err());
        assert!(Envelope::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    /// A transaction that holds `levels` others, one in the other.
    fn nested(levels: usize) -> Vec<u8> {
        const NO_COMPARES: [u8; 8] = [0; 8];
        let one = 1_u64.to_le_bytes();
        let txn_op = 3_u32.to_le_bytes();
        let mut bytes = vec![1];
        bytes.extend([0; 24]);
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend(NO_COMPARES);
        for _ in 0..levels {
            bytes.extend([&one[..], &txn_op, &NO_COMPARES].concat());
        }
        bytes.extend([0; 8]);
        // Each level ends with an empty list of what to do otherwise.
        bytes.resize(bytes.len() + 8 * (levels + 1), 0);
        bytes
    }

    #[test]
    fn transactions_in_transactions_do_not_use_up_the_stack() {
        let envelope = Envelope::decode(&nested(50)).unwrap();
        assert_eq!(envelope.encode().unwrap(), nested(50));
        let error = Envelope::decode(&nested(1_000_000)).unwrap_err();
        assert!(error.to_string().contains("nested too deeply"), "{error}");
        // A refusal leaves nothing behind that would refuse the next command.
        assert!(Envelope::decode(&nested(64)).is_ok());
        assert!(Envelope::decode(&nested(65)).is_err());
    }

    /// The two sizes that were observed on etcd 3.5.30 with its default limit and a short key.
    #[test]
    fn the_request_limit_falls_where_etcd_has_it() {
        let size = |value: usize| {
            Command::Put(PutOp::new(
                Bytes::from_static(b"key"),
                Bytes::from(vec![0; value]),
            ))
            .request_size()
        };
        assert!(size(1_572_824) <= 1_572_864);
        assert!(size(1_572_844) > 1_572_864);
    }
}
