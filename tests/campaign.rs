//! A short campaign of damaged archives; `cargo run --release --example campaign` runs longer ones.

mod common;

use common::campaign::{Campaign, Counts, Recipe};

#[test]
fn damaged_archives_keep_all_promises() {
    let mut counts = Counts::default();
    let mut campaign = Campaign::new(&[1, 1, 2].map(|level| Recipe { level, shared_start: false }), 1);
    for _ in 0..1500 {
        campaign.step(&mut counts);
    }
    assert_eq!(counts.broken(), 0, "\n{counts}");
    assert!(counts.right > 0 && counts.salvaged > 0 && counts.refused.len() > 2, "\n{counts}");
}
