//! A record of a database, as far as it is kept.

/// A column of a record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Column {
    pub serial: u64,
    /// Where its value begins, in bytes before all others so far.
    pub start: usize,
    /// Hash of type and value.
    pub hash: u32,
    /// The value's first bytes, as a number of so many bytes.
    pub number: u64,
}

/// A record.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub payload: u64,
    pub row_id: u64,
    pub head_len: u64,
    /// Hash of the types of its values.
    pub types: u32,
    pub columns: Vec<Column>,
}

impl Record {
    /// The values of an index's record, without the row.
    pub fn values(&self) -> Vec<u32> {
        let count = self.columns.len().saturating_sub(1);
        self.columns[..count].iter().map(|column| column.hash).collect()
    }

    pub fn column(&self, index: usize) -> Column {
        self.columns.get(index).copied().unwrap_or_default()
    }
}
