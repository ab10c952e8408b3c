//! Any content comes back from the segments that it is parsed into.

use nzip::internals::content::{Effort, parse, rebuild};

/// Whether the input was taken apart.
///
/// # Panics
/// If it does not come back.
pub fn run(input: &[u8]) -> bool {
    let effort = Effort { recompress: true, samples: true, expansion: 64 };
    let Some(parsed) = parse(input, effort) else { return false };
    let streams: Vec<&[u8]> = parsed.streams.iter().map(|stream| &stream.bytes[..]).collect();
    let content = rebuild(&streams, &parsed.corrections, input.len()).expect("just made");
    assert!(content == input);
    true
}
