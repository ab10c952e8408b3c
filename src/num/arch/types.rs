//! Types and constants that the ensembles' kernels share.

/// Weight sets that one mixer combines, at most.
pub const MAX_SETS: usize = 8;
/// Bound of a weight of the mixer's final layer.
pub const MAX_WEIGHT: i32 = 1 << 19;
/// Errors up to this magnitude (in units of 2^-16, times the rate) don't train a mixer.
pub const NEGLIGIBLE: i32 = 2048;

/// Contexts in a group of the fast ensemble.
pub const GROUP: usize = 8;
/// Contexts in a group of the full ensemble.
pub const WIDE: usize = 16;
/// Inputs of the fast ensemble's mixer: two for each context of a group.
pub const INPUTS: usize = 2 * GROUP;

/// An adaptive map from bit-history states to probabilities. An entry holds a probability in its top 22 bits and a count
/// in its low 10 bits.
pub type Map = [u32; 256];

/// Largest count of a [`Map`]'s entry; the learning rate is constant from there on.
pub const LIMIT: u32 = 1023;

/// Transitions and properties of bit-history states.
#[derive(Clone)]
pub struct StateTables {
    /// `next[bit][state]` is the state after `bit`.
    pub next: [[u8; 256]; 2],
    /// 1 if a state has seen only ones, 255 (-1) if only zeros, else 0.
    pub certain: [u8; 256],
}

/// One weight set of the fast ensemble's mixer, in one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Weights(pub [i32; INPUTS]);

/// The fast ensemble's data of one binary decision, kept from prediction to update.
#[derive(Clone, Default)]
pub struct Decision {
    /// Bit-history state of each context.
    pub states: [u8; GROUP],
    /// Map entry of each state.
    pub entries: [u32; GROUP],
    /// Mixer inputs.
    pub inputs: [i16; INPUTS],
}
