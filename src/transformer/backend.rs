//! The interface between the codec and whatever evaluates a model. [`super::Session`] implements it on the CPU.

use super::table::Table;

/// Tokens to append to one lane.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Index of the lane.
    pub lane: usize,
    /// Token ids, all below the model's vocabulary size.
    pub tokens: &'a [u32],
    /// Distributions are wanted after `tokens[from..]`; what follows earlier tokens is not computed.
    pub from: usize,
    /// How many of the lane's last tokens may still be retracted, these included. Adaptive layers learn from the others.
    pub open: usize,
}

/// A model with several lanes, each holding one text.
///
/// Distributions are defined to the bit by `docs/ARITHMETIC.md` and do not depend on threads or on the machine. They depend on
/// the lane's own tokens only, not on how these are divided into calls. Adaptive layers are the exception: they learn at the
/// beginning of each [`advance`](Backend::advance), from all lanes.
pub trait Backend {
    /// Empties a lane. The next token appended gets position 0; it should be the model's start token.
    fn reset(&mut self, lane: usize);

    /// Removes a lane's last `count` tokens, or all if there are fewer. Adaptive layers have not learned from those that were
    /// [open](Step::open).
    ///
    /// # Panics
    /// If a lane that has more tokens than its window holds would have lost more since it was the longest than the session's spare places and
    /// one.
    fn retract(&mut self, lane: usize, count: usize);

    /// Appends each step's tokens to its lane. For every token from `from` on, calls `out` with the index of the step, the index
    /// of the token in it, and the distribution of the next token.
    ///
    /// A distribution has `outputs + 1` cumulative entries: entry `i` is the mass of all outputs before `i`. Each mass is at
    /// least 1 and their sum is below 2^31. `out` may keep the table and leave another one in its place. Calls are in the
    /// order of steps and tokens.
    ///
    /// # Panics
    /// If a lane or token does not exist, or if steps are not in increasing order of distinct lanes.
    fn advance(&mut self, steps: &[Step<'_>], out: &mut dyn FnMut(usize, usize, &mut Table));
}
