//! What runs a model: the processor ([`super::Session`]), or some day another machine.

/// What to append to one lane.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub lane: usize,
    pub tokens: &'a [u32],
    /// What follows the tokens before this one isn't asked.
    pub from: usize,
}

/// Several texts (lanes) on their way through a model. What a lane's tokens are followed by is what `docs/ARITHMETIC.md`
/// defines, to the bit: no matter of threads or of the machine. It depends on that lane's tokens alone, not on how they are
/// dealt out to calls, but for layers that adapt: these learn at the beginning of each call, from all lanes.
pub trait Backend {
    /// Empties a lane. Its text then begins with the token that is appended first, the model's start token as a rule.
    fn reset(&mut self, lane: usize);

    /// Takes a lane's last token away, if there is one. Layers that adapt may have learned from it only if another had
    /// followed, which is to be taken away first.
    ///
    /// # Panics
    /// If a third is taken from a window that has moved before one was appended.
    fn retract(&mut self, lane: usize);

    /// Appends each step's tokens to its lane, and calls `out` for every token from `from` on with the step's number, the
    /// token's number in it, and the distribution of what follows that token: entry `i` of `outputs + 1` entries is the
    /// mass of the tokens before the `i`-th in the model's order, each having at least 1, together less than 2^31. Steps
    /// come in the order of their lanes, of which each has one at most; a step's tokens are asked in their order. `out` may
    /// keep the distribution and leave another vector.
    ///
    /// # Panics
    /// If a lane or a token isn't there, or lanes are out of order.
    fn advance(&mut self, steps: &[Step<'_>], out: &mut dyn FnMut(usize, usize, &mut Vec<u32>));
}
