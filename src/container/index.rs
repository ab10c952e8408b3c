//! The block index: position and content length of each block. Archives of two blocks or more end with one, so that a
//! seekable reader can find any block without reading the others.

use super::checksum::check;
use super::frame::Frame;
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_u32, put_varint};
use std::ops::Range;

/// Builds an index. The encoder writes it; the decoder compares it with the index in the archive.
#[derive(Default)]
pub(crate) struct IndexBuilder {
    body: Vec<u8>,
    blocks: u32,
    last_start: u64,
}

impl IndexBuilder {
    /// Adds the next block. `start` is the offset of its frame in the archive, `raw_len` its content length.
    pub fn add(&mut self, start: u64, raw_len: u32) {
        put_varint(&mut self.body, start - self.last_start);
        put_varint(&mut self.body, raw_len.into());
        self.last_start = start;
        self.blocks += 1;
    }

    /// Number of blocks added.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Number of bytes in the body of an index at offset `start` of the archive.
    pub fn body_len(&self, start: u64) -> u64 {
        let mut distance = Vec::new();
        put_varint(&mut distance, start - self.last_start);
        (self.body.len() + distance.len() + 4) as u64
    }

    /// The complete index frame, to be placed at offset `start` of the archive.
    pub fn frame(&self, start: u64) -> Vec<u8> {
        let mut body = self.body.clone();
        put_varint(&mut body, start - self.last_start);
        let head = |body_check| Frame::Index { len: body.len() as u64 + 4, body_check }.write();
        // The frame's length comes last: a reader that starts at the archive's end finds it there.
        let frame_len = head(0).len() + body.len() + 4;
        put_u32(&mut body, frame_len as u32);
        let mut frame = Frame::Index { len: body.len() as u64, body_check: check(&body) }.write();
        frame.extend(body);
        frame
    }
}

/// The blocks that an index names. Kept in its encoded form, which is much smaller than a list.
#[derive(Debug)]
pub(crate) struct Index {
    body: Vec<u8>,
    blocks: u32,
}

impl Index {
    /// Parses the body of an index.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] or [`ErrorKind::Corrupt`] if `body` is malformed.
    pub fn parse(body: Vec<u8>) -> Result<Self, Error> {
        let mut fields = FieldReader::new(&body);
        let mut blocks = 0;
        loop {
            fields.varint()?;
            // After the last block: the distance to the index frame, and the frame's length in 4 bytes.
            if body.len() - fields.position() == 4 {
                return Ok(Index { blocks, body });
            }
            fields.varint()?;
            blocks += 1;
            if blocks == u32::MAX {
                return Err(Error::new(ErrorKind::Corrupt, "the block index names too many blocks"));
            }
        }
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Of each block, in order: the distance to its frame from the start of the previous block's frame, or from the archive's
    /// first byte; and its content length.
    pub fn blocks_and_lengths(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut fields = FieldReader::new(&self.body);
        // `parse` has read all of them before.
        let mut field = move || fields.varint().unwrap_or_default();
        (0..self.blocks).map(move |_| (field(), field()))
    }

    /// The content lengths of all blocks, in order.
    pub fn lengths(&self) -> impl Iterator<Item = u64> {
        self.blocks_and_lengths().map(|(_, len)| len)
    }

    /// The distance from the last block's frame to the index frame.
    pub fn last_distance(&self) -> u64 {
        let mut fields = FieldReader::new(&self.body);
        (0..2 * u64::from(self.blocks)).for_each(|_| drop(fields.varint()));
        fields.varint().unwrap_or_default()
    }

    /// Sum of the content lengths of `blocks`; `None` if the index doesn't name all of them.
    pub fn content_of(&self, blocks: &Range<u32>) -> Option<u64> {
        let (start, len) = (blocks.start as usize, blocks.len());
        let sum = || self.lengths().skip(start).take(len).fold(0u64, u64::saturating_add);
        (blocks.end <= self.blocks).then(sum)
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
        let parsed = Index::parse(body.to_vec()).unwrap();
        assert!(parsed.lengths().eq(blocks.map(|(_, len)| len)));
        assert_eq!((parsed.content_of(&(1..3)), parsed.content_of(&(1..4))), (Some(65539), None));
        assert_eq!(frame[frame.len() - 4..], (frame.len() as u32).to_le_bytes());
        assert!(Index::parse(body[..4].to_vec()).is_err());
    }
}
