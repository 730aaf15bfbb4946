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

/// Checks that bytes are a frame, without taking anything from it.
///
/// # Errors
/// [`FrameError`] if they are not.
pub(super) fn check(data: &[u8]) -> Result<(), FrameError> {
    table(data).map(drop)
}

/// Unpacks commands, which share the bytes. No bytes at all are no commands.
///
/// # Errors
/// [`FrameError`] if this is not a frame.
pub(super) fn decode(data: &Bytes) -> Result<Vec<Bytes>, FrameError> {
    let lengths = table(data)?;
    let mut end = overhead(lengths.len());
    let take = |length: &[u8; 4]| {
        let begin = end;
        end += length_of(length);
        data.slice(begin..end)
    };
    Ok(lengths.iter().map(take).collect())
}

/// The lengths in a frame, which add up to the bytes behind them.
fn table(data: &[u8]) -> Result<&[[u8; 4]], FrameError> {
    let Some((&version, rest)) = data.split_first() else {
        return Ok(&[]);
    };
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let (count, rest) = rest.split_first_chunk().ok_or(FrameError::Length)?;
    let (table, payload) = length_of(count)
        .checked_mul(4)
        .and_then(|len| rest.split_at_checked(len))
        .ok_or(FrameError::Length)?;
    let lengths = table.as_chunks().0;
    if lengths.iter().map(length_of).sum::<usize>() == payload.len() {
        Ok(lengths)
    } else {
        Err(FrameError::Length)
    }
}

const fn length_of(bytes: &[u8; 4]) -> usize {
    u32::from_le_bytes(*bytes) as usize
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
        let decode = |bytes: &'static [u8]| {
            let decoded = decode(&Bytes::from_static(bytes));
            assert_eq!(check(bytes), decoded.clone().map(drop));
            decoded
        };
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
            let bytes = encode(&commands);
            prop_assert_eq!(check(&bytes), Ok(()));
            prop_assert_eq!(decode(&bytes.into()), Ok(commands));
        }

        #[test]
        fn any_bytes_are_refused_by_both_or_by_neither(
            version in 0_u8..3,
            count in 0_u8..3,
            mut bytes: Vec<u8>,
        ) {
            bytes.splice(0..0, [version, count, 0, 0, 0]);
            let checked = check(&bytes);
            prop_assert_eq!(decode(&bytes.into()).map(drop), checked);
        }
    }
}
