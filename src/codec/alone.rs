//! The cost of a text under a transformer alone: a measure of models.

use super::language_model::LanguageModel;
use crate::error::Error;
use crate::experts::token::trie::VIRTUAL;
use crate::num::elementary::ln;
use crate::transformer::checkpoint::{Checkpoint, FloatMatrix};
use crate::transformer::{Backend, Session, Step, float};
use std::iter::once;

/// Tokens evaluated at a time.
const BATCH: usize = 32;
/// Tokens of a text on which [`LanguageModel::int8_cost`] compares.
const COMPARED: usize = 512;

/// What a text costs a transformer in int8, and without rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Int8Cost {
    /// Bytes of the text's first tokens, on which both were compared.
    pub bytes: usize,
    /// Bits that these take in int8.
    pub int8: f64,
    /// The same with weights as the files have them, computed in binary32.
    pub binary32: f64,
}

impl LanguageModel {
    /// Bits that the transformer alone takes to code `text`, cut into the longest tokens, while its head learns: the sum of
    /// -log2 P(token).
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    pub fn bits(&self, text: &[u8], threads: usize) -> Result<f64, Error> {
        Ok(self.costs(&self.ids(self.trie().tokenize(text)), &mut *self.backend(1, 0, threads)?).iter().sum())
    }

    /// The same for a text that is cut into `tokens`, by the transformer as it is: it does not learn. Every machine computes the same.
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    pub fn frozen_bits<'a>(&self, tokens: impl Iterator<Item = &'a [u8]>, threads: usize) -> Result<f64, Error> {
        Ok(self.frozen_costs(&self.ids(tokens), threads)?.iter().sum())
    }

    /// What rounding to int8 costs, on the first of `tokens`: compares with `unrounded`, the same model.
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    pub fn int8_cost<'a>(
        &self,
        tokens: impl Iterator<Item = &'a [u8]>,
        unrounded: &Checkpoint<FloatMatrix>,
        threads: usize,
    ) -> Result<Int8Cost, Error> {
        // Attention in binary32 has no window.
        let tokens: Vec<&[u8]> = tokens.take(COMPARED.min(self.window(1) - 2)).collect();
        let ids = self.ids(tokens.iter().copied());
        let listed: Vec<u32> = self.trie().model_order();
        // A byte that is no token has a mass in int8 only.
        let next: Vec<Option<u32>> = ids.iter().map(|&id| Some(id).filter(|&id| id != VIRTUAL)).collect();
        let int8 = self.frozen_costs(&ids, threads)?;
        let binary32 = float::costs(unrounded, &self.inputs(&ids)[..ids.len()], &next, &listed);
        Ok(Int8Cost {
            bytes: tokens.iter().map(|token| token.len()).sum(),
            int8: int8.iter().zip(&next).filter(|(_, next)| next.is_some()).map(|(cost, _)| cost).sum(),
            binary32: binary32.iter().sum(),
        })
    }

    /// The ids of tokens by their bytes.
    fn ids<'a>(&self, tokens: impl Iterator<Item = &'a [u8]>) -> Vec<u32> {
        tokens.map(|token| self.trie().find(token).unwrap_or(VIRTUAL)).collect()
    }

    /// What the transformer is fed to predict tokens, and the last one.
    fn inputs(&self, ids: &[u32]) -> Vec<u32> {
        once(self.model().start()).chain(ids.iter().map(|&id| self.input_token(id))).collect()
    }

    fn frozen_costs(&self, ids: &[u32], threads: usize) -> Result<Vec<f64>, Error> {
        let mut session = Session::new(self.model().clone(), 1, threads, self.window(1))?;
        Ok(self.costs(ids, &mut session))
    }

    /// The cost of each token in the only lane of `backend`.
    fn costs(&self, ids: &[u32], backend: &mut dyn Backend) -> Vec<f64> {
        let trie = self.trie();
        let inputs = self.inputs(ids);
        let size = trie.order().iter().filter(|&&id| id != VIRTUAL).max().map_or(0, |&id| id as usize + 1);
        let mut positions = vec![0; size];
        for (position, &id) in trie.order().iter().enumerate().filter(|(_, id)| **id != VIRTUAL) {
            positions[id as usize] = position;
        }
        let mut costs = Vec::with_capacity(ids.len());
        for (tokens, next) in inputs.chunks(BATCH).zip(ids.chunks(BATCH)) {
            let tokens = &tokens[..next.len()];
            backend.advance(&[Step { lane: 0, tokens, from: 0, open: 1 }], &mut |_, index, cumulative| {
                trie.insert_virtual(cumulative);
                let total = cumulative.last().copied().unwrap_or_default();
                let mass = match next[index] {
                    VIRTUAL => 1,
                    id => cumulative[positions[id as usize] + 1] - cumulative[positions[id as usize]],
                };
                costs.push((ln(f64::from(total)) - ln(f64::from(mass))) / std::f64::consts::LN_2);
            });
        }
        costs
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
