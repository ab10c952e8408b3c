//! Counts of n-grams, as lists per context.
//!
//! What one document says a thousand times, another may never say: documents are dealt into 16 parts, and an n-gram
//! counts at most four times as often as it is seen outside the part where it is most frequent, but at least once.

/// Bits of a token in an n-gram's key; the lowest 4 bits are the part of the text.
pub const TOKEN_BITS: u32 = 15;
const TOKEN_MASK: u64 = (1 << TOKEN_BITS) - 1;
const PARTS: usize = 16;

/// The context `tokens` tokens long that `key`, a longer context, ends with.
pub fn suffix(key: u64, tokens: usize) -> u64 {
    key & ((1 << (TOKEN_BITS as usize * tokens)) - 1)
}

/// A context as the context before its last token, and that token.
pub fn split(key: u64) -> (u64, u16) {
    (key >> TOKEN_BITS, (key & TOKEN_MASK) as u16)
}

/// The continuations of all contexts of one length. Continuations seen once are summed only.
pub struct Level {
    /// Contexts in order: their tokens, oldest in the highest bits.
    pub contexts: Vec<u64>,
    /// Where each context's entries start, and the end of the last.
    pub start: Vec<u32>,
    /// How often each context was followed by anything, and by things seen once.
    pub total: Vec<u32>,
    pub once: Vec<u32>,
    pub token: Vec<u16>,
    pub count: Vec<u32>,
    /// Numbers of n-grams seen 1, 2, 3 and 4 times, for discounts.
    pub seen: [u64; 4],
}

pub struct Counts {
    pub unigram: Vec<u32>,
    pub levels: [Level; 3],
}

impl Counts {
    pub fn of(tokens: Vec<u16>, vocabulary: usize) -> Counts {
        assert!(vocabulary <= 1 << TOKEN_BITS);
        let mut unigram = vec![0; vocabulary];
        tokens.iter().for_each(|&t| unigram[usize::from(t)] += 1);
        let mut part = 0;
        let gram = |w: &[u16]| {
            part += u64::from(w[0] == 0);
            (w.iter().fold(0, |key, &t| key << TOKEN_BITS | u64::from(t)) << 4) | (part * 7 % PARTS as u64)
        };
        let mut grams: Vec<u64> = tokens.windows(4).map(gram).collect();
        drop(tokens);
        grams.sort_unstable();
        let level = |order| Level::of(&grams, order);
        Counts { unigram, levels: [level(2), level(3), level(4)] }
    }
}

impl Level {
    pub fn entries(&self) -> usize {
        self.token.len()
    }

    /// The list of a context.
    pub fn list(&self, context: usize) -> std::ops::Range<usize> {
        self.start[context] as usize..self.start[context + 1] as usize
    }

    /// From sorted 4-grams. The text's last three tokens are lost to shorter n-grams.
    fn of(grams: &[u64], order: u32) -> Level {
        let shift = 4 + (4 - order) * TOKEN_BITS;
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
                // Nothing can be kept of contexts that were seen once, or by singletons alone.
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
