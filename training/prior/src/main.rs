//! Builds nzip's embedded n-gram prior: `train-prior TEXT_DIR OUT [--tokens N] [--limit BYTES]`.
//!
//! TEXT_DIR holds `*.txt.bz3` (bzip3-compressed, documents separated by 0x00; `bzip3` must be on PATH). Steps: a vocabulary
//! (`words`), counts of all n-grams of up to four tokens (`counts`), the n-grams that earn their place (`select`), the
//! file (`nzip::internals::experts::prior::file`). The selection threshold is searched so that the file just fits the limit.
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
    let tell = |what: String| eprintln!("{:6.1} s  {what}", clock.elapsed().as_secs_f64());

    let text = corpus::read(dir);
    tell(format!("{} MB of text", text.len() / 1_000_000));
    let (nodes, vocabulary) = words::choose(&text, option("--tokens", 32_768.0) as usize);
    tell(format!("{} tokens in the vocabulary", nodes.len()));
    let tokens: Vec<u16> = vocabulary.tokens(text.iter().copied()).collect();
    tell(format!("{} tokens of text, {:.2} bytes each", tokens.len(), text.len() as f64 / tokens.len() as f64));
    drop(text);
    let counts = counts::Counts::of(tokens, nodes.len());
    tell(format!("{:?} n-grams", counts.levels.each_ref().map(|l| l.entries())));

    let limit = option("--limit", 10_000_000.0);
    let mut threshold = option("--threshold", 6.02);
    loop {
        let mut source = select::select(&counts, threshold);
        source.nodes.clone_from(&nodes);
        let file = file::encode(&source);
        let sizes = source.levels.each_ref().map(|l| l.index.len());
        tell(format!("threshold {threshold:.3} bits: {sizes:?} n-grams, {} bytes", file.len()));
        let size = file.len() as f64 / limit;
        if (0.995..=1.0).contains(&size) {
            std::fs::write(out, file).expect("the output can be written");
            return;
        }
        // Sizes go about as the threshold to the power of -0.7.
        threshold *= (size / 0.998).powf(1.4);
    }
}
