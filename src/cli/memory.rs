//! How much memory there is, and how much was used.

use std::fs;

/// Where the machine's memory is not known.
const FALLBACK: u64 = 4 << 30;

/// The default of `-M`: three quarters of the machine's memory.
pub fn default_limit() -> u64 {
    field("/proc/meminfo", "MemTotal:").map_or(FALLBACK, |total| total / 4 * 3)
}

/// The most memory that this process had resident since [`reset_peak`], in bytes, where the system tells.
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Starts [`peak`] anew, where the system can; else it stays that of the whole run.
pub fn reset_peak() {
    // A kernel that refuses only makes the figure coarser.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// A figure in kB in one of Linux's tables, in bytes.
fn field(table: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(table).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kb| kb << 10)
}
