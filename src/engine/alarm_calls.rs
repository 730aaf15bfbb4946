//! Requests about alarms, and the check that every command passes before it is proposed.
//!
//! Whether an alarm forbids a command is decided where it is applied, on every member alike. Asking before it
//! is proposed spares the disks a command that will come to nothing, which is what a full one needs: and it
//! must not refuse more than the log would have, so what this member may have missed is waited for.

use super::apply::Reply;
use super::command::Command;
use super::error::EngineError;
use super::quota::growth;
use super::types::{Alarm, AlarmKind, Header};
use super::{Engine, EngineResult};
use crate::mvcc::auth::Actor;

impl Engine {
    /// The alarms that are raised, through the log as etcd reads them.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn alarms(&self) -> EngineResult<(Header, Vec<Alarm>)> {
        let (header, reply) = self.propose(Command::Barrier).await?;
        debug_assert_eq!(reply, Reply::Done);
        Ok((header, self.local_alarms()))
    }

    /// The alarms as this member's applied state has them, without waiting for anyone.
    pub fn local_alarms(&self) -> Vec<Alarm> {
        self.inner.views.load().alarms.list().collect()
    }

    /// Raises an alarm. Gives it back, whether it was raised already or not.
    ///
    /// # Errors
    /// [`EngineError::TooManyRequests`] if too many are raised, and those of every command.
    pub async fn raise_alarm(&self, alarm: Alarm) -> EngineResult<(Header, Vec<Alarm>)> {
        self.propose_alarm(Command::RaiseAlarm(alarm)).await
    }

    /// Lowers an alarm. Gives it back if it was raised.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn lower_alarm(&self, alarm: Alarm) -> EngineResult<(Header, Vec<Alarm>)> {
        self.propose_alarm(Command::LowerAlarm(alarm)).await
    }

    async fn propose_alarm(&self, command: Command) -> EngineResult<(Header, Vec<Alarm>)> {
        match self.propose(command).await? {
            (header, Reply::Alarms(alarms)) => Ok((header, alarms)),
            (_, other) => Err(super::unexpected(&other)),
        }
    }

    /// Refuses a command that an alarm forbids, or that this member has no space for.
    pub(super) async fn admit_command(&self, command: &Command) -> EngineResult<()> {
        let (fits, forbidden) = {
            let view = self.inner.views.load();
            let fits = self.inner.quota.admits(growth(command), &view.store);
            (fits, view.alarms.refusal(command).is_some())
        };
        if !fits {
            self.raise_no_space().await;
            return Err(EngineError::NoSpace);
        }
        if forbidden {
            // The alarm may have been lowered at another member: no acknowledged change is overlooked.
            self.read_barrier().await?;
            if let Some(error) = self.inner.views.load().alarms.refusal(command) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Raises the alarm of this member's quota, unless it is raised. If that fails, the next command that does
    /// not fit tries again.
    pub(super) async fn raise_no_space(&self) {
        let alarm = Alarm {
            member: self.inner.member_id,
            kind: AlarmKind::NoSpace,
        };
        if self.inner.views.load().alarms.contains(alarm) {
            return;
        }
        tracing::warn!("the state has reached its quota: what makes it grow is refused");
        let raised = self
            .replicate(&Actor::Member, Command::RaiseAlarm(alarm))
            .await;
        if let Err(error) = raised.and_then(|answer| answer.reply) {
            tracing::warn!(%error, "the alarm could not be raised");
        }
    }

    /// Raises the alarm when something was written beyond the quota, by whichever member's client.
    pub(super) async fn watch_quota(self) {
        loop {
            self.inner.quota.exceeded().await;
            self.raise_no_space().await;
        }
    }
}
