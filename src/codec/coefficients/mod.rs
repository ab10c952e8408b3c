//! JPEGs as coefficients: a model codes those of each block, and the Huffman-coded bits follow from them.
//!
//! ```text
//! JPEG ─► marker segments ─► model of bytes ─────────► arithmetic coder
//!      └► scans ─► blocks ─► model of coefficients ─┘
//! ```
//!
//! What is coded are the ranges that [`crate::content::jpeg::find`] gave, one after the other.

mod ac;
mod coder;
mod dc;
mod decisions;
mod end;
mod heads;
mod levels;
mod model;
mod plane;
mod regression;
#[cfg(test)]
mod tests;

pub use coder::Coder;

use crate::content::jpeg::{Reader, Step, Tables, Writer};
use crate::error::{Error, ErrorKind};
use heads::Heads;
use model::Model;

/// Bytes of memory of a model with the largest images.
pub const MEMORY: u64 = 56 << 20;

/// Codes `len` bytes of JPEGs: `given`, such ranges, or what a decoder reads. Returns them. `report` is told now and
/// then how many bytes are done.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if they are not such JPEGs, and those of `report`.
pub fn code<C: Coder>(
    coder: &mut C,
    given: Option<&[u8]>,
    len: usize,
    report: &mut impl FnMut(&C, usize) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "a JPEG is damaged");
    let (mut tables, mut heads, mut model) = (Tables::default(), Heads::default(), Model::default());
    let mut out = Vec::new();
    while out.len() < len {
        let segment = heads.code(coder, given.map(|given| &given[out.len()..]), len - out.len()).ok_or_else(corrupt)?;
        let scan = tables.read(&segment).ok_or_else(corrupt)?;
        out.extend(segment);
        coder.reach(out.len());
        report(coder, out.len())?;
        let Some(scan) = scan else { continue };
        let mut reader = given.map(|given| Reader::new(&given[out.len()..], &scan));
        let mut writer = Writer::new(out, &scan);
        model.start(&scan);
        scan.walk(|place| {
            let step = match &mut reader {
                Some(reader) => reader.read(place),
                None => Some(Step::blank(place)),
            };
            let mut step = step.ok_or_else(corrupt)?;
            model.code(coder, &mut step);
            writer.write(&step).filter(|()| writer.len() <= len).ok_or_else(corrupt)?;
            coder.reach(writer.len());
            report(coder, writer.len())
        })?;
        out = writer.finish();
    }
    Ok(out)
}
