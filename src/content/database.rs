//! Databases in SQLite's format 3 (<https://www.sqlite.org/fileformat2.html>): pages of one size, most of which are nodes of trees.

/// What a database begins with.
pub const MAGIC: [u8; 16] = *b"SQLite format 3\0";
/// Bytes of the header, on the first page.
pub const HEADER: usize = 100;

/// How a database is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Bytes of a page.
    pub size: usize,
    /// The same without those at its end that extensions use.
    pub usable: usize,
}

impl Pages {
    /// The pages of the database with this header.
    pub fn of(header: &[u8; HEADER]) -> Option<Pages> {
        let size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 1 << 16,
            size => usize::from(size),
        };
        let usable = size.checked_sub(header[20].into())?;
        let is_right = header.starts_with(&MAGIC) && header[21..24] == [64, 32, 32];
        (is_right && size.is_power_of_two() && size >= 512 && usable >= 480).then_some(Pages { size, usable })
    }

    /// How many bytes of a payload of `len` bytes are in its cell, on a page of an index or a table (1.6, "B-tree Pages").
    pub fn local(self, len: usize, is_index: bool) -> usize {
        let share = |part: usize| (self.usable - 12) * part / 255 - 23;
        let most = if is_index { share(64) } else { self.usable - 35 };
        if len <= most {
            return len;
        }
        let least = share(32);
        let local = least + (len - least) % (self.usable - 4);
        if local <= most { local } else { least }
    }
}

/// Bytes of a value of a serial type (2.1, "Record Format").
pub fn value_len(serial: u64) -> u64 {
    match serial {
        0 | 8..=11 => 0,
        1..=4 => serial,
        5 => 6,
        6 | 7 => 8,
        _ => (serial - 12) / 2,
    }
}

/// Whether `bytes` are a database.
pub fn is_database(bytes: &[u8]) -> bool {
    bytes.first_chunk().and_then(Pages::of).is_some_and(|pages| bytes.len() >= pages.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(size: u16, reserved: u8) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(size.to_be_bytes());
        bytes.extend([1, 1, reserved, 64, 32, 32]);
        bytes.resize(4096, 0);
        bytes
    }

    #[test]
    fn databases_are_found() {
        let sizes = [512, 1024, 4096, 8192, 1, 0, 256, 1000].map(|size| is_database(&database(size, 0)));
        // The last two good sizes are of longer pages than there are.
        assert_eq!(sizes, [true, true, true, false, false, false, false, false]);
        assert!(is_database(&database(512, 32)) && !is_database(&database(512, 33)));
        let mut damaged = database(1024, 0);
        damaged[22] = 0;
        assert!(!is_database(&damaged) && !is_database(&MAGIC) && !is_database(b""));
        let header: &[u8; HEADER] = &database(1, 0)[..HEADER].try_into().unwrap();
        assert_eq!(Pages::of(header), Some(Pages { size: 1 << 16, usable: 1 << 16 }));
    }

    #[test]
    fn long_payloads_are_cut() {
        let pages = Pages { size: 1024, usable: 1024 };
        // The most that a table's cell holds is 989 bytes, an index's 230; the least of both 103.
        assert_eq!([989, 990, 1123, 2143].map(|len| pages.local(len, false)), [989, 103, 103, 103]);
        assert_eq!([230, 231, 1124].map(|len| pages.local(len, true)), [230, 103, 104]);
        assert_eq!([0, 1, 4, 5, 6, 7, 9, 12, 13, 15, 20].map(value_len), [0, 1, 4, 6, 8, 8, 0, 0, 0, 1, 4]);
        assert!((0..100_000).all(|len| pages.local(len, true) <= 230));
    }
}
