//! A campaign of damaged archives. Arguments: seconds (default 60), seed (default 1), levels (default 1,1,1,2; 1s for level 1
//! with a shared start).
//!
//! Exits with 1 if a promise of docs/RELIABILITY.md was broken.

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::campaign::{Campaign, Counts, Recipe};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let levels = args.get(2).map_or("1,1,1,2", String::as_str);
    let Some(recipes) = levels.split(',').map(recipe).collect::<Option<Vec<_>>>() else {
        eprintln!("levels: {levels}: numbers like 1,2,1s");
        return ExitCode::from(2);
    };
    let end = Instant::now() + Duration::from_secs(number(0, 60));
    let mut counts = Counts::default();
    let mut campaign = Campaign::new(&recipes, number(1, 1));
    let before = peak_memory();
    while Instant::now() < end {
        campaign.step(&mut counts);
    }
    println!("{counts}");
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        println!("peak memory         {:>6} MiB; {} MiB before the first decoding", after >> 10, before >> 10);
    }
    if counts.broken() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn recipe(text: &str) -> Option<Recipe> {
    let level = text.trim_end_matches('s');
    Some(Recipe { level: level.parse().ok().filter(|level| (1..=9).contains(level))?, shared_start: level != text })
}

/// Peak resident memory in KiB, if the system reports it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
