//! Any bytes as a block's coded data: no panic, and the length asked for or an error.

use nzip::internals::codec::{CodecConfig, LanePolicy, Preset, decode};

use super::input::Input;

/// The input is the model (odd: fast), the profile, the content's length, and coded data. Says whether it was decoded.
pub fn run(input: &[u8]) -> bool {
    let mut input = Input(input);
    let model = if input.byte() % 2 == 1 { Preset::Fast } else { Preset::Full };
    let (profile, raw_len) = (input.byte(), usize::from(input.u16() % 4096));
    let config = CodecConfig::new(model, None, LanePolicy::UpTo(1)).expect("needs no trained parts");
    let decoded =
        decode(&config, nzip::internals::content::Kind::Binary, profile, input.0, raw_len, 1, &mut |_, _| true);
    assert!(decoded.as_ref().map_or(true, |content| content.len() == raw_len));
    decoded.is_ok()
}
