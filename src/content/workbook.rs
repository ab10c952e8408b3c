//! Spreadsheets in Microsoft's binary format (BIFF 2 to 8; [MS-XLS]): a stream of records, alone or in a compound file.

/// Records are not longer.
pub const MAX_RECORD: usize = 8228;
/// So many records in sequence, from one that starts a stream on, make it one.
const MIN_RECORDS: usize = 64;
/// The first bytes of a compound file ([MS-CFB], 2.2), and how long its sectors are.
const COMPOUND: [u8; 8] = [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
const SECTOR: usize = 512;
/// How many sectors of a compound file are looked at.
const MAX_SECTORS: usize = 1 << 12;

/// Whether a record's head, its type and length, starts a stream: BOF of any version.
pub fn is_start(head: u32) -> bool {
    matches!(head & 0xFFFF, 0x009 | 0x209 | 0x409 | 0x809) && matches!(head >> 16, 4 | 6 | 8 | 16)
}

/// Whether it may be a record's type.
pub fn is_type(kind: u32) -> bool {
    kind <= 0x10FF && (kind & 0xF00 <= 0x800) && kind != 0
}

/// Whether a record of this type begins with a row and a column.
pub fn is_cell(kind: u32) -> bool {
    matches!(kind & 0xFF, 0x01..=0x07 | 0x7E | 0xBD | 0xBE | 0xD6 | 0xFD) && kind <= 0x4FF
}

/// Whether `bytes` are a workbook, or a compound file of one.
pub fn is_workbook(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&COMPOUND) {
        return has_records(bytes);
    }
    bytes.chunks(SECTOR).take(MAX_SECTORS).enumerate().skip(1).any(|(i, _)| has_records(&bytes[i * SECTOR..]))
}

/// Whether a stream of records begins here.
fn has_records(bytes: &[u8]) -> bool {
    let mut at = 0;
    for i in 0..MIN_RECORDS {
        let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return false };
        let head = u32::from_le_bytes(*head);
        let (kind, len) = (head & 0xFFFF, (head >> 16) as usize);
        if (i == 0 && !is_start(head)) || !is_type(kind) || len > MAX_RECORD {
            return false;
        }
        at += 4 + len;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// A stream of cells of one byte.
    fn cells(count: u16) -> Vec<u8> {
        let mut bytes = vec![9, 8, 16, 0];
        bytes.extend([0; 16]);
        for i in 0..count {
            bytes.extend([0x05, 0x02, 8, 0]);
            bytes.extend([i / 20, i % 20, 15, i & 1].map(u16::to_le_bytes).as_flattened());
        }
        bytes
    }

    #[test]
    fn workbooks_are_found() {
        let mut random = TestRandom::new(31);
        let stream = cells(100);
        let compound = |stream: &[u8]| [&COMPOUND[..], &[7; SECTOR - 8], stream].concat();
        assert!(is_workbook(&stream) && is_workbook(&compound(&stream)));
        assert!(
            !is_workbook(&stream[..500]) && !is_workbook(&cells(62)) && !is_workbook(&compound(&random.bytes(2000)))
        );
        for _ in 0..1000 {
            let mut damaged = stream.clone();
            damaged[random.below(1200) as usize] ^= 1 << random.below(8);
            is_workbook(&damaged);
        }
        assert!(!is_workbook(b""));
    }
}
