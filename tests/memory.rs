//! `-M`: the program's peak memory is what the limit says.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/shell.rs"]
mod shell;

use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{Kind, Random, content};
use shell::Shell;

/// What the peak may differ from the limit by: a tenth, and what the operating system rounds to.
const MORE: u64 = 10;
const MIB: u64 = 1 << 20;

/// Peak resident memory of a program that ends with success.
fn peak(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) << 10);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        sleep(Duration::from_millis(1));
    }
}

/// The least limit in MiB that the program accepts for this command: what it says it needs.
fn needed(shell: &Shell, line: &str) -> u64 {
    let mut limit = 10;
    loop {
        let run = shell.run(&format!("{line} -M {limit}M"));
        if run.code == 0 {
            return limit;
        }
        // "a block needs 66 MiB of memory; the limit leaves 1 MiB"
        let number = |before: &str| {
            let after = run.said.split_once(before).unwrap_or_else(|| panic!("{line}: {}", run.said)).1;
            after.split_once(" MiB").unwrap().0.parse::<u64>().unwrap()
        };
        limit += number("a block needs ") - number("the limit leaves ");
    }
}

/// Runs the command with the least limit that it accepts, and compares.
fn check(shell: &Shell, line: &str, least: u64) {
    let limit = needed(shell, line);
    let command = shell.command(&format!("{line} -M {limit}M")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let peak = peak(command.unwrap());
    let said = format!("{line}: the limit is {limit} MiB, the peak {} KiB", peak >> 10);
    println!("{said}");
    assert!(peak <= limit * MIB * (100 + MORE) / 100, "{said}");
    assert!(peak >= limit * MIB * least / 100, "{said}");
}

/// A bilevel image: blobs in rows of 200 bytes.
fn bilevel(rows: usize) -> Vec<u8> {
    let mut random = Random::new(5);
    let mut edges = [300i32, 700, 1200];
    let mut bytes = Vec::new();
    for _ in 0..rows {
        edges.iter_mut().for_each(|edge| *edge += random.below(5) as i32 - 2);
        let black = |x: i32| edges.iter().filter(|&&edge| edge <= x).count() % 2 == 1;
        bytes.extend((0..200).map(|byte| (0..8).fold(0, |bits, i| bits << 1 | u8::from(black(8 * byte + i)))));
    }
    bytes
}

#[test]
fn the_peak_is_what_the_limit_says() {
    let shell = Shell::new();
    shell.write("short", &content(Kind::Text, 300, 1));
    shell.write("text", &content(Kind::Text, 20_000, 1));
    shell.write("long", &content(Kind::Mixed, 300_000, 2));
    shell.write("fax", &bilevel(100));
    shell.write("zip", include_bytes!("samples/archive.zip"));
    // Tables that are never touched count, but take nothing: short content needs less than it says.
    for (file, level, least) in [
        ("text", 1, 80),
        ("long", 1, 70),
        ("text", 2, 80),
        ("fax", 2, 70),
        ("zip", 1, 70),
        ("zip", 2, 50),
        ("text", 4, 85),
        ("short", 6, 75),
    ] {
        check(&shell, &format!("c -{level} -T1 -f {file}"), least);
        check(&shell, &format!("d -T1 -c {file}.nz"), least);
    }
    // Several blocks at a time.
    check(&shell, "c -1 -T2 -f --block-size 128K long", 50);
    check(&shell, "d -T2 -c long.nz", 50);
}
