//! Tar: the check sums of headers, and the lengths of members, which the segments tell.

use std::ops::Range;

use super::{Direction, Fields};
use crate::content::tar::{BLOCK, SIZE, SUM, size, sum};

/// Where headers and padding lie in a list of segments that makes a tar: in the stream that the list begins with.
#[derive(Default)]
pub struct Headers {
    stream: Option<usize>,
    pub places: Vec<Range<usize>>,
}

impl Headers {
    /// Adds the place of the next plain segment, which is of this stream.
    pub fn add(&mut self, stream: usize, place: Range<usize>) {
        if place.start == 0 {
            self.stream = Some(stream);
        }
        // Less has no header.
        if self.stream == Some(stream) && place.len() >= BLOCK {
            self.places.push(place);
        }
    }
}

/// Changes the fields of all headers up to the first block that is none. `pieces` are where headers and padding lie, in order.
pub(super) fn walk(fields: &mut Fields<'_>, pieces: &[Range<usize>]) {
    let (mut at, mut next) = (0, 0);
    while let Some(header) = fields.bytes.get(at..at + BLOCK) {
        if size(header).is_none() {
            if header.iter().any(|&byte| byte != 0) {
                break;
            }
            at += BLOCK;
            continue;
        }
        let before = header.to_vec();
        let data = at + BLOCK;
        // The first piece that reaches the data. It may go on, with another header.
        while pieces.get(next).is_some_and(|piece| piece.end < data) {
            next += 1;
        }
        let told = match &pieces[next.min(pieces.len())..] {
            [piece, after, ..] if piece.end == data => after.start - data,
            [piece] if piece.end == data => fields.bytes.len() - data,
            _ => 0,
        };
        let field = &header[SIZE];
        let len = field.iter().take_while(|digit| (b'0'..b'8').contains(digit)).count();
        fields.digits::<8>(at + SIZE.start..at + SIZE.start + len, told as u64);
        let header = match fields.direction {
            Direction::Take => &before,
            Direction::Put => &fields.bytes[at..data],
        };
        let told = format!("{:06o}\0 ", sum(header));
        let end = size(header).and_then(|size| data.checked_add(size)?.checked_next_multiple_of(BLOCK));
        fields.same(at + SUM.start, &told.as_bytes()[..SUM.len()]);
        let Some(end) = end else { break };
        at = end;
    }
}
