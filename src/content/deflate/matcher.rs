//! The search for matches as zlib does it (its deflate.c), on which predictions of tokens rest.

use super::format::{MAX_MATCH, MIN_MATCH, Token, WINDOW};

/// How an encoder of zlib's kind works: what the corrections begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    pub search: Search,
    /// zlib's hash of three bytes has so many bits, 9 to 16; [`EXACT_3`] and [`EXACT_4`] stand for hashes of three and four
    /// bytes without collisions.
    pub hash: u8,
    /// Matches shorter than this are not used in lazy evaluation.
    pub useful: u16,
    /// Whether distances go up to the window's size, and to the first byte, as they don't in zlib.
    pub whole_window: bool,
    /// The most tokens in a block.
    pub block_tokens: u32,
}

/// zlib's at level 6.
impl Default for Parameters {
    fn default() -> Self {
        let search = Search::of_level(6);
        Parameters { search, hash: 15, useful: MIN_MATCH as u16, whole_window: false, block_tokens: 16383 }
    }
}

/// How matches are looked for: zlib's `configuration_table` has these for each level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    pub mode: Mode,
    /// Once a match is this long, a better one is looked for with a quarter of the effort.
    pub good: u16,
    /// Once a match is this long, a better one is not looked for. In mode [`Mode::Greedy`]: the positions inside longer ones
    /// are not matched later.
    pub lazy: u16,
    /// A match of this length ends the search.
    pub nice: u16,
    /// Candidates looked at.
    pub chain: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each match is taken (zlib's levels 1 to 3).
    Greedy = 0,
    /// A match is taken if the next byte has no longer one (zlib's levels 4 to 9).
    Lazy = 1,
}

impl Search {
    /// zlib's search at `level`, 1 to 9.
    pub fn of_level(level: usize) -> Search {
        const GREEDY: [[u16; 4]; 3] = [[4, 4, 8, 4], [4, 5, 16, 8], [4, 6, 32, 32]];
        const LAZY: [[u16; 4]; 6] = [
            [4, 4, 16, 16],
            [8, 16, 32, 32],
            [8, 16, 128, 128],
            [8, 32, 128, 256],
            [32, 128, 258, 1024],
            [32, 258, 258, 4096],
        ];
        let (mode, [good, lazy, nice, chain]) = match level {
            ..=3 => (Mode::Greedy, GREEDY[level.max(1) - 1]),
            _ => (Mode::Lazy, LAZY[level.min(9) - 4]),
        };
        Search { mode, good, lazy, nice, chain }
    }
}

/// The PNG encoder of Windows.
pub const WINDOWS: Search = Search { mode: Mode::Lazy, good: 4, lazy: 0, nice: 258, chain: 5 };

pub const EXACT_3: u8 = 0;
pub const EXACT_4: u8 = 1;

/// Matches of three bytes that are farther than this cost more than literals.
const TOO_FAR: usize = 4096;
/// zlib keeps so much of the window for what lies ahead.
const AHEAD: usize = MAX_MATCH + MIN_MATCH + 1;
/// Candidates looked at where a match is named by its rank.
const RANKED: usize = 4096;

#[derive(Clone, Copy)]
struct Found {
    len: usize,
    distance: usize,
}

/// Predicts an encoder's next token from the plain bytes and its tokens so far.
pub struct Matcher<'a> {
    plain: &'a [u8],
    parameters: Parameters,
    farthest: usize,
    /// The last position of each hash, and of each position the one before it, plus 1.
    head: Vec<u32>,
    previous: Vec<u32>,
    /// The next token's position, and the first position that is not in the tables.
    pub at: usize,
    known: usize,
    /// Bytes that are hashed.
    hashed: usize,
    /// The match at `at` that was found when the byte before it was decided on.
    pending: Option<Found>,
}

impl<'a> Matcher<'a> {
    pub fn new(plain: &'a [u8], parameters: Parameters) -> Self {
        let bits = if parameters.hash < 9 { 16 } else { parameters.hash };
        Matcher {
            plain,
            parameters,
            farthest: if parameters.whole_window { WINDOW } else { WINDOW - AHEAD },
            head: vec![0; 1 << bits],
            previous: vec![0; WINDOW],
            at: 0,
            known: 0,
            hashed: if parameters.hash == EXACT_4 { 4 } else { MIN_MATCH },
            pending: None,
        }
    }

    pub fn left(&self) -> usize {
        self.plain.len() - self.at
    }

    /// The byte that comes next.
    pub fn byte(&self) -> u8 {
        self.plain[self.at]
    }

    /// Whether the next `len` bytes are those `distance` before.
    pub fn is_match(&self, len: usize, distance: usize) -> bool {
        distance <= self.at && self.common(self.at, self.at - distance) >= len
    }

    fn is_lazy(&self) -> bool {
        self.parameters.search.mode != Mode::Greedy
    }

    fn hash(&self, at: usize) -> usize {
        let [a, b, c] = [0, 1, 2].map(|i| usize::from(self.plain[at + i]));
        let fourth = |d: usize| (a << 16 | b << 8 | c).wrapping_mul(0x9E37_79B1) ^ d.wrapping_mul(0x2F0B_4C47);
        match self.parameters.hash {
            EXACT_3 => (fourth(0) & 0xFFFF_FFFF) >> 16,
            EXACT_4 => (fourth(self.plain[at + 3].into()) & 0xFFFF_FFFF) >> 16,
            bits => {
                let shift = u32::from(bits).div_ceil(3);
                (a << (2 * shift) ^ b << shift ^ c) & ((1 << bits) - 1)
            }
        }
    }

    /// Puts the positions before `end` into the tables.
    fn learn(&mut self, end: usize) {
        let end = end.min(self.plain.len().saturating_sub(self.hashed - 1));
        for at in self.known..end {
            let hash = self.hash(at);
            self.previous[at % WINDOW] = self.head[hash];
            self.head[hash] = at as u32 + 1;
        }
        self.known = self.known.max(end);
    }

    fn common(&self, at: usize, from: usize) -> usize {
        let most = MAX_MATCH.min(self.plain.len() - at);
        let (ahead, behind) = (&self.plain[at..at + most], &self.plain[from..from + most]);
        ahead.iter().zip(behind).take_while(|(a, b)| a == b).count()
    }

    /// Earlier positions with the hash of that at `at`, the nearest first.
    fn candidates(&self, at: usize, farthest: usize) -> impl Iterator<Item = usize> {
        let first = if at + self.hashed <= self.plain.len() { self.head[self.hash(at)] } else { 0 };
        let valid = move |link: u32, above: usize| {
            let from = (link as usize).checked_sub(1)?;
            (from < above && at - from <= farthest).then_some(from)
        };
        std::iter::successors(valid(first, at), move |&from| valid(self.previous[from % WINDOW], from))
    }

    /// zlib's `longest_match`: a match at `at` of more than `beaten` bytes.
    fn search(&self, at: usize, beaten: usize) -> Option<Found> {
        let Search { good, nice, chain, .. } = self.parameters.search;
        let mut chain = chain >> if beaten >= good.into() { 2 } else { 0 };
        let nice = usize::from(nice).min(self.plain.len() - at);
        let exact = self.parameters.hash < 9;
        let mut best = Found { len: beaten, distance: 0 };
        for from in self.candidates(at, self.farthest) {
            if from == 0 && !self.parameters.whole_window {
                break;
            }
            // Quick: the byte that would make it longer, and the first two.
            let longer = at + best.len < self.plain.len() && self.plain[from + best.len] == self.plain[at + best.len];
            if exact && self.plain[from..from + self.hashed] != self.plain[at..at + self.hashed] {
                continue;
            }
            if longer && self.plain[from] == self.plain[at] {
                let len = self.common(at, from);
                if len > best.len {
                    best = Found { len, distance: at - from };
                    if len >= nice {
                        break;
                    }
                }
            }
            chain = chain.saturating_sub(1);
            if chain == 0 {
                break;
            }
        }
        (best.distance > 0).then_some(best).filter(|&found| self.is_useful(found))
    }

    fn is_useful(&self, found: Found) -> bool {
        let useful = usize::from(self.parameters.useful);
        let far = found.len == MIN_MATCH && found.distance > TOO_FAR;
        !self.is_lazy() || (found.len >= useful && !far)
    }

    /// The next token, as the encoder would choose it.
    pub fn predict(&mut self) -> Token {
        let at = self.at;
        let literal = Token::literal(self.plain[at]);
        self.learn(at);
        let pending = self.pending.take();
        let Some(found) = pending.or_else(|| self.search(at, MIN_MATCH - 1)) else { return literal };
        if self.is_lazy() && found.len < self.parameters.search.lazy.into() && at + 1 < self.plain.len() {
            self.learn(at + 1);
            if let Some(better) = self.search(at + 1, found.len) {
                self.pending = Some(better);
                return literal;
            }
        }
        Token::copy(found.len, found.distance)
    }

    /// Goes on after `token`, which may be another than was predicted.
    pub fn accept(&mut self, token: Token, predicted: Token) {
        if token != predicted || token.len > 0 {
            self.pending = None;
        }
        let end = self.at + token.span();
        if !self.is_lazy() && token.len > 0 && token.len > self.parameters.search.lazy {
            // The fast levels skip the inside of long matches.
            self.learn(self.at + 1);
            self.known = self.known.max(end);
        }
        self.at = end;
    }

    /// Goes on after stored bytes.
    pub fn skip(&mut self, len: usize) {
        self.pending = None;
        self.at += len;
    }

    /// The rank, from 1 on, of the match of `len` bytes at `distance` among all of that length here; 0 if it isn't found.
    pub fn rank(&self, len: usize, distance: usize) -> u32 {
        let at = self.at;
        let mut rank = 0;
        for from in self.candidates(at, WINDOW).take(RANKED) {
            if self.common(at, from) >= len {
                rank += 1;
                if at - from == distance {
                    return rank;
                }
            }
        }
        0
    }

    /// The distance of the match of `len` bytes with this rank.
    pub fn ranked(&self, len: usize, rank: u32) -> Option<usize> {
        let at = self.at;
        let same = self.candidates(at, WINDOW).take(RANKED).filter(|&from| self.common(at, from) >= len);
        same.map(|from| at - from).nth(rank as usize - 1)
    }
}
