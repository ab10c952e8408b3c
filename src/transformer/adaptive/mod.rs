//! Layers that adapt to the text as it becomes known: dynamic evaluation (Krause et al., 2018) of the head and of the last
//! feed-forward layers.
//!
//! ```text
//! a distribution ─► Prediction   what a lesson needs of it, and of what led to it
//! tokens         ─► PendingUpdates  a lane's predictions, until what came is sure
//!                     ► head          learns at once
//!                     ► feed_forward  learns from some lessons together
//! ```

mod feed_forward;
mod head;
mod matrix;
mod pending_updates;

pub use feed_forward::FeedForward;
pub use head::{Head, Prediction};
pub use pending_updates::PendingUpdates;

use super::model::Model;
use crate::error::{Error, ErrorKind};
use std::{io, mem};

/// What a session has of its own in its model's place.
pub struct Adaptive {
    pub head: Head,
    pub feed_forward: FeedForward,
    /// How the cost of a prediction changes with the head's input.
    gradient: Vec<f32>,
}

impl Adaptive {
    /// The model's head, and so many of its last feed-forward layers.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where there is no memory.
    pub fn new(model: &Model, layers: usize) -> Result<Self, Error> {
        let no_memory =
            |error: io::Error| Error::new(ErrorKind::Io, format!("no memory for layers that adapt: {error}"));
        let head = Head::new(model).map_err(no_memory)?;
        let feed_forward = FeedForward::new(model, layers).map_err(no_memory)?;
        Ok(Adaptive { head, feed_forward, gradient: vec![0.0; model.config.hidden] })
    }

    /// Learns that `target` came.
    pub fn learn(&mut self, model: &Model, mut prediction: Prediction, target: usize) {
        if self.feed_forward.learns() {
            self.head.gradient(model, &prediction, target, &mut self.gradient);
            self.feed_forward.learn(model, mem::take(&mut prediction.trace), &self.gradient);
        }
        self.head.learn(model, &prediction, target);
    }
}
