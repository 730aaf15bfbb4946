//! Append messages that follow each other are sent as one.
//!
//! raft-rs can do this by itself (`batch_append`), but its released version does it wrong twice: it adds
//! entries to a message that carries none without looking whether they follow it, and what comes out the
//! receiver has to refuse; and it adds without a bound, so that a follower that lags is sent everything in
//! one message, which no transport takes.

use raft::eraftpb::{Message, MessageType};

use super::settings::MAX_APPEND;

/// Adds a message to `out`. An append joins the last one to the same member if it goes on where that ends.
pub(super) fn push_joined(mut message: Message, out: &mut Vec<Message>) {
    let is_append = |message: &Message| message.get_msg_type() == MessageType::MsgAppend;
    if is_append(&message)
        && let Some(last) = out
            .iter_mut()
            .rfind(|last| last.to == message.to && is_append(last))
        && goes_on(last, &message)
    {
        last.entries.append(&mut message.entries);
        last.commit = last.commit.max(message.commit);
        return;
    }
    out.push(message);
}

fn goes_on(last: &Message, next: &Message) -> bool {
    let end = match last.entries.last() {
        Some(entry) => (entry.index, entry.term),
        None => (last.index, last.log_term),
    };
    let entries = last.entries.iter().chain(&next.entries);
    let size: usize = entries.map(|entry| entry.data.len()).sum();
    last.term == next.term && end == (next.index, next.log_term) && size <= MAX_APPEND as usize
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::Entry;

    use super::*;

    fn append(to: u64, after: (u64, u64), count: u64, len: usize, commit: u64) -> Message {
        let (index, log_term) = after;
        let entry = |index| Entry {
            index,
            term: 3,
            data: vec![0; len],
            ..Entry::default()
        };
        Message {
            msg_type: MessageType::MsgAppend as i32,
            to,
            term: 3,
            index,
            log_term,
            commit,
            entries: (index + 1..=index + count).map(entry).collect(),
            ..Message::default()
        }
    }

    /// Receiver, position and length of what is sent.
    fn sent(messages: Vec<Message>) -> Vec<(u64, u64, usize)> {
        let mut out = Vec::new();
        for message in messages {
            push_joined(message, &mut out);
        }
        out.iter()
            .map(|message| (message.to, message.index, message.entries.len()))
            .collect()
    }

    #[test]
    fn what_follows_is_joined() {
        let messages = vec![
            append(2, (5, 2), 0, 1, 4),
            append(3, (4, 2), 0, 1, 4),
            append(2, (5, 2), 2, 1, 4),
            append(2, (7, 3), 1, 1, 5),
            append(2, (8, 3), 0, 1, 6),
        ];
        let mut out = Vec::new();
        for message in messages.clone() {
            push_joined(message, &mut out);
        }
        assert_eq!(out[0].commit, 6);
        let indexes: Vec<_> = out[0].entries.iter().map(|entry| entry.index).collect();
        assert_eq!(indexes, [6, 7, 8]);
        assert_eq!(sent(messages), [(2, 5, 3), (3, 4, 0)]);
    }

    #[test]
    fn what_does_not_follow_goes_by_itself() {
        let apart = |next: Message| {
            let messages = vec![append(2, (5, 2), 1, 1, 4), next];
            assert_eq!(sent(messages).len(), 2);
        };
        apart(append(2, (5, 2), 1, 1, 4));
        apart(append(2, (7, 3), 1, 1, 4));
        apart(append(2, (6, 2), 1, 1, 4));
        apart(append(3, (6, 3), 1, 1, 4));
        apart(Message {
            term: 4,
            ..append(2, (6, 3), 1, 1, 4)
        });
        // The position of a message without entries counts as well.
        let probe = vec![append(2, (9, 3), 0, 1, 4), append(2, (5, 3), 4, 1, 4)];
        assert_eq!(sent(probe), [(2, 9, 0), (2, 5, 4)]);
    }

    #[test]
    fn a_message_does_not_grow_beyond_its_bound() {
        let half = MAX_APPEND as usize / 2;
        let messages = (1..=5).map(|at| append(2, (at, 3), 1, half, 1)).collect();
        assert_eq!(sent(messages), [(2, 1, 2), (2, 3, 2), (2, 5, 1)]);
    }
}
