//! Counts of n-grams, as one list per context.
//!
//! N-grams that are frequent in a few documents only are discounted. Documents are distributed over 16 parts, and the count of
//! an n-gram is capped at four times its count outside the part where it is most frequent, but is at least 1.

/// Bits per token in a context's key. The oldest token is in the highest bits.
pub const TOKEN_BITS: u32 = 15;
const TOKEN_MASK: u64 = (1 << TOKEN_BITS) - 1;
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 4;

/// The last `tokens` tokens of a context.
pub fn suffix(key: u64, tokens: usize) -> u64 {
    key & ((1 << (TOKEN_BITS as usize * tokens)) - 1)
}

/// A context without its last token, and that token.
pub fn split(key: u64) -> (u64, u16) {
    (key >> TOKEN_BITS, (key & TOKEN_MASK) as u16)
}

/// The continuations of all contexts of one length. Those with a count of 1 are not listed, only summed.
pub struct Level {
    /// The contexts' keys, ascending.
    pub contexts: Vec<u64>,
    /// Each context's first entry, then the number of entries.
    pub start: Vec<u32>,
    /// Each context's sum of counts, and the part of it from counts of 1.
    pub total: Vec<u32>,
    pub once: Vec<u32>,
    /// Each entry's token and count.
    pub token: Vec<u16>,
    pub count: Vec<u32>,
    /// Numbers of n-grams that occur 1, 2, 3 and 4 times, for the discounts.
    pub seen: [u64; 4],
}

/// The counts of all n-grams of one to four tokens.
pub struct Counts {
    /// By token.
    pub unigram: Vec<u32>,
    /// Contexts of one, two and three tokens.
    pub levels: [Level; 3],
}

impl Counts {
    /// Counts the n-grams of a text with so many different tokens.
    pub fn of(tokens: Vec<u16>, vocabulary: usize) -> Counts {
        assert!(vocabulary <= 1 << TOKEN_BITS);
        let mut unigram = vec![0; vocabulary];
        tokens.iter().for_each(|&t| unigram[usize::from(t)] += 1);
        let mut part = 0;
        let gram = |w: &[u16]| {
            part += u64::from(w[0] == 0);
            (w.iter().fold(0, |key, &t| key << TOKEN_BITS | u64::from(t)) << PART_BITS) | (part * 7 % PARTS as u64)
        };
        let mut grams: Vec<u64> = tokens.windows(4).map(gram).collect();
        drop(tokens);
        grams.sort_unstable();
        let level = |order| Level::of(&grams, order);
        Counts { unigram, levels: [level(2), level(3), level(4)] }
    }
}

impl Level {
    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.token.len()
    }

    /// The entries of a context.
    pub fn list(&self, context: usize) -> std::ops::Range<usize> {
        self.start[context] as usize..self.start[context + 1] as usize
    }

    /// Counts the n-grams of `order` tokens in sorted 4-grams, whose lowest bits are the part. The shorter n-grams of the text's
    /// last three tokens are not counted.
    fn of(grams: &[u64], order: u32) -> Level {
        let shift = PART_BITS + (4 - order) * TOKEN_BITS;
        let mut level = Level {
            contexts: Vec::new(),
            start: Vec::new(),
            total: Vec::new(),
            once: Vec::new(),
            token: Vec::new(),
            count: Vec::new(),
            seen: [0; 4],
        };
        for run in grams.chunk_by(|a, b| a >> shift == b >> shift) {
            let (context, token) = split(run[0] >> shift);
            let mut parts = [0u32; PARTS];
            run.iter().for_each(|gram| parts[*gram as usize % PARTS] += 1);
            let (all, most) = (run.len() as u32, parts.into_iter().max().unwrap_or(0));
            let count = all.min(4 * (all - most)).max(1);
            if level.contexts.last() != Some(&context) {
                // Contexts without entries are dropped: nothing of them can be selected.
                if level.contexts.last().is_some() && level.start.last() == Some(&(level.token.len() as u32)) {
                    level.contexts.pop();
                    level.start.pop();
                    level.total.pop();
                    level.once.pop();
                }
                level.contexts.push(context);
                level.start.push(level.token.len() as u32);
                level.total.push(0);
                level.once.push(0);
            }
            let last = level.total.len() - 1;
            level.total[last] += count;
            if let Some(n) = level.seen.get_mut(all as usize - 1) {
                *n += 1;
            }
            if count == 1 {
                level.once[last] += 1;
            } else {
                level.token.push(token);
                level.count.push(count);
            }
        }
        level.start.push(level.token.len() as u32);
        level
    }
}
