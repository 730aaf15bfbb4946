//! Raft messages as bytes, and the checks that a message must pass before the protocol sees it.
//!
//! raft-rs ends the process on messages that no correct peer sends: an empty proposal, a vote without a
//! term, an unknown enum value, a configuration that contradicts itself. What a message alone can tell
//! is checked here; what depends on the member's state is checked by `core::guard`.

use bytes::Bytes;
use prost011::Message as _;
use raft::eraftpb::{ConfChange, ConfChangeV2, Entry, EntryType, Message, MessageType};

use super::configuration;
use super::frame::{self, FrameError};
use super::log::MAX_PAYLOAD;
use super::transport::MAX_MESSAGE;
use super::types::{Configuration, Snapshot};

/// The context of a read-index request: member, boot epoch and counter, eight bytes each.
pub(super) const READ_CONTEXT: usize = 24;
/// The greatest term or index that is believed. Arithmetic below it cannot overflow.
pub(super) const MAX_NUMBER: u64 = 1 << 62;

/// The longest data of an entry that is proposed: an entry travels whole, with some numbers around it, and
/// one that no message could carry would keep every later one from the followers.
pub(super) const MAX_PROPOSAL: usize = MAX_MESSAGE - (1 << 10);
const _: () = assert!(MAX_PROPOSAL <= MAX_PAYLOAD);

/// Why bytes are not a raft message that this member takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not the encoding of a message.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A kind of message that does not come from peers.
    #[error("message type {0} does not come from peers")]
    Type(i32),
    /// A number that is zero but must not be, or too large to be true.
    #[error("{0} is out of range")]
    Number(&'static str),
    /// Entries that do not belong in such a message, or not in this order.
    #[error("entries do not fit the message")]
    Entries,
    /// The data of an entry is no frame of commands.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A membership change that does not decode.
    #[error("malformed membership change")]
    Change,
    /// A snapshot without a position, or with an impossible configuration.
    #[error("malformed snapshot")]
    Snapshot,
}

/// Encodes a message for a peer.
pub(super) fn encode(message: &Message) -> Bytes {
    message.encode_to_vec().into()
}

/// Decodes a message of a peer and checks what can be checked without knowing this member's state.
///
/// # Errors
/// [`WireError`] for anything that a correct peer does not send.
pub(super) fn decode(bytes: &[u8]) -> Result<Message, WireError> {
    let message =
        Message::decode(bytes).map_err(|error| WireError::Malformed(error.to_string()))?;
    check(&message)?;
    Ok(message)
}

/// Decodes the membership change in an entry. The old encoding becomes the new one.
pub(super) fn decode_change(entry: &Entry) -> Option<ConfChangeV2> {
    if entry.entry_type == EntryType::EntryConfChangeV2 as i32 {
        let change = ConfChangeV2::decode(entry.data.as_slice()).ok()?;
        return is_known_change(&change).then_some(change);
    }
    let change = ConfChange::decode(entry.data.as_slice()).ok()?;
    let single = raft::eraftpb::ConfChangeSingle {
        node_id: change.node_id,
        change_type: change.change_type,
    };
    let change = ConfChangeV2 {
        changes: vec![single],
        ..ConfChangeV2::default()
    };
    is_known_change(&change).then_some(change)
}

/// Whether a message and the files that came with it belong together: a snapshot has both.
pub(super) fn is_about(message: &Message, snapshot: Option<&Snapshot>) -> bool {
    // The message knows everything of the configuration but when it was changed.
    let announced = (message.get_msg_type() == MessageType::MsgSnapshot).then(|| {
        let meta = message.get_snapshot().get_metadata();
        (
            meta.index,
            meta.term,
            Configuration::from_raft(meta.get_conf_state()),
        )
    });
    let received = snapshot.map(|snapshot| {
        let state = &snapshot.state;
        let sorted = Configuration::from_raft(&state.configuration.to_raft());
        (state.index, state.term, sorted)
    });
    announced == received
}

fn is_known_change(change: &ConfChangeV2) -> bool {
    use raft::eraftpb::{ConfChangeTransition, ConfChangeType};
    ConfChangeTransition::from_i32(change.transition).is_some()
        && change
            .changes
            .iter()
            .all(|single| ConfChangeType::from_i32(single.change_type).is_some())
}

fn check(message: &Message) -> Result<(), WireError> {
    let kind = peer_type(message.msg_type)?;
    let numbers = [
        ("term", message.term),
        ("log term", message.log_term),
        ("index", message.index),
        ("commit", message.commit),
        ("commit term", message.commit_term),
        ("reject hint", message.reject_hint),
    ];
    if let Some((name, _)) = numbers.into_iter().find(|(_, number)| *number > MAX_NUMBER) {
        return Err(WireError::Number(name));
    }
    if message.from == 0 || message.to == 0 {
        return Err(WireError::Number("member id"));
    }
    if message.request_snapshot != 0 {
        return Err(WireError::Number("snapshot request"));
    }
    let forwarded = matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex);
    if forwarded != (message.term == 0) {
        return Err(WireError::Number("term"));
    }
    match kind {
        MessageType::MsgPropose => check_proposal(&message.entries),
        MessageType::MsgAppend => check_append(message),
        MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => check_read(&message.entries),
        MessageType::MsgSnapshot => check_snapshot(message),
        _ => Ok(()),
    }
}

/// The type of a message that may come from a peer. Transfer requests are not among them: they are
/// made at the leader.
fn peer_type(code: i32) -> Result<MessageType, WireError> {
    match MessageType::from_i32(code) {
        None
        | Some(
            MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum
            | MessageType::MsgTransferLeader,
        ) => Err(WireError::Type(code)),
        Some(kind) => Ok(kind),
    }
}

fn check_proposal(entries: &[Entry]) -> Result<(), WireError> {
    if entries.is_empty() {
        return Err(WireError::Entries);
    }
    for entry in entries {
        check_entry(entry)?;
        if entry.data.len() > MAX_PROPOSAL {
            return Err(WireError::Entries);
        }
        if entry.entry_type == EntryType::EntryNormal as i32 {
            frame::check(&entry.data)?;
        } else {
            decode_change(entry).ok_or(WireError::Change)?;
        }
    }
    Ok(())
}

/// What the log can hold. The fields that it does not store are never set.
fn check_entry(entry: &Entry) -> Result<(), WireError> {
    let plain = EntryType::from_i32(entry.entry_type).is_some()
        && entry.context.is_empty()
        && !entry.sync_log
        && entry.data.len() <= MAX_PAYLOAD;
    if plain {
        Ok(())
    } else {
        Err(WireError::Entries)
    }
}

fn check_append(message: &Message) -> Result<(), WireError> {
    // Only before the first entry there is no term. raft-rs gives term zero to indexes that are beyond its
    // log, so it would take entries there for a continuation, and end the process.
    if (message.index == 0) != (message.log_term == 0) {
        return Err(WireError::Number("log term"));
    }
    let mut index = message.index;
    let mut term = message.log_term;
    for entry in &message.entries {
        check_entry(entry)?;
        let follows = entry.index == index + 1 && entry.term >= term.max(1);
        if !follows || entry.term > message.term {
            return Err(WireError::Entries);
        }
        index = entry.index;
        term = entry.term;
    }
    Ok(())
}

fn check_read(entries: &[Entry]) -> Result<(), WireError> {
    match entries {
        [entry] if entry.data.len() == READ_CONTEXT => Ok(()),
        _ => Err(WireError::Entries),
    }
}

fn check_snapshot(message: &Message) -> Result<(), WireError> {
    let meta = message
        .snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.metadata.as_ref())
        .ok_or(WireError::Snapshot)?;
    let known = meta
        .conf_state
        .as_ref()
        .is_some_and(configuration::is_valid);
    let placed = (1..=MAX_NUMBER).contains(&meta.index) && (1..=message.term).contains(&meta.term);
    if known && placed {
        Ok(())
    } else {
        Err(WireError::Snapshot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raft::eraftpb::{ConfState, Snapshot as RaftSnapshot, SnapshotMetadata};

    use super::*;

    fn message(kind: MessageType, term: u64) -> Message {
        Message {
            msg_type: kind as i32,
            from: 1,
            to: 2,
            term,
            ..Message::default()
        }
    }

    fn entry(index: u64, term: u64) -> Entry {
        Entry {
            index,
            term,
            ..Entry::default()
        }
    }

    fn verdict(message: &Message) -> Result<(), WireError> {
        decode(&encode(message)).map(|decoded| assert_eq!(&decoded, message))
    }

    #[test]
    fn ordinary_messages_pass() {
        let mut append = message(MessageType::MsgAppend, 3);
        append.index = 4;
        append.log_term = 2;
        append.entries = vec![entry(5, 2), entry(6, 3)];
        assert_eq!(verdict(&append), Ok(()));
        assert_eq!(verdict(&message(MessageType::MsgHeartbeat, 1)), Ok(()));
        let mut propose = message(MessageType::MsgPropose, 0);
        propose.entries = vec![Entry {
            data: frame::encode(&[Bytes::from_static(b"x")]),
            ..Entry::default()
        }];
        assert_eq!(verdict(&propose), Ok(()));
    }

    #[test]
    fn messages_that_end_the_process_are_refused() {
        let mut local = message(MessageType::MsgHup, 1);
        assert_eq!(verdict(&local), Err(WireError::Type(0)));
        local.msg_type = 99;
        assert_eq!(verdict(&local), Err(WireError::Type(99)));
        let voteless = message(MessageType::MsgRequestVote, 0);
        assert_eq!(verdict(&voteless), Err(WireError::Number("term")));
        let huge = message(MessageType::MsgHeartbeat, u64::MAX);
        assert_eq!(verdict(&huge), Err(WireError::Number("term")));
        let empty = message(MessageType::MsgPropose, 0);
        assert_eq!(verdict(&empty), Err(WireError::Entries));
        let unread = message(MessageType::MsgReadIndex, 0);
        assert_eq!(verdict(&unread), Err(WireError::Entries));
        assert_eq!(
            verdict(&message(MessageType::MsgSnapshot, 1)),
            Err(WireError::Snapshot)
        );
    }

    #[test]
    fn appends_must_be_gapless_and_of_growing_terms() {
        for entries in [
            vec![entry(6, 3)],
            vec![entry(5, 1)],
            vec![entry(5, 4)],
            vec![entry(5, 3), entry(6, 2)],
            vec![Entry {
                context: vec![1],
                ..entry(5, 3)
            }],
        ] {
            let mut append = message(MessageType::MsgAppend, 3);
            append.index = 4;
            append.log_term = 2;
            append.entries = entries;
            assert_eq!(verdict(&append), Err(WireError::Entries));
        }
    }

    #[test]
    fn appends_name_the_term_of_the_entry_before() {
        let mut append = message(MessageType::MsgAppend, 3);
        assert_eq!(verdict(&append), Ok(()));
        append.index = 9;
        append.commit = 9;
        assert_eq!(verdict(&append), Err(WireError::Number("log term")));
        append.index = 0;
        append.log_term = 1;
        assert_eq!(verdict(&append), Err(WireError::Number("log term")));
    }

    #[test]
    fn every_entry_has_a_term() {
        let mut append = message(MessageType::MsgAppend, 3);
        append.entries = vec![entry(1, 0)];
        assert_eq!(verdict(&append), Err(WireError::Entries));
        append.entries = vec![entry(1, 1)];
        assert_eq!(verdict(&append), Ok(()));
    }

    #[test]
    fn proposals_carry_frames_or_changes() {
        let mut propose = message(MessageType::MsgPropose, 0);
        propose.entries = vec![Entry {
            data: vec![9],
            ..Entry::default()
        }];
        assert_eq!(
            verdict(&propose),
            Err(WireError::Frame(FrameError::Version(9)))
        );
        propose.entries = vec![Entry {
            entry_type: EntryType::EntryConfChangeV2 as i32,
            data: vec![8, 77],
            ..Entry::default()
        }];
        assert_eq!(verdict(&propose), Err(WireError::Change));
    }

    #[test]
    fn the_longest_proposal_fits_in_a_message() {
        let mut append = message(MessageType::MsgAppend, MAX_NUMBER);
        (append.from, append.to) = (u64::MAX, u64::MAX);
        (append.index, append.log_term) = (MAX_NUMBER - 1, MAX_NUMBER);
        append.commit = MAX_NUMBER;
        append.entries = vec![Entry {
            data: vec![0; MAX_PROPOSAL],
            ..entry(MAX_NUMBER, MAX_NUMBER)
        }];
        assert!(encode(&append).len() <= MAX_MESSAGE);
        let mut propose = message(MessageType::MsgPropose, 0);
        for (len, expected) in [
            (MAX_PROPOSAL, Ok(())),
            (MAX_PROPOSAL + 1, Err(WireError::Entries)),
        ] {
            let command = Bytes::from(vec![0; len - frame::overhead(1)]);
            propose.entries = vec![Entry {
                data: frame::encode(&[command]),
                ..Entry::default()
            }];
            assert_eq!(verdict(&propose), expected);
        }
    }

    #[test]
    fn snapshots_need_a_possible_configuration() {
        let mut message = message(MessageType::MsgSnapshot, 3);
        message.snapshot = Some(RaftSnapshot {
            metadata: Some(SnapshotMetadata {
                conf_state: Some(ConfState::from((vec![1, 2], vec![3]))),
                index: 5,
                term: 2,
            }),
            ..RaftSnapshot::default()
        });
        assert_eq!(verdict(&message), Ok(()));
        let meta = message.mut_snapshot().mut_metadata();
        meta.mut_conf_state().learners.push(1);
        assert_eq!(verdict(&message), Err(WireError::Snapshot));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }

        #[test]
        fn any_change_decodes_without_panic(kind in 1_i32..3, data: Vec<u8>) {
            let _ = decode_change(&Entry { entry_type: kind, data, ..Entry::default() });
        }
    }
}
