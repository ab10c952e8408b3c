//! JPEGs for tests.

use super::{Block, END, Image, Step, Tables, Writer, ZIGZAG};
use crate::test_random::TestRandom;

/// What a JPEG is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub sides: [u16; 2],
    /// Blocks of an MCU, across and down, of each component.
    pub components: &'static [[u8; 2]],
    pub restart: u16,
    /// Whether each component has a scan of its own.
    pub apart: bool,
    pub padding: u32,
}

pub const SHAPES: [Shape; 6] = [
    Shape { sides: [40, 24], components: &[[1, 1]], restart: 0, apart: false, padding: 1 },
    Shape { sides: [33, 50], components: &[[2, 2], [1, 1], [1, 1]], restart: 0, apart: false, padding: 1 },
    Shape { sides: [70, 20], components: &[[2, 1], [1, 1], [1, 1]], restart: 3, apart: false, padding: 1 },
    Shape { sides: [17, 31], components: &[[1, 1]; 4], restart: 1, apart: false, padding: 0 },
    Shape { sides: [60, 60], components: &[[1, 2], [1, 1], [2, 1]], restart: 0, apart: true, padding: 1 },
    Shape { sides: [8, 8], components: &[[4, 4]], restart: 0, apart: true, padding: 0 },
];

pub(super) fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker, high, low], content].concat()
}

/// The scans of a progressive JPEG after the first one, of DC coefficients without their lowest bit: the first and the last
/// coefficient, and the bits.
const PASSES: [[u8; 3]; 6] = [[1, 5, 0x02], [6, 63, 0x02], [1, 63, 0x21], [0, 0, 0x10], [1, 9, 0x10], [10, 63, 0x10]];

/// Adds random coefficients to a block of zeros. DC coefficients change slowly.
fn fill(block: &mut Block, dc: &mut i16, random: &mut TestRandom) {
    *dc += random.below(41) as i16 - 20;
    block[0] = (*dc).clamp(-200, 200);
    for _ in 0..random.below(12) {
        let k = random.below(64).min(random.below(64)).max(1) as usize;
        let size = random.below(4) as u32 * random.below(4) as u32 + 2;
        block[usize::from(ZIGZAG[k])] = random.below(1 << size) as i16 - (1 << (size - 1));
    }
    // The size of this one has 10 bits.
    block.iter_mut().for_each(|value| *value = (*value).clamp(-1023, 1023));
}

impl Shape {
    /// What comes before the first scan, and its tables. The frame is `frame`.
    pub(super) fn tables(self, frame: u8) -> (Vec<u8>, Tables) {
        let Shape { sides: [width, height], components, restart, .. } = self;
        let steps: Vec<u8> = (0..64).map(|k| 3 + k / 2).collect();
        // All DC symbols have 4 bits, all AC symbols 8.
        let (mut dc, mut ac) = (vec![0; 17], vec![0; 17]);
        (dc[4], ac[8], ac[0]) = (12, 176, 0x10);
        dc.extend(0..12);
        ac.extend((0..16).map(|run| run << 4));
        ac.extend((0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size)));
        let sides = [height.to_be_bytes(), width.to_be_bytes()].concat();
        let parts = (1..).zip(components).flat_map(|(id, [x, y])| [id, x << 4 | y, 0]);
        let parts = [&[8], &sides[..], &[components.len() as u8], &parts.collect::<Vec<u8>>()].concat();
        let mut out = vec![0xFF, 0xD8];
        let mut tables = Tables::default();
        for (marker, content) in [
            (0xE0, b"JFIF and more".to_vec()),
            (0xFE, b"a comment".to_vec()),
            (0xDB, [&[0], &steps[..]].concat()),
            (frame, parts),
            (0xC4, dc),
            (0xC4, ac),
            (0xDD, restart.to_be_bytes().to_vec()),
        ] {
            let segment = segment(marker, &content);
            out.extend(&segment);
            tables.read(&segment).expect("a segment");
        }
        (out, tables)
    }

    /// The segments of scans, whose last bytes are `pass`.
    fn scans(self, apart: bool, pass: [u8; 3]) -> Vec<Vec<u8>> {
        let ids: Vec<u8> = (1..=self.components.len() as u8).collect();
        let scans = ids.chunks(if apart { 1 } else { 4 }).map(|ids| {
            let selectors = ids.iter().flat_map(|&id| [id, 0]).collect();
            segment(0xDA, &[vec![ids.len() as u8], selectors, pass.to_vec()].concat())
        });
        scans.collect()
    }

    /// A JPEG with random coefficients.
    pub fn image(self, random: &mut TestRandom) -> Vec<u8> {
        let (mut out, mut tables) = self.tables(0xC0);
        for segment in self.scans(self.apart, [0, 63, 0]) {
            out.extend(&segment);
            let scan = tables.read(&segment).flatten().expect("a scan");
            let mut writer = Writer::new(std::mem::take(&mut out), &scan);
            let mut dc = 0i16;
            scan.walk(|place| {
                let mut step = Step::blank(place);
                match &mut step {
                    Step::End { padding, .. } => *padding = self.padding,
                    Step::Block { block, .. } => fill(block, &mut dc, random),
                }
                writer.write(&step).ok_or(())
            })
            .expect("the codes have all symbols");
            out = writer.finish();
        }
        out.extend(END);
        out
    }

    /// A progressive JPEG with random coefficients, and their number.
    pub fn progressive(self, random: &mut TestRandom) -> (Vec<u8>, u32) {
        let (mut out, mut tables) = self.tables(0xC2);
        let mut image = Image::new(&tables, u64::MAX).expect("a frame");
        let mut dc = 0;
        for (_, blocks) in &mut image.planes.0 {
            blocks.iter_mut().for_each(|block| fill(block, &mut dc, random));
        }
        let first = self.scans(self.apart, [0, 0, 1]);
        let more = PASSES.iter().flat_map(|&pass| self.scans(self.apart || pass[1] > 0, pass));
        let mut segments = Vec::new();
        for segment in first.into_iter().chain(more) {
            let scan = tables.read(&segment).flatten().expect("a scan");
            segments.extend(&segment);
            let paddings = vec![self.padding; scan.intervals()];
            image.add(segments.len(), scan, paddings);
        }
        segments.extend(END);
        let coefficients = image.whole.coefficients();
        out = image.write(&segments, out, usize::MAX).expect("the codes have all symbols");
        (out, coefficients as u32)
    }
}
