//! How much may be undone in a block, so that neither coding it nor looking for it takes long.

/// The most bytes that the streams of a block of `raw_len` bytes may hold, and that any list of segments in it may make.
pub fn max_plain(raw_len: usize) -> usize {
    raw_len.saturating_mul(128).saturating_add(1 << 16).min(raw_len.saturating_add(256 << 20))
}

/// What is left.
#[derive(Debug)]
pub struct Budget {
    /// Plain bytes that may be added.
    plain: usize,
    /// The time that coding them may take, in bytes outside of images' flat areas.
    time: usize,
    /// Bytes that may be looked at.
    work: usize,
}

impl Budget {
    /// The budget of a block of `raw_len` bytes that may take `expansion` times as long.
    pub fn new(raw_len: usize, expansion: usize) -> Self {
        let time = raw_len.saturating_mul(expansion);
        Budget {
            plain: max_plain(raw_len) - raw_len,
            time: time.saturating_add(1 << 16) - raw_len,
            work: time.saturating_mul(4).saturating_add(1 << 22),
        }
    }

    /// So many bytes may be undone, if they may be in flat areas.
    pub fn flat_bytes(&self) -> usize {
        self.plain.min(self.work)
    }

    /// So many bytes may be undone.
    pub fn bytes(&self) -> usize {
        self.flat_bytes().min(self.time)
    }

    /// Takes plain bytes and their time; none, if there is too little.
    pub fn add(&mut self, plain: usize, time: usize) -> Option<()> {
        (self.plain, self.time) = (self.plain.checked_sub(plain)?, self.time.checked_sub(time)?);
        Some(())
    }

    /// Takes work; none, if there is too little.
    pub fn charge(&mut self, work: usize) -> Option<()> {
        self.work = self.work.checked_sub(work)?;
        Some(())
    }

    /// Takes work that was done in vain, as far as it goes.
    pub fn waste(&mut self, work: usize) {
        self.work = self.work.saturating_sub(work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_where_there_is_too_little() {
        let mut budget = Budget::new(1000, 16);
        assert_eq!((budget.bytes(), budget.flat_bytes()), (15_000 + 65_536, 127_000 + 65_536));
        assert_eq!(budget.add(100_000, 90_000), None);
        assert_eq!(budget.add(200_000, 1), None);
        assert_eq!(budget.add(100_000, 80_000), Some(()));
        assert_eq!((budget.bytes(), budget.flat_bytes()), (536, 92_536));
        assert_eq!(budget.charge(1 << 23), None);
        budget.waste(1 << 22);
        assert_eq!(budget.flat_bytes(), 64_000);
        budget.waste(1 << 20);
        assert_eq!((budget.charge(1), budget.flat_bytes()), (None, 0));
    }
}
