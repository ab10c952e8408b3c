//! A model of the bytes of marker segments.

use super::coder::Coder;
use super::decisions::Decisions;
use crate::content::jpeg::END;

/// The segments of the Huffman codes in T.81, annex K, which most JPEGs have.
#[rustfmt::skip]
const USUAL: [u8; 432] = [
    255, 196, 0, 31, 0, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255,
    196, 0, 181, 16, 0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125, 1, 2, 3, 0, 4, 17, 5, 18, 33, 49, 65, 6, 19,
    81, 97, 7, 34, 113, 20, 50, 129, 145, 161, 8, 35, 66, 177, 193, 21, 82, 209, 240, 36, 51, 98, 114, 130, 9, 10, 22,
    23, 24, 25, 26, 37, 38, 39, 40, 41, 42, 52, 53, 54, 55, 56, 57, 58, 67, 68, 69, 70, 71, 72, 73, 74, 83, 84, 85,
    86, 87, 88, 89, 90, 99, 100, 101, 102, 103, 104, 105, 106, 115, 116, 117, 118, 119, 120, 121, 122, 131, 132, 133,
    134, 135, 136, 137, 138, 146, 147, 148, 149, 150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167, 168, 169, 170,
    178, 179, 180, 181, 182, 183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200, 201, 202, 210, 211, 212, 213, 214,
    215, 216, 217, 218, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 241, 242, 243, 244, 245, 246, 247, 248, 249,
    250, 255, 196, 0, 31, 1, 0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    255, 196, 0, 181, 17, 0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119, 0, 1, 2, 3, 17, 4, 5, 33, 49, 6, 18, 65,
    81, 7, 97, 113, 19, 34, 50, 129, 8, 20, 66, 145, 161, 177, 193, 9, 35, 51, 82, 240, 21, 98, 114, 209, 10, 22, 36,
    52, 225, 37, 241, 23, 24, 25, 26, 38, 39, 40, 41, 42, 53, 54, 55, 56, 57, 58, 67, 68, 69, 70, 71, 72, 73, 74, 83,
    84, 85, 86, 87, 88, 89, 90, 99, 100, 101, 102, 103, 104, 105, 106, 115, 116, 117, 118, 119, 120, 121, 122, 130,
    131, 132, 133, 134, 135, 136, 137, 138, 146, 147, 148, 149, 150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167,
    168, 169, 170, 178, 179, 180, 181, 182, 183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200, 201, 202, 210, 211,
    212, 213, 214, 215, 216, 217, 218, 226, 227, 228, 229, 230, 231, 232, 233, 234, 242, 243, 244, 245, 246, 247, 248,
    249, 250,
];

/// Codes marker segments byte by byte.
pub struct Heads {
    decisions: Decisions<6, 16>,
    /// The last bytes.
    last: u64,
}

impl Default for Heads {
    /// A model that knows the usual Huffman codes.
    fn default() -> Self {
        let mut heads = Heads { decisions: Decisions::new(15, &[256, 64], [512, 4096]), last: 0 };
        let mut at = 0;
        while let Some(segment) = heads.code(&mut Teacher, Some(&USUAL[at..]), USUAL.len() - at) {
            at += segment.len();
        }
        heads
    }
}

/// Codes nothing.
struct Teacher;

impl Coder for Teacher {
    fn code(&mut self, bit: u32, _: u32) -> u32 {
        bit
    }
}

impl Heads {
    /// Codes a segment of at most `limit` bytes: the one that `given` begin with, or what a decoder reads. None if it is longer or is
    /// no segment.
    pub fn code(&mut self, coder: &mut impl Coder, given: Option<&[u8]>, limit: usize) -> Option<Vec<u8>> {
        let (mut segment, mut len) = (Vec::new(), 2);
        while segment.len() < len {
            let byte = given.map_or(Some(0), |given| given.get(segment.len()).copied())?;
            segment.push(self.byte(coder, byte, &segment));
            match *segment {
                [high, low] if [high, low] != END => len = 4,
                [0xFF, _, high, low] => len = 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => {}
            }
            if len > limit {
                return None;
            }
        }
        Some(segment)
    }

    fn byte(&mut self, coder: &mut impl Coder, byte: u8, before: &[u8]) -> u8 {
        let place = before.len().min(255) as u32;
        let marker = before.get(1).map_or(0, |&marker| u32::from(marker));
        let last = |count: u32| (self.last & ((1 << (8 * count)) - 1)) as u32;
        let hash = |value: u32| value.wrapping_mul(0x2C1B_3C6D) ^ value >> 15;
        let contexts = [
            marker,
            marker << 8 | place,
            hash(last(1) << 8 | marker),
            hash(last(2)),
            hash(last(3)).wrapping_add(1),
            hash(last(4) ^ marker << 24).wrapping_add(2),
        ];
        let mut made = 1;
        for i in (0..8).rev() {
            if i % 4 == 3 {
                self.decisions.set(contexts.map(|context| context.wrapping_mul(257).wrapping_add(made)));
            }
            let node = if i >= 4 { made } else { (made & ((1 << (3 - i)) - 1)) | 1 << (3 - i) };
            let selected = [made as usize, place.min(63) as usize, 0, 0, 0, 0, 0, 0];
            let refined = [made as usize, (marker as usize & 15) << 8 | made as usize];
            made = made << 1 | self.decisions.code(coder, u32::from(byte) >> i & 1, node as usize, selected, refined);
        }
        self.last = self.last << 8 | u64::from(made as u8);
        made as u8
    }
}
