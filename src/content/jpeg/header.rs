//! Marker segments: tables, the frame, and scans.

use super::huffman::Huffman;

/// The natural place, row by row, of each coefficient in zigzag order.
pub const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// The marker EOI.
pub const END: [u8; 2] = [0xFF, 0xD9];

/// The most blocks that a scan's model remembers, which bounds the width.
const MAX_REMEMBERED: usize = 1 << 15;

/// Bytes of the marker segment at the beginning of `bytes`, if it is all there.
pub fn segment_len(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(&END) {
        return Some(END.len());
    }
    let [0xFF, _, high, low] = *bytes.first_chunk()? else { return None };
    let len = usize::from(u16::from_be_bytes([high, low]));
    (len >= 2 && bytes.len() >= 2 + len).then_some(2 + len)
}

/// Where the tables of the JPEG at the beginning of `bytes` begin, behind what applications and people have to say.
pub fn first_table(bytes: &[u8]) -> Option<usize> {
    bytes.strip_prefix(&[0xFF, 0xD8])?;
    let mut at = 2;
    while let [0xFF, 0xE0..=0xEF | 0xFE] = bytes.get(at..at + 2)? {
        at += segment_len(&bytes[at..])?;
    }
    Some(at)
}

/// What marker segments said so far.
#[derive(Default)]
pub struct Tables {
    /// In natural order.
    quantisation: [Option<[u16; 64]>; 4],
    /// For DC, and for AC.
    huffman: [[Option<Huffman>; 4]; 2],
    restart: usize,
    frame: Option<Frame>,
    has_scan: bool,
}

struct Frame {
    is_progressive: bool,
    width: usize,
    height: usize,
    components: Vec<FrameComponent>,
}

struct FrameComponent {
    id: u8,
    /// Blocks of an MCU, across and down.
    size: [usize; 2],
    quantisation: usize,
}

/// A component of a scan.
pub struct Component {
    /// Its number in the frame.
    pub number: usize,
    /// Blocks of an MCU, across and down.
    pub size: [usize; 2],
    /// Blocks of a row.
    pub columns: usize,
    /// In natural order.
    pub quantisation: [u16; 64],
}

impl Component {
    /// Rows of blocks that matter to a block.
    pub fn rows(&self) -> usize {
        self.size[1] + 2
    }

    /// Blocks of these rows.
    pub fn remembered(&self) -> usize {
        self.columns * self.rows()
    }
}

/// How the blocks of a scan follow each other.
pub struct Scan {
    pub components: Vec<Component>,
    /// Of each component, the codes of DC and AC symbols, if it needs them.
    pub codes: Vec<[Option<Huffman>; 2]>,
    /// What the scan of a progressive JPEG holds; those of sequential ones hold everything.
    pub pass: Option<Pass>,
    /// MCUs across and down.
    pub mcus: [usize; 2],
    /// MCUs between restart markers; 0 if there are none.
    pub restart: usize,
}

/// What a scan of a progressive JPEG says of its blocks: some bits of some coefficients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// The first and the last coefficient in zigzag order: 0 and 0, or both higher.
    pub band: [usize; 2],
    /// The lowest bit that was known before, the one above `low`; none if none was.
    pub high: Option<u32>,
    /// The lowest bit that is known after it.
    pub low: u32,
}

impl Pass {
    fn read(&[first, last, bits]: &[u8; 3]) -> Option<Pass> {
        let (high, low) = (bits >> 4, bits & 15);
        let is_valid = first <= last && last < 64 && (first > 0 || last == 0);
        let is_next = high == 0 && low < 14 || high == low + 1;
        let high = (high > 0).then_some(high.into());
        (is_valid && is_next).then_some(Pass { band: [first, last].map(usize::from), high, low: low.into() })
    }
}

impl Scan {
    /// The number of blocks of a component.
    pub fn blocks(&self, component: &Component) -> usize {
        component.columns * self.mcus[1] * component.size[1]
    }

    /// The number of coefficients.
    pub fn coefficients(&self) -> u64 {
        self.components.iter().map(|component| 64 * self.blocks(component) as u64).sum()
    }

    /// The number of intervals, between which there are restart markers.
    pub fn intervals(&self) -> usize {
        if self.restart == 0 { 1 } else { (self.mcus[0] * self.mcus[1]).div_ceil(self.restart) }
    }
}

impl Tables {
    /// Whether a scan was read.
    pub fn has_scan(&self) -> bool {
        self.has_scan
    }

    /// Reads a marker segment, and gives the scan that follows it, if one does. None if it is not one of a JPEG of 8 bits,
    /// sequential or progressive.
    pub fn read(&mut self, segment: &[u8]) -> Option<Option<Scan>> {
        if segment == END {
            *self = Tables::default();
            return Some(None);
        }
        let ([0xFF, marker, _, _], content) = segment.split_first_chunk()? else { return None };
        match marker {
            0xC0..=0xC2 if self.frame.is_none() => self.frame = Some(Frame::read(content, *marker == 0xC2)?),
            0xC4 => self.read_huffman(content)?,
            0xDA => {
                self.has_scan = true;
                return Some(Some(self.scan(content)?));
            }
            0xDB => self.read_quantisation(content)?,
            0xDD => self.restart = u16::from_be_bytes(content.try_into().ok()?).into(),
            0xE0..=0xEF | 0xFE => {}
            _ => return None,
        }
        Some(None)
    }

    fn read_huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&place, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let code = Huffman::new(counts, symbols)?;
            *self.huffman.get_mut(usize::from(place >> 4))?.get_mut(usize::from(place & 15))? = Some(code);
            segment = rest;
        }
        Some(())
    }

    fn read_quantisation(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&place, mut rest)) = segment.split_first() {
            let mut table = [0; 64];
            for natural in ZIGZAG {
                let width = if place >> 4 > 0 { 2 } else { 1 };
                let (value, after) = rest.split_at_checked(width)?;
                table[usize::from(natural)] = value.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
                rest = after;
            }
            *self.quantisation.get_mut(usize::from(place & 15))? = Some(table);
            segment = rest;
        }
        Some(())
    }

    fn scan(&self, segment: &[u8]) -> Option<Scan> {
        let frame = self.frame.as_ref()?;
        let (&count, rest) = segment.split_first()?;
        let (selectors, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let pass = match frame.is_progressive {
            true => Some(Pass::read(rest.try_into().ok()?)?),
            false if rest == [0, 63, 0] => None,
            false => return None,
        };
        let is_needed = match pass {
            None => [true; 2],
            Some(Pass { band: [0, _], high, .. }) => [high.is_none(), false],
            Some(_) if count > 1 => return None,
            Some(_) => [false, true],
        };
        let (mut numbers, mut codes) = (Vec::new(), Vec::new());
        for &[id, places] in selectors.as_chunks::<2>().0 {
            numbers.push(frame.components.iter().position(|component| component.id == id)?);
            let code = |class: usize, place: u8| match is_needed[class] {
                true => self.huffman[class].get(usize::from(place))?.clone().map(Some),
                false => Some(None),
            };
            codes.push([code(0, places >> 4)?, code(1, places & 15)?]);
        }
        Some(Scan { codes, pass, ..self.order(&numbers)? })
    }

    /// All coefficients of a progressive JPEG, in the order of a sequential one's only scan. None without a progressive frame, or if a
    /// model can't remember its rows.
    pub fn whole(&self) -> Option<Scan> {
        let frame = self.frame.as_ref().filter(|frame| frame.is_progressive)?;
        let numbers: Vec<usize> = (0..frame.components.len()).collect();
        Some(Scan { restart: 0, ..self.order(&numbers)? })
    }

    /// How the blocks of components with these numbers follow each other.
    fn order(&self, numbers: &[usize]) -> Option<Scan> {
        let frame = self.frame.as_ref()?;
        // Each component once, so there are at most as many as in the frame.
        if (1..numbers.len()).any(|i| numbers[..i].contains(&numbers[i])) {
            return None;
        }
        let max = |axis: usize| frame.components.iter().map(|component| component.size[axis]).max();
        let max = [max(0)?, max(1)?];
        let is_alone = numbers.len() == 1;
        let (mut components, mut mcus) = (Vec::new(), [0; 2]);
        for &number in numbers {
            let FrameComponent { size, quantisation, .. } = frame.components[number];
            let sides = [frame.width, frame.height];
            if is_alone {
                mcus = [0, 1].map(|axis| (sides[axis] * size[axis]).div_ceil(max[axis]).div_ceil(8));
            } else {
                mcus = [0, 1].map(|axis| sides[axis].div_ceil(8 * max[axis]));
            }
            let size = if is_alone { [1; 2] } else { size };
            let columns = mcus[0] * size[0];
            components.push(Component { number, size, columns, quantisation: self.quantisation[quantisation]? });
        }
        let scan = Scan { components, codes: Vec::new(), pass: None, mcus, restart: self.restart };
        let remembered: usize = scan.components.iter().map(Component::remembered).sum();
        (1..=MAX_REMEMBERED).contains(&remembered).then_some(scan)
    }
}

impl Frame {
    fn read(segment: &[u8], is_progressive: bool) -> Option<Frame> {
        let (&[8, h1, h2, w1, w2, count], rest) = segment.split_first_chunk()? else { return None };
        let [height, width] = [[h1, h2], [w1, w2]].map(|side| usize::from(u16::from_be_bytes(side)));
        let (parts, rest) = rest.as_chunks::<3>();
        if height == 0 || width == 0 || !rest.is_empty() || parts.len() != usize::from(count) || parts.len() > 4 {
            return None;
        }
        let components = parts.iter().map(|&[id, size, quantisation]| {
            let size = [size >> 4, size & 15].map(usize::from);
            let is_valid = size.iter().all(|side| (1..=4).contains(side)) && quantisation < 4;
            is_valid.then_some(FrameComponent { id, size, quantisation: quantisation.into() })
        });
        Some(Frame { is_progressive, width, height, components: components.collect::<Option<_>>()? })
    }
}
