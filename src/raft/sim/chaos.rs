//! Trouble: crashes, power failures, partitions, pauses, slow disks, transfers and membership changes.

use std::collections::BTreeSet;

use rand::RngExt;

use super::member::Running;
use super::network::Network;
use super::world::{Event, World};
use crate::base::ids::MemberId;
use crate::raft::types::Role;
use crate::raft::{Change, ChangeKind, ProposedChange};

impl World {
    /// One piece of trouble, and the next one to come.
    pub(super) fn chaos(&mut self) -> Result<(), String> {
        self.check_logs()?;
        let delay = self.rng.random_range(10..600);
        self.after(delay, Event::Chaos);
        let id = self.any_member();
        match self.rng.random_range(0..24) {
            _ if self.calm => self.flush(id),
            0..3 => {
                self.crash(id);
                Ok(())
            }
            3 => {
                // The lights go out for everyone (I1).
                self.ids().into_iter().for_each(|id| self.crash(id));
                Ok(())
            }
            4..7 => {
                self.split();
                Ok(())
            }
            7..10 => {
                self.network.join();
                Ok(())
            }
            10 => {
                self.worsen();
                Ok(())
            }
            11..13 => {
                let until = self.now + self.rng.random_range(100..4000);
                self.member(id).paused_until = until;
                Ok(())
            }
            13 => {
                let delay = [1, 20, 400][self.rng.random_range(0..3)];
                self.member(id).disk_delay = delay;
                Ok(())
            }
            14..17 => self.transfer(id),
            17..20 => self.change(),
            _ => self.flush(id),
        }
    }

    fn any_member(&mut self) -> u64 {
        let ids = self.ids();
        ids[self.rng.random_range(0..ids.len())]
    }

    fn split(&mut self) {
        let all = self.ids();
        let side: BTreeSet<u64> = all
            .iter()
            .copied()
            .filter(|_| self.rng.random_bool(0.4))
            .collect();
        self.network.split(&side, &all, &mut self.rng);
    }

    fn worsen(&mut self) {
        self.network.loss = [0.0, 0.02, 0.2][self.rng.random_range(0..3)];
        self.network.repeat = [0.0, 0.1, 0.3][self.rng.random_range(0..3)];
        self.network.stall = [0.0, 0.05, 0.3][self.rng.random_range(0..3)];
    }

    fn transfer(&mut self, id: u64) -> Result<(), String> {
        let to = MemberId(self.any_member());
        self.with(id, |running| {
            if running.core.successor().is_some() {
                running.core.transfer_leader(to);
            }
            Ok(())
        })
    }

    /// Somebody who leads, or believes so, is asked for a change. Sometimes it was decided on a membership
    /// of long ago, as by a leader that was away.
    fn change(&mut self) -> Result<(), String> {
        let leads = |running: &Running| running.core.status().role == Role::Leader;
        let leaders: Vec<_> = self
            .members
            .values()
            .filter(|member| member.running.as_ref().is_some_and(leads))
            .map(|member| member.id)
            .collect();
        if leaders.is_empty() {
            return Ok(());
        }
        let id = leaders[self.rng.random_range(0..leaders.len())];
        let count = self.rng.random_range(1..3);
        let steps: Vec<_> = (0..count).map(|_| self.any_change()).collect();
        let stale = self.rng.random_bool(0.15);
        self.with(id, |running| {
            let present = running.core.configuration().changed_at;
            let base = if stale { present / 2 } else { present };
            let change = ProposedChange {
                steps,
                base,
                attachment: base.to_le_bytes().to_vec().into(),
            };
            // Another may be under way.
            let _ = running.core.propose_change(&change);
            Ok(())
        })
    }

    fn any_change(&mut self) -> Change {
        let kind = match self.rng.random_range(0..5) {
            0..3 => ChangeKind::Voter,
            3 => ChangeKind::Learner,
            _ => ChangeKind::Remove,
        };
        Change {
            member: MemberId(self.any_member()),
            kind,
        }
    }

    /// Mends everything.
    pub(super) fn calm_down(&mut self) -> Result<(), String> {
        self.calm = true;
        self.network = Network::default();
        for id in self.ids() {
            let member = self.member(id);
            member.paused_until = 0;
            member.disk_delay = 1;
            self.start(id)?;
        }
        Ok(())
    }
}
