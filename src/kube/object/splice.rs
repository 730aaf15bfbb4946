//! The version of an object put into its stored bytes, and its kind taken out, without parsing them.
//!
//! Lists and watches are made of stored bytes. Where to cut is found once, by a scan that knows no more of JSON than
//! strings and brackets, and kept beside the bytes.

use std::ops::Range;

use super::meta::rank;

/// Where to cut the bytes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// The first field behind `kind` and `apiVersion`.
    body: u32,
    /// The metadata with its braces.
    metadata: (u32, u32),
    /// Where the version goes, and the commas it needs.
    version: u32,
    before: bool,
    after: bool,
}

impl Places {
    /// Finds the places in an object in Go form that has metadata and no version. None for anything else: such bytes are to
    /// be parsed.
    pub fn find(stored: &[u8]) -> Option<Self> {
        let mut scan = Scan {
            text: stored,
            at: 0,
        };
        let mut body = None;
        scan.expect(b'{')?;
        loop {
            let start = scan.at;
            let key = scan.string()?;
            scan.expect(b':')?;
            let value = scan.at;
            if !matches!(key, b"kind" | b"apiVersion") {
                body.get_or_insert(start);
            }
            if key == b"metadata" {
                let places = Self::within(&mut scan, body?, value)?;
                // Kind and version stand in front, or not at all.
                return (scan.peek() == Some(b'}') || !scan.later_kind()).then_some(places);
            }
            scan.skip()?;
            scan.expect(b',')?;
        }
    }

    fn within(scan: &mut Scan<'_>, body: usize, start: usize) -> Option<Self> {
        let place = rank("resourceVersion");
        scan.expect(b'{')?;
        let mut version = None;
        let mut fields = 0;
        if scan.peek() == Some(b'}') {
            version = Some((scan.at, false, false));
        } else {
            loop {
                let at = scan.at;
                let key = std::str::from_utf8(scan.string()?).ok()?;
                if key == "resourceVersion" {
                    return None;
                }
                if rank(key) > place {
                    version.get_or_insert((at, false, true));
                }
                scan.expect(b':')?;
                scan.skip()?;
                fields += 1;
                if scan.peek()? == b'}' {
                    break;
                }
                scan.expect(b',')?;
            }
        }
        let (version, before, after) = version.unwrap_or((scan.at, fields > 0, false));
        scan.expect(b'}')?;
        let offset = |at: usize| u32::try_from(at).ok();
        Some(Self {
            body: offset(body)?,
            metadata: (offset(start)?, offset(scan.at)?),
            version: offset(version)?,
            before,
            after,
        })
    }

    /// Where the metadata lies, with its braces.
    pub fn metadata(&self) -> Range<usize> {
        self.metadata.0 as usize..self.metadata.1 as usize
    }

    /// Appends the object with its version.
    pub fn write(&self, stored: &[u8], revision: u64, out: &mut Vec<u8>) {
        self.write_from(0, stored.len(), stored, revision, out);
    }

    /// Appends the object with its version and without kind and `apiVersion`, as built-in lists hold it.
    pub fn write_item(&self, stored: &[u8], revision: u64, out: &mut Vec<u8>) {
        out.push(b'{');
        self.write_from(self.body as usize, stored.len(), stored, revision, out);
    }

    /// Appends the metadata alone with the version in it.
    pub fn write_metadata(&self, stored: &[u8], revision: u64, out: &mut Vec<u8>) {
        let Range { start, end } = self.metadata();
        self.write_from(start, end, stored, revision, out);
    }

    fn write_from(
        &self,
        start: usize,
        end: usize,
        stored: &[u8],
        revision: u64,
        out: &mut Vec<u8>,
    ) {
        let version = self.version as usize;
        let part = |range: Range<usize>| stored.get(range).unwrap_or_default();
        out.reserve(end - start + 48);
        out.extend_from_slice(part(start..version));
        if self.before {
            out.push(b',');
        }
        out.extend_from_slice(b"\"resourceVersion\":\"");
        out.extend_from_slice(revision.to_string().as_bytes());
        out.push(b'"');
        if self.after {
            out.push(b',');
        }
        out.extend_from_slice(part(version..end));
    }
}

/// Walks through compact JSON.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The inside of a string, escapes and all.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let inside = self.text.get(start..self.at)?;
        self.at += 1;
        Some(inside)
    }

    /// Passes over a value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => return None,
                _ => {
                    while !matches!(self.peek()?, b',' | b'}' | b']') {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Whether the object goes on with its kind or version, which Go never writes.
    fn later_kind(&self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        rest.starts_with(b",\"kind\"") || rest.starts_with(b",\"apiVersion\"")
    }
}
