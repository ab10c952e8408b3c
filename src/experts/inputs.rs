//! What the experts hand to the mixer.

/// The most inputs one mixer takes.
pub const MAX_INPUTS: usize = 96;

/// Weights in a cache line, opinions in a vector.
pub const LINE: usize = 16;

/// The experts' opinions on the next bit, in the logistic domain.
pub struct Inputs {
    pub values: [i16; MAX_INPUTS],
    len: usize,
}

impl Default for Inputs {
    fn default() -> Self {
        Inputs { values: [0; MAX_INPUTS], len: 0 }
    }
}

impl Inputs {
    /// Starts a new decision.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds opinions.
    #[inline]
    pub fn push<const N: usize>(&mut self, stretched: [i32; N]) {
        let room = self.values[self.len..].first_chunk_mut().expect("there are no more opinions than MAX_INPUTS");
        *room = stretched.map(|x| x as i16);
        self.len += N;
    }

    /// Makes room for `N` opinions at once, from the next multiple of [`LINE`] on, the place where vectors are written
    /// whole and read whole.
    #[inline]
    pub fn extend<const N: usize>(&mut self) -> &mut [i16; N] {
        let start = self.len.next_multiple_of(LINE);
        self.len = start + N;
        self.values[start..].first_chunk_mut().expect("there are no more opinions than MAX_INPUTS")
    }
}
