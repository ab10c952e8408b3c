//! What an archive holds, without decoding it.

use std::io::{Read, Seek};

use super::frame::Mode;
use super::walk::{Event, Walk};
use crate::codec::Preset;
use crate::error::Error;

/// What one archive holds, as its heads say; content is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The model it was made with.
    pub model: Preset,
    /// The transformer that decoding needs, where it is not part of nzip.
    pub language_model: Option<[u8; 16]>,
    /// The most bytes of content in a block.
    pub block_size: usize,
    /// Blocks, and how many of them are stored as they are.
    pub blocks: u64,
    /// Blocks that are stored as they are.
    pub stored: u64,
    /// Bytes of content.
    pub content: u64,
    /// Bytes of archive.
    pub archive: u64,
}

/// Summaries of the archives, one after the other, that `input` holds from where it stands to its end.
///
/// ```
/// let archive = nzip::compress(b"a tale of a tub")?;
/// let summaries = nzip::list(std::io::Cursor::new(archive))?;
/// assert_eq!((summaries.len(), summaries[0].content), (1, 15));
/// # Ok::<(), nzip::Error>(())
/// ```
///
/// # Errors
/// As for [`Decompressor`](crate::Decompressor), where heads are damaged or missing.
pub fn list<R: Read + Seek>(input: R) -> Result<Vec<Summary>, Error> {
    let mut walk = Walk::new(input, false, None);
    let mut summaries: Vec<Summary> = Vec::new();
    let mut start = 0;
    while let Some(event) = walk.next()? {
        match (event, summaries.last_mut()) {
            (Event::Start(header), _) => summaries.push(Summary {
                model: header.model,
                language_model: header.identity.and_then(|identity| identity.language_model),
                block_size: header.block_size.bytes(),
                blocks: 0,
                stored: 0,
                content: 0,
                archive: 0,
            }),
            (Event::Block { head, .. }, Some(summary)) => {
                summary.blocks += 1;
                summary.stored += u64::from(head.mode == Mode::Stored);
                summary.content += u64::from(head.raw_len);
                walk.source.seek(head.body_len() as u64)?;
            }
            (Event::End { .. }, Some(summary)) => {
                summary.archive = walk.source.offset() - start;
                start = walk.source.offset();
            }
            _ => {}
        }
    }
    Ok(summaries)
}
