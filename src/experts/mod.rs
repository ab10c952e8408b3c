//! The experts: each predicts the next bit in the logistic domain, then learns it. See [`expert::Expert`].
//!
//! To add an expert, write its file, and add its module and its line in the [`Experts`] list here.

pub mod bilevel;
pub mod code;
pub mod code_prior;
pub mod contexts;
pub mod cost_gate;
pub mod direct;
pub mod expert;
pub mod fields;
pub mod hashed_contexts;
pub mod huffman;
pub mod inputs;
pub mod language;
pub mod match_model;
pub mod ngram;
pub mod numeric;
pub mod offers;
pub mod ppm;
pub mod prior;
pub mod recall;
pub mod runs;
pub mod steps;
pub mod token;

use crate::content::Kind;
use crate::text::{LaneView, Node};
use bilevel::Bilevel;
use code::CodeExpert;
use direct::Direct;
use expert::{Expert, NextByte, Pretrained, Setup, experts};
use fields::Fields;
use hashed_contexts::HashedContexts;
use inputs::Inputs;
use language::LanguageExpert;
use match_model::MatchModel;
use numeric::Numeric;
use offers::Offers;
use ppm::Ppm;
use recall::Recall;
use steps::Steps;

experts! {
    |setup|
    language: LanguageExpert = LanguageExpert::new(setup),
    short_match: MatchModel = MatchModel::new(5, match_bits(setup.raw_len) - 2, setup.lanes)?,
    long_match: MatchModel = MatchModel::new(12, match_bits(setup.raw_len), setup.lanes)?,
    recall: Option<Recall> = setup.thorough.then(|| Recall::new(match_bits(setup.raw_len))).transpose()?,
    steps: Option<Steps> = setup.thorough.then(Steps::default),
    ppm: Ppm = Ppm::new(setup.kind, setup.tree, setup.raw_len, setup.lanes)?,
    direct: Direct = direct(setup.pretrained(), setup.raw_len)?,
    numeric: Numeric = Numeric::new(setup.content, setup.raw_len),
    bilevel: Bilevel = Bilevel::new(setup.content),
    hashed: HashedContexts = HashedContexts::new(setup, hashed_bits(setup.raw_len, setup.thorough))?,
    offers: Option<Offers> = (setup.content == Kind::Class).then(Offers::default),
    code: Option<CodeExpert> = setup.code_prior.map(CodeExpert::new),
    fields: Fields = Fields::new(setup, line_bits(setup.raw_len) - 1)?,
}

/// The largest table of bit histories: 2^23 cache lines, 512 MiB.
const MAX_LINE_BITS: u32 = 23;
/// The largest one that is so large only because many contexts share it.
const MAX_THOROUGH_BITS: u32 = 22;

/// Base-2 logarithm of the number of cache lines of bit histories.
fn line_bits(raw_len: usize) -> u32 {
    let bits = raw_len.max(1 << 11).ilog2();
    // Small tables may have more room for each byte: the processor's caches hold much of them.
    (if bits < 20 { (bits + 3).min(20) } else { bits + 2 }).min(MAX_LINE_BITS)
}

/// The same of the hashed contexts' bit histories, of which there are up to three times as many where time matters less.
fn hashed_bits(raw_len: usize, thorough: bool) -> u32 {
    let bits = line_bits(raw_len);
    if thorough { (bits + 3).clamp(bits, bits.max(MAX_THOROUGH_BITS)) } else { bits }
}

/// Base-2 logarithm of the number of cache lines of `contexts` direct contexts.
fn direct_bits(contexts: usize, raw_len: usize) -> u32 {
    line_bits(raw_len).min(16 + contexts.ilog2())
}

/// The direct contexts, as many as fill up a vector of inputs.
fn direct(pretrained: Pretrained, raw_len: usize) -> std::io::Result<Direct> {
    let contexts = Direct::contexts(pretrained);
    Direct::new(contexts, direct_bits(contexts, raw_len))
}

/// Base-2 logarithm of the number of hashes of the long match model; the short one has a quarter.
fn match_bits(raw_len: usize) -> u32 {
    raw_len.max(1 << 10).ilog2().clamp(10, 22)
}

/// Bytes of memory of the experts' tables for a block of `raw_len` bytes of a kind.
pub fn memory(pretrained: Pretrained, content: Kind, raw_len: usize, thorough: bool) -> u64 {
    let direct = direct_bits(Direct::contexts(pretrained), raw_len);
    let hashed = hashed_bits(raw_len, thorough);
    let tables = (64 << hashed) + (64 << direct) + (5 << match_bits(raw_len));
    let thorough = if thorough { (16 << hashed) + Recall::memory(match_bits(raw_len)) + Steps::MEMORY } else { 0 };
    // The prior of code is there once, but counted with each block.
    let code =
        if content == Kind::Code && thorough > 0 { contexts::ECHO_MEMORY + code_prior::table::MEMORY } else { 0 };
    let font = if content == Kind::Font { contexts::FONT_MEMORY } else { 0 };
    let class = if content == Kind::Class { contexts::CLASS_MEMORY } else { 0 };
    let database = if content == Kind::Database { contexts::database_memory(raw_len) } else { 0 };
    let structured = Numeric::memory(content, raw_len) + Bilevel::memory(content) + code + font + class + database;
    tables + thorough + ppm::memory(raw_len) as u64 + structured + fields::memory(raw_len, line_bits(raw_len) - 1)
}
