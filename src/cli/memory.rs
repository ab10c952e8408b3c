//! Available and used memory.

use std::fs;

/// Assumed memory limit if the machine's memory is unknown.
const FALLBACK: u64 = 4 << 30;

/// Default of `-M`: three quarters of the machine's memory.
pub fn default_limit() -> u64 {
    field("/proc/meminfo", "MemTotal:").map_or(FALLBACK, |total| total / 4 * 3)
}

/// Peak resident memory of this process since [`reset_peak`] in bytes, if the system reports it.
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Resets [`peak`], if the system supports it.
pub fn reset_peak() {
    // On failure the peak covers the whole run.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// A field of a table in /proc, converted from kB to bytes.
fn field(table: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(table).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kb| kb << 10)
}
