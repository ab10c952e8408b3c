//! JPEG undone and redone exactly, by Lepton (the crate `lepton_jpeg`).

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom, Write};

use lepton_jpeg::{EnabledFeatures, SingleThreadPool, catch_unwind_result, decode_lepton, encode_lepton};

use super::deflate::inflate;
use super::kind::{Kind, MAX_COEFFICIENTS};

const MAX_SIDE: u32 = 1 << 15;
/// Shorter ones gain nothing.
const MIN_LEN: usize = 512;
/// Bytes of Lepton's fixed header, and where it has the Git revision of the encoder's build and the length of the deflated
/// JPEG header that follows.
const FIXED: usize = 28;
const REVISION: std::ops::Range<usize> = 16..20;

/// Bytes of memory of Lepton's model and what it runs of its code.
const MODEL: u64 = 4 << 20;

/// Bytes of memory that coding the JPEGs in streams of these kinds takes, about.
pub fn memory(kinds: impl IntoIterator<Item = Kind>) -> u64 {
    match max_coefficients(kinds) {
        0 => 0,
        most => MODEL + 2 * u64::from(most),
    }
}

/// The most coefficients of a JPEG in streams of these kinds.
pub fn max_coefficients(kinds: impl IntoIterator<Item = Kind>) -> u32 {
    kinds.into_iter().map(|kind| if let Kind::Lepton { most } = kind { most } else { 0 }).max().unwrap_or(0)
}

/// Bytes from the start of the JPEG at the beginning of `bytes` to its end, if there is one.
pub fn find(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return None;
    }
    let mut at = 2;
    let mut frames = 0;
    loop {
        let [0xFF, marker] = *bytes.get(at..at + 2)? else { return None };
        match marker {
            0xD9 if frames > 0 => return Some(at + 2).filter(|&len| len >= MIN_LEN),
            0xC0..=0xC2 => frames += 1,
            0xC4 | 0xDA..=0xFE => {}
            _ => return None,
        }
        at += 2 + segment_len(&bytes[at + 2..])?;
        if marker == 0xDA {
            // Coded data: until a marker that is none of those within.
            at +=
                bytes.get(at..)?.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7))?;
        }
    }
}

fn segment_len(bytes: &[u8]) -> Option<usize> {
    let len = u16::from_be_bytes(*bytes.first_chunk()?).into();
    (len >= 2).then_some(len)
}

/// The coefficients of the frames in `header`, marker segments of a JPEG; none if they are not of a size to be coded.
fn coefficients(header: &[u8]) -> Option<u32> {
    let mut at = 0;
    let mut coefficients = 0u64;
    while let Some([0xFF, marker]) = header.get(at..at + 2) {
        let Some(len) = segment_len(&header[at + 2..]) else { break };
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            let Some(&[_, h1, h2, w1, w2, components]) = header.get(at + 4..at + 10) else { return None };
            let side = |high: u8, low: u8| u64::from(u16::from_be_bytes([high, low])).next_multiple_of(64);
            coefficients += side(h1, h2) * side(w1, w2) * u64::from(components);
        }
        at += 2 + len;
    }
    (1..=u64::from(MAX_COEFFICIENTS)).contains(&coefficients).then_some(coefficients as u32)
}

fn features() -> EnabledFeatures {
    EnabledFeatures {
        max_jpeg_width: MAX_SIDE,
        max_jpeg_height: MAX_SIDE,
        max_partitions: 1,
        max_processor_threads: 1,
        ..EnabledFeatures::compat_lepton_vector_write()
    }
}

/// The Lepton form of `jpeg`, if it is shorter and makes `jpeg` again, and its coefficients.
pub fn undo(jpeg: &[u8]) -> Option<(Vec<u8>, u32)> {
    let coefficients = coefficients(&jpeg[2..])?;
    // Images with many coefficients for their length are left alone.
    if u64::from(coefficients) > 256 * jpeg.len() as u64 + (1 << 16) {
        return None;
    }
    let mut out = Cursor::new(Vec::new());
    let encode =
        || encode_lepton(&mut InChunks(Cursor::new(jpeg)), &mut out, &features(), &SingleThreadPool::default());
    catch_unwind_result(std::panic::AssertUnwindSafe(encode)).ok()?;
    let mut lepton = out.into_inner();
    // The same bytes from every build.
    lepton.get_mut(REVISION)?.fill(0);
    let is_exact = redo(&lepton, jpeg.len(), coefficients).is_some_and(|again| again == jpeg);
    (lepton.len() < jpeg.len() && is_exact).then_some((lepton, coefficients))
}

/// The JPEG of `len` bytes that `lepton` stands for; none if there is none, or if it has more than `most` coefficients.
pub fn redo(lepton: &[u8], len: usize, most: u32) -> Option<Vec<u8>> {
    let header = inflate(lepton.get(FIXED + 2..)?, 1 << 24).ok()?.plain;
    // "HDR" and a length come first.
    if coefficients(header.get(7..)?)? > most {
        return None;
    }
    let mut out = Bounded { bytes: Vec::new(), limit: len };
    let decode = || decode_lepton(&mut Cursor::new(lepton), &mut out, &features(), &SingleThreadPool::default());
    catch_unwind_result(std::panic::AssertUnwindSafe(decode)).ok()?;
    (out.bytes.len() == len).then_some(out.bytes)
}

/// Shows fewer than eight bytes at a time. The crate's `BitReader` reads eight at once with their order reversed on big-endian
/// machines (`from_le_bytes`, then `to_be`), and its other way of reading is right everywhere.
struct InChunks<'a>(Cursor<&'a [u8]>);

impl Read for InChunks<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl BufRead for InChunks<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.0.fill_buf()?;
        Ok(&bytes[..bytes.len().min(7)])
    }

    fn consume(&mut self, len: usize) {
        self.0.consume(len);
    }
}

impl Seek for InChunks<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Takes no more than `limit` bytes.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(io::Error::other("more than expected"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
