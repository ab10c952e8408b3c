//! A campaign of damaged archives: mutated with and without repaired checksums, decoded strictly and with salvage, in
//! process, with limits. Shared by tests/campaign.rs and examples/campaign.rs.
#![allow(dead_code, reason = "the test and the example use their part")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use nzip::{BlockSize, CompressOptions, Compressor, DecompressOptions, Decompressor, Error, ErrorKind, Level, Monitor};

use super::random::Random;
use super::{KINDS, Kind, content, forge};

/// Limits of each decoding.
const MEMORY: u64 = 256 << 20;
const MAX_OUTPUT: u64 = 1 << 20;
const TIME: Duration = Duration::from_secs(60);

/// What became of the archives.
#[derive(Default)]
pub struct Counts {
    pub archives: u64,
    /// Decoded to the right content.
    pub right: u64,
    /// Refused, by the kind of the error.
    pub refused: BTreeMap<String, u64>,
    /// Content was accepted that is not the original's.
    pub wrong: u64,
    /// Content before an error that is not the original's.
    pub wrong_before_error: u64,
    pub panics: u64,
    /// Decodings that took longer than a minute.
    pub hangs: u64,
    /// Salvaged: some content was given out although the archive is damaged.
    pub salvaged: u64,
    /// Salvage gave out bytes that are not a block of an original.
    pub salvaged_wrong: u64,
    /// Salvage gave out less than everything without naming damage.
    pub unnamed: u64,
}

impl Counts {
    /// Number of archives for which a promise was broken.
    pub fn broken(&self) -> u64 {
        self.wrong + self.wrong_before_error + self.panics + self.hangs + self.salvaged_wrong + self.unnamed
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "archives            {:>9}", self.archives)?;
        writeln!(f, "right               {:>9}", self.right)?;
        for (kind, count) in &self.refused {
            writeln!(f, "refused: {kind:<11}{count:>9}")?;
        }
        writeln!(f, "wrong accepted      {:>9}", self.wrong)?;
        writeln!(f, "wrong before error  {:>9}", self.wrong_before_error)?;
        writeln!(f, "panics              {:>9}", self.panics)?;
        writeln!(f, "hangs               {:>9}", self.hangs)?;
        writeln!(f, "salvaged            {:>9}", self.salvaged)?;
        writeln!(f, "salvaged wrong      {:>9}", self.salvaged_wrong)?;
        write!(f, "damage not named    {:>9}", self.unnamed)
    }
}

/// A header, or a frame.
#[derive(Clone)]
struct Segment {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Segment {
    fn kind(&self) -> u8 {
        if self.head.starts_with(&[0xF5]) { self.head.get(1).copied().unwrap_or(0) } else { 0 }
    }

    /// Makes the checksums of head, index and coded data right; that of a block's content stays.
    fn repair(&mut self) {
        let len = self.head.len();
        if len < 16 && self.kind() == 0xC1 || len < 10 || self.kind() == 0xC4 {
            return;
        }
        if self.kind() == 0xC3 {
            let check = forge::check(&self.body);
            self.head[len - 8..len - 4].copy_from_slice(&check);
        }
        if self.kind() == 0xC1 {
            // Before it stand the checks of the content and of the head, and the archive's id in all but the first block.
            let at = len - if self.head[2] == 0 { 12 } else { 16 };
            let check = forge::check(&self.body);
            self.head.get_mut(at..at + 4).into_iter().for_each(|field| field.copy_from_slice(&check));
        }
        let check = forge::check(&self.head[..len - 4]);
        self.head[len - 4..].copy_from_slice(&check);
    }
}

/// How an undamaged archive is made.
#[derive(Clone, Copy)]
pub struct Recipe {
    pub level: u8,
    /// Blocks begin with what the first one has taught the model. It is a full one, so each decoding takes longer.
    pub shared_start: bool,
}

/// An undamaged archive of some blocks.
struct Original {
    segments: Vec<Segment>,
    blocks: Vec<Vec<u8>>,
}

impl Original {
    fn new(recipe: Recipe, random: &mut Random) -> Self {
        let mut options = CompressOptions::new().level(Level::new(recipe.level).unwrap()).threads(1);
        let mut blocks: Vec<Vec<u8>> = (0..1 + random.below(5))
            .map(|_| {
                // Most are short: what is damaged matters more than how long it is.
                let len = 1 + (random.below(1500) >> random.below(5));
                content(KINDS[random.below(KINDS.len())], len, random.below(1 << 30) as u64)
            })
            .collect();
        if recipe.shared_start {
            options = options.block_size(BlockSize::MIN).shared_start(true);
            blocks.insert(0, content(Kind::Text, BlockSize::MIN.bytes(), random.below(1 << 30) as u64));
        }
        let mut compressor = Compressor::new(Vec::new(), options);
        for block in &blocks {
            compressor.write_all(block).unwrap();
            compressor.flush().unwrap();
        }
        Original { segments: split(&compressor.finish().unwrap()), blocks }
    }

    fn content(&self) -> Vec<u8> {
        self.blocks.concat()
    }
}

/// Splits an undamaged archive into its header and frames.
fn split(archive: &[u8]) -> Vec<Segment> {
    let mut at = 0;
    let varint = |at: &mut usize| {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = archive[*at];
            *at += 1;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        value as usize
    };
    let mut segments = Vec::new();
    while at < archive.len() {
        let start = at;
        let mut body = 0;
        if archive[at] == 0xF5 {
            at += 2;
            match archive[start + 1] {
                kind @ (0xC1 | 0xC2) => {
                    let number = varint(&mut at);
                    body = varint(&mut at);
                    if kind == 0xC1 {
                        body = varint(&mut at);
                        at += 1 + 4;
                    }
                    at += if number == 0 { 4 + 4 } else { 4 + 4 + 4 };
                }
                0xC3 => {
                    body = varint(&mut at);
                    at += 4 + 4;
                }
                0xC4 => at += 4,
                _ => body = varint(&mut at) + 4,
            }
        } else {
            at += 8;
            let features = varint(&mut at);
            at += 2;
            varint(&mut at);
            if features & 1 != 0 {
                at += varint(&mut at.clone()) + 1;
            }
            at += 4;
        }
        segments.push(Segment { head: archive[start..at].to_vec(), body: archive[at..at + body].to_vec() });
        at += body;
    }
    segments
}

/// When a decoding began, and what stops it.
type Decoding = (Instant, Arc<Monitor>);

/// The archives that all mutations start from.
pub struct Campaign {
    originals: Vec<Original>,
    random: Random,
    /// The decoding in progress, for the thread that stops what hangs.
    current: Arc<Mutex<Option<Decoding>>>,
}

impl Campaign {
    /// Archives made by `recipes`, and mutations that depend on `seed` only.
    pub fn new(recipes: &[Recipe], seed: u64) -> Self {
        let mut random = Random::new(seed);
        let originals = (0..24).map(|i| Original::new(recipes[i % recipes.len()], &mut random)).collect();
        let current = Arc::new(Mutex::new(None::<Decoding>));
        let watched = Arc::downgrade(&current);
        thread::spawn(move || {
            while let Some(current) = watched.upgrade() {
                if let Some((start, monitor)) = &*current.lock().unwrap()
                    && start.elapsed() > TIME
                {
                    monitor.stop();
                }
                drop(current);
                thread::sleep(Duration::from_secs(1));
            }
        });
        Campaign { originals, random, current }
    }

    /// Tries one more mutated archive.
    pub fn step(&mut self, counts: &mut Counts) {
        let archive = self.mutated();
        counts.archives += 1;
        match catch_unwind(AssertUnwindSafe(|| self.judge(&archive, counts))) {
            Ok(Ok(())) => {}
            _ => counts.panics += 1,
        }
    }

    fn mutated(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let pick = |random: &mut Random| random.below(24);
        let mut segments = Vec::new();
        for _ in 0..1 + random.below(3) / 2 {
            segments.extend(self.originals[pick(random)].segments.clone());
        }
        for _ in 0..1 + random.below(3) {
            let at = random.below(segments.len());
            match random.below(10) {
                0 => drop(segments.remove(at)),
                1 => segments.insert(at, segments[at].clone()),
                2 => {
                    let other = random.below(segments.len());
                    segments.swap(at, other);
                }
                3 => {
                    let other = &self.originals[pick(random)].segments;
                    segments[at] = other[random.below(other.len())].clone();
                }
                4 | 5 => {
                    change(&mut segments[at].head, random);
                    if random.below(2) == 0 && !segments[at].head.is_empty() {
                        segments[at].repair();
                    }
                }
                6 => {
                    change(&mut segments[at].body, random);
                    if random.below(2) == 0 {
                        segments[at].repair();
                    }
                }
                7 => {
                    // A length or number that lies, its checksum right.
                    let head = &mut segments[at].head;
                    let place = 2 + random.below(head.len().max(3) - 2);
                    if let Some(byte) = head.get_mut(place) {
                        *byte = [0, 1, 0x7F, 0xFF, byte.wrapping_add(1)][random.below(5)];
                    }
                    segments[at].repair();
                }
                _ => {}
            }
            if segments.is_empty() {
                break;
            }
        }
        let mut bytes: Vec<u8> =
            segments.into_iter().flat_map(|segment| [segment.head, segment.body].concat()).collect();
        if random.below(2) == 0 {
            change(&mut bytes, random);
        }
        bytes
    }

    /// Decodes `archive` strictly and with salvage, and compares.
    ///
    /// # Errors
    /// An internal error of the decoder.
    fn judge(&self, archive: &[u8], counts: &mut Counts) -> Result<(), Error> {
        let contents: Vec<Vec<u8>> = self.originals.iter().map(Original::content).collect();
        let blocks: Vec<&Vec<u8>> = self.originals.iter().flat_map(|original| &original.blocks).collect();
        let (content, _, error) = self.decode(archive, false, counts)?;
        match &error {
            None if is_sequence(&content, &contents) => counts.right += 1,
            None => counts.wrong += 1,
            Some(error) => {
                *counts.refused.entry(format!("{:?}", error.kind())).or_default() += 1;
                if !is_sequence_of_blocks(&content, &blocks) {
                    counts.wrong_before_error += 1;
                }
            }
        }
        let (saved, damaged, salvage_error) = self.decode(archive, true, counts)?;
        if error.is_some() && !saved.is_empty() {
            counts.salvaged += 1;
        }
        if !is_sequence_of_blocks(&saved, &blocks) {
            counts.salvaged_wrong += 1;
        }
        if !damaged && salvage_error.is_none() && !is_sequence(&saved, &contents) {
            counts.unnamed += 1;
        }
        Ok(())
    }

    /// The content, whether damage was named, and the error that ended it.
    ///
    /// # Errors
    /// An internal error of the decoder.
    fn decode(
        &self,
        archive: &[u8],
        keep_going: bool,
        counts: &mut Counts,
    ) -> Result<(Vec<u8>, bool, Option<Error>), Error> {
        let (start, monitor) = (Instant::now(), Arc::new(Monitor::default()));
        *self.current.lock().unwrap() = Some((start, Arc::clone(&monitor)));
        let options = DecompressOptions::new()
            .threads(1)
            .memory(MEMORY)
            .max_output(MAX_OUTPUT)
            .keep_going(keep_going)
            .monitor(monitor);
        let mut decompressor = Decompressor::new(archive, options);
        let mut content = Vec::new();
        let result = decompressor.read_to_end(&mut content).map_err(Error::from);
        if start.elapsed() > TIME {
            counts.hangs += 1;
        }
        match result {
            Err(error) if error.kind() == ErrorKind::Internal => Err(error),
            result => Ok((content, !decompressor.damage().is_empty(), result.err())),
        }
    }
}

/// Changes some bytes: flips, cuts, insertions.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(40)).min(bytes.len());
    match random.below(6) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.below(256) as u8,
        3 => drop(bytes.drain(at..end)),
        4 => bytes.truncate(at),
        _ => drop(bytes.splice(at..at, (0..random.below(40)).map(|i| (i * 37) as u8))),
    }
}

/// True if `bytes` are some of `parts`, one after the other.
fn is_sequence(bytes: &[u8], parts: &[Vec<u8>]) -> bool {
    is_sequence_of_blocks(bytes, &parts.iter().collect::<Vec<_>>())
}

/// True if `bytes` are some of `parts`, one after the other: searched by dynamic programming over positions.
fn is_sequence_of_blocks(bytes: &[u8], parts: &[&Vec<u8>]) -> bool {
    let mut reachable = vec![false; bytes.len() + 1];
    reachable[0] = true;
    for at in 0..bytes.len() {
        if !reachable[at] {
            continue;
        }
        for part in parts.iter().filter(|part| bytes[at..].starts_with(part)) {
            reachable[at + part.len()] = true;
        }
    }
    reachable[bytes.len()]
}
