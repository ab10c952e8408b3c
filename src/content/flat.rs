//! Flat areas of images: places around which all pixels are equal. The codec takes little time for these.

use super::kind::Kind;

/// An image's rows of `row` bytes, with pixels of `pixel` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Bytes of a row.
    pub row: usize,
    /// Bytes of a pixel.
    pub pixel: usize,
}

/// Bytes in flat areas that take as long as one elsewhere, about.
const SPEED: usize = 16;

impl Rows {
    /// The rows of an image whose samples have two to eight bits; none of other content.
    pub fn of(kind: Kind) -> Option<Rows> {
        let Kind::Image { row, pixel, depth: 2..=8 } = kind else { return None };
        let (row, pixel) = (row as usize, usize::from(pixel));
        (pixel > 0 && row > 2 * pixel).then_some(Rows { row, pixel })
    }

    /// Whether the pixel that follows `bytes` is in a flat area: nine pixels are equal, two to the left, five above and to the sides,
    /// two of the row above that.
    pub fn is_flat(self, bytes: &[u8]) -> bool {
        let (r, p) = (self.row, self.pixel);
        let around = [r, r - p, r + p, 2 * p, 2 * r, r - 2 * p, r + 2 * p, 2 * r - p, 2 * r + p];
        let left = self.before(bytes, p);
        left.is_some() && around.iter().all(|&back| self.before(bytes, back) == left)
    }

    /// The pixel that begins `back` bytes before the end of `bytes`; none if it is not known.
    pub fn before(self, bytes: &[u8], back: usize) -> Option<&[u8]> {
        bytes.get(bytes.len().checked_sub(back)?..)?.get(..self.pixel)
    }

    /// How many bytes elsewhere take as long to code as `pixels` do.
    pub fn time(self, pixels: &[u8]) -> usize {
        let starts = (0..pixels.len()).step_by(self.row).flat_map(|row| (row..row + self.row).step_by(self.pixel));
        let flat = starts.filter(|&at| pixels.get(..at).is_some_and(|before| self.is_flat(before))).count();
        pixels.len() - (flat * self.pixel).min(pixels.len()) / SPEED * (SPEED - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn flat_areas_take_little_time() {
        let rows = Rows { row: 300, pixel: 3 };
        let flat = [7, 8, 9].repeat(100 * 100);
        assert!(rows.time(&flat) < flat.len() / 10);
        let noise = TestRandom::new(1).bytes(flat.len());
        assert_eq!(rows.time(&noise), noise.len());
        let half = [&flat[..flat.len() / 2], &noise[..flat.len() / 2]].concat();
        assert!((half.len() / 2..half.len() * 6 / 10).contains(&rows.time(&half)));
    }
}
