//! Any streams and corrections: no panic, content of the length asked for or an error.

use nzip::internals::content::{Kind, rebuild};

use super::input::Input;

/// The input is the content's length, the number of streams, the streams and the corrections. Whether they make content.
///
/// # Panics
/// If the content has another length.
pub fn run(input: &[u8]) -> bool {
    let mut input = Input(input);
    let raw_len = usize::from(input.u16());
    let count = 1 + usize::from(input.byte() % 8);
    let streams: Vec<&[u8]> = (0..count).map(|_| input.part()).collect();
    // Streams may hold Lepton's JPEGs of any size.
    match rebuild([Kind::Lepton { most: 1 << 26 }], &streams, input.part(), raw_len) {
        Ok(content) => {
            assert_eq!(content.len(), raw_len);
            true
        }
        Err(_) => false,
    }
}
