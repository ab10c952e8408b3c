//! Deflate undone and redone exactly (RFC 1951).
//!
//! zlib is deterministic: from the plain bytes and a few parameters its tokens, blocks and codes follow. A stream becomes
//! its plain bytes and the *corrections*: the parameters, and every place where the stream differs from what is predicted
//! for them. What zlib wrote needs a few bits a stream; what others wrote needs more, or is left alone.
//!
//! ```text
//! undo: deflate ─► inflate ─► plain bytes                redo: plain bytes ─► matcher ─► prediction
//!                    └► blocks ─► walk ─► decisions                   decisions ─► walk ─► blocks ─► write ─► deflate
//! ```

mod bits;
mod corrections;
mod decisions;
mod estimate;
mod format;
mod huffman;
mod inflate;
mod matcher;
mod write;

pub use bits::{BitReader, BitWriter};
pub use corrections::FREE_CONTEXTS;
pub use decisions::{Decide, NUMBER, Notes, Reader, Replay, Writer};
pub use inflate::inflate;
pub use matcher::Parameters;

use format::Body;

/// A block of more tokens than this can't be corrected.
const MOST_TOKENS: usize = 1 << 19;

/// A deflate stream taken apart.
pub struct Undone {
    pub plain: Vec<u8>,
    pub notes: Notes,
    /// Bytes of deflate.
    pub consumed: usize,
    pub parameters: Parameters,
}

/// Takes apart the deflate stream at the beginning of `bytes`, and proves that [`redo`] makes it again. `guess`: the
/// parameters of a stream before.
///
/// # Errors
/// If there is no such stream, or it has more than `limit` plain bytes, or is of an encoder too different from zlib: the
/// number of plain bytes that were looked at.
pub fn undo(bytes: &[u8], limit: usize, guess: Option<Parameters>) -> Result<Undone, usize> {
    let inflated = inflate::inflate(bytes, limit)?;
    let (plain, blocks) = (&inflated.plain, &inflated.blocks);
    let work = plain.len();
    let too_long = |body: &Body| match body {
        Body::Stored { .. } => false,
        Body::Fixed(tokens) | Body::Dynamic(tokens, _) => tokens.len() > MOST_TOKENS,
    };
    if blocks.iter().any(|block| too_long(&block.body)) {
        return Err(work);
    }
    let parameters = estimate::estimate(plain, blocks, guess).ok_or(work)?;
    let mut notes = Notes::default();
    corrections::walk(&mut notes, plain, parameters, Some((blocks, inflated.padding)), |_, _| true).ok_or(work)?;
    let proof = redo(&mut Replay::new(&notes), parameters, plain, inflated.consumed);
    if proof.is_none_or(|proof| proof != bytes[..inflated.consumed]) {
        return Err(work);
    }
    Ok(Undone { plain: inflated.plain, notes, consumed: inflated.consumed, parameters })
}

/// The deflate stream of `len` bytes that `plain`, the parameters and the corrections of `d` stand for; none if there is none.
pub fn redo(d: &mut impl Decide, parameters: Parameters, plain: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut writer = BitWriter::default();
    let padding = corrections::walk(d, plain, parameters, None, |block, plain| {
        write::write(&mut writer, block, plain);
        writer.bytes.len() <= len
    })?;
    writer.align(padding);
    (writer.bytes.len() == len).then_some(writer.bytes)
}
