//! The judgement of whether a block is text.

/// What a block consists of, as the encoder judges it: text and binary data have contexts of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DataKind {
    Text = 0,
    Binary = 1,
}

impl DataKind {
    /// Text has few control characters.
    pub fn of(data: &[u8]) -> DataKind {
        let odd = data.iter().filter(|&&b| b < 9 || (14..32).contains(&b)).count();
        if odd * 50 < data.len() { DataKind::Text } else { DataKind::Binary }
    }
}
