//! How a check that needs more than one value takes them from the bytes it is given.

/// Bytes read from the front as small decisions. Beyond the end everything is zero, so that any input is a
/// complete script and cutting its end off only leaves out its last steps.
#[derive(Debug, Clone)]
pub(crate) struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    /// A script at its beginning.
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Whether nothing is left.
    pub(crate) const fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let (&byte, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        byte
    }

    /// One chance in two.
    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number that is small, or in one case of sixteen within 256 of the largest.
    pub(crate) fn number(&mut self) -> u64 {
        let (class, byte) = (self.byte(), u64::from(self.byte()));
        match class & 15 {
            15 => u64::MAX - byte,
            14 => byte << 8,
            _ => byte & 15,
        }
    }

    /// As many bytes as the next byte says, or fewer at the end.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        bytes
    }

    /// As many bytes as the next two say, or fewer at the end.
    pub(crate) fn long_bytes(&mut self) -> &'a [u8] {
        let len = usize::from(u16::from_le_bytes([self.byte(), self.byte()])).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        bytes
    }
}
