//! The coded bytes of a block, and each lane's view of them.

use super::lane_state::LaneState;
use std::ops::Deref;

/// The coded bytes of a block. A block is divided into lanes: contiguous segments of equal length (the last may be shorter) that
/// are coded in turn, a few bytes at a time. Text that a predictor was trained on may come before the block; positions count from its
/// start.
#[derive(Clone)]
pub struct BlockBuffer {
    /// Zeros where nothing is coded yet.
    bytes: Vec<u8>,
    /// Bytes before the block.
    before: usize,
    lane_len: usize,
    lanes: Vec<LaneState>,
}

impl BlockBuffer {
    /// A block of `len` bytes in `lanes` lanes, none of it coded. [`LaneState::record`] is kept only with `records`; lines,
    /// skeleton and nesting are kept only with `structure`.
    pub fn new(len: usize, lanes: usize, records: bool, structure: bool) -> Self {
        let lane_len = len.div_ceil(lanes).max(1);
        let lanes = (0..lanes).map(|lane| LaneState::new((lane * lane_len).min(len), records, structure)).collect();
        BlockBuffer { bytes: vec![0; len], before: 0, lane_len, lanes }
    }

    /// Turns the bytes coded so far in the first lane into text before a block of `len` bytes in `lanes` lanes, the first of which
    /// goes on where the text ends.
    pub fn follow(&mut self, len: usize, lanes: usize) {
        self.lanes.truncate(1);
        self.before = self.lanes[0].at;
        self.bytes.truncate(self.before);
        self.bytes.resize(self.before + len, 0);
        self.lane_len = len.div_ceil(lanes).max(1);
        for lane in 1..lanes {
            let start = self.before + (lane * self.lane_len).min(len);
            self.lanes.push(self.lanes[0].afresh(start));
        }
    }

    /// Bytes before the block.
    pub fn before(&self) -> usize {
        self.before
    }

    /// The text before the block, and all bytes of the block; 0 where nothing is coded yet.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of the block; 0 where nothing is coded yet.
    pub fn content(&self) -> &[u8] {
        &self.bytes[self.before..]
    }

    /// The bytes of the block.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.before);
        self.bytes
    }

    /// What a lane knows before its next byte.
    #[inline]
    pub fn view(&self, lane: usize) -> LaneView<'_> {
        LaneView { block: self, state: &self.lanes[lane] }
    }

    /// Appends a byte to a lane.
    pub fn push(&mut self, lane: usize, byte: u8) {
        let state = &mut self.lanes[lane];
        self.bytes[state.at] = byte;
        state.push(byte, &self.bytes);
    }

    /// Bytes of a lane that are not coded yet.
    pub fn left(&self, lane: usize) -> usize {
        (self.before + (lane + 1) * self.lane_len).min(self.bytes.len()).saturating_sub(self.lanes[lane].at)
    }

    /// The byte at a position of the block, if it is coded.
    #[inline]
    pub fn known(&self, at: usize) -> Option<u8> {
        let lane = if self.lanes.len() == 1 { 0 } else { at.saturating_sub(self.before) / self.lane_len };
        self.lanes.get(lane).filter(|state| at < state.at).map(|_| self.bytes[at])
    }
}

/// A lane's state, with the bytes of its block.
#[derive(Clone, Copy)]
pub struct LaneView<'a> {
    block: &'a BlockBuffer,
    state: &'a LaneState,
}

impl Deref for LaneView<'_> {
    type Target = LaneState;

    #[inline]
    fn deref(&self) -> &LaneState {
        self.state
    }
}

impl<'a> LaneView<'a> {
    /// The lane's block.
    #[inline]
    pub fn block(&self) -> &'a BlockBuffer {
        self.block
    }

    /// The lane's coded bytes.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        &self.block.bytes[self.state.start..self.state.at]
    }

    /// The byte `back` positions before the next one (1: the last one); 0 before the lane's start, and for 0.
    #[inline]
    pub fn back(&self, back: usize) -> u8 {
        let bytes = self.bytes();
        if back <= bytes.len() && back > 0 { bytes[bytes.len() - back] } else { 0 }
    }

    /// How many of the lane's last bytes, at most `most`, are those before position `at` of the block, too.
    #[inline]
    pub fn common_before(&self, at: usize, most: usize) -> usize {
        let pairs = self.block.bytes[..at].iter().rev().zip(self.bytes().iter().rev());
        pairs.take(most).take_while(|(a, b)| a == b).count()
    }

    /// The byte above the next one: the same column of the previous line. 0 if that line is shorter.
    #[inline]
    pub fn above(&self) -> u8 {
        self.in_line_above(self.column())
    }

    /// The byte after [`Self::above`].
    pub fn after_above(&self) -> u8 {
        self.in_line_above(self.column() + 1)
    }

    fn in_line_above(&self, column: usize) -> u8 {
        let at = self.line.above_start + column;
        if at < self.line.start { self.block.bytes[at] } else { 0 }
    }

    /// The byte of the previous line that has the same field number and the same offset in the field; 0 if there is none.
    #[inline]
    pub fn above_field(&self) -> u8 {
        let line = &self.line;
        let offset = self.at - line.field_start;
        match line.above_fields.get(line.field) {
            Some(&start) if start + offset < line.start => self.block.bytes[start + offset],
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
                    let at = text.view(lane).at;
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
    fn a_block_follows_what_was_coded() {
        let mut text = BlockBuffer::new(100, 3, false, true);
        b"before\n".iter().for_each(|&byte| text.push(0, byte));
        for lanes in [1, 3] {
            let mut text = text.clone();
            text.follow(0, 1);
            text.follow(10, lanes);
            assert_eq!((text.before(), text.view(0).at, text.view(0).column()), (7, 7, 0));
            assert_eq!((0..lanes).map(|lane| text.left(lane)).sum::<usize>(), 10);
            while let Some(lane) = (0..lanes).rev().find(|&lane| text.left(lane) > 0) {
                let at = text.view(lane).at;
                assert_eq!(text.known(at), None);
                text.push(lane, b'0' + (at - 7) as u8);
            }
            assert_eq!((text.known(0), text.known(8)), (Some(b'b'), Some(b'1')));
            assert_eq!(text.view(0).bytes()[..8], *b"before\n0");
            assert_eq!(text.into_bytes(), b"0123456789");
        }
    }

    #[test]
    fn a_lane_begins_as_a_block_does() {
        let content = b"<a href=\"x\">one two\nthree, four\n{\"key\": [1,\n12";
        let mut alone = BlockBuffer::new(content.len(), 1, true, true);
        let mut text = BlockBuffer::new(3 * content.len(), 3, true, true);
        text.push(0, b'"');
        for &byte in content {
            let (view, other) = (text.view(1), alone.view(0));
            assert_eq!(view.bytes(), other.bytes());
            assert_eq!(
                (view.last8, view.word, view.words, view.gap),
                (other.last8, other.word, other.words, other.gap)
            );
            assert_eq!((view.token, view.skeleton, view.column()), (other.token, other.skeleton, other.column()));
            assert_eq!((view.above(), view.above_field()), (other.above(), other.above_field()));
            assert_eq!((view.line.head, view.line.field), (other.line.head, other.line.field));
            let nesting = |view: &LaneView| (view.nesting.enclosing, view.nesting.depth, view.nesting.key);
            assert_eq!(nesting(&view), nesting(&other));
            assert_eq!([1, 2, 99].map(|back| view.back(back)), [1, 2, 99].map(|back| other.back(back)));
            text.push(1, byte);
            alone.push(0, byte);
        }
        assert_eq!((text.view(0).bytes(), text.view(2).bytes()), (&b"\""[..], &b""[..]));
    }
}
