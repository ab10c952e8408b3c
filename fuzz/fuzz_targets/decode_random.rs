//! Any bytes as a block's coded data: never a panic, never more content than asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nzip::internals::codec::{LanePolicy, Preset, CodecConfig, decode};

fuzz_target!(|input: (bool, u8, u16, &[u8])| {
    let (fast, profile, raw_len, payload) = input;
    let model = if fast { Preset::Fast } else { Preset::Full };
    let Ok(config) = CodecConfig::new(model, None, LanePolicy::UpTo(1)) else { return };
    let raw_len = usize::from(raw_len % 4096);
    if let Ok(content) = decode(&config, profile, payload, raw_len, 1, &mut |_, _| true) {
        assert_eq!(content.len(), raw_len);
    }
});
