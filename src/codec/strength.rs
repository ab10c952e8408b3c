//! How good a transformer is, which decides how the mixture starts.

use super::language_model::LanguageModel;
use crate::error::Error;
use crate::experts::token::expert::Cuts;

/// The text that a transformer is measured on. Archives depend on it.
const TEXT: &[u8] = b"In the spring of that year the river rose above its banks and flooded the lower town. Most of the people \
had left the day before; those who stayed carried their things to the upper floors and waited for the rain to stop. The school, \
which stands on a hill, was open to everyone. \"We have room for all of you,\" said the teacher, \"but not for the cows.\"\n";

/// The most bits per byte of [`TEXT`] that a strong model takes. SmolLM2-135M takes 1.10, a model of 6 million weights that gains a little
/// by what is done for strong ones 1.78, one of 0.3 million that loses 2 % by it 2.38.
const STRONG: f64 = 2.0;

impl LanguageModel {
    /// Whether it may be better than any mixture: an external model that predicts ordinary text well. Every machine finds the same.
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    pub fn is_strong(&self) -> Result<bool, Error> {
        Ok(self.cuts() == Cuts::ByModel && self.strength()? <= STRONG)
    }

    /// What the model is fed before a block's text: the start token. Then a strong one reads [`TEXT`] to its end, after which it
    /// expects another text of the kind that it was trained on first, even if it was tuned for chat later.
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    pub fn opening(&self) -> Result<Vec<u32>, Error> {
        if !self.is_strong()? {
            return Ok(self.prompt(&[]));
        }
        Ok([self.prompt(TEXT), vec![self.model().separator()]].concat())
    }

    /// Bits per byte of [`TEXT`].
    fn strength(&self) -> Result<f64, Error> {
        if let Some(&strength) = self.measured.get() {
            return Ok(strength);
        }
        let strength = self.frozen_bits(self.trie().tokenize(TEXT), 1)? / TEXT.len() as f64;
        Ok(*self.measured.get_or_init(|| strength))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::profile::Profile;
    use crate::codec::{CodecConfig, LanePolicy, Preset, Verify, companion, decode, encode};
    use crate::content::{Filter, Kind};
    use crate::transformer::checkpoint::{Checkpoint, Config, Extras, Matrix};
    use crate::transformer::tests::fixtures::random_checkpoint;
    use std::sync::Arc;
    use xxhash_rust::xxh3::xxh3_64;

    /// Bytes of a token of [`TEXT`].
    const PIECE: usize = 8;

    fn random(tokens: Vec<Vec<u8>>, feed_forward: usize) -> Checkpoint {
        let config = Config {
            vocabulary: tokens.len(),
            hidden: 64,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_dim: 32,
            feed_forward,
            norm_eps: 1e-5,
            rope_theta: 1e4,
            context: 256,
            extras: Extras::default(),
        };
        Checkpoint { tokens, ..random_checkpoint(config, false, 5) }
    }

    fn model(checkpoint: Checkpoint) -> Arc<LanguageModel> {
        Arc::new(LanguageModel::new(checkpoint, "test", Cuts::ByModel).unwrap())
    }

    /// A model that knows which piece of [`TEXT`] follows which, and no byte of anything else.
    fn knowing() -> Arc<LanguageModel> {
        let mut checkpoint = random([vec![]].into_iter().chain(TEXT.chunks(PIECE).map(<[u8]>::to_vec)).collect(), 64);
        let count = checkpoint.tokens.len();
        let matrix = |one: &dyn Fn(usize, usize) -> bool, value: f32| {
            let values: Vec<f32> = (0..count * 64).map(|i| if one(i / 64, i % 64) { value } else { 0.0 }).collect();
            Matrix::quantise(count, 64, &values).unwrap()
        };
        checkpoint.embedding = matrix(&|row, column| row == column, 100.0);
        checkpoint.head = Some(matrix(&|row, column| row == column + 1, 4.0));
        model(checkpoint)
    }

    #[test]
    fn strength_is_what_a_model_knows() {
        let bytes = || (0..=255).map(|byte| vec![byte]).collect();
        let large = model(random(bytes(), 8_000));
        assert!(large.model().config().weights() > 3_000_000);
        let (large, knowing) = (large.strength().unwrap(), knowing());
        assert!(large > 6.0 && knowing.strength().unwrap() < 0.5, "{large}");
        assert!(knowing.is_strong().unwrap());
        assert!(!LanguageModel::embedded().unwrap().is_strong().unwrap());
    }

    #[test]
    fn a_strong_model_reads_a_text_to_its_end_first() {
        let opening = knowing().opening().unwrap();
        let pieces = TEXT.len().div_ceil(PIECE) as u32;
        assert_eq!(opening, [0].into_iter().chain(1..=pieces).chain([0]).collect::<Vec<u32>>());
        assert_eq!(LanguageModel::embedded().unwrap().opening().unwrap().len(), 1);
    }

    #[test]
    fn the_embedded_transformer_is_beside_strong_models_that_learn() {
        for (model, learning, is_beside) in [(Some(knowing()), 3, true), (Some(knowing()), 0, false), (None, 3, false)]
        {
            let config = CodecConfig::new(Preset::Neural, model, LanePolicy::UpTo(1)).unwrap().learning(learning);
            let profile = Profile::choose(&config, Kind::Binary, TEXT, Filter::None).unwrap();
            assert_eq!(companion(&config, profile).unwrap().is_some(), is_beside, "{learning} layers");
        }
    }

    /// The digests change with the format.
    #[test]
    fn archives_of_a_strong_model_come_back() {
        let config =
            |lanes| CodecConfig::new(Preset::Neural, Some(knowing()), LanePolicy::Exactly(lanes)).unwrap().learning(3);
        let text = [&TEXT[..200], b"Quite another sentence.\n", &TEXT.repeat(3)].concat();
        let mut lines = String::new();
        for lanes in [1, 2, 8] {
            let coded = encode(&config(lanes), Kind::Binary, &text, Verify::No, 1, &mut |_, _| true).unwrap();
            let (profile, payload) = (coded.profile, &coded.payload);
            let back = decode(&config(1), Kind::Binary, profile, payload, text.len(), 2, &mut |_, _| true).unwrap();
            assert!(back == text, "{lanes} lanes");
            lines += &format!("{lanes} lanes: {} bytes, {:016x}\n", payload.len(), xxh3_64(payload));
        }
        insta::assert_snapshot!(lines);
    }
}
