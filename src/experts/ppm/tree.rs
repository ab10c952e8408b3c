//! The context tree: contexts and their symbols in one arena, linked by offsets.
//!
//! A context takes a unit of 16 bytes, a symbol 8 bytes. A context of one symbol contains it; a larger one points to a block of
//! symbols. Freed blocks are kept in lists by size class.

use memmap2::MmapMut;
use std::io;

/// Marks a symbol's successor as a position in the block instead of a context: the context after the symbol was seen once, and the
/// byte that followed it is at that position.
pub const TEXT: u32 = 1 << 31;
/// When a symbol's frequency exceeds this, the context's frequencies are halved.
pub const MAX_FREQ: u32 = 124;

/// Words in a unit.
const UNIT: u32 = 4;
/// Size classes of blocks, in units (two symbols each).
const CLASSES: [u32; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];
/// The size class of a context.
const ONE: usize = 0;
/// An upper bound of the words that learning one byte takes: a largest block and a context for each of 32 orders.
const RESERVE: u32 = 32 * (128 + 1) * UNIT;
/// The smallest arena, in words.
const MIN_WORDS: u32 = 2 * RESERVE;

/// A symbol of a context.
#[derive(Clone, Copy)]
pub struct Symbol {
    /// Its offset in the arena.
    pub at: u32,
    /// The byte.
    pub byte: u8,
    /// Its frequency.
    pub freq: u32,
    /// The context after this symbol, or a [`TEXT`] position; 0 if unknown.
    pub next: u32,
}

/// The arena. Offsets are in words of 4 bytes; 0 stands for no context.
pub struct Tree {
    bytes: MmapMut,
    /// The first word that was never allocated, and the end.
    fresh: u32,
    end: u32,
    free: [u32; CLASSES.len()],
}

/// `words` words, all zero.
fn map(words: u32) -> io::Result<MmapMut> {
    let bytes = MmapMut::map_anon(words as usize * 4)?;
    #[cfg(target_os = "linux")]
    if words >= 1 << 20 {
        // Large pages save time; without them the result is the same.
        let _ = bytes.advise(memmap2::Advice::HugePage);
    }
    Ok(bytes)
}

impl Tree {
    /// A tree of `memory` bytes, or the least possible, that contains only the root.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(memory: u32) -> io::Result<Self> {
        let end = (memory / 4).max(MIN_WORDS);
        let mut tree = Tree { bytes: map(end)?, fresh: 0, end, free: [0; CLASSES.len()] };
        tree.clear();
        Ok(tree)
    }

    /// A copy.
    ///
    /// # Errors
    /// As [`Tree::new`].
    pub fn try_clone(&self) -> io::Result<Self> {
        let mut bytes = map(self.end)?;
        let used = self.fresh as usize * 4;
        bytes[..used].copy_from_slice(&self.bytes[..used]);
        Ok(Tree { bytes, ..*self })
    }

    /// Clears the tree. The root then has all bytes with frequency 1.
    pub fn clear(&mut self) {
        self.free = [0; CLASSES.len()];
        self.fresh = UNIT;
        let root = self.take(ONE);
        let block = self.take(CLASSES.len() - 1);
        self.put(root, 256 | 257 << 16);
        self.put(root + 1, block);
        self.put(root + 2, CLASSES.len() as u32 - 1);
        self.put(root + 3, 0);
        for byte in 0..256 {
            self.put(block + 2 * byte, byte | 1 << 8);
            self.put(block + 2 * byte + 1, 0);
        }
    }

    /// The context of order 0.
    pub fn root(&self) -> u32 {
        UNIT
    }

    /// Whether there may not be room to learn another byte.
    pub fn is_full(&self) -> bool {
        self.end - self.fresh < RESERVE
    }

    #[inline]
    fn get(&self, at: u32) -> u32 {
        let at = at as usize * 4;
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    #[inline]
    fn put(&mut self, at: u32, word: u32) {
        let at = at as usize * 4;
        self.bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    fn take(&mut self, class: usize) -> u32 {
        let first = self.free[class];
        if first != 0 {
            self.free[class] = self.get(first);
            return first;
        }
        let at = self.fresh;
        self.fresh += CLASSES[class] * UNIT;
        at
    }

    fn give_back(&mut self, at: u32, class: usize) {
        self.put(at, self.free[class]);
        self.free[class] = at;
    }

    /// Prefetches a context or symbol.
    #[inline]
    pub fn prefetch(&self, context: u32) {
        crate::num::arch::prefetch(&self.bytes, context as usize * 4);
    }

    /// The number of a context's symbols; 0 if `context` is 0.
    #[inline]
    pub fn count(&self, context: u32) -> u32 {
        self.get(context) & 0xFFFF
    }

    /// The sum of all frequencies, the escape's included, of a context of two symbols or more.
    #[inline]
    pub fn sum(&self, context: u32) -> u32 {
        self.get(context) >> 16
    }

    /// Sets [`Self::sum`].
    #[inline]
    pub fn set_sum(&mut self, context: u32, sum: u32) {
        self.put(context, self.count(context) | sum << 16);
    }

    /// The next shorter context; 0 for the root.
    #[inline]
    pub fn suffix(&self, context: u32) -> u32 {
        self.get(context + 3)
    }

    /// The length of a context in bytes.
    pub fn order(&self, context: u32) -> usize {
        std::iter::successors(Some(context), |&context| Some(self.suffix(context)).filter(|&suffix| suffix != 0))
            .count()
            - 1
    }

    /// The symbol at an offset.
    #[inline]
    pub fn symbol(&self, at: u32) -> Symbol {
        let at8 = at as usize * 4;
        let bytes: &[u8; 8] = self.bytes[at8..at8 + 8].try_into().expect("eight bytes");
        let word = u64::from_le_bytes(*bytes);
        Symbol { at, byte: word as u8, freq: (word as u32) >> 8, next: (word >> 32) as u32 }
    }

    #[inline]
    fn write(&mut self, at: u32, symbol: Symbol) {
        self.put(at, u32::from(symbol.byte) | symbol.freq << 8);
        self.put(at + 1, symbol.next);
    }

    /// Sets the frequency of the symbol at an offset.
    #[inline]
    pub fn set_freq(&mut self, at: u32, freq: u32) {
        self.put(at, self.get(at) & 0xFF | freq << 8);
    }

    /// Sets the successor of the symbol at an offset.
    #[inline]
    pub fn set_next(&mut self, at: u32, next: u32) {
        self.put(at + 1, next);
    }

    /// The offset of a context's first symbol.
    #[inline]
    pub fn first(&self, context: u32) -> u32 {
        if self.count(context) == 1 { context + 1 } else { self.get(context + 1) }
    }

    /// The bytes and frequencies of a context's symbols, in order of storage.
    #[inline]
    pub fn frequencies(&self, context: u32) -> impl Iterator<Item = (u8, u32)> {
        let start = self.first(context) as usize * 4;
        let block = &self.bytes[start..start + 8 * self.count(context) as usize];
        block.chunks_exact(8).map(|symbol| {
            let word = u32::from_le_bytes(symbol[..4].try_into().expect("four bytes"));
            (word as u8, word >> 8)
        })
    }

    /// The context's symbol for `byte`.
    pub fn find(&self, context: u32, byte: u8) -> Option<Symbol> {
        let place = self.frequencies(context).position(|(known, _)| known == byte)?;
        Some(self.symbol(self.first(context) + 2 * place as u32))
    }

    /// Allocates a context of one symbol.
    pub fn context(&mut self, byte: u8, freq: u32, next: u32, suffix: u32) -> u32 {
        let context = self.take(ONE);
        self.put(context, 1);
        self.write(context + 1, Symbol { at: 0, byte, freq, next });
        self.put(context + 3, suffix);
        context
    }

    /// Moves the symbol of a single-symbol context to a block, so that [`Self::add`] can add more. `escape` is the escape's frequency.
    pub fn widen(&mut self, context: u32, escape: u32) {
        let mut only = self.symbol(context + 1);
        only.freq = if only.freq < MAX_FREQ / 4 - 1 { 2 * only.freq } else { MAX_FREQ - 4 };
        let block = self.take(0);
        self.write(block, only);
        self.put(context, 1 | (only.freq + escape) << 16);
        self.put(context + 1, block);
        self.put(context + 2, 0);
    }

    /// Adds a symbol to a context that was [widened](Self::widen).
    pub fn add(&mut self, context: u32, byte: u8, freq: u32, next: u32) {
        let count = self.count(context);
        let (block, class) = (self.get(context + 1), self.get(context + 2) as usize);
        let mut home = block;
        if count == 2 * CLASSES[class] {
            home = self.take(class + 1);
            let bytes = block as usize * 4..(block + 2 * count) as usize * 4;
            self.bytes.copy_within(bytes, home as usize * 4);
            self.give_back(block, class);
            self.put(context + 1, home);
            self.put(context + 2, class as u32 + 1);
        }
        self.write(home + 2 * count, Symbol { at: 0, byte, freq, next });
        self.put(context, self.get(context) + 1);
    }

    /// Swaps a symbol with the one before it if it is more frequent. Returns its offset.
    #[inline]
    pub fn promote(&mut self, context: u32, at: u32) -> u32 {
        if at == self.first(context) {
            return at;
        }
        let (before, symbol) = (self.symbol(at - 2), self.symbol(at));
        if symbol.freq <= before.freq {
            return at;
        }
        self.write(at - 2, symbol);
        self.write(at, before);
        at - 2
    }

    /// Halves the frequencies of a context and sorts its symbols by frequency. Rounds up if `keep`; else rounds down and removes
    /// symbols of frequency 0.
    pub fn halve(&mut self, context: u32, keep: bool) {
        let (block, count) = (self.first(context), self.count(context));
        let mut escape = self.sum(context);
        let mut sum = 0;
        let mut left = count;
        for i in 0..count {
            let at = block + 2 * i;
            let mut symbol = self.symbol(at);
            escape = escape.saturating_sub(symbol.freq);
            symbol.freq = (symbol.freq + u32::from(keep)) >> 1;
            sum += symbol.freq;
            left -= u32::from(symbol.freq == 0);
            let mut to = at;
            while to > block && self.symbol(to - 2).freq < symbol.freq {
                self.write(to, self.symbol(to - 2));
                to -= 2;
            }
            self.write(to, symbol);
        }
        escape += count - left;
        if left > 1 {
            let sum = (sum + escape - (escape >> 1)).max(sum + 1);
            self.put(context, left | sum << 16);
        } else {
            let mut only = self.symbol(block);
            self.give_back(block, self.get(context + 2) as usize);
            while escape > 1 {
                only.freq -= only.freq >> 1;
                escape >>= 1;
            }
            self.put(context, 1);
            self.write(context + 1, only);
        }
    }
}
