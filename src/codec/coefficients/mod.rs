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

use crate::content::jpeg::{END, Image, MAX_PER_BYTE, Place, Reader, Step, Tables, Writer};
use crate::error::{Error, ErrorKind};
use heads::Heads;
use model::Model;
use std::mem::take;

/// Bytes of memory of a model with the largest images, without the coefficients of progressive ones.
pub const MEMORY: u64 = 56 << 20;

/// Codes `len` bytes of JPEGs: `given`, such ranges, or what a decoder reads. Returns them. The coefficients of progressive ones are
/// kept, at most `most` of each. `report` is told now and then how many bytes are done.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if they are not such JPEGs, and those of `report`.
pub fn code<C: Coder>(
    coder: &mut C,
    given: Option<&[u8]>,
    (len, most): (usize, u32),
    report: &mut impl FnMut(&C, usize) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "a JPEG is damaged");
    let (mut tables, mut heads, mut model) = (Tables::default(), Heads::default(), Model::default());
    // `at` bytes of `given` are read.
    let (mut out, mut at) = (Vec::new(), 0);
    // Of a progressive JPEG: the image, and the marker segments since its first scan.
    let (mut image, mut segments) = (None, Vec::new());
    let (mut coefficients_left, mut markers_left) = (MAX_PER_BYTE * len as u64, len / 2);
    while out.len() < len {
        let left = len - out.len() - segments.len();
        let segment = heads.code(coder, given.map(|given| &given[at..]), left).ok_or_else(corrupt)?;
        at += segment.len();
        if image.is_some() { &mut segments } else { &mut out }.extend(&segment);
        if let Some(mut image) = image.take_if(|_| segment == END) {
            code_image(coder, &mut model, &mut image, |coder, blocks| {
                // About four bytes for each.
                report(coder, out.len().saturating_add(4 * blocks).min(len - 1))
            })?;
            out = image.write(&take(&mut segments), out, len).ok_or_else(corrupt)?;
        }
        coder.reach(out.len());
        report(coder, out.len())?;
        let Some(scan) = tables.read(&segment).ok_or_else(corrupt)? else { continue };
        if scan.pass.is_some() {
            if image.is_none() {
                let new = Image::new(&tables, coefficients_left.min(most.into())).ok_or_else(corrupt)?;
                coefficients_left -= new.whole.coefficients();
                image = Some(new);
            }
            let image = image.as_mut().ok_or_else(corrupt)?;
            image.allows(&scan).ok_or_else(corrupt)?;
            markers_left = markers_left.checked_sub(scan.intervals() - 1).ok_or_else(corrupt)?;
            let paddings = match given {
                Some(given) => image.read(&given[at..], &scan),
                None => Some((vec![1; scan.intervals()], 0)),
            };
            let (mut paddings, read) = paddings.ok_or_else(corrupt)?;
            paddings.iter_mut().for_each(|padding| model.padding(coder, padding));
            image.add(segments.len(), scan, paddings);
            at += read;
            report(coder, out.len())?;
            continue;
        }
        let mut reader = given.map(|given| Reader::new(&given[at..], &scan));
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
        at += reader.map_or(0, |reader| reader.position());
        out = writer.finish();
    }
    Ok(out)
}

/// Codes the coefficients of a progressive JPEG's image; a decoder fills them in. `report` is told how many blocks are done.
fn code_image<C: Coder>(
    coder: &mut C,
    model: &mut Model,
    Image { whole, planes, .. }: &mut Image,
    mut report: impl FnMut(&C, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    model.start(whole);
    let mut done = 0;
    whole.walk(|place| {
        let Place::Block { component, column, row } = place else { return Ok(()) };
        model.block(coder, component, column, row, planes.at(component, column, row));
        done += 1;
        report(coder, done)
    })
}
