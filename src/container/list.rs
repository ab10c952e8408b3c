//! Summaries of archives, without decoding.

use std::io::{Read, Seek};

use super::frame::Mode;
use super::frame_reader::{Event, FrameReader};
use crate::codec::Preset;
use crate::error::Error;

/// Summary of one archive, taken from its heads. The content is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The model that the archive was made with.
    pub model: Preset,
    /// Id of the external transformer that decoding needs, of some short archives its start; `None` if the embedded parts suffice.
    pub language_model: Option<Vec<u8>>,
    /// Id of the trained prior that decoding needs.
    pub trained_prior: Option<u32>,
    /// Maximum content length of a block in bytes.
    pub block_size: usize,
    /// Number of blocks.
    pub blocks: u64,
    /// Number of blocks that are stored uncompressed.
    pub stored: u64,
    /// Length of the content in bytes.
    pub content: u64,
    /// Length of the archive in bytes.
    pub archive: u64,
}

/// Lists the archives in `input`, from its current position to its end.
///
/// ```
/// let archive = nzip::compress(b"a tale of a tub")?;
/// let summaries = nzip::list(std::io::Cursor::new(archive)).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!((summaries.len(), summaries[0].content), (1, 15));
/// # Ok::<(), nzip::Error>(())
/// ```
pub fn list<R: Read + Seek>(input: R) -> List<R> {
    List { frames: FrameReader::new(input, false, None), start: 0, done: false }
}

/// Iterator over the archives in an input, created by [`list`].
///
/// An error, as of [`Decompressor`](crate::Decompressor) if heads are damaged or missing, is the last item.
pub struct List<R> {
    frames: FrameReader<R>,
    start: u64,
    done: bool,
}

impl<R: Read + Seek> List<R> {
    fn next_archive(&mut self) -> Result<Option<Summary>, Error> {
        let mut summary = None;
        while let Some(event) = self.frames.next()? {
            match (event, &mut summary) {
                (Event::Start(header), _) => {
                    summary = Some(Summary {
                        model: header.model,
                        language_model: header.language_model().map(<[u8]>::to_vec),
                        trained_prior: header.trained,
                        block_size: header.block_size.bytes(),
                        blocks: 0,
                        stored: 0,
                        content: 0,
                        archive: 0,
                    });
                }
                (Event::Block { head, .. }, Some(summary)) => {
                    summary.blocks += 1;
                    summary.stored += u64::from(head.mode == Mode::Stored);
                    summary.content += u64::from(head.raw_len);
                    self.frames.input.seek_forward(head.body_len() as u64)?;
                }
                (Event::End { .. }, Some(summary)) => {
                    summary.archive = self.frames.input.offset() - self.start;
                    self.start = self.frames.input.offset();
                    break;
                }
                _ => {}
            }
        }
        Ok(summary)
    }
}

impl<R: Read + Seek> Iterator for List<R> {
    type Item = Result<Summary, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.next_archive().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}
