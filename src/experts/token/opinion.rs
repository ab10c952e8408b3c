//! What a lane's tokens say of the next bit, and what they ask the transformer.

/// Classes of certainty where tokens end.
pub const CLASSES: usize = 5;

/// A request to the transformer in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// How many of the last tokens fed must be removed from the context first.
    pub retract: usize,
    /// Tokens to feed. The distribution after the last one is wanted; if there are none, no distribution is.
    pub tokens: Vec<u32>,
    /// How many of the context's last tokens may still be retracted after that.
    pub open: usize,
}

/// What a lane's tokens say of the next bit.
pub struct Opinion {
    /// P(1) in units of 2^-16.
    pub p16: u32,
    /// How certain it is where tokens end, below [`CLASSES`].
    pub class: usize,
    /// P(1) of single hypotheses.
    pub single: [Option<u32>; 2],
}
