//! Tar: members of 512-byte blocks, each behind a header of one (POSIX.1-1988, ustar).

use std::ops::Range;

pub const BLOCK: usize = 512;
const MAGIC: Range<usize> = 257..262;
pub const SIZE: Range<usize> = 124..136;
pub const SUM: Range<usize> = 148..156;

/// Where the members' data lie in the tar that `bytes` are, if they are one: what is between is headers and padding.
pub fn members(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut members = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + BLOCK) {
        let Some(size) = member_len(header) else {
            // The end is two blocks of zeros.
            if header.iter().any(|&byte| byte != 0) {
                break;
            }
            at += BLOCK;
            continue;
        };
        let data = at + BLOCK..(at + BLOCK).saturating_add(size).min(bytes.len());
        at = data.end.next_multiple_of(BLOCK);
        members.push(data);
    }
    members
}

/// A member's length, if `header` is one with a right check sum.
fn member_len(header: &[u8]) -> Option<usize> {
    size(header).filter(|_| octal(&header[SUM]) == Some(sum(header)))
}

/// The length that `header` gives, if it is one; lengths beyond the address space are the largest.
pub fn size(header: &[u8]) -> Option<usize> {
    if header.get(MAGIC)? != b"ustar" {
        return None;
    }
    octal(&header[SIZE]).map(|size| usize::try_from(size).unwrap_or(usize::MAX))
}

/// The check sum of a header, in the place of which are blanks.
pub fn sum(header: &[u8]) -> u64 {
    let all = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    all(&header[..SUM.start]) + all(&header[SUM.end..]) + SUM.len() as u64 * u64::from(b' ')
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok()
}
