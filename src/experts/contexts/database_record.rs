//! The records of a database: of which column of which table bytes are, and the records before.

use super::database_links::Links;
use super::database_order::{Order, Value};
use super::database_page::{Area, Page, PageKind, Step};
use super::database_row::{Column, Record};
use super::hash2;
use crate::content::database::value_len;
use std::sync::Arc;

/// The most columns of a record that are kept.
const MAX_COLUMNS: usize = 64;
/// The least length of a text that is likely made of sentences.
const MIN_PROSE: u64 = 128;
/// Tables that are told apart.
const TABLES: usize = 256;
/// Pairs of values of neighbouring columns that are kept.
const PAIRS: usize = 1 << 16;

/// What field of a cell the next byte is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field {
    /// Bytes between cells, and such that nothing is known of.
    #[default]
    Rest,
    /// The number of a page: of an inner page's child.
    Child,
    /// The length of the payload.
    Payload,
    RowId,
    /// The length of the record's head.
    HeadLen,
    /// The type and length of the value of the current column.
    Serial,
    /// That value.
    Value,
    /// The number of the page that a payload goes on in.
    Overflow,
}

/// Whether values of a serial type are texts.
fn is_text(serial: u64) -> bool {
    serial > 12 && serial % 2 == 1
}

/// The last records of a table.
#[derive(Clone, Default)]
pub struct Table {
    pub last: Arc<Record>,
    pub before: Arc<Record>,
    /// The largest row of the last page.
    pub most: u64,
}

/// The parser.
#[derive(Clone)]
pub struct Records {
    pub page: Page,
    /// Bytes so far.
    pub at: usize,
    pub field: Field,
    /// Bytes of the field so far, and what they are: as a number and a hash.
    pub offset: usize,
    pub number: u64,
    pub hash: u32,
    /// The cell's place in the list of its page; where it begins.
    rank: usize,
    kind: PageKind,
    pub cell: usize,
    /// Its record so far.
    pub record: Record,
    /// Bytes of its payload that are in the cell and not yet read, and of its head.
    local: usize,
    has_more: bool,
    head_left: usize,
    /// The current column, and what is left of its value.
    pub column: usize,
    pub left: usize,
    /// Hash of the record's types so far.
    pub types: u32,
    /// Records of the page, by the places of their cells in the list.
    done: Vec<Option<Arc<Record>>>,
    tables: Vec<Table>,
    /// The table of the last record of each kind of page.
    recent: [usize; 5],
    /// The current table.
    pub table: usize,
    /// Neighbours in the order of the list that are known: the one before and the one behind.
    pub neighbours: [Option<(usize, Arc<Record>)>; 2],
    /// Where the value is that followed the same one of the column before.
    pairs: Vec<u32>,
    links: Links,
    order: Order,
    /// The value that comes next in an index of one column.
    pub expected: Option<Value>,
    /// In an index, the row that comes next if its values are those of the neighbour, and whether that is known.
    pub same: Option<Option<u64>>,
    /// The row that an index's record likely ends with.
    pub row: u64,
    /// Whether the last payload that goes on in other pages does so with a text.
    goes_on_as_text: bool,
    /// The hash of the column and the value before, for these.
    pair: usize,
}

impl Default for Records {
    fn default() -> Self {
        Records {
            page: Page::default(),
            at: 0,
            field: Field::Rest,
            offset: 0,
            number: 0,
            hash: 0,
            rank: 0,
            kind: PageKind::Other,
            cell: 0,
            record: Record::default(),
            local: 0,
            has_more: false,
            head_left: 0,
            column: 0,
            left: 0,
            types: 0,
            done: Vec::new(),
            tables: vec![Table::default(); TABLES],
            recent: [0; 5],
            table: 0,
            neighbours: [None, None],
            pairs: vec![0; PAIRS],
            pair: 0,
            links: Links::default(),
            order: Order::default(),
            expected: None,
            same: None,
            row: 0,
            goes_on_as_text: false,
        }
    }
}

impl Records {
    /// Reads a byte.
    pub fn push(&mut self, byte: u8) {
        self.at += 1;
        self.offset += 1;
        let is_cell = self.page.area == Area::Cells && self.field != Field::Rest;
        if is_cell {
            if self.offset <= 8 {
                self.number = self.number << 8 | u64::from(byte);
            }
            self.hash = hash2(self.hash, u32::from(byte) + 1);
            self.read(byte);
        }
        match self.page.push(byte) {
            Step::Inside => {}
            Step::Page => self.begin_page(),
            Step::Cell(rank) => self.begin_cell(rank),
        }
    }

    fn begin_page(&mut self) {
        self.end_record();
        for record in self.done.drain(..).flatten() {
            let table = &mut self.tables[self.table];
            table.most = table.most.max(record.row_id);
        }
        self.turn(Field::Rest);
    }

    fn begin_cell(&mut self, rank: usize) {
        self.end_record();
        let kind = self.page.kind;
        (self.rank, self.kind) = (rank, kind);
        if kind.is_index() {
            self.links.sort();
            self.order.sort();
        }
        self.cell = self.at;
        self.record = Record::default();
        (self.local, self.has_more, self.head_left, self.column, self.left, self.types) = (0, false, 0, 0, 0, 0);
        self.done.resize(self.page.count, None);
        self.table = self.recent[kind as usize];
        let known = |rank: usize| Some((rank, self.done.get(rank)?.clone()?));
        self.neighbours = [
            (0..rank).rev().take(MAX_COLUMNS).find_map(known),
            (rank + 1..self.page.count).take(MAX_COLUMNS).find_map(known),
        ];
        self.same = if kind.is_index() { self.same_values() } else { None };
        self.expected = if kind.is_index() { self.next_value() } else { None };
        self.turn(if kind.is_inner() { Field::Child } else { Field::Payload });
    }

    /// What [`Self::same`] is.
    fn same_values(&self) -> Option<Option<u64>> {
        let [before, behind] = &self.neighbours;
        let (near, is_before) =
            behind.as_ref().map(|near| (near, true)).or(before.as_ref().map(|near| (near, false)))?;
        let values = near.1.values();
        (!values.is_empty()).then(|| self.links.near(&values, near.1.row_id, is_before))
    }

    /// What [`Self::expected`] is.
    fn next_value(&mut self) -> Option<Value> {
        let [before, behind] = &self.neighbours;
        let (near, is_before) =
            behind.as_ref().map(|near| (near, true)).or(before.as_ref().map(|near| (near, false)))?;
        self.order.near(&near.1, is_before)
    }

    /// Guesses the row that an index's record ends with.
    fn guess_row(&mut self) {
        let values = self.record.values();
        let [before, behind] = &self.neighbours;
        let near = behind.as_ref().or(before.as_ref());
        let expected = self.expected.filter(|expected| values == [expected.hash]);
        self.row = match (expected, self.same) {
            (Some(expected), _) => expected.row(),
            (_, Some(Some(row))) if near.is_some_and(|(_, near)| near.values() == values) => row,
            _ => self.links.near(&values, if behind.is_some() { u64::MAX } else { 0 }, behind.is_some()).unwrap_or(0),
        };
    }

    /// Goes on with a field.
    fn turn(&mut self, field: Field) {
        (self.field, self.offset, self.number, self.hash) = (field, 0, 0, 0);
    }

    /// The value of a varint that ends with `byte`, if it does.
    fn varint(&mut self, byte: u8) -> Option<u64> {
        // The bytes so far are in `number`, as they are.
        if byte >= 0x80 && self.offset < 9 {
            return None;
        }
        let len = self.offset.min(8);
        let bytes = &self.number.to_be_bytes()[8 - len..];
        Some(bytes.iter().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7F)))
    }

    fn read(&mut self, byte: u8) {
        let is_payload = matches!(self.field, Field::HeadLen | Field::Serial | Field::Value);
        if is_payload {
            self.local -= 1;
        }
        match self.field {
            Field::Rest => {}
            Field::Child if self.offset == 4 => {
                self.turn(if self.page.kind == PageKind::InnerTable { Field::RowId } else { Field::Payload });
            }
            Field::Overflow if self.offset == 4 => self.turn(Field::Rest),
            Field::Child | Field::Overflow => {}
            Field::Payload => {
                if let Some(payload) = self.varint(byte) {
                    let len = payload.min(u32::MAX.into()) as usize;
                    self.local = self.page.pages().map_or(0, |pages| pages.local(len, self.page.kind.is_index()));
                    self.has_more = self.local < len;
                    self.record.payload = payload;
                    self.turn(if self.page.kind.is_index() { Field::HeadLen } else { Field::RowId });
                }
            }
            Field::RowId => {
                if let Some(row_id) = self.varint(byte) {
                    self.record.row_id = row_id;
                    self.turn(if self.page.kind == PageKind::InnerTable { Field::Rest } else { Field::HeadLen });
                }
            }
            Field::HeadLen => {
                if let Some(len) = self.varint(byte) {
                    self.record.head_len = len;
                    self.head_left = (len.min(u32::MAX.into()) as usize).saturating_sub(self.offset);
                    self.turn(Field::Serial);
                    self.end_head();
                }
            }
            Field::Serial => {
                self.head_left -= 1;
                let serial = self.varint(byte);
                if let Some(serial) = serial {
                    if self.record.columns.len() < MAX_COLUMNS {
                        self.record.columns.push(Column { serial, ..Column::default() });
                    }
                    self.types = hash2(self.types, serial as u32);
                    self.column += 1;
                    self.turn(Field::Serial);
                }
                self.end_head();
            }
            Field::Value => {
                self.left -= 1;
                if self.left == 0 {
                    self.end_value();
                    self.begin_value(self.column + 1);
                }
            }
        }
        if matches!(self.field, Field::HeadLen | Field::Serial | Field::Value) && self.local == 0 {
            self.end_payload();
        }
    }

    /// Goes on behind a record's head, if that ends.
    fn end_head(&mut self) {
        if self.head_left == 0 {
            let kind = self.page.kind;
            self.table = hash2(self.record.columns.len() as u32, kind as u32) as usize % TABLES;
            self.recent[kind as usize] = self.table;
            self.begin_value(0);
        }
    }

    /// Begins the first value that has bytes, from a column on.
    fn begin_value(&mut self, first: usize) {
        self.pair = 0;
        for index in first..self.record.columns.len() {
            let serial = self.record.columns[index].serial;
            let hash = hash2(serial as u32, 0);
            let column = &mut self.record.columns[index];
            (column.start, column.hash) = (self.at, hash);
            let len = value_len(serial);
            if len > 0 {
                let before = if index > 0 { self.record.columns[index - 1].hash } else { 0 };
                self.pair = hash2(hash2(before, self.table as u32), index as u32) as usize % PAIRS;
                (self.column, self.left) = (index, len.min(u32::MAX.into()) as usize);
                if self.page.kind.is_index() && index + 1 == self.record.columns.len() {
                    self.guess_row();
                }
                return self.turn(Field::Value);
            }
        }
        self.turn(Field::Rest);
    }

    fn end_value(&mut self) {
        let index = self.column;
        let column = &mut self.record.columns[index];
        (column.hash, column.number) = (hash2(column.serial as u32, self.hash), self.number);
        self.pairs[self.pair] = column.start as u32;
        if index + 1 == self.record.columns.len() && self.page.kind.is_index() {
            self.record.row_id = self.number;
        }
    }

    fn end_payload(&mut self) {
        if self.has_more {
            self.goes_on_as_text = is_text(self.serial());
        }
        self.turn(if self.has_more { Field::Overflow } else { Field::Rest });
    }

    /// Keeps the record of the cell that ends.
    fn end_record(&mut self) {
        self.record.types = self.types;
        if self.record.columns.is_empty() && self.record.row_id == 0 {
            return;
        }
        if self.kind == PageKind::Table {
            self.links.add(&self.record);
            self.order.add(&self.record, self.table);
        }
        let record = Arc::new(std::mem::take(&mut self.record));
        if let Some(done) = self.done.get_mut(self.rank) {
            *done = Some(record.clone());
        }
        let table = &mut self.tables[self.table];
        table.before = std::mem::replace(&mut table.last, record);
    }

    /// The current table, by its last records.
    pub fn table(&self) -> &Table {
        &self.tables[self.table]
    }

    /// Bytes of the current value's column that its type says.
    pub fn serial(&self) -> u64 {
        self.record.column(self.column).serial
    }

    /// Where a value began that followed the same value of the column before; 0 if none is known.
    pub fn follower(&self) -> usize {
        self.pairs[self.pair] as usize
    }

    /// Bytes of the record's payload that no type so far says what they are.
    pub fn unknown(&self) -> u64 {
        let known = self.record.columns.iter().map(|column| value_len(column.serial));
        let known = known.fold(self.record.head_len, u64::saturating_add);
        self.record.payload.saturating_sub(known)
    }

    /// Bytes of the record's head to come.
    pub fn head_left(&self) -> usize {
        self.head_left
    }

    /// Whether the next byte is in a text that is long enough to be one of sentences.
    pub fn is_prose(&self) -> bool {
        match self.page.area {
            Area::Unknown => self.goes_on_as_text && self.page.pages().is_some() && self.page.at >= 4,
            Area::Cells => {
                let serial = self.serial();
                self.field == Field::Value && is_text(serial) && value_len(serial) >= MIN_PROSE
            }
            _ => false,
        }
    }

    /// The place of the cell in the list of its page.
    pub fn rank(&self) -> usize {
        self.rank
    }
}
