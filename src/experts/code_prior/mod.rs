//! The prior of x86 code: what instructions mostly follow each other in the programs of the world, whose compilers are few.
//!
//! It has the contexts of [`super::contexts::x86::X86::prior`] that many programs share. For each decision of the next byte it knows how often
//! both outcomes were seen there, in one byte: the [`evidence`]. That is mapped to a probability as a bit history is, and the map adapts to the
//! program: how much is to be believed depends on the compiler.

pub mod evidence;
pub mod file;
pub mod table;

use crate::num::arch::WIDE;

/// Contexts of the prior.
pub const CODE_CONTEXTS: usize = WIDE;
