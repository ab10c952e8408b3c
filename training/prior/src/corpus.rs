//! The training text: a share of each category, with line ends folded, as documents that end with a 0x00 byte.

use nzip::internals::experts::prior::line_ends::LineEndFolder;
use std::process::Command;

/// The part of each category that is used.
const SHARES: [(&str, f64); 7] = [
    ("books", 1.0),
    ("encyclopedic", 1.0),
    ("docs", 1.0),
    ("code", 0.7),
    ("data", 0.6),
    ("multilingual", 0.5),
    ("web", 1.0),
];

/// Reads `dir/NAME.txt` of each category or, if it does not exist, `dir/NAME.txt.bz3`. The result starts and ends with 0x00.
///
/// # Panics
/// If a category has neither.
pub fn read(dir: &str) -> Vec<u8> {
    let mut text = vec![0];
    for (name, share) in SHARES {
        let raw = std::fs::read(format!("{dir}/{name}.txt")).unwrap_or_else(|_| {
            let output = Command::new("bzip3").args(["-d", "-c", &format!("{dir}/{name}.txt.bz3")]).output();
            output.expect("bzip3 runs").stdout
        });
        assert!(!raw.is_empty(), "{name} is missing");
        for document in raw[..(raw.len() as f64 * share) as usize].split(|&b| b == 0) {
            let mut folder = LineEndFolder::default();
            text.extend(document.iter().filter_map(|&b| folder.push(b)));
            text.push(0);
        }
    }
    text
}
