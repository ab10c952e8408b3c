//! Online training of the head and of the last feed-forward layers: dynamic evaluation (Krause et al., 2018).
//!
//! ```text
//! distribution ─► Prediction        what a gradient step needs of it, and of the activations that led to it
//! tokens       ─► PendingUpdates    a lane's predictions, until the token that came can no longer be retracted
//!                   ► head            one step of normalised least mean squares for each prediction
//!                   ► feed_forward    backpropagation and Adafactor, once for each batch of predictions
//! ```

mod feed_forward;
mod head;
mod matrix;
mod pending_updates;

pub use feed_forward::FeedForward;
pub use head::{Head, Prediction};
pub use pending_updates::PendingUpdates;

use super::checkpoint::Config;
use super::model::Model;
use crate::error::{Error, ErrorKind};
use std::{io, mem};

/// Learning rates.
#[derive(Clone, Copy)]
pub struct Rates {
    /// The limit of the head's after many steps.
    pub head: f32,
    /// The root mean square of a feed-forward layer's step, relative to that of the weights.
    pub layers: f32,
}

impl Rates {
    /// Those for a model of this shape. They were measured with the embedded transformer and with SmolLM2-135M.
    pub fn of(config: &Config) -> Rates {
        if config.is_large() { Rates { head: 0.05, layers: 0.0012 } } else { Rates { head: 0.02, layers: 0.0004 } }
    }
}

/// A session's trainable copies of the head and of the last feed-forward layers.
pub struct Adaptive {
    pub head: Head,
    pub feed_forward: FeedForward,
    /// Gradient of the cross-entropy with respect to the head's input, `hidden` elements.
    gradient: Vec<f32>,
}

impl Adaptive {
    /// Copies of the model's head and of its last `layers` feed-forward layers.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if memory cannot be allocated.
    pub fn new(model: &Model, layers: usize) -> Result<Self, Error> {
        let no_memory =
            |error: io::Error| Error::new(ErrorKind::Io, format!("no memory for layers that adapt: {error}"));
        let head = Head::new(model).map_err(no_memory)?;
        let feed_forward = FeedForward::new(model, layers).map_err(no_memory)?;
        Ok(Adaptive { head, feed_forward, gradient: vec![0.0; model.config.hidden] })
    }

    /// From now on nothing has changed.
    pub fn forget_changes(&mut self) {
        self.head.forget_changes();
        self.feed_forward.forget_changes();
    }

    /// Ends a call's lessons: makes the int8 copies of what they changed.
    pub fn finish_changes(&mut self, model: &Model) {
        self.head.finish_changes(model);
    }

    /// Learns that output `target` followed; [`Adaptive::finish_changes`] comes after the last lesson of a call. The feed-forward layers use the head's weights from before its own step.
    pub fn learn(&mut self, model: &Model, mut prediction: Prediction, target: usize) {
        if self.feed_forward.learns() {
            self.head.gradient(model, &prediction, target, &mut self.gradient);
            self.feed_forward.learn(model, mem::take(&mut prediction.trace), &self.gradient);
        }
        self.head.learn(model, &prediction, target);
    }
}
