//! The keys of every column family except `current`, whose keys are the users' own.
//!
//! Integers are big endian so that byte order is numeric order.

use bytes::Bytes;

use crate::base::ids::{ChangeId, LeaseId, Revision};

/// Bytes of a key of `event`.
pub const EVENT_KEY_LEN: usize = 12;

const LEASE: u8 = b'l';
const ATTACHMENT: u8 = b'k';
const ATTACHMENT_PREFIX_LEN: usize = 9;

/// The named records of the `meta` column family. The names are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetaKey {
    /// The format version; written once, when the store is made.
    Format,
    /// Revision and compacted revision of the key space.
    State,
    /// Index and term of the last applied raft entry.
    Applied,
    /// The raft configuration as of the applied index.
    Configuration,
    /// The members' names and URLs.
    Members,
    /// Which cluster and member this state belongs to.
    Identity,
    /// The alarms that are raised.
    Alarms,
    /// What the cluster is being taken back to.
    Downgrade,
}

impl MetaKey {
    /// Every key there is.
    pub const ALL: [Self; 8] = [
        Self::Format,
        Self::State,
        Self::Applied,
        Self::Configuration,
        Self::Members,
        Self::Identity,
        Self::Alarms,
        Self::Downgrade,
    ];

    /// The key's name on disk.
    pub const fn name(self) -> &'static [u8] {
        match self {
            Self::Format => b"format",
            Self::State => b"state",
            Self::Applied => b"applied",
            Self::Configuration => b"configuration",
            Self::Members => b"members",
            Self::Identity => b"identity",
            Self::Alarms => b"alarms",
            Self::Downgrade => b"downgrade",
        }
    }
}

/// The key of a change in `event`.
pub fn event_key(id: ChangeId) -> [u8; EVENT_KEY_LEN] {
    let mut key = [0; EVENT_KEY_LEN];
    let (revision, sub) = key.split_at_mut(8);
    revision.copy_from_slice(&id.revision.0.to_be_bytes());
    sub.copy_from_slice(&id.sub.to_be_bytes());
    key
}

/// Reads a key of `event` back; `None` if the bytes are not one.
pub fn parse_event_key(key: &[u8]) -> Option<ChangeId> {
    let (revision, sub) = key.split_first_chunk::<8>()?;
    let revision = Revision(i64::from_be_bytes(*revision));
    let sub = u32::from_be_bytes(sub.try_into().ok()?);
    (revision.0 >= 0).then_some(ChangeId::new(revision, sub))
}

/// The key of a lease in `lease`.
pub fn lease_key(id: LeaseId) -> [u8; 9] {
    prefixed(LEASE, id)
}

/// Reads the key of a lease back; `None` if the bytes are not one.
pub fn parse_lease_key(key: &[u8]) -> Option<LeaseId> {
    match key.split_first()? {
        (&LEASE, id) => Some(LeaseId(i64::from_be_bytes(id.try_into().ok()?))),
        _ => None,
    }
}

/// Where the keys of leases begin and end.
pub(crate) const fn lease_bounds() -> ([u8; 1], [u8; 1]) {
    ([LEASE], [LEASE + 1])
}

/// Where the attachments of all leases begin and end.
pub(crate) const fn attachment_bounds() -> ([u8; 1], [u8; 1]) {
    ([ATTACHMENT], [ATTACHMENT + 1])
}

/// The key in `lease` that says that `key` is attached to lease `id`.
pub fn attachment_key(id: LeaseId, key: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(ATTACHMENT_PREFIX_LEN + key.len());
    bytes.extend_from_slice(&attachment_prefix(id));
    bytes.extend_from_slice(key);
    bytes.into()
}

/// What every attachment of lease `id` begins with; the user's key follows.
pub(crate) fn attachment_prefix(id: LeaseId) -> [u8; ATTACHMENT_PREFIX_LEN] {
    prefixed(ATTACHMENT, id)
}

/// The user's key in an attachment's key; `None` if the bytes are not one.
pub fn parse_attachment_key(bytes: &[u8]) -> Option<(LeaseId, &[u8])> {
    let (&kind, rest) = bytes.split_first()?;
    let (id, key) = rest.split_first_chunk::<8>()?;
    (kind == ATTACHMENT).then_some((LeaseId(i64::from_be_bytes(*id)), key))
}

fn prefixed(kind: u8, id: LeaseId) -> [u8; 9] {
    let mut key = [kind; 9];
    let (_, rest) = key.split_at_mut(1);
    rest.copy_from_slice(&id.0.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes_of_keys() {
        assert_eq!(
            event_key(ChangeId::new(Revision(258), 3)),
            [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]
        );
        assert_eq!(lease_key(LeaseId(5)), [b'l', 0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(
            attachment_key(LeaseId(-2), b"ab").as_ref(),
            [
                b'k', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, b'a', b'b'
            ]
        );
        let names: Vec<&[u8]> = MetaKey::ALL.iter().map(|key| key.name()).collect();
        let expected: [&[u8]; 8] = [
            b"format",
            b"state",
            b"applied",
            b"configuration",
            b"members",
            b"identity",
            b"alarms",
            b"downgrade",
        ];
        assert_eq!(names, expected);
    }

    proptest! {
        #[test]
        fn event_keys_order_as_changes_do(a in 0..i64::MAX, b in 0..i64::MAX, x: u32, y: u32) {
            let (first, second) = (ChangeId::new(Revision(a), x), ChangeId::new(Revision(b), y));
            prop_assert_eq!(event_key(first).cmp(&event_key(second)), first.cmp(&second));
            prop_assert_eq!(parse_event_key(&event_key(first)), Some(first));
        }

        #[test]
        fn lease_keys_round_trip(id: i64, key: Vec<u8>) {
            prop_assert_eq!(parse_lease_key(&lease_key(LeaseId(id))), Some(LeaseId(id)));
            let bytes = attachment_key(LeaseId(id), &key);
            prop_assert_eq!(parse_attachment_key(&bytes), Some((LeaseId(id), key.as_slice())));
        }

        #[test]
        fn any_bytes_parse_without_panic(bytes: Vec<u8>) {
            let _ = parse_event_key(&bytes);
            let _ = parse_lease_key(&bytes);
            let _ = parse_attachment_key(&bytes);
        }
    }
}
