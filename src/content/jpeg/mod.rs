//! Sequential JPEG (ITU-T T.81): its marker segments, and its scans as blocks of coefficients and back.

mod header;
mod huffman;
mod scan;
#[cfg(test)]
pub(crate) mod test_image;
#[cfg(test)]
mod tests;

pub use header::{Component, END, Scan, Tables, ZIGZAG};
pub use scan::{Block, Reader, Step, Writer};

use std::ops::Range;

/// The part that the codec's model can code of the JPEG that `bytes` are: from its first table to its end. None if it is not sequential, or
/// its scans are not exactly what their coefficients say.
pub fn find(bytes: &[u8]) -> Option<Range<usize>> {
    let start = header::first_table(bytes)?;
    let (mut at, mut tables) = (start, Tables::default());
    loop {
        let segment = &bytes[at..at + header::segment_len(&bytes[at..])?];
        at += segment.len();
        if segment == header::END {
            // Whatever has no scan is not worth it.
            return tables.has_scan().then_some(start..at);
        }
        if let Some(scan) = tables.read(segment)? {
            let (mut reader, mut writer) = (Reader::new(&bytes[at..], &scan), Writer::new(Vec::new(), &scan));
            scan.walk(|place| reader.read(place).and_then(|step| writer.write(&step)).ok_or(())).ok()?;
            let end = at + reader.position();
            if writer.finish() != bytes[at..end] {
                return None;
            }
            at = end;
        }
    }
}
