//! The check of the protocol: a member to which a peer says anything that passes for a message.
//!
//! raft-rs ends the process on much that a correct peer never says. Whatever a peer says, this member
//! goes on, or stops with an error that names what it has been told.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Message, Snapshot as RaftSnapshot, SnapshotMetadata};

use super::{Core, Settings};
use crate::base::fuzzing::Script;
use crate::base::ids::MemberId;
use crate::raft::configuration::{Change, ChangeKind, ProposedChange};
use crate::raft::error::RaftError;
use crate::raft::log::{FileDisk, LogOptions, Writer};
use crate::raft::types::{AppliedState, Configuration, Role, Snapshot};
use crate::raft::{frame, start, wire};

/// The member under test; 2 and 3 are its peers, 4 is a stranger.
const ME: u64 = 1;
const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 1 << 14,
    cache_bytes: 1 << 12,
};

/// Plays a script of ticks, requests and messages to one member of three.
pub fn protocol(data: &[u8], scratch: &Path) {
    let dir = scratch.join("protocol");
    // Nothing is there the first time.
    let _ = fs::remove_dir_all(&dir);
    let mut member = Member::new(&dir);
    let mut script = Script::new(data);
    while !script.is_over() {
        if let Err(error) = member.step(&mut script) {
            assert!(!error.to_string().is_empty());
            return;
        }
    }
}

struct Member {
    core: Core,
    writer: Writer,
    /// Batches that the disk has not finished, and the number of the last.
    writing: Option<u64>,
    slow: bool,
    applied: u64,
    tickets: u64,
}

impl Member {
    fn new(dir: &Path) -> Self {
        let disk = Arc::new(FileDisk::open(dir, false).expect("scratch space is writable"));
        let settings = Settings::small(ME);
        let restored = AppliedState {
            configuration: Configuration {
                voters: vec![1, 2, 3],
                ..Configuration::default()
            },
            ..AppliedState::default()
        };
        let core = start::prepare(disk.clone(), OPTIONS, settings, &restored);
        Self {
            core: core.expect("a new member starts"),
            writer: Writer::new(disk),
            writing: None,
            slow: false,
            applied: 0,
            tickets: 0,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) -> Result<(), RaftError> {
        match script.byte() % 16 {
            0 => (0..script.byte() % 32).for_each(|_| self.core.tick()),
            1 => self.core.propose(Bytes::copy_from_slice(script.bytes())),
            2 => {
                self.tickets += 1;
                self.core.read(self.tickets);
            }
            3 => self.transfer_leader(peer(script)),
            4 => self.core.unreachable(peer(script)),
            5 => self.core.snapshot_sent(peer(script), script.flag()),
            6 => self.slow = script.flag(),
            7 => {
                let present = self.core.configuration().changed_at;
                let change = ProposedChange {
                    steps: (0..=script.byte() % 2).map(|_| change(script)).collect(),
                    base: if script.flag() { present } else { present / 2 },
                    attachment: Bytes::copy_from_slice(script.bytes()),
                };
                // A refusal is as good as any other answer.
                let _ = self.core.propose_change(&change);
            }
            8 => self.core.flushed(self.applied),
            _ => self.receive(script)?,
        }
        self.act()
    }

    /// Only a leader is asked, and for voters only (`NodeHandle::transfer_leader`).
    fn transfer_leader(&mut self, to: MemberId) {
        let leads = self.core.status().role == Role::Leader;
        if leads && self.core.configuration().voters.contains(&to.0) {
            self.core.transfer_leader(to);
        }
    }

    /// A message as a peer may send it, if it passes for one.
    fn receive(&mut self, script: &mut Script<'_>) -> Result<(), RaftError> {
        let message = message(script, self.core.status().term);
        let Ok(message) = wire::decode(&wire::encode(&message)) else {
            return Ok(());
        };
        let meta = message.get_snapshot().get_metadata();
        let snapshot = (message.snapshot.is_some()).then(|| Snapshot {
            state: AppliedState {
                index: meta.index,
                term: meta.term,
                configuration: Configuration::from_raft(meta.get_conf_state()),
            },
            dir: "incoming".into(),
        });
        if !wire::is_about(&message, snapshot.as_ref()) {
            return Ok(());
        }
        self.core.step(message, snapshot)
    }

    /// Does what the core asks for.
    fn act(&mut self) -> Result<(), RaftError> {
        while let Some(output) = self.core.ready()? {
            let installs = output.install.is_some();
            self.writer
                .run(output.batches)
                .expect("scratch space is writable");
            for message in &output.messages {
                let sent = wire::decode(&wire::encode(message));
                assert!(sent.is_ok(), "{sent:?}: {message:?}");
            }
            for entry in output.committed {
                assert!(entry.index > self.applied, "entries are handed over once");
                self.applied = entry.index;
            }
            self.writing = output.number.or(self.writing);
            if installs || !self.slow {
                self.finish_writing();
                self.applied = self.applied.max(self.core.last_applied());
            }
            self.core.applied(self.applied);
        }
        if !self.slow {
            self.finish_writing();
        }
        Ok(())
    }

    fn finish_writing(&mut self) {
        if let Some(number) = self.writing.take() {
            self.core.persisted(number);
        }
    }
}

fn peer(script: &mut Script<'_>) -> MemberId {
    MemberId(u64::from(script.byte() % 4) + 1)
}

fn change(script: &mut Script<'_>) -> Change {
    let kind = match script.byte() % 3 {
        0 => ChangeKind::Voter,
        1 => ChangeKind::Learner,
        _ => ChangeKind::Remove,
    };
    Change {
        member: peer(script),
        kind,
    }
}

/// A message of any type, with terms around that of the member.
fn message(script: &mut Script<'_>, term: u64) -> Message {
    let mut message = Message {
        msg_type: i32::from(script.byte() % 20),
        from: peer(script).0,
        to: ME,
        term: term_near(script, term),
        log_term: script.number(),
        index: script.number(),
        commit: script.number(),
        commit_term: script.number(),
        reject_hint: script.number(),
        reject: script.flag(),
        context: script.bytes().to_vec(),
        ..Message::default()
    };
    for at in 1..=u64::from(script.byte() % 4) {
        let entry = entry(script, message.index.wrapping_add(at), message.term);
        message.entries.push(entry);
    }
    if script.byte() % 8 == 7 {
        message.snapshot = Some(RaftSnapshot {
            metadata: Some(snapshot(script)),
            ..RaftSnapshot::default()
        });
    }
    message
}

fn term_near(script: &mut Script<'_>, term: u64) -> u64 {
    match script.byte() % 8 {
        0 => 0,
        1 => term.wrapping_sub(1),
        2 => script.number(),
        3 => term.wrapping_add(1),
        _ => term,
    }
}

fn entry(script: &mut Script<'_>, index: u64, term: u64) -> Entry {
    let kind = match script.byte() % 8 {
        0 => EntryType::EntryConfChange,
        1 => EntryType::EntryConfChangeV2,
        _ => EntryType::EntryNormal,
    };
    let data = script.bytes();
    Entry {
        entry_type: kind as i32,
        index,
        term: term_near(script, term),
        data: if kind == EntryType::EntryNormal && script.flag() {
            frame::encode(&[Bytes::copy_from_slice(data)])
        } else {
            data.to_vec()
        },
        ..Entry::default()
    }
}

fn snapshot(script: &mut Script<'_>) -> SnapshotMetadata {
    let mut configuration = Configuration::default();
    let lists = [
        &mut configuration.voters,
        &mut configuration.learners,
        &mut configuration.voters_outgoing,
        &mut configuration.learners_next,
    ];
    for list in lists {
        let members = script.byte();
        list.extend((1..=4).filter(|id| members >> id & 1 == 1));
    }
    configuration.auto_leave = script.flag();
    SnapshotMetadata {
        conf_state: Some(configuration.to_raft()),
        index: script.number(),
        term: script.number(),
    }
}
