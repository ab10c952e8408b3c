//! A distribution's table, which may be in memory that a device writes to.

use std::ops::{Deref, DerefMut};

/// Memory of the host that a device copies to by itself.
pub trait HostMemory: Send + Sync {
    /// All of it.
    fn words(&self) -> &[u32];
    /// All of it.
    fn words_mut(&mut self) -> &mut [u32];
}

/// Cumulative masses of the next token: entry `i` is the mass of all outputs before `i`.
///
/// The CPU reads a few of some 50,000 entries, so a device copies a table to where it stays.
pub struct Table(Place);

enum Place {
    Own(Vec<u32>),
    /// The first entries of the memory are used.
    Device(Box<dyn HostMemory>, usize),
}

impl Table {
    /// An empty table in memory of a device.
    pub fn on_device(memory: Box<dyn HostMemory>) -> Table {
        Table(Place::Device(memory, 0))
    }

    /// Entries that a device can copy here: 0 if it is the process's own memory.
    pub fn device_capacity(&self) -> usize {
        match &self.0 {
            Place::Own(_) => 0,
            Place::Device(memory, _) => memory.words().len(),
        }
    }

    /// Makes it shorter, or longer with entries of any value.
    pub fn resize(&mut self, len: usize) {
        match &mut self.0 {
            Place::Own(entries) => entries.resize(len, 0),
            Place::Device(memory, used) if len <= memory.words().len() => *used = len,
            Place::Device(..) => {
                let mut entries = self.to_vec();
                entries.resize(len, 0);
                *self = entries.into();
            }
        }
    }
}

/// The copy is in the process's own memory.
impl Clone for Table {
    fn clone(&self) -> Self {
        self.to_vec().into()
    }
}

impl Default for Table {
    fn default() -> Self {
        Table(Place::Own(Vec::new()))
    }
}

impl From<Vec<u32>> for Table {
    fn from(entries: Vec<u32>) -> Self {
        Table(Place::Own(entries))
    }
}

impl Deref for Table {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match &self.0 {
            Place::Own(entries) => entries,
            Place::Device(memory, used) => &memory.words()[..*used],
        }
    }
}

impl DerefMut for Table {
    fn deref_mut(&mut self) -> &mut [u32] {
        match &mut self.0 {
            Place::Own(entries) => entries,
            Place::Device(memory, used) => &mut memory.words_mut()[..*used],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(Vec<u32>);

    impl HostMemory for Memory {
        fn words(&self) -> &[u32] {
            &self.0
        }

        fn words_mut(&mut self) -> &mut [u32] {
            &mut self.0
        }
    }

    #[test]
    fn a_table_leaves_the_device_when_it_outgrows_its_memory() {
        let mut table = Table::on_device(Box::new(Memory(vec![1, 2, 3])));
        assert!(table.is_empty());
        table.resize(3);
        table[1] = 7;
        assert_eq!((&*table, table.device_capacity()), (&[1, 7, 3][..], 3));
        table.resize(2);
        table.resize(5);
        assert_eq!((&*table, table.device_capacity()), (&[1, 7, 0, 0, 0][..], 0));
    }
}
