//! Any trained prior with the right id: it is refused, or its file is what was read, and an archive that it makes is read with it.

use std::sync::Arc;

use nzip::{CompressOptions, DecompressOptions, Level, TrainedPrior, compress_with, decompress_with};
use xxhash_rust::xxh3::xxh3_64;

/// The input is what follows the id; its last bytes are the content, too. Whether it is a prior.
///
/// # Panics
/// If the prior's file is another one, or if the content does not come back.
pub fn run(input: &[u8]) -> bool {
    let content = &input[input.len().saturating_sub(64)..];
    let mut file = b"\x8Enzp\r\n\x1A\x01".to_vec();
    file.extend((xxh3_64(input) as u32).to_le_bytes());
    file.extend(input);
    let Ok(prior) = TrainedPrior::from_bytes(&file).map(Arc::new) else { return false };
    assert!(prior.to_bytes() == file);
    let options = CompressOptions::new().level(Level::MIN).threads(1).trained_prior(prior.clone());
    let archive = compress_with(content, options).expect("it has all that it needs");
    assert!(
        decompress_with(&archive, DecompressOptions::new().threads(1).trained_prior(prior)).expect("just made")
            == content
    );
    true
}
