//! Any bytes as a block's coded data: never a panic, never more content than asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nzip::codec::{Division, Model, Predictor, decode};

fuzz_target!(|input: (bool, u8, u16, &[u8])| {
    let (fast, profile, raw_len, payload) = input;
    let model = if fast { Model::Fast } else { Model::Full };
    let Ok(predictor) = Predictor::new(model, None, Division::UpTo(1)) else { return };
    let raw_len = usize::from(raw_len % 4096);
    if let Ok(content) = decode(&predictor, profile, payload, raw_len, 1, &mut |_, _| true) {
        assert_eq!(content.len(), raw_len);
    }
});
