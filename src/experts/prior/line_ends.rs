//! Folding of line ends, so that hard-wrapped prose looks like running text to the prior.
//!
//! A line end that probably wraps a paragraph becomes a space: the line is long, and its last byte could stand inside a
//! sentence. Any other line end becomes `\n`, and the `\n` of `\r\n` is dropped. The rule depends on past bytes only, so the
//! decoder can repeat it.

/// Line lengths in bytes at which a line end may be a wrap.
const WRAP: std::ops::RangeInclusive<u32> = 52..=92;

/// Folds a text byte by byte.
#[derive(Clone, Default)]
pub struct LineEndFolder {
    column: u32,
    last: u8,
}

impl LineEndFolder {
    /// Takes the next byte and gives the next byte of the folded text; `None` for a `\n` after `\r`.
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

    /// Whether a line end would become a space here.
    pub fn wraps(&self) -> bool {
        let inner = self.last.is_ascii_alphanumeric() || self.last >= 0x80 || b",.-'\"?!;:)".contains(&self.last);
        inner && WRAP.contains(&self.column)
    }

    /// Bytes since the last line end.
    pub fn column(&self) -> u32 {
        self.column
    }

    /// The last byte, as it was before folding; 0 at the start.
    pub fn last(&self) -> u8 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(text: &[u8]) -> Vec<u8> {
        let mut folder = LineEndFolder::default();
        text.iter().filter_map(|&byte| folder.push(byte)).collect()
    }

    /// The same by looking at whole lines.
    fn fold_lines(text: &[u8]) -> Vec<u8> {
        let text: Vec<u8> = String::from_utf8(text.to_vec()).unwrap().replace("\r\n", "\n").replace('\r', "\n").into();
        let lines = text.split_inclusive(|&byte| byte == b'\n');
        let mut folded = Vec::new();
        for line in lines {
            let (length, ends) = (line.len() - 1, line.ends_with(b"\n"));
            folded.extend(line);
            if ends && (52..=92).contains(&length) && !b"({[<=+*/\\ ".contains(&line[length - 1]) {
                *folded.last_mut().unwrap() = b' ';
            }
        }
        folded
    }

    #[test]
    fn folds_as_by_lines() {
        for end in ["\n", "\r\n", "\r"] {
            for length in [0, 1, 51, 52, 53, 91, 92, 93, 200] {
                for last in "aZ0,.-'\"?!;:)({[<=+*/\\ ".chars() {
                    let mut line: String = "x".repeat(length);
                    if line.pop().is_some() {
                        line.push(last);
                    }
                    let text = [&line, end, "y", end, end, &line, end].concat();
                    assert_eq!(fold(text.as_bytes()), fold_lines(text.as_bytes()), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn a_line_feed_is_dropped_only_after_a_carriage_return() {
        assert_eq!(fold(b"a\r\nb\n\rc\r\r\n\n"), b"a\nb\n\nc\n\n\n");
        assert_eq!(fold(&[&[0xC3; 60][..], b"\n"].concat()).last(), Some(&b' '));
    }
}
