//! Decompression: reads an archive, returns its content.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::checksum::{ContentCheck, check};
use super::frame::{BlockHead, Mode};
use super::frame_reader::{Event, FrameReader};
use super::header::Header;
use super::load::Load;
use super::pool::{Pool, check_memory};
use super::recover::{Damage, DamageList};
use super::segmented;
use super::shared::{Role, Shared};
use super::short::parts_check;
use crate::codec::{self, CodecConfig};
use crate::content::Kind;
use crate::error::{Error, ErrorKind};
use crate::monitor::Monitor;
use crate::options::{DecompressOptions, Parts, resolve_threads};

/// Maximum number of events read ahead: archives without blocks take no room in the pool.
const MAX_PENDING: usize = 1024;

/// Decompresses the archives in `R`, one after the other.
///
/// The checksum of a block is verified before its content is returned, that of the whole content at the end. With one
/// thread, no more input is read than the requested content needs; with more threads, blocks are read ahead.
///
/// ```
/// use std::io::Read;
/// let archive = nzip::compress(b"a tale of a tub")?;
/// let mut content = String::new();
/// nzip::Decompressor::new(&archive[..], nzip::DecompressOptions::new()).read_to_string(&mut content)?;
/// assert_eq!(content, "a tale of a tub");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Decompressor<R> {
    frames: FrameReader<R>,
    keep_going: bool,
    parts: Parts,
    /// Configuration of the most recent block.
    config: Option<Arc<CodecConfig>>,
    /// What the archive's blocks begin with.
    shared: Shared,
    monitor: Arc<Monitor>,
    /// A block whose head was read, waiting for room for its data.
    next_block_head: Option<(BlockHead, u64)>,
    /// A block whose data was read, waiting for room in the pool.
    next_block: Option<Next>,
    /// Events not handled yet, in order. The blocks among them are in the pool, in the same order.
    pending: VecDeque<Pending>,
    pool: Pool<Vec<u8>>,
    block: Vec<u8>,
    position: usize,
    content_check: ContentCheck,
    damage: DamageList,
    ended: bool,
    failed: Option<ErrorKind>,
}

/// A block that was read.
pub(super) struct Next {
    pub head: BlockHead,
    pub offset: u64,
    pub body: Vec<u8>,
    /// None of a stored block.
    pub config: Option<Arc<CodecConfig>>,
    pub role: Role,
    /// What decoding it takes.
    pub load: Load,
}

enum Pending {
    /// A block, the offset of its frame, and its body, if its length may be wrong. Nothing is read until such a block is decoded: if it
    /// is damaged, the body may contain the following blocks.
    Block(BlockHead, u64, Option<Vec<u8>>),
    Event(Event),
    Failed(Error),
}

impl<R: Read> Decompressor<R> {
    /// Creates a decompressor that reads from `input`.
    pub fn new(input: R, options: DecompressOptions) -> Self {
        Decompressor {
            frames: FrameReader::new(input, options.keep_going, options.max_output),
            keep_going: options.keep_going,
            parts: options.parts,
            config: None,
            shared: Shared::default(),
            pool: Pool::new(resolve_threads(options.threads), options.memory),
            monitor: options.monitor,
            next_block_head: None,
            next_block: None,
            pending: VecDeque::new(),
            block: Vec::new(),
            position: 0,
            content_check: ContentCheck::default(),
            damage: DamageList::default(),
            ended: false,
            failed: None,
        }
    }

    /// What is missing from the content returned so far. Empty unless [`DecompressOptions::keep_going`] is set.
    pub fn damage(&self) -> &[Damage] {
        self.damage.all()
    }

    /// Returns the input. More of it may have been read than was decoded.
    pub fn into_inner(self) -> R {
        self.frames.input.into_inner()
    }

    /// The next block of content; `None` at the end.
    fn next_block(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            self.read_ahead();
            match self.pending.pop_front() {
                None => return Ok(None),
                Some(Pending::Failed(error)) => return Err(error),
                Some(Pending::Event(event)) => self.handle_event(event)?,
                Some(Pending::Block(head, offset, suspect)) => match self.pool.try_pop() {
                    None => {
                        self.pending.push_front(Pending::Block(head, offset, suspect));
                        self.pool.wait();
                    }
                    Some(Ok(content)) => {
                        self.content_check.update(&content);
                        return Ok(Some(content));
                    }
                    Some(Err(error)) => match suspect {
                        Some(body) if error.kind() == ErrorKind::Corrupt => {
                            let error = Error::new(ErrorKind::Corrupt, damaged_block(&error)).at(offset);
                            self.frames.reject_block(&head, offset, body, error)?;
                        }
                        _ => self.record_damage(Some(&head), error.at(offset))?,
                    },
                },
            }
        }
    }

    /// Reads until the pool is full. An error is queued behind the content that precedes it.
    fn read_ahead(&mut self) {
        while !self.ended {
            match self.read_event() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.pending.push_back(Pending::Failed(error));
                    self.ended = true;
                }
            }
        }
    }

    /// Reads one event, or the body of one block, or submits a block. Returns false if there is no room for it.
    fn read_event(&mut self) -> Result<bool, Error> {
        if self.monitor.stopped() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        if let Some(block) = self.next_block.take() {
            return self.submit(block);
        }
        if let Some((head, offset)) = self.next_block_head {
            return self.read_block(head, offset);
        }
        // Don't wait for input while decoded content is ready.
        let in_doubt = matches!(self.pending.back(), Some(Pending::Block(_, _, Some(_))));
        let full = self.pending.len() >= MAX_PENDING || in_doubt;
        if full || !self.pool.has_room(0, 1)? || self.pool.is_ready() {
            return Ok(false);
        }
        match self.frames.next()? {
            Some(Event::Block { head, offset }) => self.next_block_head = Some((head, offset)),
            Some(event) => self.pending.push_back(Pending::Event(event)),
            None => self.ended = true,
        }
        Ok(true)
    }

    /// Reads the body of a block.
    fn read_block(&mut self, head: BlockHead, offset: u64) -> Result<bool, Error> {
        let Some(header) = self.frames.header() else { return Ok(false) };
        let (config, role) =
            block_config(header, &head, &mut self.config, &mut self.shared, &self.parts, &mut self.pool)?;
        // The content, that of the block before, which is being given out, and the body.
        let copies = if self.keep_going { 2 } else { 1 };
        let data = 2 * u64::from(head.raw_len) + copies * head.body_len() as u64;
        if !self.pool.has_room(data, 1).map_err(|error| error.at(offset))? {
            return Ok(false);
        }
        self.next_block_head = None;
        if let Some(body) = self.frames.read_body(&head, offset)? {
            let load = block_load(config.as_deref(), &head, &body).with(data);
            self.next_block = Some(Next { head, offset, body, config, role, load });
        }
        Ok(true)
    }

    /// Submits a block to the pool.
    fn submit(&mut self, block: Next) -> Result<bool, Error> {
        let Next { head, offset, load, .. } = block;
        let threads = self.frames.header().map_or(1, |header| {
            // A block shorter than the block size is the last one.
            let is_last = (head.raw_len as usize) < header.block_size.bytes();
            threads_for(&mut self.pool, header, is_last, &load)
        });
        let memory = load.memory(threads);
        if !self.pool.has_room(memory, threads).map_err(|error| error.at(offset))? {
            self.next_block = Some(block);
            return Ok(false);
        }
        let Next { body, config, role, .. } = block;
        let in_doubt = self.keep_going && !self.frames.frame_follows()?;
        let suspect = in_doubt.then(|| body.clone());
        let monitor = Arc::clone(&self.monitor);
        self.pool.submit(memory, threads, move |cancelled| {
            decode_block(config, role, &head, body, threads, &monitor, cancelled)
        });
        self.pending.push_back(Pending::Block(head, offset, suspect));
        Ok(true)
    }

    /// Handles an event after all content before it has been returned.
    fn handle_event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Start(header) => {
                if let Some(length) = header.content_length {
                    self.monitor.expect(length);
                }
            }
            Event::Block { .. } => {}
            Event::Damage(damage) => self.damage.push(damage),
            Event::Index(index) => self.damage.complete(&index),
            Event::End { check, offset } => {
                let found = mem::take(&mut self.content_check).value();
                if self.damage.is_complete() && check.is_some_and(|check| check != found) {
                    let error = Error::new(ErrorKind::Corrupt, "the checksum of the whole content differs");
                    self.record_damage(None, error.at(offset))?;
                }
                self.damage.end_archive();
            }
        }
        Ok(())
    }

    /// Records damage and continues, if `keep_going` is set and the error is damage. Otherwise returns the error.
    fn record_damage(&mut self, head: Option<&BlockHead>, error: Error) -> Result<(), Error> {
        let offset = error.offset().unwrap_or_default();
        let damaged = error.kind() == ErrorKind::Corrupt;
        let (blocks, lost, reason) = match head {
            Some(&BlockHead { number, raw_len, .. }) if damaged => {
                if !self.keep_going {
                    return Err(lost_block(number as usize, &error, offset));
                }
                (number..number + 1, Some(raw_len.into()), damaged_block(&error))
            }
            _ if damaged && self.keep_going => (0..0, None, error.reason().into()),
            _ => return Err(error),
        };
        self.damage.push(Damage { blocks, offset, lost, reason });
        Ok(())
    }
}

impl<R: Read> Read for Decompressor<R> {
    /// # Errors
    /// An [`Error`] wrapped in an [`io::Error`]; `Error::from` unwraps it. All content before the error is returned first.
    /// After an error, every call fails.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(kind) = self.failed {
            return Err(Error::new(kind, "the decompression failed earlier").into());
        }
        while self.position == self.block.len() && !out.is_empty() {
            match self.next_block() {
                Ok(Some(block)) => (self.block, self.position) = (block, 0),
                Ok(None) => break,
                Err(error) => {
                    self.failed = Some(error.kind());
                    return Err(error.into());
                }
            }
        }
        let step = out.len().min(self.block.len() - self.position);
        out[..step].copy_from_slice(&self.block[self.position..self.position + step]);
        self.position += step;
        Ok(step)
    }
}

/// The configuration for an archive with this header: the `last` one if it is the same, otherwise a new one, which replaces it.
///
/// # Errors
/// Those of [`new_config`]; [`ErrorKind::MemoryLimit`] if the archive needs more than `memory`.
pub(super) fn config_of(
    header: &Header,
    last: &mut Option<Arc<CodecConfig>>,
    parts: &Parts,
    memory: u64,
) -> Result<Arc<CodecConfig>, Error> {
    if let Some(config) = last
        && (config.preset(), config.trained_id()) == (header.model, header.trained)
        && match header.is_short {
            true => {
                header.language_model().is_none_or(|start| config.model_id().is_some_and(|id| id.starts_with(start)))
            }
            false => config.identity()? == header.identity,
        }
    {
        return Ok(config.clone());
    }
    Ok(last.insert(Arc::new(new_config(header, parts, memory)?)).clone())
}

/// The configuration for a block, none if it is stored, and its role. `last` is as in [`config_of`]. What blocks share is set aside
/// in the pool.
///
/// # Errors
/// Those of [`config_of`].
pub(super) fn block_config<T: Send + 'static>(
    header: &Header,
    head: &BlockHead,
    last: &mut Option<Arc<CodecConfig>>,
    shared: &mut Shared,
    parts: &Parts,
    pool: &mut Pool<T>,
) -> Result<(Option<Arc<CodecConfig>>, Role), Error> {
    let config = match head.mode {
        Mode::Stored => None,
        _ => Some(config_of(header, last, parts, pool.limit())?),
    };
    let role = shared.role(header, head);
    let config = config.map(|config| role.configure(config));
    if let Some(config) = &config {
        pool.reserve(config.shared_memory());
    }
    Ok((config, role))
}

/// The configuration for an archive with this header.
///
/// # Errors
/// Those of [`config_without_trained`] and of [`Parts::trained`].
fn new_config(header: &Header, parts: &Parts, memory: u64) -> Result<CodecConfig, Error> {
    let trained = header.trained.map(|id| parts.trained(id)).transpose()?;
    Ok(config_without_trained(header, parts, memory)?.trained(trained))
}

/// The same without the trained prior, which all but text and binary data do without.
///
/// # Errors
/// Those of [`CodecConfig::of_archive`]; [`ErrorKind::MemoryLimit`] if the archive needs more than `memory`.
fn config_without_trained(header: &Header, parts: &Parts, memory: u64) -> Result<CodecConfig, Error> {
    let &Header { model, identity, ref model_name, .. } = header;
    // Before the trained parts are loaded.
    check_memory(codec::min_memory(model), memory)?;
    let config = CodecConfig::of_archive(model, header.language_model(), model_name, parts.language_model.clone())?;
    if header.is_short { Ok(config) } else { config.check_identity(identity) }
}

/// The error for a block whose damage nothing makes up for.
pub(super) fn lost_block(number: usize, error: &Error, offset: u64) -> Error {
    Error::new(ErrorKind::Corrupt, format!("block {number} is damaged: {}", error.reason())).at(offset)
}

fn damaged_block(error: &Error) -> String {
    format!("damaged block: {}", error.reason())
}

/// What decoding a block takes, its content and its body not included. A stored block has no `config`.
pub(super) fn block_load(config: Option<&CodecConfig>, head: &BlockHead, body: &[u8]) -> Load {
    let raw_len = head.raw_len as usize;
    match (head.mode, config) {
        (Mode::Modelled { profile, .. } | Mode::Short { profile, .. }, Some(config)) => {
            Load { each: config.decode_memory(Kind::Binary, raw_len, profile), fixed: 0, most: 1 }
        }
        (Mode::Segmented { plain_len, .. }, Some(config)) => segmented::load(config, body, plain_len as usize),
        _ => Load::default(),
    }
}

/// The number of threads for decoding a block, the last one or others are decoded beside it.
pub(super) fn threads_for<T: Send + 'static>(pool: &mut Pool<T>, header: &Header, is_last: bool, load: &Load) -> usize {
    load.threads(pool, header.content_length, header.block_size, is_last)
}

/// The error for a block with the right head that can't be decoded. If its data has a checksum of its own, which was compared, the
/// data is what the encoder wrote, unless someone made the checksum right.
pub(super) fn diverged(head: &BlockHead, reason: &str) -> Error {
    let message = match head.body_check() {
        None => format!("{reason}: it is damaged, or this nzip predicts otherwise than the encoder"),
        Some(_) => format!(
            "{reason}, though its data is intact: this computer or this nzip predicts otherwise than the encoder"
        ),
    };
    Error::new(ErrorKind::Corrupt, message)
}

/// Compares the checksum of a block's coded data, if it has one.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it differs.
pub(super) fn check_body(head: &BlockHead, body: &[u8]) -> Result<(), Error> {
    if head.body_check().is_some_and(|expected| expected != check(body)) {
        return Err(Error::new(ErrorKind::Corrupt, "checksum mismatch"));
    }
    Ok(())
}

/// The checksum that a block's content must have.
///
/// # Errors
/// Those of [`parts_check`].
pub(super) fn content_check(head: &BlockHead, config: Option<&CodecConfig>) -> Result<u32, Error> {
    Ok(match (head.mode, config) {
        (Mode::Short { .. }, Some(config)) => head.raw_check ^ parts_check(config)?,
        _ => head.raw_check,
    })
}

/// Decodes a block and verifies its checksums. A stored block has no `config`; that of others is as its `role` wants it.
pub(super) fn decode_block(
    config: Option<Arc<CodecConfig>>,
    role: Role,
    head: &BlockHead,
    body: Vec<u8>,
    threads: usize,
    monitor: &Monitor,
    cancelled: &AtomicBool,
) -> Result<Vec<u8>, Error> {
    let raw_len = head.raw_len as usize;
    let coded_len = body.len();
    check_body(head, &body)?;
    let mut progress = monitor.progress(cancelled);
    if head.mode != Mode::Stored {
        role.wait(&mut progress)?;
    }
    let raw_check = content_check(head, config.as_deref())?;
    let content = match (head.mode, config) {
        (Mode::Modelled { profile, .. } | Mode::Short { profile, .. }, Some(config)) => {
            codec::decode(&config, Kind::Binary, profile, &body, raw_len, threads, &mut progress)
        }
        (Mode::Segmented { profile, plain_len, .. }, Some(config)) => {
            let claimed = (profile, plain_len as usize);
            segmented::decode(&config, &body, claimed, raw_len, threads, &mut progress)
        }
        _ => Ok(body),
    };
    let content = content.map_err(|error| match error.kind() {
        ErrorKind::Corrupt | ErrorKind::Truncated => diverged(head, error.reason()),
        _ => error,
    })?;
    if content.len() != raw_len || check(&content) != raw_check {
        return Err(diverged(head, "its content has another checksum"));
    }
    role.done(head.mode);
    progress(raw_len, coded_len);
    Ok(content)
}
