//! Files of samples that are not compressed, by their headers: BMP, WAV and netpbm.

use super::kind::Kind;
use std::ops::Range;

/// Files of fewer samples are left to models of any data.
const MIN_LEN: usize = 2048;

/// Where the samples in the file `bytes` are, and what they are.
pub fn find(bytes: &[u8]) -> Option<(Range<usize>, Kind)> {
    let (range, kind) = match bytes {
        [b'B', b'M', ..] => bmp(bytes)?,
        [b'R', b'I', b'F', b'F', ..] => wav(bytes)?,
        [b'P', b'4'..=b'6', ..] => netpbm(bytes)?,
        _ => return None,
    };
    let range = range.start..range.end.min(bytes.len());
    (range.len() >= MIN_LEN).then_some((range, kind))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

/// The pixels of a Windows bitmap without compression; rows are multiples of four bytes.
fn bmp(bytes: &[u8]) -> Option<(Range<usize>, Kind)> {
    let start = u32_at(bytes, 10)?;
    let (width, height) = (u32_at(bytes, 18)? as i32, u32_at(bytes, 22)? as i32);
    let (bits, compression) = (u16_at(bytes, 28)?, u32_at(bytes, 30)?);
    if !(1..1 << 20).contains(&width) || height == 0 || compression != 0 || !matches!(bits, 1 | 8 | 24 | 32) {
        return None;
    }
    let row = (width as usize * usize::from(bits)).div_ceil(32) * 4;
    let len = row.checked_mul(height.unsigned_abs() as usize)?;
    let kind = Kind::Image { row: row as u32, pixel: (bits / 8).max(1) as u8, depth: bits.min(8) as u8 };
    Some((start..start.checked_add(len)?, kind))
}

/// The samples of a RIFF WAVE file of PCM.
fn wav(bytes: &[u8]) -> Option<(Range<usize>, Kind)> {
    if bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let (mut at, mut kind) = (12, None);
    loop {
        let (name, len) = (bytes.get(at..at + 4)?, u32_at(bytes, at + 4)?);
        at += 8;
        match name {
            b"fmt " => {
                let (channels, depth) = (u16_at(bytes, at + 2)?, u16_at(bytes, at + 14)?);
                let is_known = matches!(u16_at(bytes, at)?, 1 | 0xFFFE) && matches!(depth, 8 | 16);
                let is_possible = is_known && (1..=8).contains(&channels);
                kind = is_possible.then_some(Kind::Audio { channels: channels as u8, depth: depth as u8 });
            }
            b"data" => return Some((at..at.checked_add(len)?, kind?)),
            _ => {}
        }
        at = at.checked_add(len.next_multiple_of(2))?;
    }
}

/// The pixels of a binary PBM, PGM or PPM file.
fn netpbm(bytes: &[u8]) -> Option<(Range<usize>, Kind)> {
    let mut at = 2;
    let mut number = || {
        while bytes.get(at)?.is_ascii_whitespace() || bytes[at] == b'#' {
            at += if bytes[at] == b'#' { bytes[at..].iter().position(|&byte| byte == b'\n')? } else { 1 };
        }
        let digits = bytes[at..].iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
        at += digits;
        std::str::from_utf8(&bytes[at - digits..at]).ok()?.parse::<usize>().ok().filter(|&number| number > 0)
    };
    let (width, height) = (number()?, number()?);
    let (row, pixel, depth) = match bytes[1] {
        b'4' => (width.div_ceil(8), 1, 1),
        format => {
            let bytes = if number()? > 255 { 2 } else { 1 };
            let pixel = if format == b'6' { 3 * bytes } else { bytes };
            (width * pixel, pixel, 8 * bytes)
        }
    };
    let start = at + 1;
    let kind = Kind::Image { row: u32::try_from(row).ok()?, pixel: pixel as u8, depth: depth as u8 };
    Some((start..start.checked_add(row.checked_mul(height)?)?, kind))
}
