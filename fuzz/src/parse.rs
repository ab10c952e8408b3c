//! Any content comes back from the segments that it is parsed into, its streams divided or not.

use nzip::internals::content::{Division, Effort, parse, rebuild};

/// Whether the input was taken apart.
///
/// # Panics
/// If it does not come back.
pub fn run(input: &[u8]) -> bool {
    let effort = Effort { recompress: true, samples: true, expansion: 64, division: None };
    let short = Division { first: 300, other: 200, most: 5, text: true };
    let [whole, _] = [None, Some(short)].map(|division| {
        let Some(parsed) = parse(input, Effort { division, ..effort }) else { return false };
        let streams: Vec<&[u8]> = parsed.streams.iter().map(|stream| &stream.bytes[..]).collect();
        let content = rebuild(parsed.kinds(), &streams, &parsed.corrections, input.len()).expect("just made");
        assert!(content == input);
        true
    });
    whole
}
