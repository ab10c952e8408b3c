//! The values of a database's tables in order, as an index of one column lists them.

use super::database_row::{Column, Record};
use crate::content::database::value_len;

/// The most values that are kept.
const MAX_VALUES: usize = 1 << 19;
/// Longer values are not kept.
const MAX_LEN: u64 = 64;
/// Hashes of values whose column is known.
const OWNERS: usize = 1 << 16;

/// A value: its column, its first bytes in the order of values, its row; then its type, its hash, and where it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    place: (u32, u64, u32),
    pub serial: u32,
    pub hash: u32,
    pub start: u32,
}

impl Value {
    /// The row.
    pub fn row(&self) -> u64 {
        self.place.2.into()
    }
}

/// All values.
#[derive(Clone, Default)]
pub struct Order {
    /// Sorted ones, and those that came since.
    sorted: Vec<Value>,
    recent: Vec<Value>,
    /// Columns of values by their hashes.
    owners: Vec<u32>,
    /// The column that the last index was of.
    owner: u32,
}

/// A number that sorts as the value does, by its first bytes.
fn key(column: &Column) -> u64 {
    let sign = 1u64 << 63;
    let len = value_len(column.serial).min(8);
    let shift = 8 * (8 - len.max(1));
    match column.serial {
        // Positive numbers behind negative ones, which are ordered the other way round.
        7 if column.number & sign > 0 => !column.number,
        7 => column.number | sign,
        1..=6 => (((column.number << shift) as i64) >> shift) as u64 ^ sign,
        _ => column.number << shift,
    }
}

impl Order {
    /// Adds the values of a record of a table.
    pub fn add(&mut self, record: &Record, table: usize) {
        if self.sorted.len() + self.recent.len() + record.columns.len() > MAX_VALUES {
            return;
        }
        self.owners.resize(OWNERS, 0);
        for (k, column) in record.columns.iter().enumerate() {
            if (1..=MAX_LEN).contains(&value_len(column.serial)) {
                let owner = (table << 8 | k) as u32;
                self.owners[column.hash as usize % OWNERS] = owner;
                let place = (owner, key(column), record.row_id as u32);
                let Column { serial, hash, start, .. } = *column;
                self.recent.push(Value { place, serial: serial as u32, hash, start: start as u32 });
            }
        }
    }

    /// Sorts what came since, if that is much.
    pub fn sort(&mut self) {
        if self.recent.len() > self.sorted.len() / 8 {
            self.sorted.append(&mut self.recent);
            self.sorted.sort_unstable();
        }
    }

    /// The value before or behind that of an index's record.
    pub fn near(&mut self, record: &Record, is_before: bool) -> Option<Value> {
        let [column, _] = &record.columns[..] else { return None };
        let hashed = *self.owners.get(column.hash as usize % OWNERS)?;
        for owner in [self.owner, hashed] {
            let place = (owner, key(column), record.row_id as u32);
            let at = self.sorted.partition_point(|value| value.place < place);
            if self.sorted.get(at).is_some_and(|value| value.place == place) {
                self.owner = owner;
                let near = if is_before { at.checked_sub(1)? } else { at + 1 };
                return self.sorted.get(near).filter(|value| value.place.0 == owner).copied();
            }
        }
        None
    }
}
