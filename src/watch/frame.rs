//! The bytes of a `WatchResponse` (`etcdserverpb`), written without building one.
//!
//! A response is its head (fields 1 to 7) followed by its events (field 11), each an `mvccpb.Event` that
//! is copied as it is stored. Heads of one moment differ in the watch id only and most streams use id 0,
//! so [`Heads`] makes each once; bodies are shared by every watcher that receives the same events.

use std::collections::HashMap;

use bytes::Bytes;

use crate::base::ids::{ClusterId, MemberId, Revision, WatchId};
use crate::base::wire::{self, Field, FieldReader};

/// The watch id of responses that concern the stream and not one watcher.
pub(super) const STREAM_ID: WatchId = WatchId(-1);

const HEADER: u32 = 1;
const WATCH_ID: u32 = 2;
const CREATED: u32 = 3;
const CANCELED: u32 = 4;
const COMPACT_REVISION: u32 = 5;
const CANCEL_REASON: u32 = 6;
const FRAGMENT: u32 = 7;
const EVENTS: u32 = 11;

/// The fields of a `ResponseHeader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub cluster_id: ClusterId,
    pub member_id: MemberId,
    pub revision: Revision,
    pub term: u64,
}

impl Stamp {
    fn encode(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(4 * 11);
        wire::put_varint_field(&mut header, 1, self.cluster_id.0);
        wire::put_varint_field(&mut header, 2, self.member_id.0);
        wire::put_varint_field(&mut header, 3, self.revision.get() as u64);
        wire::put_varint_field(&mut header, 4, self.term);
        header
    }
}

/// What a response says besides its header and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head<'a> {
    pub watch_id: WatchId,
    pub created: bool,
    pub canceled: bool,
    pub compact_revision: Revision,
    pub cancel_reason: &'a str,
    pub fragment: bool,
}

impl Head<'_> {
    /// A head with nothing but the id: what events and progress have.
    pub(super) fn plain(watch_id: WatchId) -> Self {
        Self {
            watch_id,
            ..Self::default()
        }
    }

    /// The encoded fields 1 to 7.
    pub(super) fn encode(&self, stamp: &Stamp) -> Bytes {
        let header = stamp.encode();
        let mut head = Vec::with_capacity(header.len() + self.cancel_reason.len() + 32);
        wire::put_len_header(&mut head, HEADER, header.len());
        head.extend_from_slice(&header);
        wire::put_varint_field(&mut head, WATCH_ID, self.watch_id.0 as u64);
        wire::put_varint_field(&mut head, CREATED, u64::from(self.created));
        wire::put_varint_field(&mut head, CANCELED, u64::from(self.canceled));
        let compacted = self.compact_revision.get() as u64;
        wire::put_varint_field(&mut head, COMPACT_REVISION, compacted);
        if !self.cancel_reason.is_empty() {
            wire::put_len_header(&mut head, CANCEL_REASON, self.cancel_reason.len());
            head.extend_from_slice(self.cancel_reason.as_bytes());
        }
        wire::put_varint_field(&mut head, FRAGMENT, u64::from(self.fragment));
        head.into()
    }
}

/// The plain heads of one moment, each encoded once. Emptied when the moment has passed, so it holds at
/// most one head for each watcher that was served in it.
#[derive(Debug)]
pub(super) struct Heads {
    stamp: Stamp,
    plain: HashMap<WatchId, Bytes, foldhash::fast::RandomState>,
}

impl Heads {
    pub(super) fn new(stamp: Stamp) -> Self {
        Self {
            stamp,
            plain: HashMap::default(),
        }
    }

    /// Goes to another moment.
    pub(super) fn renew(&mut self, stamp: Stamp) {
        if self.stamp != stamp {
            self.stamp = stamp;
            self.plain = HashMap::default();
        }
    }

    pub(super) const fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// The plain head of `watch_id`.
    pub(super) fn plain(&mut self, watch_id: WatchId) -> Bytes {
        let stamp = &self.stamp;
        let head = self.plain.entry(watch_id);
        head.or_insert_with(|| Head::plain(watch_id).encode(stamp))
            .clone()
    }
}

/// Appends one event to a body.
pub(super) fn put_event(body: &mut Vec<u8>, event: &[u8]) {
    body.reserve(wire::len_field_len(EVENTS, event.len()));
    wire::put_len_header(body, EVENTS, event.len());
    body.extend_from_slice(event);
}

/// Cuts a body between events into pieces of fewer than `limit` bytes; an event that is larger is a
/// piece of its own.
pub(super) fn fragments(body: &Bytes, limit: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut events = FieldReader::new(body);
    let (mut begin, mut end) = (0, 0);
    while let Ok(Some(Field::Bytes(..))) = events.next_field() {
        let next = body.len() - events.rest().len();
        if next - begin >= limit && end > begin {
            pieces.push(body.slice(begin..end));
            begin = end;
        }
        end = next;
    }
    pieces.push(body.slice(begin..));
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAMP: Stamp = Stamp {
        cluster_id: ClusterId(7),
        member_id: MemberId(300),
        revision: Revision(5),
        term: 2,
    };
    const HEADER_BYTES: [u8; 11] = [0x0a, 9, 0x08, 7, 0x10, 0xac, 0x02, 0x18, 5, 0x20, 2];

    fn golden(head: &Head<'_>, rest: &[u8]) {
        let mut wanted = HEADER_BYTES.to_vec();
        wanted.extend_from_slice(rest);
        assert_eq!(head.encode(&STAMP), wanted, "{head:?}");
    }

    #[test]
    fn golden_heads() {
        golden(&Head::default(), &[]);
        golden(&Head::plain(WatchId(3)), &[0x10, 3]);
        let progress = [
            0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        golden(&Head::plain(STREAM_ID), &progress);
        let created = Head {
            created: true,
            ..Head::default()
        };
        golden(&created, &[0x18, 1]);
        let compacted = Head {
            watch_id: WatchId(1),
            canceled: true,
            compact_revision: Revision(9),
            ..Head::default()
        };
        golden(&compacted, &[0x10, 1, 0x20, 1, 0x28, 9]);
        let refused = Head {
            canceled: true,
            cancel_reason: "no",
            ..Head::default()
        };
        golden(&refused, &[0x20, 1, 0x32, 2, b'n', b'o']);
        let fragment = Head {
            fragment: true,
            ..Head::default()
        };
        golden(&fragment, &[0x38, 1]);
    }

    #[test]
    fn golden_events() {
        let mut body = Vec::new();
        put_event(&mut body, b"e");
        put_event(&mut body, &[]);
        assert_eq!(body, [0x5a, 1, b'e', 0x5a, 0]);
    }

    #[test]
    fn an_all_zero_header_is_still_there() {
        let stamp = Stamp {
            cluster_id: ClusterId(0),
            member_id: MemberId(0),
            revision: Revision::ZERO,
            term: 0,
        };
        assert_eq!(Head::default().encode(&stamp).as_ref(), [0x0a, 0]);
    }

    #[test]
    fn a_head_is_made_once_for_each_id_and_moment() {
        let mut heads = Heads::new(STAMP);
        let first = heads.plain(WatchId(1));
        assert_eq!(first.as_ptr(), heads.plain(WatchId(1)).as_ptr());
        heads.renew(Stamp { term: 3, ..STAMP });
        assert_ne!(first, heads.plain(WatchId(1)));
    }

    proptest! {
        #[test]
        fn fragments_cut_between_events_and_only_when_needed(
            sizes in prop::collection::vec(0_usize..40, 1..12),
            limit in 1_usize..80,
        ) {
            let mut body = Vec::new();
            for &size in &sizes {
                put_event(&mut body, &vec![1; size]);
            }
            let body = Bytes::from(body);
            let pieces = fragments(&body, limit);
            prop_assert_eq!(pieces.concat(), body);
            let mut lens = Vec::new();
            for piece in &pieces {
                let mut events = FieldReader::new(piece);
                let mut count = 0;
                while let Some(field) = events.next_field().unwrap() {
                    prop_assert!(matches!(field, Field::Bytes(EVENTS, _)));
                    count += 1;
                }
                prop_assert!(piece.len() < limit || count == 1);
                lens.push(piece.len());
            }
            for (pair, next) in lens.windows(2).zip(pieces.iter().skip(1)) {
                let first = wire::len_field_len(EVENTS, usize::from(next[1]));
                prop_assert!(pair[0] + first >= limit, "a piece ends early");
            }
        }
    }
}
