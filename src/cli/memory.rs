//! Available and used memory.

use std::fs;
use std::path::Path;

/// Assumed if the machine's memory is unknown.
const FALLBACK: u64 = 4 << 30;

/// Resident memory of the program itself: what it runs of its code, its stacks, its buffers.
const PROGRAM: u64 = 11 << 20;

/// Default of `-M`: three quarters of the memory available to the process.
fn default_limit() -> u64 {
    available() / 4 * 3
}

/// What the limit given by `-M`, or the default, leaves for coding. More than the address space would end in an abort.
pub fn for_coding(given: Option<u64>) -> u64 {
    let most = || address_space_limit().map_or(u64::MAX, |limit| limit / 4 * 3);
    given.map_or_else(default_limit, |given| given.min(most())).saturating_sub(PROGRAM)
}

/// The memory available to the process in bytes: the least of the machine's memory, the limits of its control groups
/// and the limit of its address space.
pub fn available() -> u64 {
    let machine = field("/proc/meminfo", "MemTotal:").unwrap_or(FALLBACK);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_limit(&groups, Path::new("/sys/fs/cgroup"));
    [group, address_space_limit()].into_iter().flatten().fold(machine, u64::min)
}

/// The least memory limit of the control groups listed in `groups`, the content of /proc/self/cgroup, and of their
/// parents. `root` is where the control groups are mounted.
fn group_limit(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        // Version 2: 0::PATH. Version 1: N:memory:PATH.
        let mut parts = line.splitn(3, ':').skip(1);
        let (root, file) = match parts.next()? {
            "" => (root.to_owned(), "memory.max"),
            names if names.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        let group = root.join(parts.next()?.trim_start_matches('/'));
        let folders = group.ancestors().take_while(|folder| folder.starts_with(&root));
        folders.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok()).min()
    });
    limits.min()
}

/// Address space that threads take beside their data: stacks, and the reserves of the allocator.
#[cfg(unix)]
const THREAD_SPACE: u64 = 64 << 20;

/// What is left of the limit of the address space.
#[cfg(unix)]
fn address_space_limit() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};

    let limit = getrlimit(Resource::As).current?;
    let used = field("/proc/self/status", "VmSize:").unwrap_or_default();
    Some(limit.saturating_sub(used + THREAD_SPACE))
}

#[cfg(not(unix))]
fn address_space_limit() -> Option<u64> {
    None
}

/// Peak resident memory of this process since [`reset_peak`] in bytes, if the system reports it.
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Peak resident memory of the process `pid` in bytes, if it runs and the system reports it.
pub fn peak_of(pid: u32) -> Option<u64> {
    field(&format!("/proc/{pid}/status"), "VmHWM:")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_limit_memory() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/memory.max", "1000000\n");
        write("a/b/memory.max", "max\n");
        write("memory/c/memory.limit_in_bytes", "500000\n");
        assert_eq!(group_limit("0::/a/b\n", root.path()), Some(1_000_000));
        assert_eq!(group_limit("5:cpu:/c\n4:memory,hugetlb:/c/d\n0::/a/b\n", root.path()), Some(500_000));
        assert_eq!(group_limit("0::/\n", root.path()), None);
    }
}
