//! The checks of what reaches consensus: messages of peers, and the log on the disk.

use bytes::Bytes;

use super::{frame, wire};

pub use super::core::fuzzing::protocol;
pub use super::log::fuzzing::log;
pub use super::transport::fuzzing::{peer, snapshot};

/// Reads bytes as the commands of an entry and as a message of a peer.
pub fn message(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(commands) = frame::decode(&bytes)
        // An entry without any bytes holds no commands; a frame of none has a header.
        && !data.is_empty()
    {
        assert_eq!(frame::encode(&commands), data);
    }
    if let Ok(message) = wire::decode(data) {
        let again = wire::decode(&wire::encode(&message));
        assert_eq!(again.as_ref(), Ok(&message));
        for entry in &message.entries {
            // Committed entries are read by the same two functions, whatever they hold.
            let _ = frame::decode(&Bytes::copy_from_slice(&entry.data));
            let _ = wire::decode_change(entry);
        }
    }
}
