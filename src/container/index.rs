//! The block index: position and content length of each block. Archives of two blocks or more end with one, so that a
//! seekable reader can find any block without reading the others.

use super::checksum::check;
use super::frame::Frame;
use crate::error::Error;
use crate::fields::{FieldReader, put_u32, put_varint};

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

/// Parses the body of an index: for each block the offset of its frame in the archive, and its content length.
///
/// # Errors
/// [`ErrorKind::Truncated`](crate::ErrorKind::Truncated) or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if
/// `body` is malformed.
pub(crate) fn parse_index(body: &[u8]) -> Result<Vec<(u64, u64)>, Error> {
    let mut fields = FieldReader::new(body);
    let mut blocks = Vec::new();
    let mut start = 0u64;
    loop {
        start = start.wrapping_add(fields.varint()?);
        // After the last block: the distance to the index frame, and the frame's length in 4 bytes.
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
