//! Where the blocks of an input are: read from the index if one archive makes up the input, otherwise from the heads.

use std::io::{Read, Seek, SeekFrom};

use super::checksum::check;
use super::frame::Frame;
use super::frame_reader::{Event, FrameReader};
use super::header::{Header, MAX_HEADER, is_short};
use super::index::Index;
use crate::error::{Error, ErrorKind};

/// Bytes of an end frame, and of the field before it, the length of the index frame.
const END_LEN: usize = 6;
const LENGTH_LEN: usize = 4;
/// Bytes of the shortest block frame. An index that names shorter ones is not used, so a map is not much longer than its archive.
const MIN_FRAME: u64 = 13;

/// The blocks of all archives in an input, in order.
pub(super) struct BlockMap {
    pub blocks: Vec<BlockPlace>,
    /// Each archive's header and the place in `blocks` of its first block.
    archives: Vec<(usize, Header)>,
    /// Bytes of content.
    pub content: u64,
}

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockPlace {
    /// Offset of its frame in the input.
    pub frame: u64,
    /// Offset of its content in the content.
    pub content: u64,
}

impl BlockMap {
    /// Reads the map of `input`, from its start to its end.
    ///
    /// # Errors
    /// As [`Decompressor`](crate::Decompressor), if heads are damaged or missing.
    pub fn read<R: Read + Seek>(input: &mut R) -> Result<BlockMap, Error> {
        match BlockMap::from_index(input)? {
            Some(map) => Ok(map),
            None => BlockMap::from_heads(input),
        }
    }

    /// From the index; `None` unless the input is one archive with a right index.
    fn from_index<R: Read + Seek>(input: &mut R) -> Result<Option<BlockMap>, Error> {
        let end = input.seek(SeekFrom::End(0))?;
        let mut tail = [0; LENGTH_LEN + END_LEN];
        let Some(tail_start) = end.checked_sub(tail.len() as u64) else { return Ok(None) };
        input.seek(SeekFrom::Start(tail_start))?;
        input.read_exact(&mut tail)?;
        let [length, ..] = tail.as_chunks::<LENGTH_LEN>().0 else { return Ok(None) };
        let frame_len = u64::from(u32::from_le_bytes(*length));
        let start = (end - END_LEN as u64).checked_sub(frame_len);
        let (Some(start), Ok((Frame::End { .. }, _))) = (start, Frame::parse(&tail[LENGTH_LEN..])) else {
            return Ok(None);
        };
        input.seek(SeekFrom::Start(start))?;
        let mut frame = Vec::new();
        input.take(frame_len).read_to_end(&mut frame)?;
        let Ok((Frame::Index { body_check, .. }, head_len)) = Frame::parse(&frame) else { return Ok(None) };
        let body = frame.split_off(head_len);
        if check(&body) != body_check {
            return Ok(None);
        }
        let Ok(index) = Index::parse(body) else { return Ok(None) };

        input.rewind()?;
        let mut header = Vec::new();
        input.take(MAX_HEADER as u64).read_to_end(&mut header)?;
        if is_short(&header) {
            return Ok(None);
        }
        let (header, header_len) = Header::parse(&header)?;
        let mut map = BlockMap { blocks: Vec::new(), archives: vec![(0, header)], content: 0 };
        let mut frame = 0u64;
        for (distance, len) in index.blocks_and_lengths() {
            let shortest = if map.blocks.is_empty() { header_len as u64 } else { MIN_FRAME };
            match frame.checked_add(distance) {
                Some(at) if at < start && distance >= shortest => frame = at,
                _ => return Ok(None),
            }
            map.add(frame, len)?;
        }
        Ok((frame.checked_add(index.last_distance()) == Some(start)).then_some(map))
    }

    /// From the heads of all archives.
    fn from_heads<R: Read + Seek>(input: &mut R) -> Result<BlockMap, Error> {
        input.rewind()?;
        let mut frames = FrameReader::new(input, false, None);
        let mut map = BlockMap { blocks: Vec::new(), archives: Vec::new(), content: 0 };
        while let Some(event) = frames.next()? {
            match event {
                Event::Start(header) => map.archives.push((map.blocks.len(), header)),
                Event::Block { head, offset } => {
                    map.add(offset, head.raw_len.into())?;
                    frames.input.seek_forward(head.body_len() as u64)?;
                }
                _ => {}
            }
        }
        Ok(map)
    }

    fn add(&mut self, frame: u64, len: u64) -> Result<(), Error> {
        self.blocks.push(BlockPlace { frame, content: self.content });
        let content = self.content.checked_add(len);
        self.content =
            content.ok_or_else(|| Error::new(ErrorKind::Corrupt, "the block index names too much content"))?;
        Ok(())
    }

    /// The number of the block with the content at `position`, counted over all archives.
    pub fn block_at(&self, position: u64) -> Option<usize> {
        let before = self.blocks.partition_point(|block| block.content <= position);
        before.checked_sub(1).filter(|_| position < self.content)
    }

    /// Bytes of content of a block.
    pub fn len_of(&self, block: usize) -> u64 {
        let end = self.blocks.get(block + 1).map_or(self.content, |next| next.content);
        end - self.blocks[block].content
    }

    /// The header of the archive with this block, and the block's number in that archive.
    pub fn archive_of(&self, block: usize) -> (&Header, usize) {
        let after = self.archives.partition_point(|&(first, _)| first <= block);
        let (first, header) = &self.archives[after - 1];
        (header, block - first)
    }
}
