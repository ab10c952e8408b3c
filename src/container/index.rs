//! The block index: where each block's frame begins and how much content it holds. Archives of two blocks or more end
//! with one, so that a reader that can seek finds any block without the others.

use super::checksum::check;
use super::fields::{Fields, put_u32, put_varint};
use super::frame::Frame;
use crate::error::Error;

/// An index in the making; the encoder writes it, the decoder compares it with the one it finds.
#[derive(Default)]
pub(crate) struct IndexBuilder {
    body: Vec<u8>,
    blocks: u32,
    last_start: u64,
}

impl IndexBuilder {
    /// Adds the next block: its frame begins `start` bytes after the archive's first and holds `raw_len` of content.
    pub fn add(&mut self, start: u64, raw_len: u32) {
        put_varint(&mut self.body, start - self.last_start);
        put_varint(&mut self.body, raw_len.into());
        self.last_start = start;
        self.blocks += 1;
    }

    /// Blocks added.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// The index frame, head and body, that begins `start` bytes after the archive's first.
    pub fn frame(&self, start: u64) -> Vec<u8> {
        let mut body = self.body.clone();
        put_varint(&mut body, start - self.last_start);
        let head = |body_check| Frame::Index { len: body.len() as u64 + 4, body_check }.write();
        // The frame's length comes last, where it is found from the archive's end.
        let frame_len = head(0).len() + body.len() + 4;
        put_u32(&mut body, frame_len as u32);
        let mut frame = Frame::Index { len: body.len() as u64, body_check: check(&body) }.write();
        frame.extend(body);
        frame
    }
}

/// The blocks an index names: where the frame begins, counted from the archive's first byte, and bytes of content.
///
/// # Errors
/// [`ErrorKind::Truncated`](crate::ErrorKind::Truncated) or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), for a
/// body that is none.
pub(crate) fn parse_index(body: &[u8]) -> Result<Vec<(u64, u64)>, Error> {
    let mut fields = Fields::new(body);
    let mut blocks = Vec::new();
    let mut start = 0u64;
    loop {
        start = start.wrapping_add(fields.varint()?);
        // After the last block's entry: how far the index itself is, and the length of its frame.
        if body.len() - fields.position() == 4 {
            return Ok(blocks);
        }
        blocks.push((start, fields.varint()?));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_blocks_again() {
        let mut index = IndexBuilder::default();
        let blocks = [(16, 65536), (40_000, 65536), (41_000, 3)];
        blocks.iter().for_each(|&(start, len)| index.add(start, len as u32));
        let frame = index.frame(50_000);
        let (head, head_len) = Frame::parse(&frame).unwrap();
        let body = &frame[head_len..];
        assert_eq!(head, Frame::Index { len: body.len() as u64, body_check: check(body) });
        assert_eq!(parse_index(body).unwrap(), blocks);
        assert_eq!(frame[frame.len() - 4..], (frame.len() as u32).to_le_bytes());
        assert!(parse_index(&body[..4]).is_err());
    }
}
