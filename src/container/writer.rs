//! Compression: takes content, writes an archive.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::checksum::{ContentCheck, check};
use super::frame::{BlockHead, Coded, Frame, Mode};
use super::header::Header;
use super::index::IndexBuilder;
use super::plan;
use super::pool::{Pool, check_memory};
use super::segmented;
use super::shared::{Role, Shared};
use super::short::{MAX_CONTENT, Short};
use super::streams::Streams;
use crate::codec::{self, CodecConfig, Preset, Verify};
use crate::content::{self, Division, Effort, Kind, Parsed};
use crate::error::{Error, ErrorKind};
use crate::monitor::Monitor;
use crate::options::{BlockSize, CompressOptions, resolve_threads};

/// Compresses what is written to it and writes the archive to `W`.
///
/// Content is collected into blocks. Full blocks are coded on background threads while more content is written.
/// Dropping a compressor without [`finish`](Self::finish) leaves a truncated archive, which decoders reject.
///
/// ```
/// use std::io::Write;
/// let mut compressor = nzip::Compressor::new(Vec::new(), nzip::CompressOptions::new());
/// compressor.write_all(b"a tale of a tub")?;
/// let archive: Vec<u8> = compressor.finish()?;
/// assert_eq!(nzip::decompress(&archive)?, b"a tale of a tub");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Compressor<W> {
    sink: W,
    options: CompressOptions,
    /// Created with the first block.
    config: Option<Arc<CodecConfig>>,
    /// How content is divided into blocks, once that is known; until then, the buffer has more than a block.
    block_size: Option<BlockSize>,
    /// What the blocks begin with.
    shared: Shared,
    /// Whether they begin with the same.
    shares: bool,
    /// How long streams are divided.
    division: Division,
    /// Content of the current block.
    buffer: Vec<u8>,
    pool: Pool<Block>,
    blocks: u32,
    /// The archive's id: the check of the first block's content.
    id: u32,
    index: IndexBuilder,
    content_check: ContentCheck,
    content: u64,
    written: u64,
    form: Form,
    failed: bool,
}

/// The form of the archive: see [`super::short`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Long,
    /// Short if the only block allows it: the header waits for it.
    Open,
    Short,
}

/// A coded block.
struct Block {
    head: BlockHead,
    body: Vec<u8>,
}

impl<W: Write> Compressor<W> {
    /// Creates a compressor that writes to `sink`.
    pub fn new(sink: W, options: CompressOptions) -> Self {
        if let Some(length) = options.content_length {
            options.monitor.expect(length);
        }
        Compressor {
            sink,
            config: None,
            block_size: options.block_size,
            shared: Shared::default(),
            shares: false,
            division: plan::division(options.level),
            buffer: Vec::new(),
            pool: Pool::new(resolve_threads(options.threads), options.memory),
            blocks: 0,
            id: 0,
            index: IndexBuilder::default(),
            content_check: ContentCheck::default(),
            content: 0,
            written: 0,
            form: Form::Long,
            failed: false,
            options,
        }
    }

    /// Codes the remaining content, ends the archive, flushes the sink and returns it.
    ///
    /// # Errors
    /// Errors of writing, and [`ErrorKind::Usage`] if the length differs from [`CompressOptions::content_length`].
    pub fn finish(mut self) -> Result<W, Error> {
        self.guarded(|this| {
            if let Some(promised) = this.options.content_length.filter(|&length| length != this.content) {
                let message = format!("{promised} bytes of content were promised, {} came", this.content);
                return Err(Error::new(ErrorKind::Usage, message));
            }
            this.divide()?;
            // The length of a single block goes into its head.
            let length = this.options.content_length.filter(|_| this.blocks > 0);
            let needs_more = this.options.trained.is_some() || this.options.language_model.is_some();
            if this.blocks == 0 && needs_more && (1..=MAX_CONTENT).contains(&this.buffer.len()) {
                this.form = Form::Open;
            }
            this.end_block(length, false)?;
            this.drain()?;
            if this.form == Form::Short {
                return Ok(this.sink.flush()?);
            }
            this.begin(length)?;
            if this.index.blocks() > 1 {
                this.put(&this.index.frame(this.written))?;
            }
            this.put(&Frame::End { content_check: this.content_check.value() }.write())?;
            Ok(this.sink.flush()?)
        })?;
        Ok(self.sink)
    }

    /// The sink. It holds only part of the archive.
    pub fn get_ref(&self) -> &W {
        &self.sink
    }

    /// Runs `step`. Once a step has failed, all later ones fail: the archive would lack data.
    fn guarded<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if mem::replace(&mut self.failed, true) {
            return Err(Error::new(ErrorKind::Usage, "the compression failed earlier"));
        }
        let value = step(self)?;
        self.failed = false;
        Ok(value)
    }

    /// Writes the header, unless it has been written or must wait.
    fn begin(&mut self, content_length: Option<u64>) -> Result<(), Error> {
        if self.written > 0 || self.form == Form::Open {
            return Ok(());
        }
        let config = self.config()?;
        let (model, identity) = (config.preset(), config.identity()?);
        let (block_size, shared) = (self.block_size.unwrap_or_default(), self.shares);
        let model_name = config.model_name().to_owned();
        let trained = config.trained_id();
        let header = Header {
            model,
            identity,
            model_name,
            trained,
            block_size,
            segmented: true,
            shared,
            content_length,
            is_short: false,
            id_start: None,
        };
        self.put(&header.write())
    }

    fn config(&mut self) -> Result<Arc<CodecConfig>, Error> {
        if let Some(config) = &self.config {
            return Ok(config.clone());
        }
        let CompressOptions { level, language_model, trained, lanes, .. } = &self.options;
        // Before the trained parts are loaded.
        check_memory(codec::min_memory(level.model()), self.pool.limit())?;
        let config = Arc::new(level.config(language_model.clone(), *lanes)?.trained(trained.clone()));
        self.config = Some(config.clone());
        Ok(config)
    }

    /// Decides on the block size, if that is left to do, and submits all blocks of the buffer but the last.
    fn divide(&mut self) -> Result<(), Error> {
        if self.block_size.is_some() {
            return Ok(());
        }
        let size = plan::block_size(
            self.options.level.model(),
            !self.options.no_recompress,
            &self.buffer,
            self.options.content_length,
        );
        self.block_size = Some(size);
        if self.buffer.len() > size.bytes() {
            let all = mem::take(&mut self.buffer);
            let mut blocks = all.chunks(size.bytes()).peekable();
            while let Some(block) = blocks.next() {
                self.buffer = block.to_vec();
                if blocks.peek().is_some() {
                    self.end_block(self.options.content_length, true)?;
                }
            }
        }
        Ok(())
    }

    /// How far the current block is taken apart.
    fn effort(&self, preset: Preset) -> Effort {
        // What blocks begin with, their streams don't.
        let divides = !self.shares && self.options.trained.is_none();
        let effort = plan::effort(preset, !self.options.no_recompress);
        Effort { division: divides.then_some(self.division), ..effort }
    }

    /// Submits the current block to the pool. With the first block, the header is written with `content_length`; blocks share a start
    /// if that one is full and there is `more`.
    fn end_block(&mut self, content_length: Option<u64>, more: bool) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.blocks == 0 {
            let size = self.block_size.unwrap_or_default();
            let default = self.options.block_size.is_none() && plan::shares(size);
            let shared_start = self.options.shared_start.unwrap_or(default);
            self.shares = more && shared_start && self.options.trained.is_none();
        }
        let config = self.config()?;
        let parsed = content::parse(&self.buffer, self.effort(config.preset()));
        let plain_len = parsed.as_ref().map_or(0, Parsed::plain_len);
        let whole = (Kind::Binary, self.buffer.len());
        let streams = parsed.iter().flat_map(|parsed| &parsed.streams);
        let streams = streams.map(|stream| (stream.kind, stream.bytes.len())).chain(parsed.is_none().then_some(whole));
        let streams: Vec<(Kind, usize)> = streams.collect();
        // A block shorter than the block size is the last one.
        let is_last = self.buffer.len() < self.block_size.unwrap_or_default().bytes();
        let raw_check = check(&self.buffer);
        let number = self.blocks;
        if number == 0 {
            self.id = raw_check;
        }
        // Stored, unless coding makes it shorter.
        let raw_len = self.buffer.len() as u32;
        let head = BlockHead { number, raw_len, mode: Mode::Stored, raw_check, archive: self.id };
        let role = match self.shares {
            true => self.shared.role_in(self.block_size.unwrap_or_default(), &head, plain_len.max(self.buffer.len())),
            false => Role::None,
        };
        let config = role.configure(config);
        self.pool.reserve(config.shared_memory());
        // The content, its filtered copy, the coded data, and the next block that is collected meanwhile; streams and theirs.
        let undoing = parsed.as_ref().map_or(0, Parsed::memory);
        let data = 4 * self.buffer.len() as u64 + 3 * plain_len as u64 + undoing;
        let verified = |len| if self.options.verify { len as u64 } else { 0 };
        let all = Streams::new(&config, streams.iter().copied());
        let load = all.load(|stream, config| {
            let (kind, len) = streams[stream];
            config.memory(kind, len) + verified(len)
        });
        let load = load.with(data);
        let block_size = self.block_size.unwrap_or_default();
        let threads = load.threads(&mut self.pool, self.options.content_length, block_size, is_last);
        let memory = load.memory(threads);
        let verify = match self.options.verify {
            false => Verify::No,
            true if threads > 1 && load.at_once(threads) == 1 && memory + load.each <= self.pool.memory() => {
                Verify::Along
            }
            true => Verify::After,
        };
        let memory = if verify == Verify::Along { memory + load.each } else { memory };
        while !self.pool.has_room(memory, threads)? {
            match self.pool.try_pop() {
                Some(block) => self.write_block(block?)?,
                None => self.pool.wait(),
            }
        }
        self.begin(content_length)?;
        let content = mem::take(&mut self.buffer);
        let monitor = Arc::clone(&self.options.monitor);
        self.blocks = number.checked_add(1).ok_or_else(|| Error::new(ErrorKind::Usage, "too many blocks"))?;
        let how = (verify, threads);
        self.pool.submit(memory, threads, move |cancelled| {
            role.wait(&mut monitor.progress(cancelled))?;
            let block = encode(&config, head, content, parsed, how, &monitor, cancelled)?;
            role.done(block.head.mode);
            Ok(block)
        });
        Ok(())
    }

    /// Waits for all blocks and writes them.
    fn drain(&mut self) -> Result<(), Error> {
        while let Some(block) = self.pool.pop() {
            self.write_block(block?)?;
        }
        Ok(())
    }

    fn write_block(&mut self, block: Block) -> Result<(), Error> {
        if self.form == Form::Open {
            let config = self.config()?;
            if let Some(short) = Short::of(&config, &block.head)? {
                self.form = Form::Short;
                self.put(&short.write())?;
                return self.put(&block.body);
            }
            self.form = Form::Long;
            self.begin(None)?;
        }
        self.index.add(self.written, block.head.raw_len);
        self.put(&Frame::Block(block.head).write())?;
        self.put(&block.body)
    }

    /// Bytes that the buffer has at most.
    fn capacity(&self) -> usize {
        self.block_size.map_or(plan::LOOK_AHEAD, BlockSize::bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.guarded(|this| {
            if this.options.monitor.stopped() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            if this.buffer.len() == this.capacity() {
                this.divide()?;
            }
            let block_size = this.capacity();
            if this.buffer.len() == block_size {
                this.end_block(this.options.content_length, true)?;
            }
            let step = bytes.len().min(block_size - this.buffer.len());
            this.buffer.extend_from_slice(&bytes[..step]);
            this.content_check.update(&bytes[..step]);
            this.content += step as u64;
            Ok(step)
        })?;
        Ok(step)
    }

    /// Ends the current block, so that everything written so far can be decoded from `W`. Costs compression ratio.
    fn flush(&mut self) -> io::Result<()> {
        self.guarded(|this| {
            this.divide()?;
            this.end_block(this.options.content_length, false)?;
            this.drain()?;
            Ok(this.sink.flush()?)
        })?;
        Ok(())
    }
}

/// Codes a block, or stores it, as `head` says, if coding doesn't shrink it.
fn encode(
    config: &CodecConfig,
    head: BlockHead,
    content: Vec<u8>,
    parsed: Option<Parsed>,
    (verify, threads): (Verify, usize),
    monitor: &Monitor,
    cancelled: &AtomicBool,
) -> Result<Block, Error> {
    let raw_len = content.len();
    let mut progress = monitor.progress(cancelled);
    let (mode, body) = match parsed {
        Some(parsed) => {
            let segmented::Body { bytes, streams, profile, plain_len } =
                segmented::encode(config, &parsed, raw_len, verify, threads, &mut progress)?;
            for stream in streams {
                monitor.add_kind(stream.kind.name(), stream.len, stream.coded_len);
            }
            (Mode::Segmented { profile, coded: Coded::of(&bytes), plain_len: plain_len as u32 }, bytes)
        }
        None => {
            let coded = codec::encode(config, Kind::Binary, &content, verify, threads, &mut progress)?;
            monitor.add_kind(Kind::of(&content).name(), raw_len, coded.payload.len());
            (Mode::Modelled { profile: coded.profile, coded: Coded::of(&coded.payload) }, coded.payload)
        }
    };
    let (mode, body) = if body.len() < raw_len { (mode, body) } else { (head.mode, content) };
    progress(raw_len, body.len());
    Ok(Block { head: BlockHead { mode, ..head }, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::explain;
    use crate::test_random::TestRandom;
    use crate::{DecompressOptions, Level, SeekableDecompressor, decompress_with};
    use std::io::{Cursor, Read, Seek, SeekFrom};

    const PART: usize = 64 << 10;

    /// Words and records, with a long string that two parts have in common.
    fn mixture() -> Vec<u8> {
        let mut random = TestRandom::new(7);
        let repeated: Vec<u8> = (0..5000).map(|_| b'a' + random.below(26) as u8).collect();
        let mut content = Vec::new();
        for i in 0..6 * PART as u64 / 8 {
            content.extend(format!("{} {:x}\n", i / 100, random.below(1 << 12)).bytes());
            if i % (2 * PART as u64 / 8) == 9 {
                content.extend(&repeated);
            }
        }
        content.extend(
            (0..4 * PART as u32 / 8).flat_map(|i| [i / 3, random.below(300) as u32].map(u32::to_le_bytes)).flatten(),
        );
        content
    }

    fn compressed(content: &[u8], options: CompressOptions) -> Result<Vec<u8>, Error> {
        let mut compressor = Compressor::new(Vec::new(), options.level(Level::MIN));
        compressor.division = Division { first: PART, other: PART, ..compressor.division };
        compressor.write_all(content)?;
        compressor.finish()
    }

    #[test]
    fn divided_streams_come_back_whatever_the_threads() {
        let content = mixture();
        let options = CompressOptions::new;
        let archive = compressed(&content, options().threads(1)).unwrap();
        for options in [options().threads(4), options().threads(2).verify(true), options().threads(9).memory(40 << 20)]
        {
            assert!(compressed(&content, options).unwrap() == archive);
        }
        for options in [1, 2, 7].map(|threads| DecompressOptions::new().threads(threads)) {
            assert!(decompress_with(&archive, options.clone()).unwrap() == content);
            assert!(decompress_with(&archive, options.memory(40 << 20)).unwrap() == content);
        }
        let few = DecompressOptions::new().memory(12 << 20);
        assert_eq!(decompress_with(&archive, few).unwrap_err().kind(), ErrorKind::MemoryLimit);
        assert_eq!(compressed(&content, options().memory(12 << 20)).unwrap_err().kind(), ErrorKind::MemoryLimit);
        let mut reader = SeekableDecompressor::new(Cursor::new(&archive), DecompressOptions::new()).unwrap();
        let mut part = [0; 99];
        reader.seek(SeekFrom::Start(5 * PART as u64)).unwrap();
        reader.read_exact(&mut part).unwrap();
        assert!(part == content[5 * PART..][..99]);
    }

    #[test]
    fn divided_streams_are_explained_to_the_byte() {
        let content = mixture();
        let archive = compressed(&content, CompressOptions::new()).unwrap();
        let explanation = explain(&archive, DecompressOptions::new()).unwrap();
        let kinds = |kind| explanation.streams.iter().filter(|stream| stream.kind == kind).count();
        assert!(kinds(Kind::Text) > 3 && kinds(Kind::Binary) > 2);
        let streams: u64 = explanation.streams.iter().map(|stream| stream.coded_len).sum();
        let parts: u64 = explanation.parts.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(streams + parts, archive.len() as u64);
        let plain: usize = explanation.pieces.iter().map(|piece| piece.len).sum();
        assert!(plain + 5000 <= content.len(), "{plain}: the repeated string is copied");
    }

    #[test]
    fn damage_is_noticed_in_any_part() {
        let content = mixture();
        let archive = compressed(&content, CompressOptions::new()).unwrap();
        for at in (100..archive.len() - 20).step_by(archive.len() / 9) {
            let mut damaged = archive.clone();
            damaged[at] ^= 4;
            let options = DecompressOptions::new().threads(3);
            assert_eq!(decompress_with(&damaged, options).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
