//! Header blocks: names and values, compressed by one zlib stream for each direction of a connection.
//!
//! The zlib library of this program knows no preset dictionaries, and needs none for this: what a dictionary
//! does is to stand in the window before the first byte, and a stored block with its text, read and thrown away
//! before anything else, puts it there. Our own blocks are few and small; they are sent stored, which
//! every inflater reads, and so there is no compressor with its tables to keep for each connection.

use bytes::{BufMut as _, BytesMut};
use flate2::{Decompress, FlushDecompress, Status};

use super::SpdyError;
use super::dictionary;

/// Bytes of one block once it is inflated. Kubernetes' own blocks have a few hundred.
const MAX_INFLATED: usize = 64 << 10;
/// Names in a block.
const MAX_NAMES: usize = 256;
/// The header of a zlib stream with a preset dictionary, without its four bytes of name.
const ZLIB_HEADER: [u8; 2] = [0x78, 0xbb];
/// An empty stored block: where a block of headers ends, as `Z_SYNC_FLUSH` marks it.
const SYNC: [u8; 5] = [0, 0, 0, 0xff, 0xff];
/// Bytes in a stored block.
const MAX_STORED: usize = 0xffff;

/// The headers of a stream: names in lower case, several values of one name apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a value; the name is put into lower case, as the protocol wants it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// The first value of a name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn grouped(&self) -> Vec<(&str, String)> {
        let mut all: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.0 {
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => {
                    values.push('\0');
                    values.push_str(value);
                }
                None => all.push((name, value.clone())),
            }
        }
        all
    }
}

/// Writes the blocks of one direction.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    begun: bool,
}

impl BlockWriter {
    /// Appends a block.
    pub(super) fn write(&mut self, headers: &Headers, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.begun, true) {
            out.put_slice(&ZLIB_HEADER);
            out.put_u32(dictionary::ID);
        }
        let mut plain = BytesMut::new();
        let all = headers.grouped();
        plain.put_u32(length(all.len()));
        for (name, value) in &all {
            for text in [*name, value.as_str()] {
                plain.put_u32(length(text.len()));
                plain.put_slice(text.as_bytes());
            }
        }
        for part in plain.chunks(MAX_STORED) {
            stored(part, out);
        }
        out.put_slice(&SYNC);
    }
}

fn length(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// A stored block that is not the last one.
fn stored(part: &[u8], out: &mut BytesMut) {
    let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
    out.put_u8(0);
    out.put_u16_le(length);
    out.put_u16_le(!length);
    out.put_slice(part);
}

/// Reads the blocks of one direction.
pub(super) struct BlockReader {
    inflate: Decompress,
    begun: bool,
}

impl BlockReader {
    pub(super) fn new() -> Self {
        Self {
            inflate: Decompress::new(false),
            begun: false,
        }
    }

    /// Reads one block, which is all of `packed`.
    ///
    /// # Errors
    /// [`SpdyError`]; the connection cannot go on, since what follows builds on what was read.
    pub(super) fn read(&mut self, packed: &[u8]) -> Result<Headers, SpdyError> {
        let packed = if self.begun {
            packed
        } else {
            self.begun = true;
            self.begin(packed)?
        };
        parse(&self.inflate(packed)?)
    }

    /// Reads the zlib header, and the dictionary if it is asked for.
    fn begin<'a>(&mut self, packed: &'a [u8]) -> Result<&'a [u8], SpdyError> {
        let (header, rest) = packed.split_first_chunk::<2>().ok_or(SpdyError::Packed)?;
        let [method, flags] = *header;
        let known = method & 0x0f == 8 && u16::from_be_bytes(*header).is_multiple_of(31);
        if !known {
            return Err(SpdyError::Packed);
        }
        if flags & 0x20 == 0 {
            return Ok(rest);
        }
        let (id, rest) = rest.split_first_chunk::<4>().ok_or(SpdyError::Packed)?;
        if u32::from_be_bytes(*id) != dictionary::ID {
            return Err(SpdyError::Packed);
        }
        let mut known = BytesMut::new();
        stored(&dictionary::bytes(), &mut known);
        self.inflate(&known)?;
        Ok(rest)
    }

    fn inflate(&mut self, packed: &[u8]) -> Result<Vec<u8>, SpdyError> {
        let mut plain = Vec::new();
        let mut left = packed;
        let mut piece = [0; 4 << 10];
        loop {
            let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(left, &mut piece, FlushDecompress::Sync)
                .map_err(|_| SpdyError::Packed)?;
            let taken = usize::try_from(self.inflate.total_in() - taken).unwrap_or(usize::MAX);
            let given = usize::try_from(self.inflate.total_out() - given).unwrap_or_default();
            left = left.get(taken..).unwrap_or_default();
            plain.extend_from_slice(piece.get(..given).unwrap_or_default());
            if plain.len() > MAX_INFLATED {
                return Err(SpdyError::TooManyHeaders);
            }
            if taken == 0 && given == 0 || status == Status::StreamEnd {
                break;
            }
        }
        // A stream that has ended, or bytes that it does not want, leave the next block without its window.
        if left.is_empty() {
            Ok(plain)
        } else {
            Err(SpdyError::Packed)
        }
    }
}

impl std::fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockReader")
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

fn parse(mut plain: &[u8]) -> Result<Headers, SpdyError> {
    let names = number(&mut plain)?;
    if names > MAX_NAMES {
        return Err(SpdyError::TooManyHeaders);
    }
    let mut headers = Headers::default();
    for _ in 0..names {
        let name = text(&mut plain)?;
        let values = text(&mut plain)?;
        for value in values.split('\0') {
            headers = headers.with(&name, value);
        }
    }
    if plain.is_empty() {
        Ok(headers)
    } else {
        Err(SpdyError::Headers)
    }
}

fn number(plain: &mut &[u8]) -> Result<usize, SpdyError> {
    let (number, rest) = plain.split_first_chunk::<4>().ok_or(SpdyError::Headers)?;
    *plain = rest;
    usize::try_from(u32::from_be_bytes(*number)).map_err(|_| SpdyError::Headers)
}

fn text(plain: &mut &[u8]) -> Result<String, SpdyError> {
    let length = number(plain)?;
    let (text, rest) = plain.split_at_checked(length).ok_or(SpdyError::Headers)?;
    *plain = rest;
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(writer: &mut BlockWriter, headers: &Headers) -> Vec<u8> {
        let mut out = BytesMut::new();
        writer.write(headers, &mut out);
        out.to_vec()
    }

    #[test]
    fn blocks_are_read_as_they_were_written() {
        let (mut writer, mut reader) = (BlockWriter::default(), BlockReader::new());
        let first = Headers::default()
            .with("StreamType", "error")
            .with("port", "80");
        let second = Headers::default()
            .with("a", "1")
            .with("b", "")
            .with("a", "2");
        for headers in [&first, &second, &Headers::default()] {
            let read = reader.read(&write(&mut writer, headers)).unwrap();
            assert_eq!(read.grouped(), headers.grouped());
        }
        assert_eq!(first.get("streamtype"), Some("error"));
    }

    /// What Go's zlib writes at its best compression, with the dictionary, for `streamtype: stdin`, and then for
    /// `streamtype: stdout`: the second one refers to the first.
    #[test]
    fn compressed_blocks_of_go_are_read() {
        let blocks = include!("golden.in");
        let mut reader = BlockReader::new();
        for (packed, wanted) in blocks {
            let headers = reader.read(packed).unwrap();
            assert_eq!(headers.get("streamtype"), Some(wanted));
        }
    }

    #[test]
    fn what_inflates_without_end_is_refused() {
        let mut deflate = flate2::Compress::new(flate2::Compression::best(), true);
        let mut bomb = Vec::with_capacity(1 << 20);
        let zeros = vec![0; 64 << 20];
        let flush = flate2::FlushCompress::Sync;
        deflate.compress_vec(&zeros, &mut bomb, flush).unwrap();
        let refused = BlockReader::new().read(&bomb).unwrap_err();
        assert_eq!(refused, SpdyError::TooManyHeaders);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let long = [&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff][..], b"abc"].concat();
        let many = [0xff, 0xff, 0xff, 0xff];
        let more = [0, 0, 0, 0, 1];
        for (plain, why) in [
            (&long[..], SpdyError::Headers),
            (&many, SpdyError::TooManyHeaders),
            (&more, SpdyError::Headers),
            (&[0, 0], SpdyError::Headers),
        ] {
            assert_eq!(parse(plain), Err(why));
        }
    }

    #[test]
    fn another_dictionary_is_refused() {
        for packed in [&[0x78, 0xbb, 1, 2, 3, 4][..], &[0x78], &[0x79, 0xbb], &[]] {
            assert_eq!(BlockReader::new().read(packed), Err(SpdyError::Packed));
        }
    }
}
