//! The interface of the full ensemble's experts, and the list that calls them.
//!
//! An expert is a type that implements [`Expert`]. To add one, write its file, and add its module and its line in the [`experts!`]
//! list to `experts/mod.rs`. The list calls all experts in order, by static dispatch.

use super::code_prior::CODE_CONTEXTS;
use super::code_prior::table::Table;
use super::inputs::Inputs;
use super::prior::Prior;
use super::token::expert::Cuts;
use super::token::trie::Trie;
use crate::content::{DataKind, Kind};
use crate::text::{LaneView, Node, SymbolTree};
use std::sync::Arc;

/// Number of guesses of the next sample in [`NextByte::guesses`].
pub const GUESSES: usize = 5;

/// Direct contexts, of which an ensemble uses the first ones: see [`super::contexts::direct`].
pub const DIRECT: usize = 8;

/// Number of offers in [`NextByte::offers`].
pub const OFFERS: usize = 8;

/// A byte that the next one may be.
#[derive(Clone, Copy, Default)]
pub struct Offer {
    /// The byte.
    pub byte: u8,
    /// How reliable it is, from 1 to 16; 0 if there is none.
    pub class: u16,
    /// What it is part of, below 256.
    pub place: u16,
}

/// What the experts of a block are made for.
pub struct Setup {
    /// What the block contains.
    pub kind: DataKind,
    /// What is known of its structure.
    pub content: Kind,
    /// Bytes in the block.
    pub raw_len: usize,
    /// Lanes of the block.
    pub lanes: usize,
    /// The tree of binary decisions that codes a byte.
    pub tree: &'static SymbolTree,
    /// Hashed contexts of bit histories: see [`super::contexts`].
    pub contexts: usize,
    /// Whether there are those of [`super::contexts::sparse`], too.
    pub sparse: bool,
    /// Whether binary data has still more contexts, and more sets of weights: see [`super::contexts::THOROUGH`].
    pub thorough: bool,
    /// The embedded n-gram model, if the block uses it.
    pub prior: Option<&'static Prior>,
    /// The prior of x86 code, if the block uses it.
    pub code_prior: Option<&'static Table>,
    /// The vocabulary of the transformer, if the block uses one. Then it uses the prior, too.
    pub trie: Option<Arc<Trie>>,
    /// How the transformer's text is cut into tokens.
    pub cuts: Cuts,
    /// Whether the transformer may be better than any mixture.
    pub strong: bool,
    /// The embedded transformer beside a strong one, if the block uses it.
    pub companion: Option<Companion>,
    /// How probable the end of a token must be for the transformer to be asked what follows, in units of 2^-16.
    pub min_p_end: u64,
}

/// The embedded transformer beside another one.
pub struct Companion {
    /// Its vocabulary.
    pub trie: Arc<Trie>,
    /// The same as [`Setup::min_p_end`].
    pub min_p_end: u64,
}

/// The pretrained models of an ensemble. They change what the inputs of all other experts are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pretrained {
    /// None: all experts start empty.
    None,
    /// The embedded n-gram model.
    Prior,
    /// The embedded n-gram model and the embedded transformer.
    Transformer,
    /// The embedded n-gram model and another transformer, which may be far ahead of all other experts.
    External,
}

impl Setup {
    /// The pretrained models that the ensemble uses.
    pub fn pretrained(&self) -> Pretrained {
        match (self.prior.is_some(), self.trie.is_some()) {
            (_, true) if self.strong => Pretrained::External,
            (_, true) => Pretrained::Transformer,
            (true, false) => Pretrained::Prior,
            (false, false) => Pretrained::None,
        }
    }
}

/// The byte that is coded next. Experts read it and tell later ones what they know of it.
pub struct NextByte<'a> {
    /// What the block contains.
    pub kind: DataKind,
    /// The lane of the byte.
    pub lane: usize,
    /// The lane's bytes before it.
    pub view: LaneView<'a>,
    /// The tree of binary decisions that codes it.
    pub tree: &'static SymbolTree,
    /// The prior's pending token and the two before it, the last one first. Set by the prior's `prefetch`.
    pub tokens: [u32; 3],
    /// PPM's most probable byte. Set by PPM's `lookup`.
    pub expected: u8,
    /// Whether it is an exception in a flat area of an image: not what all pixels around are.
    pub is_exception: bool,
    /// The byte that a recalled passage goes on with, and above it how reliable that is; 0 if there is no passage. Set by
    /// [`super::recall`]'s `lookup`.
    pub recalled: u16,
    /// What the structure has in place of [`super::contexts::direct`]. Set by the hashed contexts' `prefetch`.
    pub direct: Option<[u32; DIRECT]>,
    /// The contexts of the prior of code. Set by the hashed contexts' `prefetch`.
    pub code: Option<[u32; CODE_CONTEXTS]>,
    /// What the structure says that the byte may be. Set by the hashed contexts' `prefetch`.
    pub offers: Option<[Offer; OFFERS]>,
    /// What the linear predictors guess, if the block consists of samples. Set by their `prefetch`.
    pub guesses: [u8; GUESSES],
}

impl<'a> NextByte<'a> {
    /// A byte of which no expert has told anything yet.
    #[inline]
    pub fn new(kind: DataKind, lane: usize, view: LaneView<'a>, tree: &'static SymbolTree) -> Self {
        let (tokens, expected, recalled, guesses) = ([0; 3], 0, 0, [0; GUESSES]);
        NextByte {
            kind,
            lane,
            view,
            tree,
            tokens,
            expected,
            is_exception: false,
            recalled,
            direct: None,
            code: None,
            offers: None,
            guesses,
        }
    }
}

/// Predicts the bits of a block, and learns them.
///
/// The calls for one byte are, in this order:
///
/// 1. [`prefetch`](Expert::prefetch), [`lookup`](Expert::lookup), [`begin_byte`](Expert::begin_byte);
/// 2. for each bit [`begin_bit`](Expert::begin_bit), [`predict`](Expert::predict), [`update`](Expert::update);
/// 3. [`end_byte`](Expert::end_byte).
///
/// Or there is only one, [`skip`](Expert::skip).
///
/// Each is called on all experts of the list before the next one is called on any, so that memory arrives while others work.
pub trait Expert {
    /// Whether the `update` of a byte's last bit comes late: after its `end_byte` and the next byte's `prefetch`, to hide
    /// the latency of what that requested.
    const LATE_LAST_UPDATE: bool = false;

    /// A copy with the same state.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    fn try_clone(&self) -> std::io::Result<Self>
    where
        Self: Sized;

    /// Appends the initial weight of each mixer input, in units of 1/1000, in the order in which `predict` adds the inputs.
    /// Their number is fixed from then on.
    fn initial_weights(&self, pretrained: Pretrained, weights: &mut Vec<i32>);

    /// Starts loading what the byte's contexts need into the CPU's cache.
    #[inline]
    fn prefetch(&mut self, _byte: &mut NextByte) {}

    /// Reads what was prefetched. May prefetch what that refers to.
    #[inline]
    fn lookup(&mut self, _byte: &mut NextByte) {}

    /// Gets ready for the byte's first bit.
    #[inline]
    fn begin_byte(&mut self, _byte: &NextByte) {}

    /// Gets ready for the bit's prediction.
    #[inline]
    fn begin_bit(&mut self) {}

    /// Appends predictions of the bit at `node` to the mixer's inputs, in the logistic domain.
    fn predict(&mut self, node: Node, inputs: &mut Inputs);

    /// Learns the bit. `next` is the byte's next decision; `None` if the bit is the byte's last one.
    fn update(&mut self, bit: u32, next: Option<Node>);

    /// Learns the byte. `view` ends with it.
    #[inline]
    fn end_byte(&mut self, _byte: u8, _view: LaneView) {}

    /// Passes over a byte that was coded without it. `view` ends with it.
    #[inline]
    fn skip(&mut self, _byte: u8, _view: LaneView) {}
}

/// An expert that only some blocks have.
impl<E: Expert> Expert for Option<E> {
    const LATE_LAST_UPDATE: bool = E::LATE_LAST_UPDATE;

    fn try_clone(&self) -> std::io::Result<Self> {
        self.as_ref().map(E::try_clone).transpose()
    }

    fn initial_weights(&self, pretrained: Pretrained, weights: &mut Vec<i32>) {
        self.iter().for_each(|expert| expert.initial_weights(pretrained, weights));
    }

    #[inline]
    fn prefetch(&mut self, byte: &mut NextByte) {
        self.iter_mut().for_each(|expert| expert.prefetch(byte));
    }

    #[inline]
    fn lookup(&mut self, byte: &mut NextByte) {
        self.iter_mut().for_each(|expert| expert.lookup(byte));
    }

    #[inline]
    fn begin_byte(&mut self, byte: &NextByte) {
        self.iter_mut().for_each(|expert| expert.begin_byte(byte));
    }

    #[inline]
    fn begin_bit(&mut self) {
        self.iter_mut().for_each(E::begin_bit);
    }

    #[inline]
    fn predict(&mut self, node: Node, inputs: &mut Inputs) {
        self.iter_mut().for_each(|expert| expert.predict(node, inputs));
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        self.iter_mut().for_each(|expert| expert.update(bit, next));
    }

    #[inline]
    fn end_byte(&mut self, byte: u8, view: LaneView) {
        self.iter_mut().for_each(|expert| expert.end_byte(byte, view));
    }

    #[inline]
    fn skip(&mut self, byte: u8, view: LaneView) {
        self.iter_mut().for_each(|expert| expert.skip(byte, view));
    }
}

/// Declares `struct Experts` with an expert in each field, in the order of their mixer inputs. The [`Expert`] methods of the
/// struct call those of all experts. `setup` names the [`Setup`] that the constructors of the experts can use.
macro_rules! experts {
    (|$setup:ident| $($name:ident: $type:ty = $new:expr,)+) => {
        /// All experts of the full ensemble, in the order of their mixer inputs.
        pub(crate) struct Experts {
            $(pub $name: $type,)+
        }

        impl Experts {
            pub fn new($setup: &Setup) -> std::io::Result<Self> {
                Ok(Experts { $($name: $new,)+ })
            }

            pub fn try_clone(&self) -> std::io::Result<Self> {
                Ok(Experts { $($name: self.$name.try_clone()?,)+ })
            }

            pub fn initial_weights(&self, pretrained: Pretrained) -> Vec<i32> {
                let mut weights = Vec::new();
                $(self.$name.initial_weights(pretrained, &mut weights);)+
                weights
            }

            /// The experts' names, and their inputs.
            pub fn inputs(&self, pretrained: Pretrained) -> Vec<(&'static str, std::ops::Range<usize>)> {
                let (mut weights, mut all) = (Vec::new(), Vec::new());
                $(
                    let start = weights.len();
                    self.$name.initial_weights(pretrained, &mut weights);
                    all.push((stringify!($name), start..weights.len()));
                )+
                all
            }

            #[inline]
            pub fn prefetch(&mut self, byte: &mut NextByte) {
                $(self.$name.prefetch(byte);)+
            }

            #[inline]
            pub fn lookup(&mut self, byte: &mut NextByte) {
                $(self.$name.lookup(byte);)+
            }

            #[inline]
            pub fn begin_byte(&mut self, byte: &NextByte) {
                $(self.$name.begin_byte(byte);)+
            }

            #[inline]
            pub fn begin_bit(&mut self) {
                $(self.$name.begin_bit();)+
            }

            #[inline]
            pub fn predict(&mut self, node: Node, inputs: &mut Inputs) {
                $(self.$name.predict(node, inputs);)+
            }

            /// Learns the bit. If it is the byte's last one, some experts learn it in [`Self::update_late`].
            #[inline]
            pub fn update(&mut self, bit: u32, next: Option<Node>) {
                $(if next.is_some() || !<$type>::LATE_LAST_UPDATE {
                    self.$name.update(bit, next);
                })+
            }

            #[inline]
            pub fn update_late(&mut self, bit: u32) {
                $(if <$type>::LATE_LAST_UPDATE {
                    self.$name.update(bit, None);
                })+
            }

            #[inline]
            pub fn end_byte(&mut self, byte: u8, view: LaneView) {
                $(self.$name.end_byte(byte, view);)+
            }

            #[inline]
            pub fn skip(&mut self, byte: u8, view: LaneView) {
                $(self.$name.skip(byte, view);)+
            }
        }
    };
}
pub(crate) use experts;
