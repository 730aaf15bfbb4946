//! Alarms: replicated notices that something is wrong with a member, and what they forbid.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::error::EngineError;
use super::quota::growth;
use super::types::{Alarm, AlarmKind};
use crate::base::ids::MemberId;

/// Alarms that can be raised at once. A client may name members that there are none of.
const MAX_ALARMS: usize = 1024;

/// The alarms that are raised, as a value: the apply thread makes a new one for each change, and readers
/// find it in the view that they read from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Alarms(BTreeSet<Alarm>);

impl Alarms {
    /// Every alarm, by member.
    pub(crate) fn list(&self) -> impl Iterator<Item = Alarm> {
        self.0.iter().copied()
    }

    /// Member and name of every alarm.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (MemberId, &'static str)> {
        self.list().map(|alarm| (alarm.member, alarm.kind.name()))
    }

    /// Whether `alarm` is raised.
    pub(crate) fn contains(&self, alarm: Alarm) -> bool {
        self.0.contains(&alarm)
    }

    /// Raises an alarm; one that is raised stays so.
    ///
    /// # Errors
    /// [`EngineError::TooManyRequests`] if there are too many.
    pub(crate) fn raise(&mut self, alarm: Alarm) -> Result<(), EngineError> {
        if self.0.len() >= MAX_ALARMS && !self.contains(alarm) {
            return Err(EngineError::TooManyRequests);
        }
        self.0.insert(alarm);
        Ok(())
    }

    /// Ends an alarm; whether it was raised.
    pub(crate) fn lower(&mut self, alarm: Alarm) -> bool {
        self.0.remove(&alarm)
    }

    /// Why a command is refused while these alarms are raised. Commands that do not write keys or leases
    /// never are: alarms are lowered, and members changed, by such.
    pub(crate) fn refusal(&self, command: &Command) -> Option<EngineError> {
        if self.0.is_empty() {
            return None;
        }
        if self.any(AlarmKind::Corrupt) && writes_data(command) {
            return Some(EngineError::Corrupt);
        }
        let grows = self.any(AlarmKind::NoSpace) && growth(command) > 0;
        grows.then_some(EngineError::NoSpace)
    }

    fn any(&self, kind: AlarmKind) -> bool {
        self.list().any(|alarm| alarm.kind == kind)
    }
}

const fn writes_data(command: &Command) -> bool {
    matches!(
        command,
        Command::Put(_)
            | Command::Delete(_)
            | Command::Txn(_)
            | Command::Compact { .. }
            | Command::LeaseGrant { .. }
            | Command::LeaseRevoke { .. }
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::ids::LeaseId;
    use crate::base::range::KeyRange;
    use crate::mvcc::ops::{DeleteOp, Op, PutOp, Txn};

    fn alarm(member: u64, kind: AlarmKind) -> Alarm {
        Alarm {
            member: MemberId(member),
            kind,
        }
    }

    fn alarms(raised: &[Alarm]) -> Alarms {
        let mut alarms = Alarms::default();
        for alarm in raised {
            alarms.raise(*alarm).unwrap();
        }
        alarms
    }

    fn put() -> PutOp {
        PutOp::new(Bytes::from_static(b"k"), Bytes::new())
    }

    fn delete() -> DeleteOp {
        DeleteOp {
            range: KeyRange::all(),
            prev_kv: false,
        }
    }

    fn txn(success: Vec<Op>, failure: Vec<Op>) -> Command {
        Command::Txn(Txn {
            compares: Vec::new(),
            success,
            failure,
        })
    }

    fn growing() -> Vec<Command> {
        let nested = Txn {
            success: vec![Op::Put(put())],
            ..Txn::default()
        };
        vec![
            Command::Put(put()),
            txn(vec![Op::Delete(delete())], vec![Op::Put(put())]),
            txn(vec![Op::Txn(Box::new(nested))], Vec::new()),
            Command::LeaseGrant {
                id: LeaseId(1),
                ttl: 5,
            },
        ]
    }

    fn shrinking() -> Vec<Command> {
        vec![
            Command::Delete(delete()),
            txn(vec![Op::Delete(delete())], Vec::new()),
            Command::Compact { revision: 1 },
            Command::LeaseRevoke { id: LeaseId(1) },
        ]
    }

    #[test]
    fn without_space_only_what_grows_is_refused() {
        let full = alarms(&[alarm(5, AlarmKind::NoSpace)]);
        for command in growing() {
            assert_eq!(
                full.refusal(&command),
                Some(EngineError::NoSpace),
                "{command:?}"
            );
        }
        for command in shrinking() {
            assert_eq!(full.refusal(&command), None, "{command:?}");
        }
    }

    #[test]
    fn a_corrupt_cluster_changes_no_data() {
        let both = alarms(&[alarm(5, AlarmKind::NoSpace), alarm(5, AlarmKind::Corrupt)]);
        for command in growing().into_iter().chain(shrinking()) {
            assert_eq!(
                both.refusal(&command),
                Some(EngineError::Corrupt),
                "{command:?}"
            );
        }
        let lower = Command::LowerAlarm(alarm(5, AlarmKind::Corrupt));
        for command in [lower, Command::Barrier] {
            assert_eq!(both.refusal(&command), None, "{command:?}");
        }
    }

    #[test]
    fn an_alarm_is_raised_once_and_lowered_exactly() {
        let mut alarms = alarms(&[alarm(5, AlarmKind::NoSpace); 2]);
        assert_eq!(alarms.list().count(), 1);
        assert!(!alarms.lower(alarm(0, AlarmKind::NoSpace)));
        assert!(!alarms.lower(alarm(5, AlarmKind::Corrupt)));
        assert!(alarms.lower(alarm(5, AlarmKind::NoSpace)));
        assert_eq!(alarms, Alarms::default());
    }

    #[test]
    fn alarms_are_bounded_and_those_there_are_can_be_raised_again() {
        let mut alarms = Alarms::default();
        for member in 0..MAX_ALARMS as u64 {
            alarms.raise(alarm(member, AlarmKind::NoSpace)).unwrap();
        }
        assert!(alarms.raise(alarm(u64::MAX, AlarmKind::NoSpace)).is_err());
        assert!(alarms.raise(alarm(3, AlarmKind::NoSpace)).is_ok());
    }
}
