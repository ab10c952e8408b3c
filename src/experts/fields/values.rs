//! The tokens that were last in a place of lines, whole: a column's values go on in an order of their own.

/// The key of a place, a hash whose highest bits are the index, and the hashes of the last two tokens there, the last one first.
pub type Entry = (u32, [u32; 2]);

/// The last values of 2^`bits` places.
#[derive(Clone)]
pub struct Values(Vec<Entry>);

impl Values {
    /// No values.
    pub fn new(bits: u32) -> Self {
        Values(vec![Entry::default(); 1 << bits])
    }

    fn index(&self, key: u32) -> usize {
        (key >> (32 - self.0.len().ilog2())) as usize
    }

    /// The last two values in a place; zeros if they are not known.
    pub fn last(&self, key: u32) -> [u32; 2] {
        let (known, values) = self.0[self.index(key)];
        if known == key { values } else { [0; 2] }
    }

    /// Learns the value in a place.
    pub fn learn(&mut self, key: u32, value: u32) {
        let [last, _] = self.last(key);
        let index = self.index(key);
        self.0[index] = (key, [value, last]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_values_are_kept_by_place() {
        let mut values = Values::new(8);
        let (place, other, same_index) = (0x1200_0001, 0x1300_0001, 0x1200_0002);
        [5, 6, 7].into_iter().for_each(|value| values.learn(place, value));
        values.learn(other, 8);
        assert_eq!([place, other, same_index].map(|key| values.last(key)), [[7, 6], [8, 0], [0, 0]]);
        values.learn(same_index, 9);
        assert_eq!([place, same_index].map(|key| values.last(key)), [[0, 0], [9, 0]]);
    }
}
