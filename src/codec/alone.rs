//! The cost of a text under a transformer alone: a measure of models, with which nothing is coded.

use super::language_model::LanguageModel;
use crate::error::Error;
use crate::experts::token::trie::VIRTUAL;
use crate::transformer::{Backend, Session, Step};
use std::iter::once;

/// Tokens evaluated at a time.
const BATCH: usize = 32;

impl LanguageModel {
    /// Bits that the transformer alone takes to code `text`, cut into the longest tokens, while its head learns: the sum of
    /// -log2 P(token).
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    pub fn bits(&self, text: &[u8], threads: usize) -> Result<f64, Error> {
        Ok(self.cost(self.trie().tokenize(text), &mut *self.backend(1, 0, threads)?))
    }

    /// The same for a text that is cut into `tokens`, by the transformer as it is: it does not learn.
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    pub fn frozen_bits<'a>(&self, tokens: impl Iterator<Item = &'a [u8]>, threads: usize) -> Result<f64, Error> {
        let mut session = Session::new(self.model().clone(), 1, threads, self.window(1))?;
        Ok(self.cost(tokens, &mut session))
    }

    /// The cost of tokens in the only lane of `backend`.
    #[expect(clippy::disallowed_methods, reason = "nothing is coded with it")]
    fn cost<'a>(&self, tokens: impl Iterator<Item = &'a [u8]>, backend: &mut dyn Backend) -> f64 {
        let trie = self.trie();
        let outputs: Vec<u32> = tokens.map(|token| trie.find(token).unwrap_or(VIRTUAL)).collect();
        let inputs: Vec<u32> =
            once(self.model().start()).chain(outputs.iter().map(|&token| self.input_token(token))).collect();
        let size = trie.order().iter().filter(|&&id| id != VIRTUAL).max().map_or(0, |&id| id as usize + 1);
        let mut positions = vec![0; size];
        for (position, &id) in trie.order().iter().enumerate().filter(|(_, id)| **id != VIRTUAL) {
            positions[id as usize] = position;
        }
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
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_cheaper_than_noise() {
        let model = LanguageModel::embedded().unwrap();
        let text = b"It was the best of times, it was the worst of times.";
        let english = model.bits(text, 1).unwrap() / 52.0;
        let noise = model.bits(b"\xFF\x01qzj\x80\x90 xkw\xE2\x13vv#\xC0~", 1).unwrap() / 18.0;
        assert!(english > 0.5 && english < 3.5 && noise > 6.0, "{english} {noise}");
        assert_eq!(model.bits(b"", 1).unwrap(), 0.0);
        let letters = model.frozen_bits(text.chunks(1), 1).unwrap() / 52.0;
        assert!(letters > english, "{english} {letters}");
        // The head learns between batches.
        let again = text.repeat(10);
        let frozen = model.frozen_bits(model.trie().tokenize(&again), 1).unwrap();
        let learning = model.bits(&again, 1).unwrap();
        assert!(frozen != learning && frozen < 52.0 * 35.0, "{frozen} {learning}");
    }
}
