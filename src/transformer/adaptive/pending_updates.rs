//! What a lane has yet to learn from.

use super::head::Prediction;

/// A lane's.
#[derive(Default)]
pub struct PendingUpdates {
    /// What was predicted to follow the last token.
    last: Option<Prediction>,
    /// What was predicted before the last token, and that: it may still be taken back.
    unsure: Option<(Prediction, u32)>,
}

impl PendingUpdates {
    /// The lane is emptied.
    pub fn reset(&mut self) {
        *self = PendingUpdates::default();
    }

    /// The last token is taken back.
    pub fn retract(&mut self) {
        self.last = self.unsure.take().map(|(prediction, _)| prediction);
    }

    /// Tokens are appended. What can't be taken back any more is to be learned: `learn` is told of predictions and what came.
    pub fn append(&mut self, tokens: &[u32], mut learn: impl FnMut(Prediction, u32)) {
        let [first, ref rest @ ..] = *tokens else { return };
        if let Some((prediction, token)) = self.unsure.take() {
            learn(prediction, token);
        }
        match self.last.take() {
            Some(prediction) if rest.is_empty() => self.unsure = Some((prediction, first)),
            Some(prediction) => learn(prediction, first),
            None => {}
        }
    }

    /// This follows the tokens that were appended.
    pub fn predicted(&mut self, prediction: Prediction) {
        self.last = Some(prediction);
    }
}
