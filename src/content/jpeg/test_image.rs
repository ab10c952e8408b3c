//! JPEGs for tests.

use super::{END, Step, Tables, Writer, ZIGZAG};
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

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker, high, low], content].concat()
}

impl Shape {
    /// A JPEG with random coefficients, which change slowly.
    pub fn image(self, random: &mut TestRandom) -> Vec<u8> {
        let Shape { sides: [width, height], components, restart, apart, padding } = self;
        let steps: Vec<u8> = (0..64).map(|k| 3 + k / 2).collect();
        // All DC symbols have 4 bits, all AC symbols 8.
        let (mut dc, mut ac) = (vec![0; 17], vec![0; 17]);
        (dc[4], ac[8], ac[0]) = (12, 162, 0x10);
        dc.extend(0..12);
        ac.extend([0x00, 0xF0]);
        ac.extend((0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size)));
        let sides = [height.to_be_bytes(), width.to_be_bytes()].concat();
        let parts = (1..).zip(components).flat_map(|(id, [x, y])| [id, x << 4 | y, 0]);
        let frame = [&[8], &sides[..], &[components.len() as u8], &parts.collect::<Vec<u8>>()].concat();
        let mut out = vec![0xFF, 0xD8];
        let mut tables = Tables::default();
        let mut put = |out: &mut Vec<u8>, segment: Vec<u8>| {
            out.extend(&segment);
            tables.read(&segment).expect("a segment")
        };
        for (marker, content) in [
            (0xE0, b"JFIF and more".to_vec()),
            (0xFE, b"a comment".to_vec()),
            (0xDB, [&[0], &steps[..]].concat()),
            (0xC0, frame),
            (0xC4, dc),
            (0xC4, ac),
            (0xDD, restart.to_be_bytes().to_vec()),
        ] {
            put(&mut out, segment(marker, &content));
        }
        let ids: Vec<u8> = (1..=components.len() as u8).collect();
        for ids in ids.chunks(if apart { 1 } else { 4 }) {
            let selectors = ids.iter().flat_map(|&id| [id, 0]).collect();
            let content = [vec![ids.len() as u8], selectors, vec![0, 63, 0]].concat();
            let scan = put(&mut out, segment(0xDA, &content)).expect("a scan");
            let mut writer = Writer::new(std::mem::take(&mut out), &scan);
            let mut dc = 0i16;
            scan.walk(|place| {
                let mut step = Step::blank(place);
                match &mut step {
                    Step::End { padding: own, .. } => *own = padding,
                    Step::Block { block, .. } => {
                        dc += random.below(41) as i16 - 20;
                        block[0] = dc.clamp(-200, 200);
                        for _ in 0..random.below(12) {
                            let k = random.below(64).min(random.below(64)).max(1) as usize;
                            let size = random.below(4) as u32 * random.below(4) as u32 + 2;
                            block[usize::from(ZIGZAG[k])] = random.below(1 << size) as i16 - (1 << (size - 1));
                        }
                        // The size of this one has 10 bits.
                        block.iter_mut().for_each(|value| *value = (*value).clamp(-1023, 1023));
                    }
                }
                writer.write(&step).ok_or(())
            })
            .expect("the codes have all symbols");
            out = writer.finish();
        }
        out.extend(END);
        out
    }
}
