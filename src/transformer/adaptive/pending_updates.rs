//! Predictions that have not been learned from yet, because the token that came may still be retracted.

use super::head::Prediction;

use std::collections::VecDeque;

/// The open predictions of one lane.
#[derive(Default)]
pub struct PendingUpdates {
    /// The prediction of the token after the last one.
    next: Option<Prediction>,
    /// The last tokens that can be retracted, each with its prediction, if there was one.
    open: VecDeque<(Option<Prediction>, u32)>,
}

impl PendingUpdates {
    /// The lane was reset.
    pub fn reset(&mut self) {
        *self = PendingUpdates::default();
    }

    /// The last `count` tokens were retracted.
    pub fn retract(&mut self, count: usize) {
        for _ in 0..count {
            self.next = self.open.pop_back().and_then(|(prediction, _)| prediction);
        }
    }

    /// Tokens are appended, after which the last `open` of the lane can be retracted. Calls `learn` with each prediction that this
    /// makes certain, and the token that came.
    pub fn append(&mut self, tokens: &[u32], open: usize, mut learn: impl FnMut(Prediction, u32)) {
        for &token in tokens {
            self.open.push_back((self.next.take(), token));
        }
        let certain = self.open.len().saturating_sub(open);
        for (prediction, token) in self.open.drain(..certain) {
            if let Some(prediction) = prediction {
                learn(prediction, token);
            }
        }
    }

    /// The prediction of the token after the appended ones.
    pub fn predicted(&mut self, prediction: Prediction) {
        self.next = Some(prediction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transformer::tests::fixtures::small_model;

    /// A prediction that can be told from others by the length of its trace.
    fn prediction(number: usize) -> Prediction {
        let model = small_model(1);
        let cumulative: Vec<u32> = (0..=model.outputs() as u32).collect();
        Prediction::new(&model, &[], &cumulative, vec![0.0; number])
    }

    /// What is learned when `tokens` are appended: the numbers of predictions, and the tokens that came.
    fn append(pending: &mut PendingUpdates, tokens: &[u32]) -> Vec<(usize, u32)> {
        append_open(pending, tokens, 1)
    }

    /// The same if the last `open` tokens may be retracted.
    fn append_open(pending: &mut PendingUpdates, tokens: &[u32], open: usize) -> Vec<(usize, u32)> {
        let mut learned = Vec::new();
        pending.append(tokens, open, |prediction, token| learned.push((prediction.trace.len(), token)));
        learned
    }

    #[test]
    fn a_prediction_is_learned_once_its_token_can_no_longer_be_retracted() {
        let mut pending = PendingUpdates::default();
        assert_eq!(append(&mut pending, &[10]), []);
        pending.predicted(prediction(1));
        assert_eq!(append(&mut pending, &[11]), [], "token 11 may still be retracted");
        pending.predicted(prediction(2));
        assert_eq!(append(&mut pending, &[12]), [(1, 11)]);
        pending.predicted(prediction(3));
        assert_eq!(append(&mut pending, &[13, 14]), [(2, 12), (3, 13)], "token 14 makes token 13 certain");
        assert_eq!(append(&mut pending, &[15]), [], "nothing was predicted after token 14");
    }

    #[test]
    fn a_retracted_token_is_never_learned() {
        let mut pending = PendingUpdates::default();
        append(&mut pending, &[10]);
        pending.predicted(prediction(1));
        append(&mut pending, &[11]);
        pending.predicted(prediction(2));
        pending.retract(1);
        assert_eq!(append(&mut pending, &[12]), [], "prediction 1 is open again");
        pending.predicted(prediction(3));
        assert_eq!(append(&mut pending, &[13]), [(1, 12)]);
        pending.reset();
        assert_eq!(append(&mut pending, &[14, 15]), []);
    }

    #[test]
    fn several_tokens_can_be_retracted_while_they_are_open() {
        let mut pending = PendingUpdates::default();
        for token in 10..14 {
            assert_eq!(append_open(&mut pending, &[token], 3), []);
            pending.predicted(prediction(token as usize));
        }
        // Of 11, 12 and 13 the last two go. Prediction 11 is open again.
        pending.retract(2);
        assert_eq!(append_open(&mut pending, &[20, 21], 3), []);
        assert_eq!(append_open(&mut pending, &[22], 1), [(10, 11), (11, 20)], "nothing was predicted after token 20");
    }
}
