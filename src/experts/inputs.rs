//! The vector of mixer inputs.

/// The most inputs that a mixer takes.
pub const MAX_INPUTS: usize = 352;

/// 32-bit weights in a cache line. Weight vectors have a multiple of this length.
pub const LINE: usize = 16;

/// The experts' predictions of the next bit, in the logistic domain. Values beyond those of the experts are 0.
#[derive(Clone)]
pub struct Inputs {
    /// The inputs, in the order of the experts.
    pub values: [i16; MAX_INPUTS],
    len: usize,
}

impl Default for Inputs {
    fn default() -> Self {
        Inputs { values: [0; MAX_INPUTS], len: 0 }
    }
}

impl Inputs {
    /// Starts the next bit. Values stay until they are overwritten.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// The length of the weight vectors for the inputs.
    #[inline]
    pub fn stride(&self) -> usize {
        self.len.next_multiple_of(LINE)
    }

    /// The sum of the inputs' squares: at most [`MAX_INPUTS`] · 3,072².
    #[inline]
    pub fn energy(&self) -> u32 {
        self.values[..self.stride()].iter().map(|&x| (i32::from(x) * i32::from(x)).cast_unsigned()).sum()
    }

    /// Appends inputs.
    ///
    /// # Panics
    /// If there are more than [`MAX_INPUTS`] in all.
    #[inline]
    pub fn push<const N: usize>(&mut self, stretched: [i32; N]) {
        let room = self.values[self.len..].first_chunk_mut().expect("there are at most MAX_INPUTS inputs");
        *room = stretched.map(|x| x as i16);
        self.len += N;
    }

    /// Appends `count` inputs, for the caller to write.
    ///
    /// # Panics
    /// If there are more than [`MAX_INPUTS`] in all.
    #[inline]
    pub fn next(&mut self, count: usize) -> &mut [i16] {
        let start = self.len;
        self.len += count;
        &mut self.values[start..self.len]
    }

    /// Appends `N` inputs, for the caller to write, at the next multiple of [`LINE`].
    ///
    /// # Panics
    /// If there are more than [`MAX_INPUTS`] in all.
    #[inline]
    pub fn extend<const N: usize>(&mut self) -> &mut [i16; N] {
        let start = self.len.next_multiple_of(LINE);
        self.len = start + N;
        self.values[start..].first_chunk_mut().expect("there are at most MAX_INPUTS inputs")
    }
}
