//! The data that a forward pass works on: rows (one token each), lanes (one text each), and what all of them share.

use super::adaptive::{Adaptive, PendingUpdates, Prediction};
use super::cache::Cache;
use super::model::Model;
use super::rope::{Rope, RotaryAngles};
use super::table::Table;
use std::sync::Arc;

/// One token of one lane on its way through the model.
#[derive(Default)]
pub struct Row {
    /// Index of the lane in the session.
    pub lane: usize,
    /// Number of tokens before this one in the lane.
    pub position: usize,
    /// The token's id.
    pub token: u32,
    /// Index of the step and of the token in that step, if the caller wants the distribution of the next token.
    pub output: Option<(usize, usize)>,
    /// Cumulative masses of the next token, `outputs + 1` entries; what the evaluation gives if `output` is set.
    pub cumulative: Table,
    /// What a gradient step will need of this row; what the evaluation gives if layers adapt and `output` is set.
    pub prediction: Option<Prediction>,
    /// Rotary angles of `position`.
    pub angles: RotaryAngles,
}

/// One text: its length and its KV cache.
pub struct Lane {
    /// Tokens in the lane.
    pub len: usize,
    /// The largest `len` since the last reset: how far the cache's ring has been overwritten.
    pub max_len: usize,
    pub cache: Cache,
    pub pending: PendingUpdates,
}

impl Lane {
    /// A lane without tokens.
    pub fn new(cache: Cache) -> Self {
        Lane { len: 0, max_len: 0, cache, pending: PendingUpdates::default() }
    }
}

/// What all rows of a session have in common. Immutable during a forward pass.
pub struct Shared {
    pub model: Arc<Model>,
    pub rope: Rope,
    /// Scales of 1.0 for the product with the cached values, whose own scales are folded into the attention weights.
    pub unit_scales: Vec<f32>,
    /// Trainable copies that replace the model's head and last feed-forward layers.
    pub adaptive: Option<Adaptive>,
}
