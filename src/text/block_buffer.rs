//! A block's bytes as far as they are coded, and what one lane sees of them.

use super::lane_state::LaneState;
use std::ops::Deref;

/// A block's bytes as far as they are coded, and a history for each of its lanes: contiguous segments that are coded in
/// turn, a few bytes at a time.
pub struct BlockBuffer {
    /// Zeros where nothing is coded yet.
    bytes: Vec<u8>,
    lane_len: usize,
    lanes: Vec<LaneState>,
}

impl BlockBuffer {
    /// A block of `len` bytes in `lanes` lanes, of which nothing is known. Only with `records` is the length of records
    /// looked for; only with `structure` are lines and nesting.
    pub fn new(len: usize, lanes: usize, records: bool, structure: bool) -> Self {
        let lane_len = len.div_ceil(lanes).max(1);
        let lanes = (0..lanes).map(|lane| LaneState::new((lane * lane_len).min(len), records, structure)).collect();
        BlockBuffer { bytes: vec![0; len], lane_len, lanes }
    }

    /// All of the block, known or not.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The block.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The past of a lane.
    #[inline]
    pub fn past(&self, lane: usize) -> LaneView<'_> {
        LaneView { text: self, history: &self.lanes[lane] }
    }

    /// Adds a byte to a lane.
    pub fn push(&mut self, lane: usize, byte: u8) {
        let history = &mut self.lanes[lane];
        self.bytes[history.at] = byte;
        history.push(byte, &self.bytes);
    }

    /// Bytes that a lane still lacks.
    pub fn left(&self, lane: usize) -> usize {
        ((lane + 1) * self.lane_len).min(self.bytes.len()).saturating_sub(self.lanes[lane].at)
    }

    /// The byte at a position, if it is coded.
    #[inline]
    pub fn known(&self, at: usize) -> Option<u8> {
        let lane = if self.lanes.len() == 1 { 0 } else { at / self.lane_len };
        self.lanes.get(lane).filter(|history| at < history.at).map(|_| self.bytes[at])
    }
}

/// What comes before a lane's next byte.
#[derive(Clone, Copy)]
pub struct LaneView<'a> {
    text: &'a BlockBuffer,
    history: &'a LaneState,
}

impl Deref for LaneView<'_> {
    type Target = LaneState;

    #[inline]
    fn deref(&self) -> &LaneState {
        self.history
    }
}

impl<'a> LaneView<'a> {
    /// The block that the lane is a part of.
    #[inline]
    pub fn text(&self) -> &'a BlockBuffer {
        self.text
    }

    /// The lane's bytes so far.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        &self.text.bytes[self.history.start..self.history.at]
    }

    /// Byte `back` places before the next one (1: the last); 0 before the start.
    #[inline]
    pub fn back(&self, back: usize) -> u8 {
        let bytes = self.bytes();
        if back <= bytes.len() && back > 0 { bytes[bytes.len() - back] } else { 0 }
    }

    /// The byte above the next one: same column, previous line.
    #[inline]
    pub fn above(&self) -> u8 {
        self.of_line_above(self.column())
    }

    /// The byte after that.
    pub fn after_above(&self) -> u8 {
        self.of_line_above(self.column() + 1)
    }

    fn of_line_above(&self, column: usize) -> u8 {
        let at = self.line.above_start + column;
        if at < self.line.start { self.text.bytes[at] } else { 0 }
    }

    /// The byte at the same place of the same field in the line above.
    #[inline]
    pub fn above_field(&self) -> u8 {
        let line = &self.line;
        let offset = self.at - line.field_start;
        match line.above_fields.get(line.field) {
            Some(&start) if start + offset < line.start => self.text.bytes[start + offset],
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_divide_the_block() {
        for (len, lanes) in [(10, 4), (16, 8), (3, 8), (1, 2), (0, 4), (7, 1)] {
            let mut text = BlockBuffer::new(len, lanes, false, true);
            assert_eq!((0..lanes).map(|lane| text.left(lane)).sum::<usize>(), len);
            let mut expected = vec![None; len + 1];
            // A byte of each lane in turn.
            while let Some(most) = (0..lanes).map(|lane| text.left(lane)).max().filter(|&most| most > 0) {
                for lane in (0..lanes).filter(|&lane| text.left(lane) == most).collect::<Vec<_>>() {
                    let at = text.past(lane).at;
                    assert_eq!(expected[at].replace(at as u8 + 1), None);
                    text.push(lane, at as u8 + 1);
                    assert_eq!(text.left(lane), most - 1);
                    assert_eq!((0..=len).map(|at| text.known(at)).collect::<Vec<_>>(), expected);
                }
            }
            assert_eq!(text.into_bytes(), (1..=len as u8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_lane_begins_as_a_block_does() {
        let content = b"<a href=\"x\">one two\nthree, four\n{\"key\": [1,\n12";
        let mut alone = BlockBuffer::new(content.len(), 1, true, true);
        let mut text = BlockBuffer::new(3 * content.len(), 3, true, true);
        text.push(0, b'"');
        for &byte in content {
            let (past, other) = (text.past(1), alone.past(0));
            assert_eq!(past.bytes(), other.bytes());
            assert_eq!(
                (past.last8, past.word, past.words, past.gap),
                (other.last8, other.word, other.words, other.gap)
            );
            assert_eq!((past.token, past.skeleton, past.column()), (other.token, other.skeleton, other.column()));
            assert_eq!((past.above(), past.above_field()), (other.above(), other.above_field()));
            assert_eq!((past.line.head, past.line.field), (other.line.head, other.line.field));
            let nesting = |past: &LaneView| (past.nesting.enclosing, past.nesting.depth, past.nesting.key);
            assert_eq!(nesting(&past), nesting(&other));
            assert_eq!([1, 2, 99].map(|back| past.back(back)), [1, 2, 99].map(|back| other.back(back)));
            text.push(1, byte);
            alone.push(0, byte);
        }
        assert_eq!((text.past(0).bytes(), text.past(2).bytes()), (&b"\""[..], &b""[..]));
    }
}
