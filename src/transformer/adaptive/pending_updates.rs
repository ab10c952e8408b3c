//! Predictions that have not been learned from yet, because the token that came may still be retracted.

use super::head::Prediction;

/// The open predictions of one lane.
#[derive(Default)]
pub struct PendingUpdates {
    /// The prediction of the token after the last one.
    next: Option<Prediction>,
    /// The prediction of the last token, and that token.
    last: Option<(Prediction, u32)>,
}

impl PendingUpdates {
    /// The lane was reset.
    pub fn reset(&mut self) {
        *self = PendingUpdates::default();
    }

    /// The last token was retracted.
    pub fn retract(&mut self) {
        self.next = self.last.take().map(|(prediction, _)| prediction);
    }

    /// Tokens are appended. Calls `learn` with each prediction that they make certain, and the token that came.
    pub fn append(&mut self, tokens: &[u32], mut learn: impl FnMut(Prediction, u32)) {
        let [first, ref rest @ ..] = *tokens else { return };
        if let Some((prediction, token)) = self.last.take() {
            learn(prediction, token);
        }
        match self.next.take() {
            Some(prediction) if rest.is_empty() => self.last = Some((prediction, first)),
            Some(prediction) => learn(prediction, first),
            None => {}
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
        let mut learned = Vec::new();
        pending.append(tokens, |prediction, token| learned.push((prediction.trace.len(), token)));
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
        pending.retract();
        assert_eq!(append(&mut pending, &[12]), [], "prediction 1 is open again");
        pending.predicted(prediction(3));
        assert_eq!(append(&mut pending, &[13]), [(1, 12)]);
        pending.reset();
        assert_eq!(append(&mut pending, &[14, 15]), []);
    }
}
