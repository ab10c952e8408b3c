//! Archive in, content out.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::checksum::{ContentCheck, check};
use super::frame::{BlockHead, Mode};
use super::header::Header;
use super::pool::Pool;
use super::recover::Damage;
use super::walk::{Event, Walk};
use crate::codec::{self, CodecConfig, LanguageModel};
use crate::error::{Error, ErrorKind};
use crate::monitor::Monitor;
use crate::options::{DecompressOptions, resolve_threads};

/// Decompresses the archive, or the archives one after the other, that `R` holds.
///
/// Every block's check is compared before its content is given out, and the whole content's at the end. With one
/// thread no more of `R` is waited for than the content asked for needs; with more, blocks are read ahead.
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
    walk: Walk<R>,
    keep_going: bool,
    language_model: Option<Arc<LanguageModel>>,
    /// What the last block was decoded with.
    config: Option<Arc<CodecConfig>>,
    monitor: Arc<Monitor>,
    /// A block that was come by and waits for room among the coders.
    waiting: Option<(BlockHead, u64)>,
    /// What was come by, in order, and is not given out yet. Blocks are in the pool, in the same order.
    pending: VecDeque<Pending>,
    pool: Pool<Vec<u8>>,
    block: Vec<u8>,
    position: usize,
    content_check: ContentCheck,
    damage: Vec<Damage>,
    /// How much of the damage belongs to earlier archives.
    settled: usize,
    ended: bool,
    failed: Option<ErrorKind>,
}

enum Pending {
    Block(BlockHead, u64),
    Event(Event),
    Failed(Error),
}

impl<R: Read> Decompressor<R> {
    /// A decompressor of what `input` holds.
    pub fn new(input: R, options: DecompressOptions) -> Self {
        Decompressor {
            walk: Walk::new(input, options.keep_going, options.max_output),
            keep_going: options.keep_going,
            language_model: options.language_model,
            config: None,
            pool: Pool::new(resolve_threads(options.threads), options.memory),
            monitor: options.monitor,
            waiting: None,
            pending: VecDeque::new(),
            block: Vec::new(),
            position: 0,
            content_check: ContentCheck::default(),
            damage: Vec::new(),
            settled: 0,
            ended: false,
            failed: None,
        }
    }

    /// What is missing from the content given out so far; nothing unless
    /// [`DecompressOptions::keep_going`] was chosen.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The input, of which more may have been read than was decoded.
    pub fn into_inner(self) -> R {
        self.walk.source.into_inner()
    }

    /// The next block of content; none at the end.
    fn next_block(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            self.read_ahead();
            match self.pending.pop_front() {
                None => return Ok(None),
                Some(Pending::Failed(error)) => return Err(error),
                Some(Pending::Event(event)) => self.settle(event)?,
                Some(Pending::Block(head, offset)) => match self.pool.try_pop() {
                    None => {
                        self.pending.push_front(Pending::Block(head, offset));
                        self.pool.wait();
                    }
                    Some(Ok(content)) => {
                        self.content_check.update(&content);
                        return Ok(Some(content));
                    }
                    Some(Err(error)) => self.lose(Some(&head), error.at(offset))?,
                },
            }
        }
    }

    /// Reads while the coders have room. What fails is put in its place after the content that comes before.
    fn read_ahead(&mut self) {
        while !self.ended {
            match self.read_one() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.pending.push_back(Pending::Failed(error));
                    self.ended = true;
                }
            }
        }
    }

    /// Reads on by one event or one block's body. False where there is no room for it.
    fn read_one(&mut self) -> Result<bool, Error> {
        if self.monitor.stopped() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        if let Some((head, offset)) = self.waiting {
            return self.submit(head, offset);
        }
        // Content that is ready is not kept waiting for input that may be slow to come.
        if !self.pool.has_room(0)? || self.pool.is_ready() {
            return Ok(false);
        }
        match self.walk.next()? {
            Some(Event::Block { head, offset }) => self.waiting = Some((head, offset)),
            Some(event) => self.pending.push_back(Pending::Event(event)),
            None => self.ended = true,
        }
        Ok(true)
    }

    /// What the archive that is being read was made with.
    fn config(&mut self) -> Result<Option<Arc<CodecConfig>>, Error> {
        let Some(&Header { model, identity, .. }) = self.walk.header() else { return Ok(None) };
        if let Some(config) = &self.config
            && (config.model(), config.identity()?) == (model, identity)
        {
            return Ok(Some(config.clone()));
        }
        let config = Arc::new(CodecConfig::of_archive(model, identity, self.language_model.clone())?);
        self.config = Some(config.clone());
        Ok(Some(config))
    }

    /// Gives a block to the coders.
    fn submit(&mut self, head: BlockHead, offset: u64) -> Result<bool, Error> {
        let raw_len = head.raw_len as usize;
        let (config, work) = match head.mode {
            Mode::Modelled { profile, .. } => {
                let Some(config) = self.config()? else { return Ok(false) };
                let work = codec::decode_memory(&config, raw_len, profile);
                (Some((config, profile)), work)
            }
            Mode::Stored => (None, 0),
        };
        let memory = work + raw_len as u64 + head.body_len() as u64;
        if !self.pool.has_room(memory).map_err(|error| error.at(offset))? {
            return Ok(false);
        }
        self.waiting = None;
        match self.walk.source.take(head.body_len() as u64) {
            Ok(body) => {
                let monitor = Arc::clone(&self.monitor);
                // A block that is not full is the last one.
                let full = self.walk.header().is_none_or(|header| raw_len == header.block_size.bytes());
                let threads = if full { 1 } else { self.pool.free_threads() };
                self.pool.submit(memory, move |cancelled| decode(config, &head, body, threads, &monitor, cancelled))?;
                self.pending.push_back(Pending::Block(head, offset));
            }
            Err(error) => self.walk.body_failed(&head, offset, error)?,
        }
        Ok(true)
    }

    /// Does what an event asks for, once the content before it is given out.
    fn settle(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Start(header) => {
                if let Some(length) = header.content_length {
                    self.monitor.expect(length);
                }
            }
            Event::Block { .. } => {}
            Event::Damage(damage) => self.damage.push(damage),
            Event::Index(blocks) => {
                for damage in self.damage[self.settled..].iter_mut().filter(|damage| !damage.blocks.is_empty()) {
                    let Some(lost) = blocks.get(damage.blocks.start as usize..damage.blocks.end as usize) else {
                        continue;
                    };
                    damage.lost = Some(lost.iter().map(|&(_, len)| len).sum());
                }
            }
            Event::End { check, offset } => {
                let found = mem::take(&mut self.content_check).value();
                let whole = self.damage.len() == self.settled;
                if whole && check.is_some_and(|check| check != found) {
                    let error = Error::new(ErrorKind::Corrupt, "the check of the whole content differs");
                    self.lose(None, error.at(offset))?;
                }
                self.settled = self.damage.len();
            }
        }
        Ok(())
    }

    /// Goes on without a block, if damage is all there is to it and going on is wanted.
    fn lose(&mut self, head: Option<&BlockHead>, error: Error) -> Result<(), Error> {
        if !self.keep_going || error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        let offset = error.offset().unwrap_or_default();
        let (blocks, lost) = match head {
            Some(head) => (head.number..head.number + 1, Some(head.raw_len.into())),
            None => (0..0, None),
        };
        self.damage.push(Damage { blocks, offset, lost, reason: error.reason().into() });
        Ok(())
    }
}

impl<R: Read> Read for Decompressor<R> {
    /// # Errors
    /// An [`Error`] inside an [`io::Error`]; `Error::from` takes it out. All content before the fault comes first, and
    /// after an error there are only errors.
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

/// Decodes a block and compares its check.
fn decode(
    config: Option<(Arc<CodecConfig>, u8)>,
    head: &BlockHead,
    body: Vec<u8>,
    threads: usize,
    monitor: &Monitor,
    cancelled: &AtomicBool,
) -> Result<Vec<u8>, Error> {
    let raw_len = head.raw_len as usize;
    let coded_len = body.len();
    let damaged = |why: &str| Error::new(ErrorKind::Corrupt, format!("block {} is damaged: {why}", head.number));
    let mut progress = monitor.progress(cancelled);
    let content =
        match config {
            None => body,
            Some((config, profile)) => codec::decode(&config, profile, &body, raw_len, threads, &mut progress)
                .map_err(|error| match error.kind() {
                    ErrorKind::Corrupt | ErrorKind::Truncated => damaged(error.reason()),
                    _ => error,
                })?,
        };
    if content.len() != raw_len || check(&content) != head.raw_check {
        return Err(damaged("its check differs"));
    }
    progress(raw_len, coded_len);
    Ok(content)
}
