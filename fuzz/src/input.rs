//! How the targets read their input: missing bytes are zeros, so every input is valid.

/// The bytes of the input that are left.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// Two bytes, least significant first.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A length byte and that many bytes, or as many as there are.
    pub fn part(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (part, rest) = self.0.split_at(len);
        self.0 = rest;
        part
    }
}
