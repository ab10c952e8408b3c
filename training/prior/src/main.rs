//! Builds nzip's embedded n-gram prior: `train-prior TEXT_DIR OUT [--tokens N] [--limit BYTES]`.
//!
//! TEXT_DIR holds `*.txt.bz3` (bzip3-compressed, documents separated by 0x00; `bzip3` must be on PATH). Steps: a vocabulary
//! (`words`), the counts of all n-grams of up to four tokens (`counts`), a selection of n-grams (`select`), and the file
//! (`nzip::internals::experts::prior::file`). The selection threshold is adjusted until the file just fits the limit.
//! Deterministic; about 6 GB of memory and 10 minutes on one core for 530 MB of text.

mod corpus;
mod counts;
mod select;
mod words;

use nzip::internals::experts::prior::file;
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, default: f64| {
        let at = args.iter().position(|a| a == name);
        at.map_or(default, |i| args[i + 1].parse().expect("a number"))
    };
    let [dir, out] = [&args[0], &args[1]];
    let clock = Instant::now();
    let log = |what: String| eprintln!("{:6.1} s  {what}", clock.elapsed().as_secs_f64());

    let text = corpus::read(dir);
    log(format!("{} MB of text", text.len() / 1_000_000));
    let (nodes, vocabulary) = words::choose(&text, option("--tokens", 32_768.0) as usize);
    log(format!("{} tokens in the vocabulary", nodes.len()));
    let tokens: Vec<u16> = vocabulary.tokenize(text.iter().copied()).collect();
    log(format!("{} tokens of text, {:.2} bytes each", tokens.len(), text.len() as f64 / tokens.len() as f64));
    drop(text);
    let counts = counts::Counts::of(tokens, nodes.len());
    log(format!("{:?} n-grams", counts.levels.each_ref().map(|l| l.entries())));

    let limit = option("--limit", 10_000_000.0);
    let mut threshold = option("--threshold", 6.02);
    loop {
        let mut data = select::select(&counts, threshold);
        data.nodes.clone_from(&nodes);
        let file = file::encode(&data);
        let sizes = data.levels.each_ref().map(|l| l.index.len());
        log(format!("threshold {threshold:.3} bits: {sizes:?} n-grams, {} bytes", file.len()));
        let size = file.len() as f64 / limit;
        if (0.995..=1.0).contains(&size) {
            std::fs::write(out, file).expect("the output can be written");
            return;
        }
        // The size is roughly proportional to threshold^-0.7.
        threshold *= (size / 0.998).powf(1.4);
    }
}
