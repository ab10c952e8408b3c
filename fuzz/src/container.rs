//! Frames in any order with right checks: no panic; strict reading gives the beginning of what `keep_going` gives; the
//! number of threads changes nothing; what is read without an error is listed without one.

use std::io::{Cursor, Read};

use nzip::internals::codec::{self, CodecConfig, LanePolicy, Preset};
use nzip::{DecompressOptions, Decompressor, Error, ErrorKind, list};

use super::forge;
use super::input::Input;

/// An archive as it is put together.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    /// Where the current archive of several begins, its blocks (start, content length), and its content.
    start: usize,
    blocks: Vec<(u64, u64)>,
    content: Vec<u8>,
    /// The content of its first block.
    first: Vec<u8>,
}

impl Archive {
    /// Appends a piece. The input is an opcode and what the piece needs.
    fn push(&mut self, input: &mut Input) {
        let at = (self.bytes.len() - self.start) as u64;
        let piece = match input.byte() % 9 {
            0 => {
                let (block_size, length) = (input.byte(), u64::from(input.u16()));
                (self.start, self.blocks, self.content) = (self.bytes.len(), Vec::new(), Vec::new());
                forge::header(block_size, length.checked_sub(1))
            }
            1 => {
                let (number, content) = (input.byte(), input.part());
                self.add_block(at, content);
                forge::stored_after(&self.first, number.into(), content)
            }
            2 => {
                let (number, content) = (input.byte(), input.part());
                self.add_block(at, content);
                modelled(&self.first, number.into(), content)
            }
            // A modelled block of any coded data.
            3 => {
                let (number, profile, raw_len, coded) = (input.byte(), input.byte(), input.u16(), input.part());
                let raw = (raw_len.into(), forge::check(coded));
                forge::modelled_after(&self.first, number.into(), raw, profile, coded)
            }
            4 => forge::index(&self.blocks, at),
            5 => forge::index_of(input.part()),
            6 => forge::skippable(input.part()),
            7 => forge::end(&self.content),
            _ => input.part().to_vec(),
        };
        self.bytes.extend(piece);
    }

    fn add_block(&mut self, at: u64, content: &[u8]) {
        if self.blocks.is_empty() {
            self.first = content.to_vec();
        }
        self.blocks.push((at, content.len() as u64));
        self.content.extend_from_slice(content);
    }
}

/// A block as the fast model codes it, whether that makes it shorter or not.
fn modelled(first: &[u8], number: u64, content: &[u8]) -> Vec<u8> {
    let config = CodecConfig::new(Preset::Fast, None, LanePolicy::UpTo(1)).expect("needs no trained parts");
    let coded =
        codec::encode(&config, nzip::internals::content::Kind::Binary, content, codec::Verify::No, 1, &mut |_, _| true)
            .expect("is not interrupted");
    let raw = (content.len() as u64, forge::check(content));
    forge::modelled_after(first, number, raw, coded.profile, &coded.payload)
}

/// Content up to the first error, the error's kind, and whether all was undamaged.
fn read(archive: &[u8], threads: usize, keep_going: bool) -> (Vec<u8>, Option<ErrorKind>, bool) {
    let options = DecompressOptions::new().threads(threads).keep_going(keep_going).max_output(1 << 18);
    let mut decompressor = Decompressor::new(archive, options);
    let mut content = Vec::new();
    let error = decompressor.read_to_end(&mut content).err().map(|error| Error::from(error).kind());
    let undamaged = error.is_none() && decompressor.damage().is_empty();
    (content, error, undamaged)
}

/// The content of the archive that the input describes, read strictly, and the error at its end.
pub fn run(input: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let mut input = Input(input);
    let mut archive = Archive::default();
    while !input.is_empty() {
        archive.push(&mut input);
    }
    let (strict, error, undamaged) = read(&archive.bytes, 1, false);
    assert_eq!(read(&archive.bytes, 3, false), (strict.clone(), error, undamaged));
    let (saved, _, saved_undamaged) = read(&archive.bytes, 2, true);
    assert!(saved.starts_with(&strict) && saved_undamaged == undamaged);
    assert!(!undamaged || list(Cursor::new(&archive.bytes)).all(|summary| summary.is_ok()));
    (strict, error)
}
