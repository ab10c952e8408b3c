//! How samples lie in a block: in rows or not, of several channels, and which of them are near.

use crate::content::Kind;
use crate::text::LaneView;

const MAX_CHANNELS: usize = 8;
/// The most neighbours of a sample.
pub const MAX_NEIGHBOURS: usize = 26;

/// Samples of one, two or four bytes, the high one first.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Bytes of a sample.
    pub bytes: usize,
    pub channels: usize,
    /// Samples in a row; 0 if there are no rows.
    pub row: usize,
}

impl Grid {
    /// The grid of a block of `raw_len` bytes of samples; none if it consists of something else.
    pub fn of(kind: Kind, raw_len: usize) -> Option<Grid> {
        let (row, channels, depth) = match kind {
            Kind::Image { row, pixel, depth: depth @ (8 | 16 | 32) } if row > 0 => {
                (row as usize * 8 / usize::from(depth), usize::from(pixel) * 8 / usize::from(depth), depth)
            }
            Kind::Audio { channels, depth: depth @ (8 | 16) } => (0, channels.into(), depth),
            _ => return None,
        };
        let is_regular = row == 0 || row > 3 * channels && row <= raw_len / 2;
        ((1..=MAX_CHANNELS).contains(&channels) && is_regular).then_some(Grid {
            bytes: usize::from(depth) / 8,
            channels,
            row,
        })
    }

    /// The channel of sample number `index`.
    pub fn channel(self, index: usize) -> usize {
        let in_row = if self.row > 0 { index % self.row } else { index };
        in_row % self.channels
    }

    /// How many samples back the neighbours of a sample of `channel` are, the most telling first.
    pub fn neighbours(self, channel: usize) -> Vec<usize> {
        let (c, r) = (self.channels, self.row);
        let mut back = Vec::new();
        if r == 0 {
            for frame in 1..=MAX_NEIGHBOURS {
                back.push(frame * c);
                // The other channels: in this frame, if they come before, or in the one before.
                back.extend((1..c.min(3)).map(|other| (frame - 1) * c + other));
            }
        } else {
            back.extend([c, r, r + c, r - c]);
            for other in 1..c.min(4) {
                if other <= channel {
                    back.extend([other, other + c, other + r]);
                } else {
                    back.extend([other, r + other - c]);
                }
            }
            back.extend([
                2 * c,
                2 * r,
                2 * r - c,
                2 * r + c,
                r - 2 * c,
                r + 2 * c,
                3 * c,
                3 * r,
                2 * r - 2 * c,
                2 * r + 2 * c,
            ]);
            back.extend([r - 3 * c, r + 3 * c, 3 * r - c, 3 * r + c, 4 * c]);
        }
        back.truncate(MAX_NEIGHBOURS);
        back
    }

    /// The sample `back` samples before sample number `index`; 0 before the first.
    #[inline]
    pub fn sample(self, view: LaneView, index: usize, back: usize) -> i32 {
        let Some(at) = index.checked_sub(back) else { return 0 };
        let bytes = view.bytes();
        match self.bytes {
            1 => bytes[at].into(),
            _ => i32::from(bytes[2 * at]) << 8 | i32::from(bytes[2 * at + 1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_come_before() {
        for row in [0, 1000] {
            for channels in 1..=8 {
                let grid = Grid { bytes: 1, channels, row };
                for channel in 0..channels {
                    let neighbours = grid.neighbours(channel);
                    assert!(neighbours.iter().all(|&back| back > 0), "{grid:?} {channel}: {neighbours:?}");
                    let distinct: std::collections::HashSet<_> = neighbours.iter().collect();
                    assert_eq!(distinct.len(), neighbours.len(), "{grid:?} {channel}: {neighbours:?}");
                }
            }
        }
    }
}
