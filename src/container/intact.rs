//! Checks archives as far as that can be done without decoding.

use std::io::Read;

use super::frame_reader::{Event, FrameReader};
use super::reader::check_body;
use crate::error::Error;

/// Compares the checksums of all heads and of all coded data of the archives in `input`. Returns the length of their content.
///
/// # Errors
/// As [`Decompressor`](crate::Decompressor), but for those of decoding.
pub fn check_intact(input: impl Read) -> Result<u64, Error> {
    let mut frames = FrameReader::new(input, false, None);
    let mut content = 0;
    while let Some(event) = frames.next()? {
        if let Event::Block { head, offset } = event
            && let Some(body) = frames.read_body(&head, offset)?
        {
            check_body(&head, &body).map_err(|error| error.at(offset))?;
            content += u64::from(head.raw_len);
        }
    }
    Ok(content)
}
