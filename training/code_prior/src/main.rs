//! Builds nzip's embedded prior of x86 code: `train-code-prior PROGRAMS OUT [--limit BYTES]`.
//!
//! PROGRAMS has a folder for each package, in which programs and libraries lie (PE or ELF; others are ignored). Steps: their code (`corpus`),
//! the contexts that packages share and the counts of what follows them (`counts`), a selection that fits the limit (`select`), and the file
//! (`nzip::internals::experts::code_prior::file`). Deterministic; about 6 GB of memory and 15 minutes on one core for 46 MB of code.

mod corpus;
mod counts;
mod select;

use nzip::internals::experts::code_prior::file;
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [programs, out] = [&args[0], &args[1]];
    let at = args.iter().position(|arg| arg == "--limit");
    let limit: usize = at.map_or(2_400_000, |at| args[at + 1].parse().expect("a number"));
    let clock = Instant::now();
    let log = |what: String| eprintln!("{:6.1} s  {what}", clock.elapsed().as_secs_f64());

    let packages = corpus::read(programs);
    let bytes: usize = packages.iter().flatten().map(Vec::len).sum();
    log(format!("{bytes} bytes of code in {} packages", packages.len()));
    let mut counts = counts::Counts::of(&packages);
    log(format!("{} contexts are shared", counts.buckets.len()));
    counts.weigh(&packages);
    log("their gains are known".into());
    let records = select::select(&counts, limit);
    let file = file::encode(&records);
    log(format!("{} records in {} bytes", records.len(), file.len()));
    std::fs::write(out, file).expect("the output can be written");
}
