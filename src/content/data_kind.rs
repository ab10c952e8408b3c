//! Classifies a block as text or binary data.

/// The kind of data in a block. The encoder chooses it; contexts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DataKind {
    /// Text, source code, tables: bytes with few control characters.
    Text = 0,
    /// Everything else.
    Binary = 1,
}

/// Whether a byte is a control character other than white space.
pub fn is_control(byte: u8) -> bool {
    byte < 9 || (14..32).contains(&byte)
}

impl DataKind {
    /// Text, if fewer than 2 % of the bytes are control characters other than white space.
    pub fn of(data: &[u8]) -> DataKind {
        let odd = data.iter().filter(|byte| is_control(**byte)).count();
        if odd * 50 < data.len() { DataKind::Text } else { DataKind::Binary }
    }
}
