//! The cost of a text under a transformer alone: a measure of models, with which nothing is coded.

use super::language_model::LanguageModel;
use crate::error::Error;
use crate::experts::token::trie::VIRTUAL;
use crate::transformer::Step;

/// Tokens evaluated at a time.
const BATCH: usize = 32;

impl LanguageModel {
    /// Bits that the transformer alone takes to code `text`, cut into the longest tokens: the sum of -log2 P(token).
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    #[expect(clippy::disallowed_methods, reason = "nothing is coded with it")]
    pub fn bits(&self, text: &[u8], threads: usize) -> Result<f64, Error> {
        let trie = self.trie();
        let inputs = self.prompt(text);
        let outputs: Vec<u32> = trie.tokenize(text).map(|token| trie.find(token).unwrap_or(VIRTUAL)).collect();
        let size = trie.order().iter().filter(|&&id| id != VIRTUAL).max().map_or(0, |&id| id as usize + 1);
        let mut positions = vec![0; size];
        for (position, &id) in trie.order().iter().enumerate().filter(|(_, id)| **id != VIRTUAL) {
            positions[id as usize] = position;
        }
        let mut backend = self.backend(1, 0, threads)?;
        let mut bits = 0.0;
        for (tokens, next) in inputs.chunks(BATCH).zip(outputs.chunks(BATCH)) {
            let tokens = &tokens[..next.len()];
            backend.advance(&[Step { lane: 0, tokens, from: 0, open: 1 }], &mut |_, index, cumulative| {
                trie.insert_virtual(cumulative);
                let total = cumulative.last().copied().unwrap_or_default();
                let mass = match next[index] {
                    VIRTUAL => 1,
                    id => cumulative[positions[id as usize] + 1] - cumulative[positions[id as usize]],
                };
                bits += f64::from(total).log2() - f64::from(mass).log2();
            });
        }
        Ok(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_cheaper_than_noise() {
        let model = LanguageModel::embedded().unwrap();
        let english = model.bits(b"It was the best of times, it was the worst of times.", 1).unwrap() / 52.0;
        let noise = model.bits(b"\xFF\x01qzj\x80\x90 xkw\xE2\x13vv#\xC0~", 1).unwrap() / 18.0;
        assert!(english > 0.5 && english < 3.5 && noise > 6.0, "{english} {noise}");
        assert_eq!(model.bits(b"", 1).unwrap(), 0.0);
    }
}
