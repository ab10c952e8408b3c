//! The prior's view of line ends: hard-wrapped prose reads like running text.
//!
//! A line end after a long line whose last byte could stand inside a sentence is seen as a space, any other one as `\n`,
//! and the `\n` of `\r\n` is not seen at all. The rule looks at the past only, so both sides fold alike.

/// Line lengths in bytes after which a line end counts as a wrap.
const WRAP: std::ops::RangeInclusive<u32> = 52..=92;

/// Folds a byte sequence, one byte at a time.
#[derive(Clone, Default)]
pub struct LineEndFolder {
    column: u32,
    last: u8,
}

impl LineEndFolder {
    /// Takes the next byte; `None` means that the folded text doesn't grow.
    pub fn push(&mut self, byte: u8) -> Option<u8> {
        let folded = match byte {
            b'\n' if self.last == b'\r' => None,
            b'\n' | b'\r' => Some(if self.wraps() { b' ' } else { b'\n' }),
            _ => Some(byte),
        };
        self.column = if matches!(byte, b'\n' | b'\r') { 0 } else { self.column + 1 };
        self.last = byte;
        folded
    }

    /// Whether a line end here would be a wrap.
    pub fn wraps(&self) -> bool {
        let inner = self.last.is_ascii_alphanumeric() || self.last >= 0x80 || b",.-'\"?!;:)".contains(&self.last);
        inner && WRAP.contains(&self.column)
    }

    /// Bytes since the last line end.
    pub fn column(&self) -> u32 {
        self.column
    }

    /// The last byte, unfolded.
    pub fn last(&self) -> u8 {
        self.last
    }
}
