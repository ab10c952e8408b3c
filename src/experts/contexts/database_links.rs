//! Which rows of a database's tables have a value: indexes list them, sorted by value and row.

use super::database_row::Record;
use crate::content::database::value_len;

/// The most values that are kept.
const MAX_LINKS: usize = 1 << 20;
/// Longer values are not kept.
const MAX_LEN: u64 = 64;
/// So many rows with a value are tried whether they have another, too.
const TRIES: usize = 16;

/// Hashes of values with the rows that have them, each as one number.
#[derive(Clone, Default)]
pub struct Links {
    /// Sorted ones, and those that came since.
    sorted: Vec<u64>,
    recent: Vec<u64>,
}

impl Links {
    /// Adds the values of a table's record.
    pub fn add(&mut self, record: &Record) {
        if self.sorted.len() + self.recent.len() + record.columns.len() > MAX_LINKS {
            return;
        }
        let is_kept = |serial: u64| serial > 0 && value_len(serial) <= MAX_LEN;
        let kept = record.columns.iter().filter(|column| is_kept(column.serial));
        self.recent.extend(kept.map(|column| u64::from(column.hash) << 32 | record.row_id & 0xFFFF_FFFF));
    }

    /// Sorts what came since, if that is much.
    pub fn sort(&mut self) {
        if self.recent.len() > self.sorted.len() / 8 {
            self.sorted.append(&mut self.recent);
            self.sorted.sort_unstable();
        }
    }

    fn has(&self, link: u64) -> bool {
        self.sorted.binary_search(&link).is_ok()
    }

    /// The last row before `row`, or the first one behind it, that has all the values.
    pub fn near(&self, values: &[u32], row: u64, is_before: bool) -> Option<u64> {
        let (&value, others) = values.split_last()?;
        let link = |value: u32, row: u64| u64::from(value) << 32 | row & 0xFFFF_FFFF;
        let at = self.sorted.partition_point(|&other| other < link(value, row));
        let fits = |&&other: &&u64| others.iter().all(|&value| self.has(link(value, other)));
        let same = |other: &&u64| **other >> 32 == u64::from(value);
        let found = match is_before {
            true => self.sorted[..at].iter().rev().take(TRIES).take_while(same).find(fits),
            false => {
                let behind = self.sorted[at..].iter().skip_while(|other| **other == link(value, row));
                behind.take(TRIES).take_while(same).find(fits)
            }
        };
        found.map(|other| other & 0xFFFF_FFFF)
    }
}
