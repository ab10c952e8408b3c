//! The contexts that gain the most for their share of the file.

use crate::counts::{Bucket, Counts};
use nzip::internals::experts::code_prior::evidence::{self, CODES};
use nzip::internals::experts::code_prior::file::symbol;
use nzip::internals::experts::code_prior::table::{Record, WAYS, place};

/// Bits of a record's place.
const PLACE_BITS: f64 = 9.2;
/// The sizes are those of the symbols' codes, which depend on what is selected.
const ROUNDS: usize = 3;

struct Candidate {
    record: Record,
    gain: f64,
    bits: f64,
}

/// Records for a file of about `limit` bytes, in the order of their places.
pub fn select(counts: &Counts, limit: usize) -> Vec<Record> {
    let mut all: Vec<Candidate> =
        counts.buckets.iter().filter(|(_, bucket)| bucket.gain > 0.0).map(candidate).collect();
    all.sort_by(|a, b| b.gain.total_cmp(&a.gain).then(a.record.place.cmp(&b.record.place)));
    let mut chosen = all.len() / 4;
    for _ in 0..ROUNDS {
        let code = lengths(all[..chosen].iter().map(|candidate| &candidate.record));
        for candidate in &mut all {
            candidate.bits =
                PLACE_BITS + symbols(&candidate.record).map(|(before, own)| code[before][own]).sum::<f64>();
        }
        let score = |candidate: &Candidate| candidate.gain / candidate.bits;
        all.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.record.place.cmp(&b.record.place)));
        let mut bits = 0.0;
        chosen = all
            .iter()
            .take_while(|candidate| {
                bits += candidate.bits;
                bits <= 8.0 * limit as f64
            })
            .count();
    }
    let mut in_line = std::collections::HashMap::new();
    let mut places = std::collections::HashSet::new();
    let best = all[..chosen].iter().map(|candidate| candidate.record).filter(|record| {
        let line = in_line.entry(record.place >> 8).or_insert(0);
        *line < WAYS && places.insert(record.place) && {
            *line += 1;
            true
        }
    });
    let mut records: Vec<Record> = best.collect();
    records.sort_by_key(|record| record.place);
    records
}

fn candidate((&key, bucket): (&u64, &Bucket)) -> Candidate {
    let evidence = bucket.counts.map(|[zeros, ones]| evidence::of(zeros.into(), ones.into()));
    let record = Record { place: place(key as u32, (key >> 32) as u8), evidence };
    Candidate { record, gain: bucket.gain.into(), bits: 0.0 }
}

fn symbols(record: &Record) -> impl Iterator<Item = (usize, usize)> {
    (1..16).filter_map(|node| symbol(&record.evidence, node)).map(|(before, own)| (before, own.into()))
}

/// The bits of each symbol after each other one.
fn lengths<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<[f64; CODES]> {
    let mut counts = vec![[0.1; CODES]; CODES];
    for record in records {
        symbols(record).for_each(|(before, own)| counts[before][own] += 1.0);
    }
    let code = |counts: [f64; CODES]| {
        let all: f64 = counts.iter().sum();
        counts.map(|count| (all / count).log2())
    };
    counts.into_iter().map(code).collect()
}
