//! The pages of a database: which of their bytes belong to which field of which cell.

use crate::content::database::{HEADER, MAGIC, Pages};

/// What a page is, by its first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageKind {
    /// No node of a tree: the rest of a long payload, or not in use.
    #[default]
    Other,
    InnerIndex,
    InnerTable,
    Index,
    Table,
}

impl PageKind {
    fn of(byte: u8) -> PageKind {
        match byte {
            2 => PageKind::InnerIndex,
            5 => PageKind::InnerTable,
            10 => PageKind::Index,
            13 => PageKind::Table,
            _ => PageKind::Other,
        }
    }

    /// Whether its cells begin with the number of another page.
    pub fn is_inner(self) -> bool {
        matches!(self, PageKind::InnerIndex | PageKind::InnerTable)
    }

    /// Whether it belongs to an index.
    pub fn is_index(self) -> bool {
        matches!(self, PageKind::InnerIndex | PageKind::Index)
    }

    fn head_len(self) -> usize {
        if self.is_inner() { 12 } else { 8 }
    }
}

/// What part of a page the next byte is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Area {
    /// Nothing is known of it.
    #[default]
    Unknown,
    /// The database's header.
    Header,
    /// The page's head.
    Head,
    /// The places of cells.
    Pointers,
    /// Neither that nor cells.
    Free,
    /// Cells, and what may be between them.
    Cells,
}

/// A byte's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// None but on the place.
    Inside,
    /// A page begins with the next byte.
    Page,
    /// A cell begins with the next byte: its place among the sorted ones of the page.
    Cell(usize),
}

/// The parser of pages.
#[derive(Clone, Default)]
pub struct Page {
    /// The last 16 bytes.
    last: u128,
    pages: Option<Pages>,
    header: Vec<u8>,
    /// Where the next byte is in the page.
    pub at: usize,
    pub area: Area,
    pub kind: PageKind,
    /// Bytes before its head: those of the database's header.
    base: usize,
    head: [u8; 12],
    /// The places of cells as they are listed.
    pub pointers: Vec<u16>,
    /// The same that may be right, sorted, each with its place in the list; the first one that did not begin yet.
    sorted: Vec<(u16, u16)>,
    next: usize,
    /// How many cells the list has, and where it ends.
    pub count: usize,
    list_end: usize,
}

impl Page {
    /// Reads a byte.
    pub fn push(&mut self, byte: u8) -> Step {
        self.last = self.last << 8 | u128::from(byte);
        let may_begin = self.pages.is_none() || self.at + 1 == MAGIC.len();
        if may_begin && self.last == u128::from_be_bytes(MAGIC) {
            // A database begins, maybe behind another.
            self.begin(HEADER);
            (self.at, self.area, self.pages) = (MAGIC.len(), Area::Header, None);
            self.header = MAGIC.to_vec();
            return Step::Page;
        }
        self.at += 1;
        if self.area == Area::Header {
            self.header.push(byte);
            if let Some(header) = self.header.first_chunk() {
                self.pages = Pages::of(header);
                self.area = if self.pages.is_some() { Area::Head } else { Area::Unknown };
            }
            return Step::Inside;
        }
        let Some(pages) = self.pages else { return Step::Inside };
        if self.at == pages.size {
            self.begin(0);
            return Step::Page;
        }
        match self.area {
            Area::Head => self.read_head(byte, pages),
            Area::Pointers => self.read_pointer(byte, pages),
            _ => {}
        }
        if matches!(self.area, Area::Free | Area::Cells)
            && let Some(&(start, rank)) = self.sorted.get(self.next)
            && usize::from(start) == self.at
        {
            self.area = Area::Cells;
            self.next += 1;
            return Step::Cell(rank.into());
        }
        Step::Inside
    }

    fn begin(&mut self, base: usize) {
        (self.at, self.area, self.kind, self.base, self.next, self.count) =
            (0, Area::Head, PageKind::Other, base, 0, 0);
        self.pointers.clear();
        self.sorted.clear();
    }

    fn read_head(&mut self, byte: u8, pages: Pages) {
        let offset = self.at - self.base - 1;
        if offset == 0 {
            self.kind = PageKind::of(byte);
            if self.kind == PageKind::Other {
                self.area = Area::Unknown;
                return;
            }
        }
        self.head[offset] = byte;
        if offset + 1 == self.kind.head_len() {
            self.count = u16::from_be_bytes([self.head[3], self.head[4]]).into();
            self.list_end = self.at + 2 * self.count;
            self.area = match self.count {
                _ if self.list_end > pages.usable => Area::Unknown,
                0 => Area::Free,
                _ => Area::Pointers,
            };
        }
    }

    fn read_pointer(&mut self, byte: u8, pages: Pages) {
        if self.pointer_byte() == 1 {
            return;
        }
        let start = self.last as u16 & 0xFF00 | u16::from(byte);
        self.pointers.push(start);
        if self.at < self.list_end {
            return;
        }
        let is_right = |start: u16| (self.list_end..pages.usable).contains(&usize::from(start));
        let places = self.pointers.iter().enumerate().filter(|&(_, &start)| is_right(start));
        self.sorted = places.map(|(rank, &start)| (start, rank as u16)).collect();
        self.sorted.sort_unstable();
        self.sorted.dedup_by_key(|place| place.0);
        self.area = Area::Free;
    }

    /// Bytes of the next pointer that are known: 0 or 1.
    pub fn pointer_byte(&self) -> usize {
        (self.list_end - self.at) % 2
    }

    /// The last byte.
    pub fn last_byte(&self) -> u8 {
        self.last as u8
    }

    /// Bytes of the page's head that are known.
    pub fn head_offset(&self) -> usize {
        self.at.saturating_sub(self.base)
    }

    /// The pages, if they are known.
    pub fn pages(&self) -> Option<Pages> {
        self.pages
    }

    /// Where the cell ends that began last, at most.
    pub fn cell_end(&self) -> usize {
        let usable = self.pages.map_or(0, |pages| pages.usable);
        self.sorted.get(self.next).map_or(usable, |&(start, _)| start.into())
    }

    /// Where the list of cells says that they begin.
    pub fn content_start(&self) -> u16 {
        u16::from_be_bytes([self.head[5], self.head[6]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of two pages of 512 bytes: an empty table, and a table of two cells.
    fn database() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([2, 0, 1, 1, 0, 64, 32, 32]);
        bytes.resize(HEADER, 0);
        bytes.extend([13, 0, 0, 0, 0, 2, 0, 0]);
        bytes.resize(512, 0);
        bytes.extend([13, 0, 0, 0, 2, 1, 0xE0, 0, 1, 0xF0, 1, 0xE0]);
        bytes.resize(1024, 0);
        bytes
    }

    #[test]
    fn cells_are_found_by_their_pointers() {
        let (mut page, mut steps) = (Page::default(), Vec::new());
        for (i, &byte) in [b"noise".as_slice(), &database(), &database()].concat().iter().enumerate() {
            let step = page.push(byte);
            if step != Step::Inside {
                steps.push((i - 4, step));
            }
        }
        let cell = |rank: usize| Step::Cell(rank);
        let expected = [(16, Step::Page), (512, Step::Page), (992, cell(1)), (1008, cell(0)), (1024, Step::Page)];
        let second = expected.map(|(at, step)| (at + 1024, step));
        assert_eq!(steps, [expected, second].concat());
    }
}
