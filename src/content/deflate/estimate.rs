//! Which encoder made a stream: the parameters under which the fewest of its tokens are predicted wrongly.

use super::format::{Block, Body, MIN_MATCH, Token};
use super::matcher::{EXACT_3, EXACT_4, Matcher, Parameters, Search, WINDOWS};

/// Tokens that are looked at to tell most parameters apart.
const SAMPLE: usize = 2048;
/// Levels in the order of how often they are met.
const LEVELS: [usize; 9] = [6, 9, 1, 8, 7, 5, 4, 3, 2];
/// Streams of which a larger share of tokens is predicted wrongly are not of zlib's kind: 1 in so many.
const HOPELESS: usize = 3;

/// The parameters that suit a stream best; none where none do. `guess` are those of the stream before.
pub fn estimate(plain: &[u8], blocks: &[Block], guess: Option<Parameters>) -> Option<Parameters> {
    let stream = Stream { plain, blocks };
    let base = stream.base();
    if let Some(guess) = guess {
        let guess = Parameters { block_tokens: base.block_tokens, whole_window: base.whole_window, ..guess };
        if stream.misses(guess, usize::MAX, 0) == 0 {
            return Some(guess);
        }
    }
    let mut best = (usize::MAX, base);
    let mut consider = |parameters: Parameters| {
        let misses = if best.0 == 0 { 1 } else { stream.misses(parameters, SAMPLE, best.0) };
        if misses < best.0 {
            best = (misses, parameters);
        }
        best
    };
    let bits = if base.block_tokens == 32767 { [16, 15] } else { [15, 16] };
    for useful in [MIN_MATCH as u16, 6] {
        for level in LEVELS {
            consider(Parameters { search: Search::of_level(level), useful, hash: bits[0], ..base });
        }
    }
    for hash in [bits[1], EXACT_4, EXACT_3] {
        for level in LEVELS {
            consider(Parameters { search: Search::of_level(level), hash, ..base });
        }
    }
    consider(Parameters { search: WINDOWS, hash: EXACT_3, whole_window: true, ..base });
    let (_, found) = consider(base);
    let (misses, found) = consider(Parameters { whole_window: true, ..found });
    if misses * HOPELESS > SAMPLE.min(stream.tokens().count()) {
        return None;
    }
    // Levels that the sample doesn't tell apart.
    let mut best = (stream.misses(found, usize::MAX, usize::MAX), found);
    if best.0 > 0 {
        for level in LEVELS {
            let other = Parameters { search: Search::of_level(level), ..found };
            if stream.misses(other, SAMPLE, misses.saturating_add(1)) <= misses {
                let misses = stream.misses(other, usize::MAX, best.0);
                if misses < best.0 {
                    best = (misses, other);
                }
            }
        }
    }
    Some(best.1)
}

struct Stream<'a> {
    plain: &'a [u8],
    blocks: &'a [Block],
}

impl Stream<'_> {
    /// What can be read off the tokens.
    fn base(&self) -> Parameters {
        let (mut at, mut whole_window) = (0, false);
        for block in self.blocks {
            let (tokens, len) = tokens_of(block);
            at += len;
            for token in tokens {
                let distance = usize::from(token.value);
                whole_window |= token.len > 0 && (distance == at || distance > (1 << 15) - 262);
                at += token.span();
            }
        }
        let counts = self.blocks.iter().filter(|block| !block.last).map(|block| tokens_of(block).0.len());
        let most = counts.max().filter(|&count| count > 0).unwrap_or(16383);
        Parameters { whole_window, block_tokens: most as u32, ..Parameters::default() }
    }

    fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.blocks.iter().flat_map(|block| tokens_of(block).0)
    }

    /// How many of the first `sample` tokens are predicted wrongly, if fewer than `enough`.
    fn misses(&self, parameters: Parameters, sample: usize, enough: usize) -> usize {
        let mut matcher = Matcher::new(self.plain, parameters);
        let (mut misses, mut seen) = (0, 0);
        let total = self.tokens().count();
        let mut ahead = if total / 3 > sample { total / 2 } else { 0 };
        for block in self.blocks {
            let (tokens, len) = tokens_of(block);
            if len > 0 {
                matcher.skip(len);
            }
            for &token in tokens {
                if ahead > 0 {
                    ahead -= 1;
                    matcher.skip(token.span());
                    continue;
                }
                let predicted = matcher.predict();
                matcher.accept(token, predicted);
                misses += usize::from(token != predicted);
                seen += 1;
                if seen >= sample || misses > enough {
                    return misses;
                }
            }
        }
        misses
    }
}

/// A block's tokens, or the number of its stored bytes.
fn tokens_of(block: &Block) -> (&[Token], usize) {
    match &block.body {
        Body::Stored { len, .. } => (&[], *len),
        Body::Fixed(tokens) | Body::Dynamic(tokens, _) => (tokens, 0),
    }
}
