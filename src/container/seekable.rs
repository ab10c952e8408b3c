//! Random access: decodes the blocks that a part of the content is in, and no others.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::block_map::BlockMap;
use super::frame::{BlockHead, Frame, Mode};
use super::load::Load;
use super::pool::Pool;
use super::reader::{Next, block_config, block_load, decode_block, lost_block, threads_for};
use super::shared::Shared;
use super::short::Short;
use crate::codec::CodecConfig;
use crate::error::{Error, ErrorKind};
use crate::options::{DecompressOptions, resolve_threads};

/// Bytes that every block head of this version is shorter than.
const MAX_HEAD: u64 = 64;

/// The content of the archives in `R`, as a file that can be read at any position.
///
/// A block is decoded from its start when its content is first needed, and kept until another one is needed. Only the blocks'
/// own checksums are verified; that of the whole content is not. Of the options, [`max_output`](DecompressOptions::max_output)
/// and [`keep_going`](DecompressOptions::keep_going) have no effect.
///
/// ```
/// use std::io::{Cursor, Read, Seek, SeekFrom};
/// let archive = nzip::compress(b"a tale of a tub")?;
/// let mut content = nzip::SeekableDecompressor::new(Cursor::new(archive), nzip::DecompressOptions::new())?;
/// content.seek(SeekFrom::Start(2))?;
/// let mut word = [0; 4];
/// content.read_exact(&mut word)?;
/// assert_eq!((&word, content.content_len()), (b"tale", 15));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SeekableDecompressor<R> {
    input: R,
    map: BlockMap,
    options: DecompressOptions,
    /// The configuration of the most recent block.
    config: Option<Arc<CodecConfig>>,
    /// What the blocks of the most recent block's archive begin with.
    shared: Shared,
    position: u64,
    /// The most recent block: its number in the map and its content.
    block: Option<(usize, Vec<u8>)>,
    /// Content up to this offset is decoded in advance.
    read_ahead: u64,
    /// Blocks being decoded, and their numbers.
    pool: Pool<Vec<u8>>,
    pending: VecDeque<usize>,
}

impl<R: Read + Seek> SeekableDecompressor<R> {
    /// Finds the blocks of all archives in `input`.
    ///
    /// # Errors
    /// As [`Decompressor`](crate::Decompressor), if heads are damaged or missing; errors of reading and seeking.
    pub fn new(mut input: R, options: DecompressOptions) -> Result<Self, Error> {
        let map = BlockMap::read(&mut input)?;
        let pool = new_pool(&options);
        Ok(SeekableDecompressor {
            input,
            map,
            options,
            config: None,
            shared: Shared::default(),
            position: 0,
            block: None,
            read_ahead: 0,
            pool,
            pending: VecDeque::new(),
        })
    }

    /// Bytes of content of all archives.
    pub fn content_len(&self) -> u64 {
        self.map.content
    }

    /// Declares that the content up to the offset `end` will be read in order, so that its blocks can be decoded in parallel.
    pub fn read_ahead_to(&mut self, end: u64) {
        self.read_ahead = end;
    }

    /// Makes a block the current one.
    fn load(&mut self, block: usize) -> Result<(), Error> {
        if self.pending.front().is_some_and(|&first| first != block) {
            self.pending.clear();
            self.pool = new_pool(&self.options);
            self.shared = Shared::default();
        }
        loop {
            self.submit_from(block)?;
            match self.pool.try_pop() {
                Some(content) => {
                    self.pending.pop_front();
                    let content = content.map_err(|error| self.damaged(block, error))?;
                    self.block = Some((block, content));
                    return Ok(());
                }
                None => self.pool.wait(),
            }
        }
    }

    /// Starts decoding `block` and those after it that are to be read ahead, as far as there is room.
    fn submit_from(&mut self, block: usize) -> Result<(), Error> {
        loop {
            let next = self.pending.back().map_or(block, |last| last + 1);
            let wanted = |place: &super::block_map::BlockPlace| next == block || place.content < self.read_ahead;
            if !self.map.blocks.get(next).is_some_and(wanted) || !self.submit(next)? {
                return Ok(());
            }
        }
    }

    /// Starts decoding a block. Returns false if there is no room.
    fn submit(&mut self, block: usize) -> Result<bool, Error> {
        let (head, body_at) = self.head(block)?;
        let (header, number) = self.map.archive_of(block);
        let needs_first = header.shared && number > 0 && head.mode != Mode::Stored;
        if needs_first && !self.shared.knows(&head) && !self.share(block - number)? {
            return Ok(false);
        }
        let Some(next) = self.read_block(block, head, body_at)? else { return Ok(false) };
        let monitor = Arc::clone(&self.options.monitor);
        let Next { head, body, config, role, load, .. } = next;
        let threads = self.threads_for(block, &load);
        self.pool.submit(load.memory(threads), threads, move |cancelled| {
            decode_block(config, role, &head, body, threads, &monitor, cancelled)
        });
        self.pending.push_back(block);
        Ok(true)
    }

    /// Decodes the first block of an archive for what the others begin with. Returns false if there is no room.
    fn share(&mut self, first: usize) -> Result<bool, Error> {
        let (head, body_at) = self.head(first)?;
        let Some(next) = self.read_block(first, head, body_at)? else { return Ok(false) };
        let (threads, never) = (self.pool.free_threads(), AtomicBool::new(false));
        let Next { head, body, config, role, .. } = next;
        let content = decode_block(config, role, &head, body, threads, &self.options.monitor, &never);
        content.map_err(|error| self.damaged(first, error))?;
        Ok(true)
    }

    /// Reads a block whose head was read, if there is room for decoding it.
    fn read_block(&mut self, block: usize, head: BlockHead, body_at: u64) -> Result<Option<Next>, Error> {
        let (header, offset) = (self.map.archive_of(block).0, self.map.blocks[block].frame);
        let parts = &self.options.parts;
        let (config, role) = block_config(header, &head, &mut self.config, &mut self.shared, parts, &mut self.pool)?;
        // The content, that of the block before, and the body.
        let data = 2 * u64::from(head.raw_len) + head.body_len() as u64;
        if !self.pool.has_room(data, 1).map_err(|error| error.at(offset))? {
            return Ok(None);
        }
        let body = self.body(&head, offset, body_at)?;
        let load = block_load(config.as_deref(), &head, &body).with(data);
        let threads = self.threads_for(block, &load);
        if !self.pool.has_room(load.memory(threads), threads).map_err(|error| error.at(offset))? {
            return Ok(None);
        }
        Ok(Some(Next { head, offset, body, config, role, load }))
    }

    /// The number of threads for decoding a block.
    fn threads_for(&mut self, block: usize, load: &Load) -> usize {
        let is_last = self.map.blocks.get(block + 1).is_none_or(|next| next.content >= self.read_ahead);
        threads_for(&mut self.pool, self.map.archive_of(block).0, is_last, load)
    }

    /// Reads the head of a block. Returns it and the offset of the body.
    fn head(&mut self, block: usize) -> Result<(BlockHead, u64), Error> {
        let offset = self.map.blocks[block].frame;
        let (header, number) = self.map.archive_of(block);
        self.input.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        (&mut self.input).take(MAX_HEAD).read_to_end(&mut bytes)?;
        let parsed = match header.is_short {
            true => Short::parse(&bytes).map(|(short, len)| (Frame::Block(short.head), len)),
            false => Frame::parse(&bytes),
        };
        let (frame, head_len) = parsed.map_err(|error| error.at(offset))?;
        match frame {
            Frame::Block(head)
                if (head.number as usize, u64::from(head.raw_len)) == (number, self.map.len_of(block)) =>
            {
                header.check_first(&head).map_err(|error| error.at(offset))?;
                Ok((head, offset + head_len as u64))
            }
            _ => {
                let message = format!("block {number} is not where the index says");
                Err(Error::new(ErrorKind::Corrupt, message).at(offset))
            }
        }
    }

    /// Reads the body of a block whose frame is at `offset`.
    fn body(&mut self, head: &BlockHead, offset: u64, body_at: u64) -> Result<Vec<u8>, Error> {
        self.input.seek(SeekFrom::Start(body_at))?;
        let mut body = Vec::new();
        (&mut self.input).take(head.body_len() as u64).read_to_end(&mut body)?;
        if body.len() < head.body_len() {
            let message = format!("the archive ends within block {}", head.number);
            return Err(Error::new(ErrorKind::Truncated, message).at(offset));
        }
        Ok(body)
    }

    fn damaged(&self, block: usize, error: Error) -> Error {
        let (offset, (_, number)) = (self.map.blocks[block].frame, self.map.archive_of(block));
        match error.kind() {
            ErrorKind::Corrupt => lost_block(number, &error, offset),
            _ => error.at(offset),
        }
    }
}

fn new_pool(options: &DecompressOptions) -> Pool<Vec<u8>> {
    Pool::new(resolve_threads(options.threads), options.memory)
}

impl<R: Read + Seek> Read for SeekableDecompressor<R> {
    /// # Errors
    /// An [`Error`] wrapped in an [`io::Error`]; `Error::from` unwraps it.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(wanted) = self.map.block_at(self.position).filter(|_| !out.is_empty()) else { return Ok(0) };
        if self.block.as_ref().is_none_or(|&(block, _)| block != wanted) {
            self.load(wanted)?;
        }
        let Some((block, content)) = &self.block else { return Ok(0) };
        let rest = &content[(self.position - self.map.blocks[*block].content) as usize..];
        let step = out.len().min(rest.len());
        out[..step].copy_from_slice(&rest[..step]);
        self.position += step as u64;
        Ok(step)
    }
}

impl<R> Seek for SeekableDecompressor<R> {
    /// Positions beyond the end are possible; nothing can be read there.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(distance) => self.map.content.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        let message = "the position is before the start of the content";
        self.position = target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, message))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;
    use crate::{BlockSize, CompressOptions, Compressor, Level};
    use std::io::{Cursor, Write};

    /// An archive of blocks of 64 KiB and shorter ones, and its content.
    fn archive(seed: u64, blocks: &[usize]) -> (Vec<u8>, Vec<u8>) {
        let mut random = TestRandom::new(seed);
        let options = CompressOptions::new().level(Level::MIN).block_size(BlockSize::MIN);
        let (mut compressor, mut content) = (Compressor::new(Vec::new(), options), Vec::new());
        for &len in blocks {
            let bytes: Vec<u8> = (0..len).map(|_| b'a' + random.below(3) as u8).collect();
            compressor.write_all(&bytes).unwrap();
            compressor.flush().unwrap();
            content.extend(bytes);
        }
        (compressor.finish().unwrap(), content)
    }

    fn check_ranges(archive: Vec<u8>, content: &[u8]) {
        let mut random = TestRandom::new(3);
        let mut reader = SeekableDecompressor::new(Cursor::new(archive), DecompressOptions::new()).unwrap();
        assert_eq!(reader.content_len(), content.len() as u64);
        for i in 0..40 {
            let start = random.below(content.len() as u64 + 1) as usize;
            let end = start + random.below((content.len() - start) as u64 + 1) as usize;
            reader.read_ahead_to(if i % 2 == 0 { end as u64 } else { 0 });
            reader.seek(SeekFrom::End(start as i64 - content.len() as i64)).unwrap();
            let mut bytes = Vec::new();
            (&mut reader).take((end - start) as u64).read_to_end(&mut bytes).unwrap();
            assert!(bytes == content[start..end], "{start}..{end}");
        }
        assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0);
        reader.rewind().unwrap();
        assert!(reader.seek(SeekFrom::Current(-1)).is_err());
    }

    #[test]
    fn reads_any_range() {
        let (one, content) = archive(1, &[40_000, 65_536, 100, 1, 70_000]);
        check_ranges(one.clone(), &content);
        let (other, more) = archive(2, &[300]);
        check_ranges(other.clone(), &more);
        // Several archives, and padding.
        let all = [&content[..], &more, &content].concat();
        check_ranges([&one[..], &other, &one, &[0; 9]].concat(), &all);
        check_ranges([&other[..], &one].concat(), &[&more[..], &content].concat());
        let empty = crate::compress(b"").unwrap();
        let mut reader = SeekableDecompressor::new(Cursor::new(empty), DecompressOptions::new()).unwrap();
        assert_eq!((reader.content_len(), reader.read(&mut [0]).unwrap()), (0, 0));
    }

    #[test]
    fn the_index_and_the_heads_give_the_same_map() {
        let (archive, _) = archive(1, &[40_000, 65_536, 100, 1, 70_000]);
        let map = BlockMap::read(&mut Cursor::new(&archive)).unwrap();
        // Padding hides the index.
        let walked = BlockMap::read(&mut Cursor::new([&archive[..], &[0]].concat())).unwrap();
        assert_eq!((map.blocks.len(), map.content), (6, walked.content));
        assert_eq!(map.blocks, walked.blocks);
    }

    #[test]
    fn damage_in_other_blocks_does_not_matter() {
        let (mut archive, content) = archive(1, &[40_000, 65_536, 100]);
        let map = BlockMap::read(&mut Cursor::new(&archive)).unwrap();
        archive[map.blocks[1].frame as usize + 1000] ^= 1;
        let mut reader = SeekableDecompressor::new(Cursor::new(archive), DecompressOptions::new()).unwrap();
        let mut bytes = [0; 50];
        reader.seek(SeekFrom::Start(39_950)).unwrap();
        reader.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, content[39_950..40_000]);
        let error = Error::from(reader.read(&mut bytes).unwrap_err());
        assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupt, Some(map.blocks[1].frame)));
    }

    #[test]
    fn a_wrong_index_is_an_error() {
        // The index of an archive whose blocks have other lengths.
        let (archive, _) = archive(1, &[40_000, 100]);
        let map = BlockMap::read(&mut Cursor::new(&archive)).unwrap();
        let mut index = super::super::index::IndexBuilder::default();
        map.blocks.iter().zip([40_001, 99]).for_each(|(block, len)| index.add(block.frame, len));
        let start = (0..archive.len()).rev().find(|&at| archive[at..].starts_with(&[0xF5, 0xC3])).unwrap();
        let forged = [&archive[..start], &index.frame(start as u64), &archive[archive.len() - 6..]].concat();
        let mut reader = SeekableDecompressor::new(Cursor::new(forged), DecompressOptions::new()).unwrap();
        let error = Error::from(reader.read(&mut [0; 9]).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}
