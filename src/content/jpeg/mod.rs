//! JPEG (ITU-T T.81), sequential or progressive: its marker segments, and its scans as blocks of coefficients and back.

mod bits;
mod header;
mod huffman;
mod progressive;
mod scan;
#[cfg(test)]
pub(crate) mod test_image;
#[cfg(test)]
mod tests;

pub use header::{Component, END, Scan, Tables, ZIGZAG};
pub use progressive::{Image, MAX_PER_BYTE};
pub use scan::{Block, Place, Reader, Step, Writer};

use super::kind::MAX_COEFFICIENTS;
use std::ops::Range;

/// The part that the codec's model can code of the JPEG that `bytes` are, from its first table to its end, and how many coefficients
/// are kept meanwhile. None if its scans are not exactly what their coefficients say.
pub fn find(bytes: &[u8]) -> Option<(Range<usize>, u32)> {
    let start = header::first_table(bytes)?;
    let (mut at, mut tables) = (start, Tables::default());
    let most = u64::from(MAX_COEFFICIENTS).min(MAX_PER_BYTE * bytes.len() as u64);
    let (mut image, mut segments, mut first_scan) = (None, Vec::new(), 0);
    loop {
        let segment = &bytes[at..at + header::segment_len(&bytes[at..])?];
        at += segment.len();
        segments.extend(image.is_some().then_some(segment).into_iter().flatten());
        if segment == END {
            // Whatever has no scan is not worth it.
            let coefficients = image.as_ref().map_or(0, |image: &Image| image.whole.coefficients());
            let is_same = match image {
                Some(image) => image.write(&segments, Vec::new(), at - first_scan)? == bytes[first_scan..at],
                None => tables.has_scan(),
            };
            let is_dense = coefficients <= MAX_PER_BYTE * (at - start) as u64;
            return (is_same && is_dense).then_some((start..at, coefficients as u32));
        }
        let Some(scan) = tables.read(segment)? else { continue };
        if scan.pass.is_some() {
            if image.is_none() {
                (image, first_scan) = (Some(Image::new(&tables, most)?), at);
            }
            let image = image.as_mut()?;
            image.allows(&scan)?;
            let (paddings, len) = image.read(&bytes[at..], &scan)?;
            image.add(segments.len(), scan, paddings);
            at += len;
            continue;
        }
        let (mut reader, mut writer) = (Reader::new(&bytes[at..], &scan), Writer::new(Vec::new(), &scan));
        scan.walk(|place| reader.read(place).and_then(|step| writer.write(&step)).ok_or(())).ok()?;
        let end = at + reader.position();
        if writer.finish() != bytes[at..end] {
            return None;
        }
        at = end;
    }
}
