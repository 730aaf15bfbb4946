//! How the commands of one log entry are packed.
//!
//! `version (1) | count (u32) | length (u32) of each | the commands`, little endian. Coalescing many
//! commands in one entry is what makes the cost of consensus vanish per command.

use bytes::Bytes;

const VERSION: u8 = 1;
const COUNT_END: usize = 5;

/// Why the data of an entry is not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Written by a newer version of this program.
    #[error("unknown frame version {0}")]
    Version(u8),
    /// The lengths do not add up to the bytes.
    #[error("frame lengths do not add up")]
    Length,
}

/// Bytes that a frame takes besides its commands.
pub(super) const fn overhead(commands: usize) -> usize {
    COUNT_END + 4 * commands
}

/// Packs commands.
pub(super) fn encode(commands: &[Bytes]) -> Vec<u8> {
    let payload: usize = commands.iter().map(Bytes::len).sum();
    let mut out = Vec::with_capacity(overhead(commands.len()) + payload);
    out.push(VERSION);
    out.extend_from_slice(&(commands.len() as u32).to_le_bytes());
    for command in commands {
        out.extend_from_slice(&(command.len() as u32).to_le_bytes());
    }
    for command in commands {
        out.extend_from_slice(command);
    }
    out
}

/// Unpacks commands, which share the bytes. No bytes at all are no commands.
///
/// # Errors
/// [`FrameError`] if this is not a frame.
pub(super) fn decode(data: &Bytes) -> Result<Vec<Bytes>, FrameError> {
    let Some((&version, rest)) = data.split_first() else {
        return Ok(Vec::new());
    };
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let (count, rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Length)?;
    let count = u32::from_le_bytes(*count) as usize;
    let table = count
        .checked_mul(4)
        .and_then(|len| rest.get(..len))
        .ok_or(FrameError::Length)?;
    let mut at = overhead(count);
    let mut commands = Vec::with_capacity(count);
    for len in table.as_chunks::<4>().0 {
        let end = at + u32::from_le_bytes(*len) as usize;
        if end > data.len() {
            return Err(FrameError::Length);
        }
        commands.push(data.slice(at..end));
        at = end;
    }
    if at == data.len() {
        Ok(commands)
    } else {
        Err(FrameError::Length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_of_a_frame_are_fixed() {
        let commands = [Bytes::from_static(b"ab"), Bytes::new()];
        let bytes = encode(&commands);
        assert_eq!(bytes, [1, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
        assert_eq!(bytes.len(), overhead(2) + 2);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let decode = |bytes: &'static [u8]| decode(&Bytes::from_static(bytes));
        assert_eq!(decode(&[]), Ok(vec![]));
        assert_eq!(decode(&[2, 0, 0, 0, 0]), Err(FrameError::Version(2)));
        assert_eq!(decode(&[1, 0, 0]), Err(FrameError::Length));
        assert_eq!(decode(&[1, 1, 0, 0, 0]), Err(FrameError::Length));
        assert_eq!(
            decode(&[1, 0xff, 0xff, 0xff, 0xff]),
            Err(FrameError::Length)
        );
        assert_eq!(
            decode(&[1, 1, 0, 0, 0, 9, 0, 0, 0]),
            Err(FrameError::Length)
        );
        assert_eq!(decode(&[1, 0, 0, 0, 0, 9]), Err(FrameError::Length));
    }

    proptest! {
        #[test]
        fn frames_round_trip(commands: Vec<Vec<u8>>) {
            let commands: Vec<Bytes> = commands.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(decode(&encode(&commands).into()), Ok(commands));
        }

        #[test]
        fn any_bytes_decode_without_panic(version in 0_u8..3, mut bytes: Vec<u8>) {
            bytes.insert(0, version);
            let _ = decode(&bytes.into());
        }
    }
}
