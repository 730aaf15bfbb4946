//! Those who use the cluster: clients that write and read anywhere, and the look at it when all is over.

use rand::RngExt;

use super::member::Member;
use super::world::{Event, MEMBERS, WRITES_END, World};
use crate::raft::types::AppliedState;

impl World {
    /// A client writes or reads somewhere.
    pub(super) fn client(&mut self) -> Result<(), String> {
        if self.now > WRITES_END {
            return Ok(());
        }
        let delay = self.rng.random_range(1..60);
        self.after(delay, Event::Client);
        let id = self.rng.random_range(1..=MEMBERS);
        let life = self.members[&id].life;
        if self.members[&id].paused_until > self.now {
            return Ok(());
        }
        let floor = self.reads.begins();
        if self.rng.random_bool(0.4) {
            self.next_ticket += 1;
            let ticket = self.next_ticket;
            return self.with(id, |running| {
                running.reads.insert(ticket, floor);
                running.core.read(ticket);
                Ok(())
            });
        }
        let count = self.rng.random_range(1..4);
        let mut commands = Vec::new();
        for _ in 0..count {
            self.next_command += 1;
            let mut command = self.next_command.to_le_bytes().to_vec();
            command.resize(self.rng.random_range(8..200), 7);
            commands.push(command);
            self.waiting.insert(self.next_command, (id, life));
        }
        self.with(id, |running| {
            if running.core.accepts_proposals() && !running.core.is_overloaded() {
                commands
                    .into_iter()
                    .for_each(|command| running.core.propose(command.into()));
            }
            Ok(())
        })
    }

    /// After the trouble: everyone who belongs to the cluster must be in the same state, which has all
    /// that was ever acknowledged, and the cluster must have worked to the end.
    pub(super) fn check_rest(&self) -> Result<(), String> {
        self.check_logs()?;
        let newest = self
            .members
            .values()
            .max_by_key(|member| member.machine.now.applied.index);
        let state = &newest.unwrap().machine.now;
        let AppliedState { configuration, .. } = &state.applied;
        if !configuration.voters_outgoing.is_empty() {
            let states = self.describe();
            return Err(format!(
                "at rest: the joint configuration was never left: {states}"
            ));
        }
        for id in configuration.voters.iter().chain(&configuration.learners) {
            let member = &self.members[id];
            self.durability.check(*id, &member.machine.now)?;
            if member.machine.now != *state {
                let have = member.machine.now.applied.index;
                let want = state.applied.index;
                let states = self.describe();
                return Err(format!(
                    "at rest: member {id} has applied {have} of {want}: {states}"
                ));
            }
        }
        if self.durability.newest() + 100 < self.next_command {
            let states = self.describe();
            return Err(format!("at rest: nothing is written any more: {states}"));
        }
        let unanswered = self
            .members
            .values()
            .filter_map(|member| member.running.as_ref());
        let unanswered = unanswered
            .filter(|running| configuration.voters.contains(&running.core.status().id.0))
            .find(|running| !running.reads.is_empty());
        match unanswered {
            Some(running) => Err(format!("at rest: reads {:?} have no answer", running.reads)),
            None => Ok(()),
        }
    }

    fn describe(&self) -> String {
        let states: Vec<_> = self.members.values().map(Member::describe).collect();
        format!("{states:#?}")
    }
}
